"""What exists on the node, put beside what is known of each pod. Pure.

A listing is a photograph: while it was taken, operations went on. What an operation changed after the listing began,
or is changing now, is not judged by it; container states only move forward, so those are always believed.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.kinds import POD
from actors.nodelet.attempts import POD_UID_LABEL
from actors.nodelet.operations import Failure, Listing, ListNode, Operation, Result
from actors.nodelet.outcome import absorb_container
from actors.nodelet.record import Flight, PodRecord
from actors.plugins.runtime.port import ContainerStatus

_JUDGED_LATER = ("sandbox/", "create/", "remove/")
#: After a listing that failed.
RETRY_MS = 1_000
#: So many listings in a row must fail before the node says that it cannot run pods.
FAILURES_TOLERATED = 3


class Inventory:
    """When to list, and what to believe of it. `adopted`: the node was seen once. `complaint`: why it cannot be."""

    def __init__(self, relist_ms: Millis) -> None:
        self.adopted = False
        self.complaint = ""
        self._relist_ms, self._failures = relist_ms, 0
        self._flight: Flight | None = None
        self._looked_ms: Millis = 0
        self._delay_ms: Millis = 0

    def next_ms(self) -> Millis:
        return self._flight.deadline_ms if self._flight is not None else self._looked_ms + self._delay_ms

    def soon(self) -> None:
        """Something may have happened behind our back: look."""
        self._delay_ms = 0

    def plan(self, now: Millis, step: int) -> list[Operation]:
        """One at a time. A clock that went backwards makes the next one due, too."""
        since_ms = self._looked_ms if self._flight is None else self._flight.since_ms
        if since_ms <= now < self.next_ms():
            return []
        operation = ListNode(since=step)
        self._flight = Flight(operation, now)
        return [operation]

    def completed(
        self, records: dict[str, PodRecord], operation: ListNode, result: Result, now: Millis
    ) -> list[PodRecord]:
        """The records that changed. A listing that comes late is judged by when it began."""
        if self._flight is not None and self._flight.operation == operation:
            self._flight = None
        failed = not isinstance(result, Listing)
        self._looked_ms, self._delay_ms = now, RETRY_MS if failed else self._relist_ms
        self._failures = self._failures + 1 if failed else 0
        if isinstance(result, Failure) and self._failures >= FAILURES_TOLERATED:
            self.complaint = f"the container runtime does not answer: {result.message}"
        if not isinstance(result, Listing):
            return []
        self.adopted, self.complaint = True, ""
        return absorb_listing(records, result, operation.since)


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
