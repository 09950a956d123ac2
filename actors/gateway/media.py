"""Content negotiation: what form the client wants (`Accept`) and what it sent (`Content-Type`).

Pure. Replies are JSON, YAML or Tables; protobuf is understood in requests but never sent, as clients always offer JSON
beside it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from actors.api.errors import NotAcceptable, UnsupportedMediaType


class Form(StrEnum):
    """Of a reply."""

    JSON = "json"
    YAML = "yaml"
    TABLE = "table"
    METADATA = "metadata"  # PartialObjectMetadata
    DISCOVERY = "discovery"  # the aggregated form


class Chosen(NamedTuple):
    """`version` "v1beta1": a Table or partial metadata of the older meta.k8s.io/v1beta1."""

    form: Form
    version: str = ""


class Body(StrEnum):
    """Of a request."""

    JSON = "application/json"
    YAML = "application/yaml"
    PROTOBUF = "application/vnd.kubernetes.protobuf"
    MERGE = "application/merge-patch+json"
    JSON_PATCH = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


_AS = {
    ("Table", "meta.k8s.io"): Form.TABLE,
    ("PartialObjectMetadata", "meta.k8s.io"): Form.METADATA,
    ("PartialObjectMetadataList", "meta.k8s.io"): Form.METADATA,
    ("APIGroupDiscoveryList", "apidiscovery.k8s.io"): Form.DISCOVERY,
}
_VERSIONS = {Form.TABLE: ("v1", "v1beta1"), Form.METADATA: ("v1", "v1beta1"), Form.DISCOVERY: ("v2",)}
_PLAIN = {"application/json": Form.JSON, "*/*": Form.JSON, "application/*": Form.JSON, "application/yaml": Form.YAML}


def _parse(part: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (piece.strip() for piece in part.split(";"))
    return media.lower(), dict(p.split("=", 1) for p in parameters if "=" in p)


def choose_form(accept: str, offered: frozenset[Form]) -> Chosen:
    """The first of `Accept` that is offered. Raises NotAcceptable. Quality values are ignored, as Kubernetes does."""
    if not accept.strip():
        return Chosen(Form.JSON)
    for part in accept.split(",")[:50]:
        media, parameters = _parse(part)
        wanted = parameters.get("as")
        if wanted is None:
            form = _PLAIN.get(media)
        else:
            form = _AS.get((wanted, parameters.get("g", ""))) if media == "application/json" else None
            if form is not None and parameters.get("v") not in _VERSIONS[form]:
                form = None
        if form is not None and form in offered:
            return Chosen(form, parameters.get("v", "") if wanted else "")
    raise NotAcceptable(
        "406: Not Acceptable\n\nAvailable representations: "
        "application/json, application/yaml, application/json;stream=watch"
    )


def body_type(content_type: str, allowed: frozenset[Body]) -> Body:
    """A missing Content-Type means JSON. Raises UnsupportedMediaType."""
    media = _parse(content_type)[0] if content_type else Body.JSON.value
    if media in ("application/octet-stream", "*/*") and Body.JSON in allowed:
        return Body.JSON
    found = next((body for body in allowed if body.value == media), None)
    if found is None:
        supported = ", ".join(sorted(body.value for body in allowed))
        raise UnsupportedMediaType(f"415: Unsupported Media Type: the body must be of one of the types {supported}")
    return found


OBJECT_BODIES = frozenset({Body.JSON, Body.YAML, Body.PROTOBUF})
PATCH_BODIES = frozenset({Body.MERGE, Body.JSON_PATCH, Body.STRATEGIC, Body.APPLY})
OBJECT_FORMS = frozenset({Form.JSON, Form.YAML, Form.TABLE, Form.METADATA})
PLAIN_FORMS = frozenset({Form.JSON, Form.YAML})
DISCOVERY_FORMS = frozenset({Form.JSON, Form.YAML, Form.DISCOVERY})
