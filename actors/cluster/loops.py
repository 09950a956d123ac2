"""The event loop of each part. Those through which every request passes have uvloop's: a fifth less CPU for a request
of the gateway's. The others keep asyncio's own: they wait for processes and files more than they move bytes, and the
network's netlink sockets need it.
"""

from __future__ import annotations

import asyncio
import logging

_LOG = logging.getLogger(__name__)
_BUSY = frozenset({"actors.gateway.actor", "actors.store.actor"})


def new_loop(module: str) -> asyncio.AbstractEventLoop:
    """For the part that `module` defines; what else makes a loop in this process has asyncio's own from now on, where
    Ray, which takes uvloop for everything as soon as it is there, has said otherwise."""
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    if module not in _BUSY:
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError as error:
        _LOG.warning("%s runs on asyncio's own event loop, which is slower: uvloop cannot be loaded: %s", module, error)
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
