"""Removing pods' interfaces. The kernel lets 20 ms pass for each, but once only for all links of one group.

It holds no lock meanwhile: with a thread and a socket of its own, removing pods does not delay adding others.
"""

from __future__ import annotations

import errno
import hashlib
import zlib
from collections.abc import Iterable

from actors.plugins.network.netlink import Message, Netlink, NetlinkError, plan_group, plan_remove, plan_remove_group

INTERFACE_PREFIX = "rp"
_GONE = (errno.ENODEV, errno.ENOENT)


def derive_interface(bridge: str, sandbox_id: str) -> str:
    """The host's end of a sandbox's veth pair: 14 characters, the same in every life of the nodelet."""
    return INTERFACE_PREFIX + hashlib.sha256(f"{bridge}/{sandbox_id}".encode()).hexdigest()[:12]


class Unlinker:
    """One thread. Links that are gone already are fine."""

    def __init__(self, bridge: str) -> None:
        self._group = zlib.crc32(bridge.encode()) | 1
        self._netlink = Netlink()

    def remove(self, interfaces: Iterable[str]) -> None:
        names = sorted(set(interfaces))
        if len(names) == 1:
            self._send(plan_remove(names[0]))
        elif names:
            for name in names:
                self._send(plan_group(name, self._group))
            self._send(plan_remove_group(self._group))

    def close(self) -> None:
        self._netlink.close()

    def _send(self, message: Message) -> None:
        try:
            self._netlink.send([message])
        except NetlinkError as error:
            if error.errno not in _GONE:
                raise
