"""Events of both their versions (pkg/apis/core/validation/events.go): those with an `eventTime` are of the newer form,
and say who reports what was done.
"""

from __future__ import annotations

from actors.api.codec import Object
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
