"""What a node asks of the gateway: tokens for its pods, and where the API is, which pods reach at one address for all.

The address is the ClusterIP of the Service `kubernetes`; the network sends it on to the gateway. Pods on the node's own
network are told the gateway's address itself, for nothing rewrites theirs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from actors.api.errors import ApiError
from actors.api.tokens import API_SERVICE_PORT, ApiAddress, PodToken, PodTokenRequest
from actors.plugins.errors import PluginError
from actors.plugins.network.port import Endpoint, NetworkPort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS, _AGAIN_SECONDS = 1.0, 10.0


class ApiPort(Protocol):
    async def pod_token(self, request: PodTokenRequest) -> PodToken:
        """Raises NotFound (account or pod gone), Conflict (another pod of that name), Unavailable."""
        ...

    async def api_address(self) -> ApiAddress:
        """Raises Unavailable."""
        ...


def api_environment(api: ApiAddress, *, host_network: bool) -> Mapping[str, str]:
    """The variables that clients inside a pod look for (pkg/kubelet/envvars)."""
    host, port = (api.host, api.port) if host_network and api else (api.service_ip, API_SERVICE_PORT)
    shown = f"[{host}]" if ":" in host else host
    return {
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": str(port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
        "KUBERNETES_PORT": f"tcp://{shown}:{port}",
        f"KUBERNETES_PORT_{port}_TCP": f"tcp://{shown}:{port}",
        f"KUBERNETES_PORT_{port}_TCP_PROTO": "tcp",
        f"KUBERNETES_PORT_{port}_TCP_PORT": str(port),
        f"KUBERNETES_PORT_{port}_TCP_ADDR": host,
    }


async def follow_api(api: ApiPort, network: NetworkPort, learn: Callable[[ApiAddress], None]) -> None:
    """Until cancelled. A gateway that has moved is found within seconds."""
    told = ApiAddress("", 0)
    while True:
        try:
            address = await api.api_address()
            if address and address != told:
                service = Endpoint(address.service_ip, API_SERVICE_PORT)
                await network.services({service: Endpoint(address.host, address.port)})
                learn(address)
                told = address
        except (ApiError, PluginError, TimeoutError) as error:
            _LOG.debug("the API's address: %s", error)
        except Exception:
            _LOG.exception("the API's address")
        await asyncio.sleep(_AGAIN_SECONDS if told else _RETRY_SECONDS)
