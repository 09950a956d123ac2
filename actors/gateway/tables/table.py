"""What a printer of `kubectl get` is: columns and, per object, cells (kubernetes pkg/printers/internalversion).

Pure. A printer reads a lens of its own and the time; cells are what kubectl shows, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.meta import LabelSelector, Lens, Resource

Cell = str | int | float | bool | None
UNKNOWN = "<unknown>"
NONE = "<none>"


class Column(msgspec.Struct, frozen=True):
    """`priority` 1 is shown with `-o wide` only."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


NAME = Column("Name", format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", description="Time since the object was created.")


class Printer(msgspec.Struct, frozen=True):
    """`cells(obj, now)` gives as many cells as there are columns; `obj` is the object seen through `shape`."""

    columns: tuple[Column, ...]
    shape: type[Any]
    cells: Callable[[Any, Millis], tuple[Cell, ...]]


def wide(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, priority=1) for name in names)


def format_duration(millis: Millis) -> str:
    """`45s`, `3m5s`, `2h`, `5d3h`, `1y20d` (apimachinery pkg/util/duration.HumanDuration)."""
    seconds = millis // 1000
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return _pair(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _pair(days // 365, "y", days % 365, "d") if days < 365 * 8 else f"{days // 365}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def format_since(text: str | None, now: Millis) -> str:
    """The age of an RFC 3339 time."""
    return format_duration(now - parse_time(text)) if text else UNKNOWN


def age(obj: Resource, now: Millis) -> str:
    return format_since(obj.metadata.creation_timestamp, now)


class ContainerNames(Lens, frozen=True):
    name: str = ""
    image: str = ""


class TemplateSpec(Lens, frozen=True):
    containers: tuple[ContainerNames, ...] | None = None


class Template(Lens, frozen=True):
    spec: TemplateSpec = TemplateSpec()


def containers_and_images(template: Template) -> tuple[str, str]:
    containers = template.spec.containers or ()
    return ",".join(c.name for c in containers), ",".join(c.image for c in containers)


def format_selector(selector: LabelSelector | None) -> str:
    """`a=b,c in (d,e)`; NONE when empty."""
    selector = selector or LabelSelector()
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    for need in selector.match_expressions or ():
        values = ",".join(sorted(need.values or ()))
        forms = {"In": f"{need.key} in ({values})", "NotIn": f"{need.key} notin ({values})"}
        parts.append(forms.get(need.operator, need.key if need.operator == "Exists" else f"!{need.key}"))
    return ",".join(parts) or NONE
