"""Claims and volumes that are being deleted go when nobody uses them: their protection finalizer is taken off.

A pod uses a claim from when it is on a node until it has finished; a claim uses a volume as long as they are bound
(pvc-protection and pv-protection controllers). Admission's StorageObjectInUseProtection sets the finalizers.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.meta import Resource, key_in
from actors.api.pod import Pod
from actors.api.volumes import PersistentVolume, PersistentVolumeClaim
from actors.reconcile.actions import Action, Patch
from actors.reconcile.controller import controller
from actors.reconcile.view import RESOURCES, View

_CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
_VOLUME_FINALIZER = "kubernetes.io/pv-protection"


def claims_of(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    """Those that its volumes name."""
    sources = (volume.persistent_volume_claim for volume in pod.spec.volumes or ())
    names = [str(source.get("claimName", "")) for source in sources if source]
    return [Key(RESOURCES[PersistentVolumeClaim], key.namespace, name) for name in names]


@controller(PersistentVolumeClaim, watches={Pod: claims_of}, name="pvc-protection")
def protect_claim(claim: PersistentVolumeClaim, view: View, now: Millis) -> Iterable[Action]:
    if not _waits(claim, _CLAIM_FINALIZER):
        return
    key = key_in(RESOURCES[PersistentVolumeClaim], claim.metadata)
    if not any(_runs(pod) and key in claims_of(key, pod, view) for pod in view.within(Pod, key.namespace)):
        yield _released(key, claim, _CLAIM_FINALIZER)


@controller(PersistentVolume, name="pv-protection")
def protect_volume(volume: PersistentVolume, view: View, now: Millis) -> Iterable[Action]:
    if _waits(volume, _VOLUME_FINALIZER) and volume.status.phase != "Bound":
        yield _released(key_in(RESOURCES[PersistentVolume], volume.metadata), volume, _VOLUME_FINALIZER)


def _runs(pod: Pod) -> bool:
    return bool(pod.spec.node_name) and not pod.is_finished


def _waits(obj: Resource, finalizer: str) -> bool:
    return obj.metadata.is_deleting and finalizer in (obj.metadata.finalizers or ())


def _released(key: Key, obj: Resource, finalizer: str) -> Patch:
    kept = [name for name in obj.metadata.finalizers or () if name != finalizer]
    meta = obj.metadata
    return Patch(key=key, patch={"metadata": {"finalizers": kept or None}}, uid=meta.uid, revision=meta.revision)
