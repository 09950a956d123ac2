"""How a process ended, asked from the kernel in every way there is.

A parent asks with waitid and leaves the zombie until the answer is on disk. Anyone else with a pidfd asks with
PIDFD_GET_INFO once the process has been reaped (Linux 6.15).
"""

from __future__ import annotations

import fcntl
import os
import struct

from actors.plugins.runtime.exits import derive_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INFO_BYTES = 64
_PIDFD_GET_INFO = 3 << 30 | _INFO_BYTES << 16 | 0xFF << 8 | 11
_PIDFD_INFO_EXIT = 1 << 3
_EXIT_CODE_AT = 60


def peek_exit(pidfd: int) -> int | None:
    """The exit code of a child that stays a zombie; None while it runs. Raises ChildProcessError for no child."""
    info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if info is None else code_of(info)


def code_of(info: Any) -> int:
    """From a waitid result: the exit code, or 128 + the signal."""
    status = int(info.si_status)
    return status if info.si_code == os.CLD_EXITED else 128 + status


def reap(pidfd: int) -> None:
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return


def read_exit_info(pidfd: int) -> int | None:
    """The exit code of anyone's process after it was reaped; None when this kernel does not keep it."""
    buffer = bytearray(struct.pack("<Q", _PIDFD_INFO_EXIT).ljust(_INFO_BYTES, b"\0"))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    (mask,) = struct.unpack_from("<Q", buffer)
    if not mask & _PIDFD_INFO_EXIT:
        return None
    (status,) = struct.unpack_from("<i", buffer, _EXIT_CODE_AT)
    return derive_exit_code(status)
