"""What can be configured of the controllers. Defaults are Kubernetes' own, where Kubernetes has one."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.reconcile.backoff import Backoff


class ControllersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`node_grace_ms`: a node not heard from for so long is Unknown. `node_gone_grace_ms`: pods of a node whose object
    is gone stay so long, should it come back. `terminating_grace_ms`: how long past its grace period a pod may stay
    Terminating on a node that does not answer. `terminated_pods_max`: finished pods beyond it go, oldest first.
    `ca_pem`: when set, each API namespace gets it as the ConfigMap `kube-root-ca.crt`.
    """

    node_grace_ms: Millis = 40_000
    node_gone_grace_ms: Millis = 10_000
    terminating_grace_ms: Millis = 10_000
    terminated_pods_max: int = 12_500
    job_backoff: Backoff = Backoff(first_ms=10_000, most_ms=360_000)
    ca_pem: str = ""
    writes_max: int = 500
