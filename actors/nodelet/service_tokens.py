"""The service account tokens of a pod's projected volumes: which, and when each is to be renewed. Pure.

Renewed at 80 % of its life, and once a day at the latest, as kubelet's token manager does (pkg/kubelet/token); a few
seconds apart from pod to pod, so that a node's pods do not all ask at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.api.clock import Millis
from actors.api.pod import Pod
from actors.api.tokens import PodToken, PodTokenRequest

Tokens = Mapping[PodTokenRequest, PodToken]

_SECONDS_DEFAULT = 3600
_LIFE_MS_MAX: Millis = 24 * 3600 * 1000
_JITTER_MS: Millis = 10_000


def token_requests(pod: Pod) -> tuple[PodTokenRequest, ...]:
    """Those that the pod's volumes ask for, without repeats, in the order of the volumes."""
    sources = (source for volume in pod.spec.volumes or () for source in _sources_of(volume.projected))
    return tuple(dict.fromkeys(request_of(pod, source) for source in sources))


def request_of(pod: Pod, source: dict[str, Any]) -> PodTokenRequest:
    """`source`: a ServiceAccountTokenProjection."""
    return PodTokenRequest(
        namespace=pod.metadata.namespace,
        account=pod.spec.service_account_name or "default",
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        audience=source.get("audience") or "",
        expiration_seconds=int(source.get("expirationSeconds") or _SECONDS_DEFAULT),
    )


def renew_ms(tokens: Iterable[PodToken], pod_uid: str) -> Millis:
    """When the first of them is due. At least one."""
    jitter = zlib.crc32(pod_uid.encode()) % _JITTER_MS
    return min(map(_due_ms, tokens)) - jitter


def _due_ms(token: PodToken) -> Millis:
    life_ms = token.life_seconds * 1_000
    return min(token.expires_ms - life_ms // 5, token.expires_ms - life_ms + _LIFE_MS_MAX)


def _sources_of(projected: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    for source in (projected or {}).get("sources") or ():
        if source.get("serviceAccountToken"):
            yield source["serviceAccountToken"]
