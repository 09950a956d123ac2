"""Route netlink for the hot path: a pod's interfaces in two system calls, a quarter of what pyroute2's encoder takes.

Everything else goes through pyroute2 (links.py). A socket belongs to the Linux network namespace it was opened in;
only a thread that nobody else's code runs in may use `open_in`. Source: rtnetlink(7), linux/if_link.h.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence

from actors.plugins.network.cidr import derive_mac

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _NEWADDR, _NEWROUTE = 16, 17, 18, 19, 20, 24
_REQUEST, _ACK, _EXCL, _CREATE, _DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
_IFNAME, _IFALIAS = 3, 20
_NESTED = 0x8000
_UP = 0x1
_LOOPBACK_INDEX = 1
_ANSWER_BYTES_MAX = 65536


class NetlinkError(OSError):
    """The kernel refused a message; `step` says which."""

    def __init__(self, errno: int, step: str) -> None:
        super().__init__(errno, f"{os.strerror(errno)} ({step})")
        self.step = step


#: What it is for (for messages), and the message without its length.
Message = tuple[str, bytes]


class Netlink:
    """One socket. `send` answers only errors; the messages of a call are executed in order, all of them."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(10)
        self._socket.bind((0, 0))
        self._sequence = 0

    def send(self, messages: Sequence[Message]) -> None:
        """NetlinkError for the first one that failed."""
        first = self._sequence
        self._socket.send(b"".join(self._frame(payload) for _, payload in messages))
        errors: dict[int, int] = {}
        while len(errors) < len(messages):
            for sequence, kind, body in _parse(self._socket.recv(_ANSWER_BYTES_MAX)):
                if kind == 2 and sequence > first:
                    errors[sequence - first - 1] = -struct.unpack_from("=i", body)[0]
        for (step, _), (_, errno) in zip(messages, sorted(errors.items()), strict=True):
            if errno:
                raise NetlinkError(errno, step)

    def index_of(self, name: str) -> int:
        """0 when there is no interface of that name."""
        payload = _link(_GETLINK, _REQUEST, 0, 0) + _text(3, name)
        self._socket.send(self._frame(payload))
        for sequence, kind, body in _parse(self._socket.recv(_ANSWER_BYTES_MAX)):
            if kind == _NEWLINK and sequence == self._sequence:
                return int(struct.unpack_from("=i", body, 4)[0])
        return 0

    def aliases(self) -> dict[str, str]:
        """Of all links that have one, by name."""
        self._socket.send(self._frame(_link(_GETLINK, _REQUEST | _DUMP, 0, 0)))
        found: dict[str, str] = {}
        while True:
            for sequence, kind, body in _parse(self._socket.recv(_ANSWER_BYTES_MAX)):
                if sequence != self._sequence:
                    continue
                if kind != _NEWLINK:
                    return found
                texts = _texts(body[16:])
                if _IFALIAS in texts:
                    found[texts[_IFNAME]] = texts[_IFALIAS]

    def close(self) -> None:
        self._socket.close()

    def _frame(self, payload: bytes) -> bytes:
        self._sequence += 1
        kind, flags = struct.unpack_from("=HH", payload)
        body = payload[4:]
        return struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0) + body


