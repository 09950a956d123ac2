"""`jsonpatch.escapeKey("a/b")`: a key as a part of a JSON pointer (apiserver pkg/cel/library/jsonpatch.go)."""

from __future__ import annotations

from actors.api.cel.functions.declare import STRING, Function, traversal


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


FUNCTIONS = (Function("jsonpatch.escapeKey", (STRING,), STRING, _escape, cost=traversal()),)
