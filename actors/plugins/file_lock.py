"""Whether somebody holds a lock file: what serves a directory holds one for as long as it lives (flock(2))."""

from __future__ import annotations

import contextlib
import fcntl


def is_locked(path: str) -> bool:
    """False where there is no such file, too."""
    with contextlib.suppress(OSError), open(path, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
