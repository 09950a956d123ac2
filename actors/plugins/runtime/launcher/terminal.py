"""A terminal of a container's own: opened in its devpts by descriptor, so that nothing it has put in /dev is followed.

The slave comes from the master itself (TIOCGPTPEER), never from a path that the container could have replaced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios

from actors.plugins.runtime.launcher import syscalls as sys

_PTMX = (5, 2)
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441


def open_terminal(root_fd: int, uid: int) -> tuple[int, int]:
    """(master, slave) of a new terminal that belongs to `uid`. Raises OSError."""
    resolve = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_MAGICLINKS
    master = sys.openat2(root_fd, "dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, resolve)
    found = os.fstat(master)
    device = (os.major(found.st_rdev), os.minor(found.st_rdev))
    if not stat.S_ISCHR(found.st_mode) or device != _PTMX:
        raise OSError(errno.ENODEV, "/dev/pts/ptmx of the container is no terminal multiplexer")
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = int(fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    os.fchown(slave, uid, -1)
    return master, slave


def take_terminal(slave: int) -> None:
    """Make it the controlling terminal of this session, and all three of the standard streams."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number, inheritable=True)


def resize(master: int, width: int, height: int) -> None:
    """In characters. What runs there hears of it by SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
