"""CustomResourceDefinitions of the fixtures that Kubernetes' tests share (apiextensions-apiserver test/integration/fixtures)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from api_client import Api, Json

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ALLOW_ALL: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_number = itertools.count()


def definition(
    api: Api,
    schema: Json = ALLOW_ALL,
    versions: Sequence[str] = ("v1beta1",),
    scope: str = "Cluster",
    group: str = "",
    **spec: object,
) -> Json:
    """Of names of its own; the first version is stored."""
    suffix = f"{next(_number)}x{api.namespace[4:]}"
    group = group or f"g{suffix}.example.com"
    names = {
        "plural": f"foo{suffix}a",
        "singular": f"foo{suffix}",
        "kind": f"Foo{suffix}a",
        "listKind": f"Foo{suffix}aList",
    }
    served = [
        {
            "name": name,
            "served": True,
            "storage": not at,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
        }
        for at, name in enumerate(versions)
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": served, **spec},
    }


def collection(crd: Json, namespace: str = "", version: str = "") -> str:
    """The path of its objects."""
    spec = crd["spec"]
    inside = f"namespaces/{namespace}/" if spec["scope"] == "Namespaced" else ""
    return f"/apis/{spec['group']}/{version or spec['versions'][0]['name']}/{inside}{spec['names']['plural']}"


def custom(crd: Json, name: str, version: str = "", **fields: object) -> Json:
    spec = crd["spec"]
    head = {"apiVersion": f"{spec['group']}/{version or spec['versions'][0]['name']}", "kind": spec["names"]["kind"]}
    return {**head, "metadata": {"name": name}, **fields}


def create(api: Api, crd: Json) -> Json:
    """And wait until it is served, as the fixtures do."""
    made = api.post(CRDS, crd).ok()
    conditions = {
        found["type"]: found["status"]
        for found in api.get(f"{CRDS}/{crd['metadata']['name']}").ok()["status"]["conditions"]
    }
    assert conditions["Established"] == "True"
    return made
