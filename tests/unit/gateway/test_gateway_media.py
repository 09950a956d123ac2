from __future__ import annotations

import pytest

from actors.api.errors import NotAcceptable, UnsupportedMediaType
from actors.gateway.media import (
    DISCOVERY_FORMS,
    OBJECT_BODIES,
    OBJECT_FORMS,
    PATCH_BODIES,
    Body,
    Form,
    body_type,
    choose_form,
)

KUBECTL = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.JSON),
        ("*/*", Form.JSON),
        (KUBECTL, Form.TABLE),
        ("application/vnd.kubernetes.protobuf,application/json", Form.JSON),
        ("application/vnd.kubernetes.protobuf, */*", Form.JSON),
        ("application/yaml", Form.YAML),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form.METADATA),
        ("application/json; charset=utf-8", Form.JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Form.JSON),
    ],
)
def test_forms(accept: str, form: Form) -> None:
    assert choose_form(accept, OBJECT_FORMS).form is form


def test_aggregated_discovery_is_v2_only() -> None:
    assert (
        choose_form("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", DISCOVERY_FORMS).form
        is Form.DISCOVERY
    )
    old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    assert choose_form(old, DISCOVERY_FORMS).form is Form.JSON


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/json;as=Table;g=meta.k8s.io;v=v2",
        "application/json;as=Table;g=meta.k8s.io",
        "application/cbor",
        ";;;",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    ],
)
def test_what_cannot_be_sent(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose_form(accept, OBJECT_FORMS)


def test_bodies() -> None:
    assert body_type("", OBJECT_BODIES) is Body.JSON
    assert body_type("application/json; charset=utf-8", OBJECT_BODIES) is Body.JSON
    assert body_type("application/octet-stream", OBJECT_BODIES) is Body.JSON
    assert body_type("application/vnd.kubernetes.protobuf", OBJECT_BODIES) is Body.PROTOBUF
    assert body_type("application/apply-patch+yaml", PATCH_BODIES) is Body.APPLY
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"):
        with pytest.raises(UnsupportedMediaType):
            body_type(content_type, OBJECT_BODIES)
    for content_type in ("", "application/json", "text/html"):
        with pytest.raises(UnsupportedMediaType):
            body_type(content_type, PATCH_BODIES)
