"""`python -m benchmarks [NAME] [--json] [--quick]`: a table for people, one JSON object a line for programs.

Every module here has `measure(quick) -> rows`; a row is name, value, unit, peer, peer_value, ratio, n, p50, p99, with
None for what does not apply. `ratio` is ours to the peer's. One benchmark that fails does not keep the others back.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.table import render

FIELDS = ("name", "value", "unit", "peer", "peer_value", "ratio", "n", "p50", "p99")
ORDER = ("launch", "start", "store", "gateway", "scheduler", "network", "footprint")

Row = dict[str, Any]


def main() -> int:
    names = benchmark_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=names, help="one of them; all by default")
    parser.add_argument("--json", action="store_true", help="one JSON object a line (as when not on a terminal)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: seconds, not minutes")
    options = parser.parse_args()
    as_json = options.json or not sys.stdout.isatty()
    failed = 0
    for name in [options.name] if options.name else names:
        try:
            rows = importlib.import_module(f"benchmarks.{name}").measure(options.quick)
        except Exception:
            traceback.print_exc()
            failed += 1
            continue
        show([{field: row.get(field) for field in FIELDS} for row in rows], name, as_json)
    return 1 if failed else 0


def benchmark_names() -> list[str]:
    """The known ones in their order, then those added since."""
    found = {
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if "def measure(" in path.read_text() and not path.stem.startswith("_")
    }
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def show(rows: Iterable[Row], title: str, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row), flush=True)
        return
    for line in render(list(rows), title, shutil.get_terminal_size().columns):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
