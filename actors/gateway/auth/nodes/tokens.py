"""Which tokens a node may ask for: of its own pods' accounts, bound to the pod, for an audience that the pod names.

NodeRestriction's part for `serviceaccounts/token`, which the store never sees
(plugin/pkg/admission/noderestriction: admitServiceAccount, validateNodeServiceAccountAudience).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from actors.api.codec import Object, decode
from actors.api.errors import Forbidden, NotFound
from actors.api.key import Key
from actors.api.kinds import POD
from actors.api.pod_references import CLAIMS
from actors.api.rbac import Attributes
from actors.gateway.auth.nodes.graph import VOLUMES
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import User, node_of
from actors.store.port import StorePort

_VERB = "request-serviceaccounts-token-audience"
_DRIVERS = "csidrivers.storage.k8s.io"


class NodeTokens:
    """Of one request: `account` is whose token `user`, a node, asks for."""

    def __init__(self, store: StorePort, policy: Policy, user: User, account: Key) -> None:
        self._store, self._policy, self._user, self._account = store, policy, user, account

    async def check(self, kind: str, api_version: str, name: str, uid: str, audiences: Sequence[str]) -> None:
        """`kind` to `uid` are the reference that the token is to be bound to. Raises Forbidden, NotFound (the pod)."""
        if (kind, api_version) != (POD.kind, "v1") or not name:
            raise self._refusal("node requested token not bound to a pod")
        if not uid:
            raise self._refusal("node requested token with a pod binding without a uid")
        pod = decode(await self._store.get(Key(POD.resource, self._account.namespace, name)))
        if pod["metadata"].get("uid") != uid:
            told = f"the UID in the bound object reference ({uid}) does not match the UID in record."
            raise self._refusal(f"{told} The object might have been deleted and then recreated")
        if (pod.get("spec") or {}).get("nodeName") != node_of(self._user):
            raise self._refusal("node requested token bound to a pod scheduled on a different node")
        await self._check_audience(pod, audiences)

    async def _check_audience(self, pod: Object, audiences: Sequence[str]) -> None:
        if len(audiences) > 1:
            raise self._refusal("node may only request 0 or 1 audiences")
        wanted = audiences[0] if audiences else ""
        async for audience in self._audiences_of(pod):
            if audience == wanted:
                return
        _, namespace, name = self._account
        asked = Attributes(verb=_VERB, resource=wanted, namespace=namespace, name=name)
        if not wanted or not self._policy.decide(self._user, asked).allowed:
            told = f'audience "{wanted}" not found in pod spec volume'
            raise self._refusal(f"{told}, {self._user.name} is not authorized to request tokens for this audience")

    async def _audiences_of(self, pod: Object) -> AsyncIterator[str]:
        """Those of its token volumes, and those that its volumes' drivers want."""
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if (token := source.get("serviceAccountToken")) is not None:
                    yield token.get("audience", "")
            driver = await self._driver_of(pod["metadata"], volume)
            found = await self._find(Key(_DRIVERS, "", driver)) if driver else {}
            for request in (found.get("spec") or {}).get("tokenRequests") or ():
                yield request.get("audience", "")

    async def _driver_of(self, metadata: Object, volume: Object) -> str:
        """Of an inline volume, or of the volume behind a claim; "" of every other."""
        if (inline := volume.get("csi")) is not None:
            return str(inline.get("driver", ""))
        claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if "ephemeral" in volume:
            claim_name = f"{metadata['name']}-{volume.get('name')}"
        if not claim_name:
            return ""
        claim = await self._find(Key(CLAIMS, metadata.get("namespace", ""), claim_name))
        bound = (claim.get("spec") or {}).get("volumeName", "")
        source = ((await self._find(Key(VOLUMES, "", bound))).get("spec") or {}) if bound else {}
        return str((source.get("csi") or {}).get("driver", ""))

    async def _find(self, key: Key) -> dict[str, Any]:
        try:
            return decode(await self._store.get(key))
        except NotFound:
            return {}

    def _refusal(self, why: str) -> Forbidden:
        name = self._account.name
        return Forbidden(f'serviceaccounts "{name}" is forbidden: {why}', name=name, kind="serviceaccounts")
