"""Events of both their versions (pkg/apis/core/validation/events.go): those with an `eventTime` are of the newer form,
and say who reports what was done.
"""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause, Invalid
from actors.api.kinds import Kind
from actors.api.validation.causes import Causes, required, wrong
from actors.api.validation.metadata import validate_qualified

_WORD_CHARS_MAX, _NOTE_CHARS_MAX = 128, 1024
_OF_THE_CLUSTER = ("default", "kube-system")


def validate_event(event: Object, old: Object | None) -> Causes:
    namespace = str(event["metadata"].get("namespace", ""))
    about = str((event.get("involvedObject") or {}).get("namespace", ""))
    at, told = "involvedObject.namespace", "does not match event.namespace"
    if not event.get("eventTime"):
        if about != namespace and (about or namespace not in ("", "default")):
            yield wrong(at, about, told)
        return
    if not about and namespace not in _OF_THE_CLUSTER:
        yield wrong(at, about, told)
    reporter = event.get("reportingComponent") or ""
    if reporter:
        yield from validate_qualified("reportingController", reporter)
    else:
        yield required("reportingController")
    for name in ("reportingInstance", "action", "reason"):
        if not event.get(name):
            yield required(name)
        elif len(event[name]) > _WORD_CHARS_MAX:
            yield wrong(name, "", f"can have at most {_WORD_CHARS_MAX} characters")
    if len(event.get("message") or "") > _NOTE_CHARS_MAX:
        yield wrong("message", "", f"can have at most {_NOTE_CHARS_MAX} characters")
    series = event.get("series")
    if isinstance(series, dict) and series != ((old or {}).get("series")):
        if (series.get("count") or 0) < 2:
            yield wrong("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            yield required("series.lastObservedTime")


def check_new_event(event: Object, kind: Kind) -> None:
    """Of an event in its stored form that `kind`, events.k8s.io/v1, creates. Raises Invalid with what only that
    version wants."""
    _refuse(event, kind, [*_strict(event)])


def check_event_change(event: Object, old: Object, kind: Kind) -> None:
    """The same of a change: by that version only the series of an event grows, and its metadata. Raises Invalid."""
    changed = [name for name in _FIXED if _plain(event.get(name)) != _plain(old.get(name))]
    _refuse(event, kind, [wrong(_FIXED[name], event.get(name), "field is immutable") for name in changed])


def _plain(value: Any) -> Any:
    """Without what clients may write or leave out: members that are empty, zeros at the end of a time's fraction."""
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if part} or None
    if isinstance(value, str) and value.endswith("Z") and "." in value:
        whole, _, fraction = value.removesuffix("Z").partition(".")
        return f"{whole}.{digits}Z" if (digits := fraction.rstrip("0")) else f"{whole}Z"
    return value or None


def _refuse(event: Object, kind: Kind, causes: list[Cause]) -> None:
    if causes:
        told = [f"{cause.field}: {cause.message}" for cause in causes]
        listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        name = (event.get("metadata") or {}).get("name", "")
        message = f'{kind.kind}.{kind.group} "{name}" is invalid: {listed}'
        raise Invalid(message, name=name, group=kind.group, kind=kind.kind, causes=causes)


#: What an event tells once and for all, as Kubernetes names it in its answers.
_FIXED = {
    **{name: name for name in ("involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp")},
    **{name: name for name in ("count", "type", "eventTime", "action", "related")},
    "reportingComponent": "reportingController",
    "reportingInstance": "reportingInstance",
}


def _strict(event: Object) -> Causes:
    if not event.get("eventTime"):
        yield required("eventTime")
    if event.get("type") not in ("Normal", "Warning"):
        yield wrong("type", "", f"has invalid value: {event.get('type') or ''}")
    for name in ("firstTimestamp", "lastTimestamp", "count", "source"):
        if event.get(name):
            yield wrong(name, "", "needs to be unset")
