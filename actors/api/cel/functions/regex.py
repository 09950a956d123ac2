"""`"abc".find("b+")`, `findAll`: linear in the text (apiserver pkg/cel/library/regex.go)."""

from __future__ import annotations

from actors.api.cel.functions.declare import INT, STRING, STRINGS, member, pattern
from actors.api.cel.functions.standard import compiled


def _find(text: str, expression: str) -> str:
    found = compiled(expression).search(text)
    return found.group(0) if found else ""


def _find_all(text: str, expression: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in compiled(expression).finditer(text):
        if 0 <= limit <= len(found):
            break
        found.append(match.group(0))
    return found


FUNCTIONS = (
    member("find", (STRING, STRING), STRING, _find, pattern),
    member("findAll", (STRING, STRING), STRINGS, _find_all, pattern),
    member("findAll", (STRING, STRING, INT), STRINGS, _find_all, pattern),
)
