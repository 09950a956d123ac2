"""Tells the network which other nodes there are and where their pods live. Run by the nodelet's shell, for ever."""

from __future__ import annotations

import asyncio
import logging

from actors.api.codec import lens
from actors.api.errors import ApiError
from actors.api.key import Stored
from actors.api.kinds import NODE
from actors.api.node import Node
from actors.plugins.errors import PluginError
from actors.plugins.network.port import NetworkPort, Peer
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_SELECTION = Selection(resources=(NODE.resource,))
_RETRY_SECONDS = 1.0


def peer_of(stored: Stored) -> Peer | None:
    """None: a node without an address or a range cannot be reached (yet)."""
    node = lens(stored, Node)
    addresses = [entry.address for entry in node.status.addresses or () if entry.type == "InternalIP"]
    if not addresses or not node.spec.pod_cidr:
        return None
    return Peer(address=addresses[0], pod_cidr=node.spec.pod_cidr)


async def follow_peers(store: StorePort, network: NetworkPort) -> None:
    """Until cancelled. Only a change of somebody's address or range reaches the network."""
    while True:
        try:
            await _follow(store, network)
        except (ApiError, PluginError) as error:
            _LOG.warning("the nodes' addresses: %s", error)
        except Exception:
            _LOG.exception("the nodes' addresses")
        await asyncio.sleep(_RETRY_SECONDS)


async def _follow(store: StorePort, network: NetworkPort) -> None:
    page = await store.list(_SELECTION)
    known = {stored.key.name: peer_of(stored) for stored in page.items}
    told: dict[str, Peer] | None = None
    revision = page.revision
    while True:
        peers = {name: peer for name, peer in known.items() if peer is not None}
        if peers != told:
            await network.peers(peers)
            told = peers
        batch = await store.watch(_SELECTION, revision)
        revision = batch.revision
        for event in batch.events:
            name = event.stored.key.name
            known[name] = None if event.type == EventType.DELETED else peer_of(event.stored)
