"""Where a Ray worker of the embedded head begins: Ray's default_worker.py, without the runtime_env step before it.

Saves one interpreter start with Ray's imports (0.35 s of CPU) per actor; run by the raylet, by path.
"""

from __future__ import annotations

import runpy
import sys

#: Options for Ray's setup_worker.py, which default_worker.py does not know.
_SETUP_OPTIONS = ("--language", "--serialized-runtime-env-context")


def worker_arguments(arguments: list[str]) -> list[str]:
    """Those for default_worker.py."""
    return [a for a in arguments if not a.startswith(_SETUP_OPTIONS)]


if __name__ == "__main__":
    sys.argv = worker_arguments(sys.argv[1:])
    runpy.run_path(sys.argv[0], run_name="__main__")
