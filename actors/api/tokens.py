"""What a node asks of the gateway for its pods: service account tokens, and where the API is reached. Messages."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis

#: The port of the Service `kubernetes`.
API_SERVICE_PORT = 443


class PodTokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A token for a pod's volume (TokenRequest of authentication.k8s.io/v1, bound to the pod).

    `audience` "" is the API's own.
    """

    namespace: str
    account: str
    pod: str
    pod_uid: str
    audience: str = ""
    expiration_seconds: int = 3600


class PodToken(msgspec.Struct, frozen=True, kw_only=True):
    """`life_seconds` is what was granted, which may be less than what was asked for."""

    text: str
    expires_ms: Millis
    life_seconds: int


class ApiAddress(msgspec.Struct, frozen=True):
    """Where a gateway listens, as other hosts reach it; a loopback address is this host alone. `service_ip`: the
    ClusterIP of the Service `kubernetes`, by which pods of every node know it."""

    host: str
    port: int
    service_ip: str = "10.96.0.1"

    def __bool__(self) -> bool:
        return bool(self.host)
