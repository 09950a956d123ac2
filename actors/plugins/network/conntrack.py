"""Forget UDP flows to a host port that comes or goes: the kernel would go on sending them where they went before.

A client that keeps its source port (a resolver, a log shipper) would else never reach a pod that replaced another.
TCP needs nothing: its flows end with the pod.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from actors.plugins.network.leases import Lease

_SEEN_REPLY = 2


def forget_flows(lease: Lease) -> None:
    """Those to its pod, and those that nobody ever answered. Best effort: what has ended meanwhile is left."""
    ports = {mapping.host_port for mapping in lease.ports if mapping.protocol == "UDP"}
    if not ports:
        return
    with contextlib.suppress(NetlinkError, OSError), NFCTSocket() as table:
        for flow in list(table.dump()):
            if flow["nfgen_family"] != socket.AF_INET:
                continue
            to, back = _tuple(flow, "CTA_TUPLE_ORIG"), _tuple(flow, "CTA_TUPLE_REPLY")
            stale = back.saddr == lease.address or not flow.get_attr("CTA_STATUS") & _SEEN_REPLY
            if to.proto == socket.IPPROTO_UDP and to.dport in ports and stale:
                with contextlib.suppress(NetlinkError):
                    table.entry("del", tuple_orig=to)


def _tuple(flow: Any, way: str) -> Any:
    return NFCTAttrTuple.from_netlink(socket.AF_INET, flow.get_attr(way))
