"""The JSONPath of printer columns: `.spec.a['b.c'][0]`, `[*]`, `[-1:]`, `[?(@.type=="Ready")].status`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"\.(?P<name>(?:\\.|[^.\[\\])+)"
    r"|\[(?P<index>-?\d{1,9})\]"
    r"|\[(?P<all>\*)\]|\.(?P<all_members>\*)"
    r"|\[(?P<start>-?\d{0,9}):(?P<end>-?\d{0,9})\]"
    r"|\['(?P<quoted>[^']*)'\]|\[\"(?P<quoted2>[^\"]*)\"\]"
    r"|\[\?\(\s*@(?P<left>[^=!<>\s]*)\s*(?P<sign>==|!=|<=|>=|<|>)\s*(?P<right>'[^']*'|\"[^\"]*\"|[^\s)]+)\s*\)\]"
)


class Step(NamedTuple):
    """`kind` is name, index, all, slice or filter."""

    kind: str
    value: Any = None


@lru_cache(maxsize=4096)
def parse_path(text: str) -> tuple[Step, ...]:
    """What cannot be read finds nothing."""
    at, steps = 0, []
    text = text.strip().removeprefix("{").removesuffix("}")
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return (Step("index", None),)
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    found = match.groupdict()
    if found["all"] or found["all_members"]:
        return Step("all")
    if found["name"] is not None:
        return Step("name", re.sub(r"\\(.)", r"\1", found["name"]))
    if (quoted := found["quoted"] if found["quoted"] is not None else found["quoted2"]) is not None:
        return Step("name", quoted)
    if found["index"] is not None:
        return Step("index", int(found["index"]))
    if found["sign"]:
        return Step("filter", (parse_path(found["left"]), found["sign"], _literal(found["right"])))
    return Step("slice", slice(*(int(part) if part else None for part in (found["start"], found["end"]))))


def _literal(text: str) -> Any:
    if text[:1] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def find_all(value: Any, path: tuple[Step, ...]) -> Iterator[Any]:
    """Every value at the path, in order."""
    if not path:
        yield value
        return
    for below in _below(value, path[0]):
        yield from find_all(below, path[1:])


def _below(value: Any, step: Step) -> Iterator[Any]:
    if isinstance(value, dict):
        if step.kind == "name" and step.value in value:
            yield value[step.value]
        elif step.kind == "all":
            yield from value.values()
    elif isinstance(value, list):
        if step.kind == "index" and step.value is not None and -len(value) <= step.value < len(value):
            yield value[step.value]
        elif step.kind == "all":
            yield from value
        elif step.kind == "slice":
            yield from value[step.value]
        elif step.kind == "filter":
            yield from (item for item in value if _holds(item, *step.value))


def _holds(item: Any, path: tuple[Step, ...], sign: str, wanted: Any) -> bool:
    return any(_compare(found, sign, wanted) for found in find_all(item, path))


def _compare(found: Any, sign: str, wanted: Any) -> bool:
    if sign in ("==", "!="):
        return bool(found == wanted) is (sign == "==")
    if isinstance(found, str) is not isinstance(wanted, str) or not isinstance(found, str | int | float):
        return False
    compared: dict[str, bool] = {
        "<": found < wanted,
        "<=": found <= wanted,
        ">": found > wanted,
        ">=": found >= wanted,
    }
    return compared[sign]
