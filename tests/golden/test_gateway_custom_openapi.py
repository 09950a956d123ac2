"""What a definition becomes in the two versions of OpenAPI; `--update` rewrites it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actors.api.codec import encode
from actors.api.crd.kinds import read_custom
from actors.gateway.custom_schemas import custom_schemas

SCHEMA = {
    "type": "object",
    "description": "Waldo is somewhere.",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "port": {"x-kubernetes-int-or-string": True}},
                    },
                },
                "maybe": {"type": "object", "nullable": True, "properties": {"a": {"type": "string"}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"known": {"type": "string"}}},
                "one": {"type": "string", "oneOf": [{"pattern": "^a"}, {"pattern": "^b"}], "default": "a"},
                "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
                "any": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
                "ruled": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0"}]},
            },
        }
    },
}  # fmt: skip


def test_schemas(golden: Any) -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
        for name, schema in (("v1", SCHEMA), ("v2", free))
    ]
    names = {"plural": "waldos", "singular": "waldo", "kind": "Waldo", "listKind": "WaldoList"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    custom = read_custom(encode({"metadata": {"name": "waldos.example.com"}, "spec": spec}))
    shown = {
        f"{prefix} {version}": custom_schemas(custom.versions[version], prefix)
        for prefix in ("#/definitions/", "#/components/schemas/")
        for version in ("v1", "v2")
    }
    golden.check(Path(__file__).parent / "gateway" / "custom_openapi.json", json.dumps(shown, indent=1) + "\n")
