"""Definitions of custom resources that the tests of them share."""

from __future__ import annotations

from typing import Any

CRON_TAB: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "crontabs.stable.example.com"},
    "spec": {
        "group": "stable.example.com",
        "scope": "Namespaced",
        "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"], "categories": ["all", "jobs"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "description": "CronTab runs an image now and then.",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["cronSpec"],
                                "properties": {
                                    "cronSpec": {"type": "string", "pattern": r"^(\S+ ){4}\S+$", "description": "When it runs."},
                                    "image": {"type": "string", "default": "host"},
                                    "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
                                    "paused": {"type": "boolean"},
                                    "ports": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}},
                                    },
                                },
                                "x-kubernetes-validations": [
                                    {"rule": "self.replicas <= 5 || self.image != 'big'", "message": "big images run at most 5 times", "fieldPath": ".replicas"},
                                    {"rule": "self.image == oldSelf.image", "message": "the image stays"},
                                ],
                            },
                            "status": {
                                "type": "object",
                                "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}},
                            },
                        },
                    }
                },
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"},
                },
                "selectableFields": [{"jsonPath": ".spec.image"}],
                "additionalPrinterColumns": [
                    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                    {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            },
            {
                "name": "v1beta1",
                "served": True,
                "storage": False,
                "deprecated": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
        ],
    },
}  # fmt: skip


def cron_tab(name: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    head = {"apiVersion": f"stable.example.com/{version}", "kind": "CronTab", "metadata": {"name": name}}
    return {**head, "spec": {"cronSpec": "* * * * */5", **spec}}
