"""The paths of a kind and what may be asked there, as OpenAPI 3 tells it (apiserver pkg/endpoints/installer.go).

`for_v2` says the same in the words of version 2. Clients read from these which path serves which kind and that writes
take `fieldValidation`; generators and tests read all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.api.crd.kinds import CustomKind
from actors.api.kinds import Kind
from actors.api.schema import definition_name
from actors.gateway.custom_schemas import schema_name
from actors.gateway.media import PATCH_BODIES, Body
from actors.gateway.openapi.connecting import CONNECTED, LOG, connections, parameter
from actors.gateway.openapi.schemas import Document, Version, long_name
from actors.gateway.openapi.watching import EVENT, watches
from actors.gateway.served import SUBRESOURCES, Subresource, subresources_of

#: Of a parameter: its type and what it is for.
_QUERY: dict[str, tuple[str, str]] = {
    "allowWatchBookmarks": ("boolean", "Whether a watch is told now and then how far it has come (BOOKMARK events)."),
    "continue": ("string", "Where the page before this one ended, as its metadata.continue told."),
    "dryRun": ("string", "`All`: every check is made and the answer given, and nothing is stored."),
    "fieldManager": ("string", "Who makes the change, for metadata.managedFields; an apply needs it."),
    "fieldSelector": ("string", "Restricts a list to objects whose fields have these values."),
    "fieldValidation": ("string", "What becomes of unknown and repeated fields: Ignore, Warn or Strict."),
    "force": ("boolean", "Whether an apply takes fields that others own."),
    "gracePeriodSeconds": ("integer", "How long an object may take to end by itself; 0 is at once."),
    "labelSelector": ("string", "Restricts a list to objects with these labels."),
    "limit": ("integer", "How many objects a page has at most."),
    "orphanDependents": ("boolean", "Deprecated: use propagationPolicy."),
    "pretty": ("string", "Whether the answer is to be indented."),
    "propagationPolicy": ("string", "What becomes of dependents: Orphan, Background or Foreground."),
    "resourceVersion": ("string", "How fresh, or of which time, the answer is to be."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: NotOlderThan or Exact."),
    "sendInitialEvents": ("boolean", "Whether a watch begins with what there is."),
    "timeoutSeconds": ("integer", "How long a watch or list may take."),
    "watch": ("boolean", "Whether changes are to be told as they happen."),
}
_LISTING = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
_DELETING = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_WRITING = ("dryRun", "fieldManager", "fieldValidation")
#: action -> its method, the query that it takes, and the codes of its successes.
_ACTIONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "list": ("get", _LISTING, ("200",)),
    "get": ("get", (), ("200",)),
    "post": ("post", _WRITING, ("200", "201", "202")),
    "put": ("put", _WRITING, ("200", "201")),
    "patch": ("patch", (*_WRITING, "force"), ("200", "201")),
    "delete": ("delete", _DELETING, ("200", "202")),
    "deletecollection": ("delete", tuple(dict.fromkeys((*_LISTING[1:7], *_DELETING))), ("200",)),
}
_OF_VERB = {"create": "post", "update": "put"}
_WORDS = {"post": "create", "put": "replace", "get": "read", "deletecollection": "deleteCollection"}
_TEXT = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}
_ANSWERS = ("application/json", "application/yaml")
_IN_PATH = {
    "name": "name of the {kind}",
    "namespace": "object name and auth scope, such as for teams and projects",
}


def gvk(kind: Kind, name: str = "") -> Document:
    return {"group": kind.group, "version": kind.version, "kind": name or kind.kind}


def paths_of(kind: Kind) -> Iterator[tuple[str, Document]]:
    """Each path with what may be asked there, in the words of version 3."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    collection = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    yield collection, _item(kind, collection, _actions(kind, "list", "create", "deletecollection"))
    if kind.namespaced and kind.is_listed:
        yield f"{root}/{kind.plural}", _item(kind, f"{root}/{kind.plural}", ("list",), suffix="ForAllNamespaces")
    if each := _actions(kind, "get", "update", "patch", "delete"):
        yield f"{collection}/{{name}}", _item(kind, f"{collection}/{{name}}", each)
    for name, sub in subresources_of(kind):
        actions = tuple(dict.fromkeys(_OF_VERB.get(verb, verb) for verb in SUBRESOURCES[name].verbs))
        path = f"{collection}/{{name}}/{name}"
        if name in CONNECTED:
            where = f"{_place(kind)}{'Namespaced' if kind.namespaced else ''}{kind.kind}"
            for further, item in connections(kind, name, sub, path, _tag(kind), where):
                yield further, {**item, "parameters": [*_in_path(kind, further), *item["parameters"]]}
            continue
        yield path, _item(kind, path, actions, suffix=name[0].upper() + name[1:], sub=sub)
    if "watch" in kind.verbs and not kind.is_custom:
        for path, item in watches(
            kind, root, _tag(kind), _place(kind), [_query(name) for name in (*_LISTING, "pretty")]
        ):
            yield path, {**item, "parameters": [*_in_path(kind, path), *item["parameters"]]}