def open_in(netns_fd: int) -> Netlink:
    """A socket in that Linux network namespace. The calling thread visits it and is back when this returns."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set_namespace(netns_fd)
        try:
            return Netlink()
        finally:
            _set_namespace(home)
    finally:
        os.close(home)


def plan_pair(name: str, peer: str, netns_fd: int, bridge: int, mtu: int, address: str) -> list[Message]:
    """A veth pair: `name` here, up, a hairpin port of the bridge; `peer` in the other namespace, still down."""
    mac = bytes.fromhex(derive_mac(address).replace(":", ""))
    inner = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _text(3, peer) + _number(4, mtu) + _attr(1, mac)
    inner += _number(28, netns_fd)
    veth = _text(1, "veth") + _attr(2 | _NESTED, _attr(1 | _NESTED, inner))
    create = _link(_NEWLINK, _REQUEST | _ACK | _CREATE | _EXCL, 0, _UP)
    create += _text(3, name) + _number(4, mtu) + _number(10, bridge) + _attr(18 | _NESTED, veth)
    port = _text(4, "bridge") + _attr(5 | _NESTED, _attr(4, b"\1"))
    hairpin = _link(_NEWLINK, _REQUEST | _ACK, 0, 0) + _text(3, name) + _attr(18 | _NESTED, port)
    return [("making the veth pair", create), ("setting the bridge port to hairpin mode", hairpin)]


def plan_inside(index: int, address: str, prefix: int, gateway: str) -> list[Message]:
    """Inside the pod: loopback and interface up, the address, the default route."""
    ip, via = socket.inet_aton(address), socket.inet_aton(gateway)
    new = _REQUEST | _ACK | _CREATE | _EXCL
    addr = struct.pack("=HHBBBBI", _NEWADDR, new, 2, prefix, 0, 0, index) + _attr(2, ip) + _attr(1, ip)
    route = struct.pack("=HHBBBBBBBBI", _NEWROUTE, new, 2, 0, 0, 0, 254, 4, 0, 1, 0) + _attr(5, via)
    return [
        ("bringing loopback up", _link(_SETLINK, _REQUEST | _ACK, _LOOPBACK_INDEX, _UP)),
        ("setting the address", addr),
        ("bringing the interface up", _link(_SETLINK, _REQUEST | _ACK, index, _UP)),
        ("setting the default route", route + _number(4, index)),
    ]


def plan_group(name: str, group: int) -> Message:
    """Puts a link into a group, so that many can be removed at the price of one."""
    return ("grouping the link", _link(_SETLINK, _REQUEST | _ACK, 0, 0) + _text(3, name) + _number(27, group))


def plan_alias(name: str, alias: bytes) -> Message:
    """The text that `ip link` shows of a link, at most 255 bytes."""
    return ("marking the link", _link(_SETLINK, _REQUEST | _ACK, 0, 0) + _text(3, name) + _attr(_IFALIAS, alias))


def plan_remove(name: str) -> Message:
    return ("removing the link", _link(_DELLINK, _REQUEST | _ACK, 0, 0) + _text(3, name))


def plan_remove_group(group: int) -> Message:
    return ("removing the links", _link(_DELLINK, _REQUEST | _ACK, 0, 0) + _number(27, group))


def _set_namespace(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        errno = ctypes.get_errno()
        raise NetlinkError(errno, "entering the Linux network namespace")


def _link(kind: int, flags: int, index: int, up: int) -> bytes:
    return struct.pack("=HHBxHiII", kind, flags, 0, 0, index, up, up)


def _attr(kind: int, body: bytes) -> bytes:
    size = 4 + len(body)
    return struct.pack("=HH", size, kind) + body + b"\0" * (-size % 4)


def _text(kind: int, text: str) -> bytes:
    return _attr(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return _attr(kind, struct.pack("=I", number))


def _parse(data: bytes) -> list[tuple[int, int, bytes]]:
    """(sequence, type, body) of each message in one datagram."""
    found, offset = [], 0
    while offset + 16 <= len(data):
        size, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        found.append((sequence, kind, data[offset + 16 : offset + size]))
        offset += (size + 3) & ~3
    return found


def _texts(attributes: bytes) -> dict[int, str]:
    """Name and alias of a link."""
    found, offset = {}, 0
    while offset + 4 <= len(attributes):
        size, kind = struct.unpack_from("=HH", attributes, offset)
        if kind in (_IFNAME, _IFALIAS):
            found[kind] = attributes[offset + 4 : offset + size].rstrip(b"\0").decode("utf-8", "replace")
        offset += (size + 3) & ~3
    return found
