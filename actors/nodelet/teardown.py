"""Taking a node down: every container, the network and all mounts go; logs and images stay."""

from __future__ import annotations

import asyncio

from actors.api.errors import Unavailable
from actors.plugins.errors import PluginError
from actors.plugins.registry import OwnProcesses, Plugins

#: A launcher that has to be started first, on a busy machine.
_ANSWER_SECONDS = 12.0


async def remove_all(node: str, plugins: Plugins) -> None:
    """Raises Unavailable, PluginError. May be repeated."""
    await _ask_runtime(node, plugins)
    for sandbox in await plugins.runtime.list_pod_sandboxes():
        await plugins.runtime.remove_pod_sandbox(sandbox.spec.id)
    for uid in await plugins.storage.published():
        await plugins.storage.unpublish_volumes(uid)
    if isinstance(plugins.runtime, OwnProcesses):
        await plugins.runtime.shutdown()
    else:
        await plugins.runtime.close()
    await plugins.network.teardown()
    await plugins.devices.close()


async def _ask_runtime(node: str, plugins: Plugins) -> None:
    """A runtime that crashes at each start would never answer what is asked of it next. Raises Unavailable."""
    try:
        await asyncio.wait_for(plugins.runtime.list_containers(), _ANSWER_SECONDS)
    except (TimeoutError, PluginError) as error:
        raise Unavailable(f"the runtime of node {node} does not answer: {error or 'no word in time'}") from error