def _actions(kind: Kind, *verbs: str) -> tuple[str, ...]:
    """Those that the kind has."""
    return tuple(_OF_VERB.get(verb, verb) for verb in verbs if verb in kind.verbs)


def _item(
    kind: Kind, path: str, actions: tuple[str, ...], *, suffix: str = "", sub: Subresource | None = None
) -> Document:
    item: Document = {
        _ACTIONS[action][0]: _operation(kind, action, suffix, sub, is_namespaced="{namespace}" in path)
        for action in actions
    }
    item["parameters"] = [*_in_path(kind, path), _query("pretty")]
    return item


def _in_path(kind: Kind, path: str) -> list[Document]:
    named = [name for name in _IN_PATH if f"{{{name}}}" in path]
    return [parameter(name, "path", "string", _IN_PATH[name].format(kind=kind.kind)) for name in named]


def _query(name: str) -> Document:
    return parameter(name, "query", *_QUERY[name])


def _tag(kind: Kind) -> str:
    """`core_v1`."""
    group = kind.group.removesuffix(".k8s.io").partition(".")[0] if not kind.is_custom else kind.group
    return f"{group or 'core'}_{kind.version}"


def _place(kind: Kind) -> str:
    """`CoreV1`."""
    words = _tag(kind).replace(".", "_").replace("-", "_").split("_")
    return "".join(word[0].upper() + word[1:] for word in words if word)


def _operation(kind: Kind, action: str, suffix: str, sub: Subresource | None, *, is_namespaced: bool) -> Document:
    method, query, codes = _ACTIONS[action]
    shape = Kind(sub.group, sub.version, sub.kind, "") if sub is not None and sub.kind else kind
    scope = "Namespaced" if is_namespaced else ""
    answer = _shape(kind, kind.list_kind if action == "list" else "") if shape is kind else _built_in(shape)
    if action in ("delete", "deletecollection"):
        answer = "meta.v1.Status"
    operation: Document = {
        "tags": [_tag(kind)],
        "operationId": f"{_WORDS.get(action, action)}{_place(kind)}{scope}{kind.kind}{suffix}",
        "description": _sentence(kind, action, suffix),
        "responses": _responses(answer, codes, is_text=suffix == "Log"),
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(shape),
    }
    if query:
        operation["parameters"] = [_query(name) for name in query]
    elif suffix == "Log":
        operation["parameters"] = [parameter(name, "query", *row) for name, row in LOG.items()]
    if action.startswith("delete"):
        operation["requestBody"] = _body("meta.v1.DeleteOptions", ("*/*",), required=False)
    elif action == "patch":
        patches = (body.value for body in PATCH_BODIES if not (kind.is_custom and body is Body.STRATEGIC))
        operation["requestBody"] = _body("meta.v1.Patch", tuple(sorted(patches)))
    elif method in ("post", "put"):
        operation["requestBody"] = _body(_shape(kind) if shape is kind else _built_in(shape), ("*/*",))
    return operation


