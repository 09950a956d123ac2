"""Whose a bridge is. A node marks its own with the link's alias, which `ip link` shows and which goes with the bridge.

A mark counts as long as its owner lives: a nodelet holds an abstract Unix socket named for the bridge, which is one per
Linux network namespace as the bridge is, and the node's launcher a lock for as long as anything may run there. So the
owner may crash and come back, and what nobody lives for may be taken over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Network

import msgspec

from actors.plugins.file_lock import is_locked
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.netlink import Netlink, plan_alias

_WORD = "raypod"
#: The kernel keeps 255 bytes of an alias.
_ALIAS_BYTES_MAX = 255


class Mark(msgspec.Struct, frozen=True):
    """`root`: the owner's folder of leases, `<home>/nodes/<node>/network`; all pods are in `cluster_cidr`."""

    bridge: str
    cluster_cidr: str
    root: str

    @property
    def home(self) -> str:
        """What the user calls the owner."""
        return home_of(self.root)


def home_of(root: str) -> str:
    """Of `<home>/nodes/<node>/network`; anything else is its own."""
    state = os.path.dirname(root)
    nodes = os.path.dirname(state)
    return os.path.dirname(nodes) if os.path.basename(nodes) == "nodes" else state


def format_alias(cluster_cidr: str, root: str) -> bytes:
    return f"{_WORD} {cluster_cidr} {root}".encode()[:_ALIAS_BYTES_MAX]


def parse_alias(bridge: str, alias: str) -> Mark | None:
    """None: nobody of ours has marked it."""
    words = alias.split(" ", 2)
    if len(words) != 3 or words[0] != _WORD:
        return None
    with contextlib.suppress(ValueError):
        return Mark(bridge, str(IPv4Network(words[1])), words[2])
    return None


def read_marks() -> list[Mark]:
    """Of this Linux network namespace."""
    netlink = Netlink()
    try:
        marks = [parse_alias(name, alias) for name, alias in netlink.aliases().items()]
    finally:
        netlink.close()
    return [mark for mark in marks if mark is not None]


def find_others(home: str) -> list[Mark]:
    """Of other homes that live."""
    return [mark for mark in read_marks() if not _is_of(mark, home) and is_alive(mark)]


def explain_conflict(config: NetworkConfig, others: Iterable[Mark]) -> str:
    """One sentence: who has what `config` wants, and what to set. "": nobody."""
    for mark in others:
        cure = f"or take that one down with `RAYPOD_HOME={mark.home} raypod down`"
        if mark.bridge == config.bridge:
            return (
                f"the bridge {mark.bridge} belongs to the raypod of {mark.home}, which is up on this host: set "
                f"nodelet.network.bridge to another name, {cure}"
            )
        if config.cluster_cidr and IPv4Network(config.cluster_cidr).overlaps(IPv4Network(mark.cluster_cidr)):
            return (
                f"the pods' range {config.cluster_cidr} overlaps {mark.cluster_cidr} of the raypod of {mark.home}, "
                f"which is up on this host: set nodelet.network.cluster_cidr to another range, {cure}"
            )
    return ""


class Ownership:
    """One node's claim to one bridge."""

    def __init__(self, root: str, config: NetworkConfig) -> None:
        self._root, self._config = root, config
        self._socket: socket.socket | None = None

    def find_conflict(self) -> str:
        """Why the bridge may not be had, "" when it may; held from then on against all who come later."""
        marks = [mark for mark in read_marks() if not self._is_ours(mark) and is_alive(mark)]
        same = [mark for mark in marks if mark.bridge == self._config.bridge]
        others = [mark for mark in marks if not _is_of(mark, home_of(self._root))]
        sentence = explain_conflict(self._config, [*same, *others])
        if sentence or self._hold() or self.is_ours():
            return sentence
        return f"another raypod is just setting up the bridge {self._config.bridge}: set nodelet.network.bridge"

    def mark(self, netlink: Netlink) -> None:
        netlink.send([plan_alias(self._config.bridge, format_alias(self._config.cluster_cidr, self._root))])

    def is_ours(self) -> bool:
        return any(self._is_ours(mark) for mark in read_marks())

    def is_anothers(self) -> bool:
        """Does the bridge bear the mark of another, be it alive or not?"""
        return any(mark.bridge == self._config.bridge and not self._is_ours(mark) for mark in read_marks())

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_ours(self, mark: Mark) -> bool:
        """A root too long for an alias is cut there."""
        marks = (format_alias(mark.cluster_cidr, root) for root in (self._root, mark.root))
        return mark.bridge == self._config.bridge and len(set(marks)) == 1

    def _hold(self) -> bool:
        self._socket = self._socket or _bind(self._config.bridge)
        return self._socket is not None


def is_alive(mark: Mark) -> bool:
    """Its nodelet or its launcher."""
    probe = _bind(mark.bridge)
    if probe is None:
        return True
    probe.close()
    return is_locked(f"{os.path.dirname(mark.root)}/launcher.lock")


def _is_of(mark: Mark, home: str) -> bool:
    return mark.home == home or mark.root.startswith(f"{home}/")


def _bind(bridge: str) -> socket.socket | None:
    """None: somebody has it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0{_WORD}-bridge/{bridge}")
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return held
