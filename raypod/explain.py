"""Why an object is as it is, now or as it was: its state and conditions, what it belongs to, and what belongs to it.

`read_story` collects, all at one point in time; `format_story` tells, with the events of what is not as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from raypod import past
from raypod.api import ApiClient
from raypod.errors import ApiError
from raypod.past import Object

#: What may belong to an object of a kind, from the top down.
_PARTS = {
    "Deployment": ("replicasets.apps", "pods"),
    "CronJob": ("jobs.batch", "pods"),
    **dict.fromkeys(("ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController"), ("pods",)),
}
_OWNERS_MAX, _TROUBLED_MAX, _EVENTS_MAX = 5, 10, 5
#: Conditions that are good news when they are False.
_GOOD_WHEN_FALSE = ("Pressure", "Failed", "Failure", "Unavailable", "DisruptionTarget", "Suspended")


class Told(msgspec.Struct, frozen=True):
    """An object with the events about it, oldest first."""

    object: Object
    events: list[Object]


class Story(msgspec.Struct, frozen=True):
    """`owners`: from the nearest up. `parts`: those in trouble, at most ten; `parts_total` counts all."""

    subject: Told
    owners: list[Object]
    parts: list[Told]
    parts_total: int


async def read_story(api: ApiClient, word: str, namespace: str, name: str, when: dict[str, Any]) -> Story:
    """`when`: as `past.point_in_time` has it. Raises ApiError: NotFound where it was not there then, Expired."""
    kind = await past.find_kind(api, word)
    subject = await api.get(kind.path(namespace, name), **when)
    parts = await _parts_of(api, subject, when)
    troubled = [part for part in parts if not is_well(part)][:_TROUBLED_MAX]
    told = [Told(part, await _events_of(api, part, when)) for part in troubled]
    owners = [owner async for owner in _owners_of(api, subject, when)]
    return Story(Told(subject, await _events_of(api, subject, when)), owners, told, len(parts))


async def _owners_of(api: ApiClient, obj: Object, when: dict[str, Any]) -> Any:
    for _ in range(_OWNERS_MAX):
        references = obj["metadata"].get("ownerReferences") or ()
        owner = next((reference for reference in references if reference.get("controller")), None)
        if owner is None:
            return
        group = owner["apiVersion"].rpartition("/")[0]
        kind = await past.find_kind(api, f"{owner['kind']}.{group}" if group else owner["kind"])
        try:
            obj = await api.get(kind.path(obj["metadata"].get("namespace", ""), owner["name"]), **when)
        except ApiError as error:
            if error.code != 404:
                raise
            return
        yield obj


async def _parts_of(api: ApiClient, subject: Object, when: dict[str, Any]) -> list[Object]:
    above, found = {subject["metadata"]["uid"]}, []
    for word in _PARTS.get(subject["kind"], ()):
        kind = await past.find_kind(api, word)
        page = await api.get(kind.path(subject["metadata"]["namespace"]), **when)
        rows = [
            {"apiVersion": page.get("apiVersion"), "kind": page["kind"].removesuffix("List"), **item}
            for item in page.get("items") or ()
            if any(owner["uid"] in above for owner in item["metadata"].get("ownerReferences") or ())
        ]
        above |= {row["metadata"]["uid"] for row in rows}
        found += rows
    return found


async def _events_of(api: ApiClient, obj: Object, when: dict[str, Any]) -> list[Object]:
    namespace = obj["metadata"].get("namespace") or "default"
    selector = f"involvedObject.uid={obj['metadata']['uid']}"
    page = await api.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=selector, **when)
    return sorted(page.get("items") or (), key=_time_of)


def _time_of(event: Object) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((time for time in times if time), "")


def is_well(obj: Object) -> bool:
    """Whether there is nothing to tell of it."""
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return False
    if obj["kind"] == "Pod":
        running = status.get("phase") == "Running" and all(row.get("ready") for row in _containers(obj))
        return running or status.get("phase") == "Succeeded"
    if obj["kind"] in ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"):
        return (status.get("readyReplicas") or 0) >= ((obj.get("spec") or {}).get("replicas") or 0)
    return not status.get("failed")


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def format_story(story: Story, now: datetime) -> Iterator[str]:
    """A line each; what belongs to what comes after it."""
    yield from _format_told(story.subject, now)
    for owner in story.owners:
        yield f"belongs to {_format_head(owner)}"
    if story.parts_total:
        yield f"{story.parts_total} object(s) belong to it, {len(story.parts) or 'none'} of them in trouble" + (
            ":" if story.parts else ""
        )
    for part in story.parts:
        yield from _format_told(part, now)


def _format_told(told: Told, now: datetime) -> Iterator[str]:
    yield _format_head(told.object)
    yield from (f"  {line}" for line in _format_state(told.object))
    for event in told.events[-_EVENTS_MAX:]:
        count = f" (x{event['count']})" if (event.get("count") or 0) > 1 else ""
        yield f"  {_ago(_time_of(event), now)} {event.get('type')} {event.get('reason')}: {event.get('message')}{count}"


def _format_head(obj: Object) -> str:
    metadata = obj["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    state = _state(obj)
    return f"{obj['kind']} {place}{metadata['name']}" + (f": {state}" if state else "")


def _state(obj: Object) -> str:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        held = ", ".join(obj["metadata"].get("finalizers") or ())
        return f"being deleted since {obj['metadata']['deletionTimestamp']}" + (f", held by {held}" if held else "")
    if obj["kind"] == "Pod":
        reason = f", {status['reason']}" if status.get("reason") else ""
        return f"{status.get('phase')}{reason} on {spec.get('nodeName') or 'no node yet'}"
    if obj["kind"] == "Job":
        counts = ((status.get(name) or 0, name) for name in ("active", "succeeded", "failed"))
        return ", ".join(f"{count} {name}" for count, name in counts)
    if "replicas" in spec:
        return f"{status.get('readyReplicas') or 0} of {spec['replicas']} ready"
    return str(status.get("phase") or "")


def _format_state(obj: Object) -> Iterator[str]:
    status = obj.get("status") or {}
    if obj["kind"] == "Pod" and status.get("message"):
        yield str(status["message"])
    for condition in status.get("conditions") or ():
        good = "False" if condition["type"].endswith(_GOOD_WHEN_FALSE) else "True"
        if condition["status"] != good:
            because = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            yield f"{condition['type']} is {condition['status']}" + (f", {because}" if because else "")
    for row in _containers(obj):
        for name, told in (("state", ""), ("lastState", "before that ")):
            for state, details in (row.get(name) or {}).items():
                if state != "running":
                    yield f"container {row['name']}: {told}{_format_container(state, details)}"


def _format_container(state: str, details: Object) -> str:
    parts = [state, details.get("reason") or ""]
    if state == "terminated":
        parts.append(f"exit code {details.get('exitCode')}")
    text = ", ".join(part for part in parts if part)
    return f"{text}: {details['message']}" if details.get("message") else text


def _ago(time: str, now: datetime) -> str:
    try:
        seconds = int((now - datetime.fromisoformat(time)).total_seconds())
    except (ValueError, TypeError):
        return "at some time,"
    return f"{max(seconds, 0)}s before," if seconds < 600 else f"{seconds // 60}m before,"


def seen_at(when: dict[str, Any]) -> datetime:
    """The time from which events are counted back."""
    return datetime.fromisoformat(when["at"]) if "at" in when else datetime.now(UTC)
