"""Derive actors/api/protobuf.json: the wire numbers of the messages that clients may send us, one row a message.

Source: a JSON file {message: {number: [json name, one|rep|map, type, flags]}} made from Kubernetes' generated.proto
files. Run as `scripts/derive_protobuf.py FIELDS.json`; only what is reachable from the table of kinds is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from derive_schemas import roots

TABLE = Path(__file__).parent.parent / "actors/api/protobuf.json"
PREFIXES = (
    "k8s.io.api.",
    "k8s.io.apimachinery.pkg.apis.",
    "k8s.io.apimachinery.pkg.",
    "k8s.io.kube_aggregator.pkg.apis.",
    "k8s.io.apiextensions_apiserver.pkg.apis.",
)


def short(name: str) -> str:
    """`k8s.io.api.core.v1.Pod` -> `core.v1.Pod`, as actors/api/schema.json names it."""
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


def field_row(name: str, label: str, type_name: str, flags: str) -> str:
    """`containers []core.v1.Container`; a trailing `!` marks fields whose zero value means absent.

    The name `.` is of a message whose fields are its parent's in JSON (Go's embedded structs).
    """
    form = {"one": "", "rep": "[]", "map": "map:"}[label]
    absent_when_zero = "omitempty" in flags.split() and "ptr" not in flags.split()
    element = type_name.split(",")[-1] if label == "map" else type_name
    name = "." if "inline" in flags.split() else name
    return f"{name} {form}{short(element)}{'!' if absent_when_zero else ''}"


def derive(source: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, str]]:
    messages = {short(name): fields for name, fields in source.items()}
    table: dict[str, dict[str, str]] = {}
    pending = [*roots(), "runtime.Unknown"]
    while pending:
        name = pending.pop()
        if name in table or name not in messages:
            continue
        fields = sorted(messages[name].items(), key=lambda entry: int(entry[0]))
        table[name] = {number: field_row(*field) for number, field in fields}
        pending += [
            row.split(" ")[1].rstrip("!").removeprefix("[]").removeprefix("map:") for row in table[name].values()
        ]
    return dict(sorted(table.items()))


def main() -> None:
    table = derive(json.loads(Path(sys.argv[1]).read_text()))
    rows = [f"{json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in table.items()]
    TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
