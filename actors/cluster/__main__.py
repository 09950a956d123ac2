"""`python -P -m actors.cluster VERB --home DIR`: what the raypod command runs. Speaks JSON lines on stdout.

{"step": name} while it works, then {"result": {...}} or {"error": sentence} and exit code 1. `keep` never answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from actors.cluster.config import ConfigError, load_config
from actors.cluster.home import Home, home_of


def main() -> int:
    options = _parser().parse_args()
    try:
        result = _VERBS[options.verb](home_of(options.home), options)
    except Exception as error:
        _say({"error": _sentence(error)})
        if type(error).__name__ not in _SENTENCES:
            _print_traceback()
        return 1
    if result is not None:
        _say({"result": result})
    return 0


def _keep(home: Home, _options: argparse.Namespace) -> None:
    from actors.cluster.keeper import AlreadyKept, keep

    try:
        keep(home)
    except AlreadyKept:
        return


def _up(home: Home, options: argparse.Namespace) -> object:
    from actors.cluster.up import bring_up

    return bring_up(home, options.config, options.address, lambda step: _say({"step": step}))


def _down(home: Home, options: argparse.Namespace) -> object:
    from actors.cluster.down import take_down

    return take_down(home, options.address, lambda step: _say({"step": step}))


def _check(_home: Home, options: argparse.Namespace) -> object:
    load_config(options.config)
    return {"ok": True}


_VERBS: dict[str, Callable[[Home, argparse.Namespace], object]] = {
    "up": _up,
    "down": _down,
    "keep": _keep,
    "check": _check,
}
#: Errors whose text is written for users.
_SENTENCES = frozenset({ConfigError.__name__, "UpError", "AttachError", "DownError"})


def _print_traceback() -> None:
    """Into the log, which a full disk takes nothing of."""
    import traceback

    with suppress(OSError):
        traceback.print_exc()


def _sentence(error: Exception) -> str:
    if type(error).__name__ in _SENTENCES:
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"the control plane failed: {error.strerror}{f': {error.filename}' if error.filename else ''}"
    return f"the control plane failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _say(message: object) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -P -m actors.cluster")
    parser.add_argument("verb", choices=sorted(_VERBS))
    parser.add_argument("--home", default=None)
    parser.add_argument("--config", type=Path, default=None)
    parser.add_argument("--address", default="")
    return parser


if __name__ == "__main__":
    sys.exit(main())
