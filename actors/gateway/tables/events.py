"""`kubectl get events`. An event's times may be absent; what it is about is `involvedObject`."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.meta import Lens, Resource
from actors.gateway.tables.table import Cell, Column, Printer, format_since, wide


class Involved(Lens, frozen=True):
    kind: str = ""
    name: str = ""
    field_path: str = ""


class Source(Lens, frozen=True):
    component: str = ""
    host: str = ""


class Series(Lens, frozen=True):
    count: int = 0
    last_observed_time: str | None = None


class ShownEvent(Resource, frozen=True):
    involved_object: Involved = Involved()
    source: Source = Source()
    series: Series | None = None
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    reporting_component: str = ""


def _last_seen(event: ShownEvent) -> str | None:
    if event.series is not None:
        return event.series.last_observed_time
    return event.last_timestamp or event.event_time or event.first_timestamp


def _source(event: ShownEvent) -> str:
    component = event.source.component or event.reporting_component
    return f"{component}, {event.source.host}" if event.source.host else component


def cells(event: ShownEvent, now: Millis) -> tuple[Cell, ...]:
    regarding = event.involved_object
    kind = regarding.kind.lower()
    return (
        format_since(_last_seen(event), now),
        event.type,
        event.reason,
        f"{kind}/{regarding.name}" if regarding.name else kind,
        regarding.field_path,
        _source(event),
        event.message.strip(),
        format_since(event.first_timestamp or event.event_time, now),
        event.series.count if event.series is not None else event.count or 1,
        event.metadata.name,
    )


COLUMNS = (
    Column("Last Seen", description="Time since this event was last observed."),
    Column("Type", description="Normal or Warning."),
    Column("Reason", description="Why it happened, in one word."),
    Column("Object", description="What it is about."),
    *wide("Subobject", "Source"),
    Column("Message", description="What happened."),
    *wide("First Seen", "Count"),
    Column("Name", format="name", priority=1),
)
PRINTER = Printer(COLUMNS, ShownEvent, cells)
