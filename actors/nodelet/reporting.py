"""What the store is to hear of one pod: its status when it changed, and its end when nothing of it is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.api.clock import Millis
from actors.nodelet.lifecycle import Stage
from actors.nodelet.record import PodRecord
from actors.nodelet.spec import NodeView
from actors.nodelet.status import derive_patch, derive_status
from actors.nodelet.sync_pod import derive_stage
from actors.nodelet.termination import find_stop
from actors.reconcile.actions import Delete, Patch, PatchType, StoreWrite


def plan_writes(record: PodRecord, node: NodeView, now: Millis) -> Iterator[StoreWrite]:
    """The deletion with grace 0 comes after the last status and only once: finalizers may keep the object."""
    if record.pod is None:
        return
    stop = find_stop(record, now)
    stage = derive_stage(record, stop)
    patch = derive_patch(record.status, derive_status(record, record.pod, node, stage, stop, now))
    if patch:
        yield Patch(
            key=record.key, patch={"status": patch}, type=PatchType.STRATEGIC, subresource="status", uid=record.uid
        )
    if stage == Stage.GONE and record.pod.metadata.is_deleting and not record.confirmed:
        yield Delete(key=record.key, uid=record.uid, grace_period_seconds=0)
