"""What an operator may set of the gateway. A typo is an error with its path; every default works."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class OidcConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An OpenID Connect issuer whose tokens name users. Its keys: a JWK set in a file, at a URL, else by discovery.

    `username_prefix` None is `ISSUER#`, but nothing for the claim `email`; "-" is none (as kube-apiserver's flags).
    """

    issuer: str
    audiences: tuple[str, ...]
    username_claim: str = "sub"
    username_prefix: str | None = None
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: dict[str, str] = {}
    jwks_file: str = ""
    jwks_url: str = ""
    ca_file: str = ""


class AuthenticationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`anonymous`: whether clients without credentials are users at all (then RBAC decides what they may).

    `token_file`: static tokens, one a line: TOKEN,USER,UID,"GROUP,GROUP". `api_audiences`: those that tokens must be
    for; default: the issuer of service account tokens.
    """

    anonymous: bool = False
    token_file: str = ""
    bootstrap_tokens: bool = True
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    api_audiences: tuple[str, ...] = ()
    oidc: tuple[OidcConfig, ...] = ()

    @property
    def audiences(self) -> tuple[str, ...]:
        return self.api_audiences or (self.service_account_issuer,)


class AuditConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path`: the file of JSON lines, under the home unless absolute; "" writes none. `policy_file`: a Policy of
    audit.k8s.io/v1; default: every request but health, version and discovery, at the level Metadata.
    """

    path: str = ""
    policy_file: str = ""
    bytes_max: int = 100 << 20
    files_max: int = 10


class FlowConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Priority and fairness. `seats`: requests at once of all priority levels that are not exempt, shared out by them
    (a wide list takes several). `queue_seconds`: how long a request waits for its own.

    `client_requests_per_second` bounds every client that is no master; 0: none does. `client_burst` 0: two seconds'.
    """

    enabled: bool = True
    seats: int = 100
    queue_seconds: int = 15
    client_requests_per_second: float = 0
    client_burst: int = 0


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`address` is what kubeconfigs name (default: the loopback address); `sans` are further names of the server.

    `stream_idle_seconds`: an exec, attach or port-forward without a byte for so long is ended.
    `home` is where pki/ and kubeconfig live (default: $RAYPOD_HOME, else ~/.raypod). `port` 0 takes a free one.
    `replicas`: so many gateways, each a process on the head's machine with a copy of every object, share the port.
    """

    host: str = "0.0.0.0"
    port: int = 6443
    replicas: int = 1
    address: str = ""
    home: str = ""
    sans: tuple[str, ...] = ()
    authentication: AuthenticationConfig = AuthenticationConfig()
    audit: AuditConfig = AuditConfig()
    flow: FlowConfig = FlowConfig()
    body_bytes_max: int = 3 * 1024 * 1024
    batch_bytes_max: int = 16 * 1024 * 1024
    batch_writes_max: int = 5000
    request_head_seconds: int = 15
    body_seconds: int = 60
    idle_seconds: int = 300
    write_stall_seconds: int = 60
    watch_seconds_max: int = 3600
    stream_idle_seconds: int = 4 * 3600
    continue_seconds: int = 300
    connections_max: int = 4096

    @property
    def home_path(self) -> Path:
        return Path(self.home or os.environ.get("RAYPOD_HOME") or Path.home() / ".raypod")

    @property
    def advertised_address(self) -> str:
        return self.address or ("127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host)
