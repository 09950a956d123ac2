"""The subresources that are talked with rather than read: exec, attach, port-forward, proxy. And a log's query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.kinds import Kind
from actors.gateway.served import Subresource

Document = dict[str, Any]
Documents = Iterator[tuple[str, Document]]
_STREAMS = {
    "container": ("string", "The container; default: the only one, or the one that an annotation names."),
    "stderr": ("boolean", "Whether what it writes to stderr is sent."),
    "stdin": ("boolean", "Whether it reads what is sent."),
    "stdout": ("boolean", "Whether what it writes to stdout is sent."),
    "tty": ("boolean", "Whether it has a terminal."),
}
#: Subresource -> its query: name, type and what it is for.
CONNECTED: dict[str, dict[str, tuple[str, str]]] = {
    "attach": _STREAMS,
    "exec": {"command": ("string", "The command and, by the same name again, its arguments."), **_STREAMS},
    "portforward": {"ports": ("integer", "The ports that a WebSocket of channels forwards.")},
    "proxy": {"path": ("string", "The path that is asked for, with its query.")},
}
LOG = {
    "container": ("string", "The container; default: the only one, or the one that an annotation names."),
    "follow": ("boolean", "Whether what is written from now on is sent, too."),
    "limitBytes": ("integer", "How much is sent at most."),
    "previous": ("boolean", "Whether the log is that of the container's life before this one."),
    "sinceSeconds": ("integer", "How old a line may be."),
    "tailLines": ("integer", "How many lines are sent at most, the last ones."),
    "timestamps": ("boolean", "Whether each line begins with its time."),
}
_METHODS = {"create": ("post",), "delete": ("delete",), "get": ("get",), "patch": ("patch",), "update": ("put",)}


def parameter(name: str, where: str, type_name: str, told: str) -> Document:
    """Of a path or a query."""
    needed = {"required": True} if where == "path" else {}
    return {
        "name": name,
        "in": where,
        "description": told,
        **needed,
        "schema": {"type": type_name, "uniqueItems": True},
    }


def connections(
    kind: Kind, name: str, sub: Subresource, path: str, tag: str, at: str
) -> Iterator[tuple[str, Document]]:
    """The paths of one of `CONNECTED`; `at` is where its operations' names say that it is: CoreV1NamespacedPod."""
    suffix = name[0].upper() + name[1:]
    shape = {"group": sub.group, "version": sub.version, "kind": sub.kind}
    answered = {"200": {"description": "OK", "content": {"*/*": {"schema": {"type": "string"}}}}}

    def operation(method: str, ending: str) -> Document:
        return {
            "tags": [tag],
            "operationId": f"connect{method.capitalize()}{at}{suffix}{ending}",
            "description": f"connect {method.upper()} requests to {name} of {kind.kind}",
            "responses": {**answered, "401": {"description": "Unauthorized"}},
            "x-kubernetes-action": "connect",
            "x-kubernetes-group-version-kind": shape,
        }

    methods = [method for verb in sub.verbs for method in _METHODS[verb]]
    query = [parameter(asked, "query", *row) for asked, row in CONNECTED[name].items()]
    yield path, {**{method: operation(method, "") for method in methods}, "parameters": query}
    if name == "proxy":
        further = parameter("path", "path", *CONNECTED[name]["path"])
        items = {method: operation(method, "WithPath") for method in methods}
        yield f"{path}/{{path}}", {**items, "parameters": [further, *query]}
