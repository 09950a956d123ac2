"""A BridgeNetwork in a process of its own, as on another host: JSON commands in, JSON answers out, one a line.

Run by tests inside a Linux network namespace; killing it with -9 is part of its purpose.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.plugins.errors import PluginError
from actors.plugins.network.bridge import BridgeNetwork
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.port import Attachment, Endpoint, Peer


async def answer(network: BridgeNetwork, verb: str, argument: Any) -> Any:
    if verb == "setup":
        await network.setup(argument)
        return network.warnings
    if verb == "add":
        return msgspec.to_builtins(await network.add(msgspec.convert(argument, Attachment)))
    if verb == "delete":
        await network.delete(msgspec.convert(argument, Attachment))
    elif verb == "collect":
        await network.collect(frozenset(argument))
    elif verb == "peers":
        await network.peers(msgspec.convert(argument, dict[str, Peer]))
    elif verb == "services":
        await network.services({Endpoint(*service): Endpoint(*target) for service, target in argument})
    elif verb == "teardown":
        await network.teardown()
    return None


async def main() -> None:
    network = BridgeNetwork(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=NetworkConfig))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, argument = json.loads(line)
        try:
            print(json.dumps({"result": await answer(network, verb, argument)}), flush=True)
        except PluginError as error:
            body = {"reason": error.reason, "message": error.message, "retryable": error.retryable}
            print(json.dumps({"error": body}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
