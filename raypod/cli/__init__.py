"""The `raypod` command. One file per topic; each command is a thin shell over the SDK."""

from __future__ import annotations

import sys

from raypod.errors import RaypodError


def main() -> None:
    """Exit codes: the container's for `run`, 1 for an error (one sentence on stderr), 2 for a wrong command line."""
    from raypod.cli.app import app

    try:
        app()
    except (RaypodError, ValueError) as error:
        sys.stderr.write(f"raypod: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