def _sentence(kind: Kind, action: str, suffix: str) -> str:
    below = suffix.lower() if suffix and suffix != "ForAllNamespaces" else ""
    of = f"{below} of the specified {kind.kind}" if below else f"the specified {kind.kind}"
    told = {
        "list": f"list or watch objects of kind {kind.kind}",
        "post": f"create {below} of a {kind.kind}" if below else f"create a {kind.kind}",
        "put": f"replace {of}",
        "patch": f"partially update {of}",
        "get": f"read {of}",
        "delete": f"delete a {kind.kind}",
        "deletecollection": f"delete collection of {kind.kind}",
    }
    return told[action]


def _shape(kind: Kind, list_kind: str = "") -> str:
    """The short name of the schema of a kind or its list; of a custom one its long name, behind a slash."""
    if isinstance(kind, CustomKind):
        return "/" + schema_name(kind, list_kind or kind.kind)
    return definition_name(kind.api_version, list_kind or kind.kind)


def _built_in(kind: Kind) -> str:
    return definition_name(kind.api_version, kind.kind)


def _reference(shape: str) -> Document:
    return {"$ref": Version.V3.value + (shape[1:] if shape.startswith("/") else long_name(shape))}


def _body(shape: str, media: tuple[str, ...], *, required: bool = True) -> Document:
    body: Document = {"content": {name: {"schema": _reference(shape)} for name in media}}
    return body | {"required": True} if required else body


def _responses(shape: str, codes: tuple[str, ...], *, is_text: bool) -> Document:
    schema = {"type": "string"} if is_text else _reference(shape)
    content = {media: {"schema": schema} for media in (("text/plain",) if is_text else _ANSWERS)}
    answers: Document = {code: {"description": _TEXT[code], "content": content} for code in codes}
    return answers | {"401": {"description": _TEXT["401"]}}


# --- version 2 --------------------------------------------------------------------------------------------------


def for_v2(item: Document) -> Document:
    """The same, in the words of version 2: types stand in parameters, bodies are one of them."""
    return {
        name: [_parameter_v2(row) for row in part] if name == "parameters" else _operation_v2(part)
        for name, part in item.items()
    }


def _parameter_v2(parameter: Document) -> Document:
    schema: Document = parameter["schema"]
    return {name: value for name, value in parameter.items() if name != "schema"} | schema


def _operation_v2(operation: Document) -> Document:
    body = operation.get("requestBody", {})
    parameters = [_parameter_v2(row) for row in operation.get("parameters", ())]
    media = list(body.get("content", {}))
    if body:
        schema = _v2_schema(next(iter(body["content"].values()))["schema"])
        needed = {"required": True} if body.get("required") else {}
        parameters.insert(0, {"name": "body", "in": "body", "schema": schema, **needed})
    kept = {name: value for name, value in operation.items() if name not in ("requestBody", "parameters", "responses")}
    content: Document = next((row["content"] for row in operation["responses"].values() if "content" in row), {})
    return kept | {
        "consumes": media or ["*/*"],
        "produces": list(content),
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {code: _response_v2(row) for code, row in operation["responses"].items()},
    }


def _response_v2(row: Document) -> Document:
    if "content" not in row:
        return {"description": row["description"]}
    schema = next(iter(row["content"].values()))["schema"]
    return {"description": row["description"], "schema": _v2_schema(schema)}


def _v2_schema(schema: Document) -> Document:
    if "$ref" not in schema:
        return schema
    return {"$ref": schema["$ref"].replace(Version.V3.value, Version.V2.value)}


def shapes_of(kind: Kind) -> Iterator[str]:
    """The short names of the built-in schemas that the paths of a kind refer to."""
    if not kind.is_custom:
        yield _built_in(kind)
        if kind.is_listed:
            yield _shape(kind, kind.list_kind)
        if "watch" in kind.verbs:
            yield EVENT
    for name, sub in subresources_of(kind):
        if sub.kind and name not in CONNECTED:
            yield _built_in(Kind(sub.group, sub.version, sub.kind, ""))
