"""`"abc".find("b+")`, `findAll`: linear in the text."""

from __future__ import annotations

from typing import Any

import re2

from actors.api.cel.functions.declare import INT, LIST, STRING, member


def _find(text: str, pattern: str) -> str:
    found = re2.search(pattern, text)
    return found.group(0) if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[Any]:
    found = [match.group(0) for match in re2.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


FUNCTIONS = (
    member("find", (STRING, STRING), STRING, _find),
    member("findAll", (STRING, STRING), LIST, _find_all),
    member("findAll", (STRING, STRING, INT), LIST, _find_all),
)
