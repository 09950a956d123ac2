"""What exists on the node, put beside what is known of each pod. Pure.

A listing is a photograph: while it was taken, operations went on. What an operation changed after the listing began,
or is changing now, is not judged by it; container states only move forward, so those are always believed.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.key import Key
from actors.api.kinds import POD
from actors.nodelet.attempts import POD_UID_LABEL
from actors.nodelet.operations import Listing
from actors.nodelet.outcome import absorb_container
from actors.nodelet.record import PodRecord
from actors.plugins.runtime.port import ContainerStatus

_JUDGED_LATER = ("sandbox/", "create/", "remove/")


def absorb_listing(records: dict[str, PodRecord], listing: Listing, since: int) -> list[PodRecord]:
    """The records that changed. Pods that only the node knows get one, without a pod: they are to go."""
    changed: dict[str, PodRecord] = {}
    for record in (*_presence(records, listing, since), *_absence(records, listing, since)):
        changed[record.uid] = record
    return list(changed.values())


def find_record(records: dict[str, PodRecord], status: ContainerStatus) -> PodRecord | None:
    """Whose container is it? By its label, else by its sandbox."""
    labelled = records.get(status.spec.labels.get(POD_UID_LABEL, ""))
    homes = (record for record in records.values() if status.spec.sandbox_id in record.sandboxes)
    return labelled or next(homes, None)


def _presence(records: dict[str, PodRecord], listing: Listing, since: int) -> Iterable[PodRecord]:
    for sandbox in listing.sandboxes:
        spec = sandbox.spec
        record = _record_for(records, spec.pod_uid, Key(POD.resource, spec.pod_namespace, spec.pod_name))
        known = record.sandboxes.get(spec.id)
        if _is_judged(record, since) and (known is None or known.state != sandbox.state):
            record.sandboxes[spec.id] = sandbox
            record.doubtful.discard(spec.id)
            yield record
    for status in listing.containers:
        owner = find_record(records, status)
        if owner is not None and absorb_container(owner, status):
            yield owner
    for uid in sorted(listing.volumes):
        record = _record_for(records, uid, Key(POD.resource, "", ""))
        if not record.has_volumes and not record.is_busy("volumes") and record.touched <= since:
            record.has_volumes = True
            yield record


def _absence(records: dict[str, PodRecord], listing: Listing, since: int) -> Iterable[PodRecord]:
    """What should be there and is not was removed behind our back."""
    sandboxes = {sandbox.spec.id for sandbox in listing.sandboxes}
    containers = {status.spec.id for status in listing.containers}
    for record in records.values():
        if not _is_judged(record, since):
            continue
        lost = [key for key in record.containers if key not in containers]
        gone = [key for key in record.sandboxes if key not in sandboxes]
        for key in lost:
            del record.containers[key]
        for key in gone:
            del record.sandboxes[key]
        if lost or gone:
            yield record


def _is_judged(record: PodRecord, since: int) -> bool:
    return record.touched <= since and not record.is_busy(*_JUDGED_LATER)


def _record_for(records: dict[str, PodRecord], uid: str, key: Key) -> PodRecord:
    return records.setdefault(uid, PodRecord(uid=uid, key=key))
