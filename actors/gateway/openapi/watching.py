"""The older paths of watches, `/api/v1/watch/...`, as OpenAPI tells them (apiserver pkg/endpoints/installer.go): of
each collection and of each object, for built-in kinds.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.api.kinds import Kind
from actors.gateway.openapi.schemas import Document, Version, long_name

EVENT = "meta.v1.WatchEvent"
_MEDIA = ("application/json", "application/json;stream=watch", "application/yaml")


def watches(kind: Kind, root: str, tag: str, place: str, parameters: list[Document]) -> Iterator[tuple[str, Document]]:
    """Each path with its GET. `parameters`: the query that a watch takes."""
    old = f"{root}/watch"
    scope = "Namespaced" if kind.namespaced else ""
    collection = f"{old}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{old}/{kind.plural}"
    rows = [(collection, f"{scope}{kind.kind}List", "watchlist", "individual changes to a list of")]
    if kind.namespaced:
        every = f"{kind.kind}ListForAllNamespaces"
        rows.append((f"{old}/{kind.plural}", every, "watchlist", "individual changes to a list of"))
    if "get" in kind.verbs:
        rows.append((f"{collection}/{{name}}", f"{scope}{kind.kind}", "watch", "changes to an object of kind"))
    for path, name, action, what in rows:
        told = f"watch {what} {kind.kind}. deprecated: use the 'watch' parameter with a list operation instead"
        filtered = ", filtered to a single item with the 'fieldSelector' parameter" if action == "watch" else ""
        schema = {"$ref": Version.V3.value + long_name(EVENT)}
        answers: Document = {
            "200": {"description": "OK", "content": {media: {"schema": schema} for media in _MEDIA}},
            "401": {"description": "Unauthorized"},
        }
        operation: Document = {
            "tags": [tag],
            "operationId": f"watch{place}{name}",
            "description": f"{told}{filtered}.",
            "responses": answers,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        }
        yield path, {"get": operation, "parameters": parameters}
