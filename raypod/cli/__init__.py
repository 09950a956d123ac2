"""The `raypod` command. One file per topic; each command is a thin shell over the SDK."""

from __future__ import annotations

import os
import sys

from raypod.errors import RaypodError


def main() -> None:
    """Exit codes: the container's for `run`, 1 for an error (one sentence on stderr), 2 for a wrong command line."""
    from raypod.cli.app import app

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell has closed it: `>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except (RaypodError, ValueError) as error:
        sys.stderr.write(f"raypod: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        sys.stderr.write(f"raypod: {error.strerror or type(error).__name__}{where}\n")
        sys.exit(1)
