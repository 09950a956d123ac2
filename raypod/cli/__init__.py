"""The `raypod` command. One file per topic; each command is a thin shell over the SDK."""

from __future__ import annotations

import os
import sys

from raypod.errors import RaypodError


def main() -> None:
    """Exit codes: the container's or the command's for `run`, `attach` and `exec` (127: no such command, 126: it cannot
    be executed), 1 for an error (one sentence on stderr), 2 for a wrong command line, 124 for a run that did not start
    in time, 130 after Ctrl-C, 141 when nobody reads its output any more."""
    from raypod.cli.app import run_app

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell has closed it: `>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        try:
            run_app()
        finally:
            sys.stdout.flush()
    except (RaypodError, ValueError) as error:
        sys.stderr.write(f"raypod: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _leave_pipe()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer answers it with an exit of its own
            _leave_pipe()
        raise
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        sys.stderr.write(f"raypod: {error.strerror or type(error).__name__}{where}\n")
        sys.exit(1)


def _leave_pipe() -> None:
    """Quietly, as if SIGPIPE had ended it; what is still in a buffer goes nowhere when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    sys.exit(141)
