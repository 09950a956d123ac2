"""CEL's string extensions (cel-go ext/strings.go, version 2): charAt, indexOf, join, replace, split, format, ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from actors.api.cel.functions.declare import Function, known, one, traversal
from actors.api.cel.functions.formatting import format_text
from actors.api.cel.functions.lists import index_of, last_index_of
from actors.api.cel.values import CelError, no_overload, size_of

_ESCAPES = {char: f"\\{letter}" for char, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}


def _typed(*kinds: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Only for arguments of these types."""

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any) -> Any:
            if any(type(value) is not kind for value, kind in zip(args, kinds, strict=False)):
                raise no_overload()
            return call(*args)

        return checked

    return wrap


@_typed(str, int)
def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def _place(find_text: Callable[..., int], find_item: Callable[..., int]) -> Callable[..., int]:
    def find(value: Any, part: Any, at: Any = None) -> int:
        if isinstance(value, list) and at is None:
            return find_item(value, part)
        if type(value) is not str or type(part) is not str or (at is not None and type(at) is not int):
            raise no_overload()
        if at is not None and not 0 <= at <= len(value):
            raise CelError(f"index out of range: {at}")
        return find_text(value, part, at)

    return find


def _index(text: str, part: str, at: int | None) -> int:
    return text.find(part, at or 0)


def _last_index(text: str, part: str, at: int | None) -> int:
    return text.rfind(part) if at is None else text.rfind(part, 0, at + len(part))


@_typed(list, str)
def _join(parts: list[Any], between: str = "") -> str:
    if any(type(part) is not str for part in parts):
        raise no_overload()
    return between.join(parts)


@_typed(str, str, str, int)
def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, limit if limit >= 0 else -1)


@_typed(str, str, int)
def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if by:
        return text.split(by, limit - 1 if limit > 0 else -1)
    chars = list(text)
    return chars if limit < 0 or len(chars) <= limit else [*chars[: limit - 1], "".join(chars[limit - 1 :])]


@_typed(str, int, int)
def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= len(text) or not 0 <= stop <= len(text) or start > stop:
        raise CelError(f"index out of range: {start if not 0 <= start <= len(text) else stop}")
    return text[start:stop]


@_typed(str)
def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


@_typed(str)
def _upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


@_typed(str)
def _quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def _join_cost(args: Sequence[Any]) -> int:
    parts = args[0] if isinstance(args[0], list) else []
    total = sum(map(size_of, parts)) + len(parts) * (size_of(args[1]) if len(args) > 1 else 0)
    return math.ceil(total / 5)


def _replace_cost(args: Sequence[Any]) -> int:
    """The text, and what is put into it: replacing may make it much longer."""
    text, old, new = args[:3]
    if not (isinstance(text, str) and isinstance(old, str) and isinstance(new, str)):
        return 1
    grown = text.count(old) * max(0, len(new) - len(old))
    return math.ceil(len(text) / 5) + grown // 10


def _format_cost(args: Sequence[Any]) -> int:
    values = args[1] if len(args) > 1 and isinstance(args[1], list) else []
    return math.ceil(size_of(args[0]) / 10) + sum(map(size_of, values)) // 1000


FUNCTIONS: tuple[Function, ...] = (
    known("charAt", 2, _char_at, one),
    *(known("indexOf", arity, _place(_index, index_of), traversal()) for arity in (2, 3)),
    *(known("lastIndexOf", arity, _place(_last_index, last_index_of), traversal()) for arity in (2, 3)),
    *(known("join", arity, _join, _join_cost) for arity in (1, 2)),
    *(known("replace", arity, _replace, _replace_cost) for arity in (3, 4)),
    *(known("split", arity, _split, traversal(0.2)) for arity in (2, 3)),
    *(known("substring", arity, _substring, traversal()) for arity in (2, 3)),
    known("trim", 1, _typed(str)(str.strip), traversal()),
    known("lowerAscii", 1, _lower, traversal()),
    known("upperAscii", 1, _upper, traversal()),
    known("strings.quote", 1, _quote, traversal()),
    known("reverse", 1, _typed(str)(lambda text: text[::-1]), traversal()),
    known("format", 2, _typed(str, list)(format_text), _format_cost),
)
