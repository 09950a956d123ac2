"""Custom resources among the controllers: they go with their definition, own others and are owned."""

from __future__ import annotations

import copy
from typing import Any

from corerig import Rig

from actors.api.codec import decode
from actors.api.crd.definition import RESOURCE
from actors.api.key import Key
from actors.reconcile.actions import Create

WIDGETS = "widgets.example.com"
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": WIDGETS},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["w"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def widget(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, **metadata}}


def make(rig: Rig, obj: dict[str, Any], resource: str = WIDGETS, namespace: str = "default") -> dict[str, Any]:
    reply = rig.must(Create(resource=resource, namespace=namespace, object=obj))
    assert reply.stored is not None
    return decode(reply.stored)


def test_a_definition_goes_after_its_objects(rig: Rig) -> None:
    make(rig, copy.deepcopy(DEFINITION), RESOURCE, "")
    make(rig, widget("a"))
    make(rig, widget("held", finalizers=["example.com/hold"]))
    rig.settle()
    rig.delete(Key(RESOURCE, "", WIDGETS))
    rig.settle()
    assert [obj["metadata"]["name"] for obj in rig.list(WIDGETS)] == ["held"]
    (going,) = rig.list(RESOURCE)
    (told,) = [known for known in going["status"]["conditions"] if known["type"] == "Terminating"]
    assert (told["status"], told["reason"]) == ("True", "InstanceDeletionInProgress")
    rig.patch(Key(WIDGETS, "default", "held"), {"metadata": {"finalizers": None}})
    rig.settle()
    assert rig.list(WIDGETS) == [] and rig.list(RESOURCE) == []


def test_what_a_custom_resource_owns_goes_with_it(rig: Rig) -> None:
    make(rig, copy.deepcopy(DEFINITION), RESOURCE, "")
    owner = make(rig, widget("a"))
    reference = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "a", "uid": owner["metadata"]["uid"]}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "child", "ownerReferences": [reference]},
    }
    make(rig, config_map, "configmaps")
    rig.settle()
    assert "child" in {obj["metadata"]["name"] for obj in rig.list("configmaps")}
    rig.delete(Key(WIDGETS, "default", "a"))
    rig.settle()
    assert "child" not in {obj["metadata"]["name"] for obj in rig.list("configmaps")}


def test_a_namespace_takes_its_custom_resources_along(rig: Rig) -> None:
    make(rig, copy.deepcopy(DEFINITION), RESOURCE, "")
    make(rig, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}, "namespaces", "")
    make(rig, widget("a"), namespace="team")
    rig.settle()
    rig.delete(Key("namespaces", "", "team"))
    rig.settle()
    assert rig.list(WIDGETS) == []
    assert "team" not in {obj["metadata"]["name"] for obj in rig.list("namespaces")}


def test_names_that_become_free_are_given_to_who_waits(rig: Rig) -> None:
    make(rig, copy.deepcopy(DEFINITION), RESOURCE, "")
    other = copy.deepcopy(DEFINITION)
    other["metadata"]["name"] = "others.example.com"
    other["spec"]["names"] = {"plural": "others", "kind": "Other", "shortNames": ["w"]}
    assert made_served(make(rig, other, RESOURCE, "")) == "False"
    rig.settle()
    rig.delete(Key(RESOURCE, "", WIDGETS))
    rig.settle()
    [left] = rig.list(RESOURCE)
    assert made_served(left) == "True"


def made_served(definition: dict[str, Any]) -> str:
    return next(c["status"] for c in definition["status"]["conditions"] if c["type"] == "Established")
