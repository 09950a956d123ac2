"""Whether an applied configuration can be read as sets of fields: each item of a keyed list has its keys, and no two
items are the same. Otherwise nobody could say which of them a manager owns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from actors.api.codec import Object
from actors.api.errors import BadRequest
from actors.api.kinds import Kind
from actors.api.schema import Field
from actors.store.admission.fieldset import KEY_DEFAULTS, item_steps, member_field, root_of


def check_applied(obj: Object, kind: Kind) -> None:
    """Raises BadRequest that tells every such item."""
    found = list(_problems(obj, root_of(kind), ""))
    if found:
        raise not_typed(obj, kind, found)


def not_typed(obj: Object, kind: Kind, problems: Sequence[str]) -> BadRequest:
    """What is said of a configuration that the schema cannot make sense of."""
    meta = obj["metadata"]
    what = f"({meta.get('namespace', '')}/{meta.get('name', '')}; {kind.api_version}, Kind={kind.kind})"
    told = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems[:20])
    return BadRequest(f"failed to create typed patch object {what}: {told}")


def _problems(value: Any, field: Field | None, path: str) -> Iterator[str]:
    if isinstance(value, dict) and not (field and field.map_type == "atomic"):
        for name, item in value.items():
            yield from _problems(item, member_field(field, name), f"{path}.{name}")
    elif isinstance(value, list) and field is not None and field.list_type in ("map", "set"):
        yield from _item_problems(value, field, path)


def _item_problems(items: Sequence[Any], field: Field, path: str) -> Iterator[str]:
    keys = field.map_keys if field.list_type == "map" else ()
    for at, item in enumerate(items):
        missing = [key for key in keys if not isinstance(item, dict) or (key not in item and key not in KEY_DEFAULTS)]
        yield from (
            f"{path}: element {at}: associative list with keys has an element that omits key field {json.dumps(key)} "
            "(and doesn't have default value)"
            for key in missing
        )
        yield from _problems(item, field.item, f"{path}[{at}]")
    steps = item_steps(list(items), field) or []
    seen: set[str] = set()
    for step in steps:
        if step in seen:
            yield f"{path}: duplicate entries for key {_shown(step)}"
        seen.add(step)


def _shown(step: str) -> str:
    if step.startswith("v:"):
        return f"[{step[2:]}]"
    return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(step[2:]).items()) + "]"
