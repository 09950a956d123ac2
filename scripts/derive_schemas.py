"""Derive our compact tables of Kubernetes' schemas.

actors/api/schema.json: names, types, merge keys, list types, enums.
actors/gateway/openapi/descriptions.json.gz: what `kubectl explain` tells of each field.

Source: the definitions of Kubernetes 1.37 that the PyPI package kubernetes-validate 1.37.0 ships (Apache-2.0), a
development dependency fetched for this run only. Run by `make schemas`; `--check` fails when a table has drifted.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from actors.api.kinds import SERVED
from actors.api.schema import definition_name

SOURCE = "kubernetes-validate==1.37.0"
MEMBER = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local/_definitions.json"
PREFIXES = (
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apimachinery.pkg.",
    "io.k8s.kube-aggregator.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.",
)
ROOT = Path(__file__).parent.parent
TABLE = ROOT / "actors/api/schema.json"
DESCRIPTIONS = ROOT / "actors/gateway/openapi/descriptions.json.gz"
#: Beside the table of kinds: what is sent or answered without being a row of it.
EXTRA = (
    "apiextensions.v1.CustomResourceDefinition",
    "authentication.v1.TokenRequest",
    "authentication.v1.TokenReview",
    "authorization.v1.LocalSubjectAccessReview",
    "authorization.v1.SubjectAccessReview",
    "autoscaling.v1.Scale",
    "policy.v1.Eviction",
    "meta.v1.DeleteOptions",
    "meta.v1.Status",
    "meta.v1.WatchEvent",
)
_QUANTITIES = {
    "type": "object",
    "additionalProperties": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.api.resource.Quantity"},
}
_MEASURED = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
    "timestamp": {
        "$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        "description": "The end of the interval of which usage is told.",
    },
    "window": {"type": "string", "description": "The length of the interval, which ends at timestamp."},
}
#: Of the module k8s.io/metrics, which the package does not ship.
METRICS: dict[str, Any] = {
    "metrics.v1beta1.NodeMetrics": {
        "description": "NodeMetrics is what a node has used over an interval.",
        "properties": {**_MEASURED, "usage": {**_QUANTITIES, "description": "CPU and memory that the node uses."}},
    },
    "metrics.v1beta1.PodMetrics": {
        "description": "PodMetrics is what a pod's containers have used over an interval.",
        "properties": {
            **_MEASURED,
            "containers": {
                "type": "array",
                "items": {"$ref": "#/$defs/metrics.v1beta1.ContainerMetrics"},
                "description": "All running containers of the pod.",
            },
        },
    },
    "metrics.v1beta1.ContainerMetrics": {
        "description": "ContainerMetrics is what one container uses.",
        "properties": {
            "name": {"type": "string", "description": "The name of the container in its pod."},
            "usage": {**_QUANTITIES, "description": "CPU and memory that the container uses."},
        },
    },
}
METRICS |= {
    f"metrics.v1beta1.{name}List": {
        "description": f"{name}List is a list of {name}.",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"},
            "items": {"type": "array", "items": {"$ref": f"#/$defs/metrics.v1beta1.{name}"}},
        },
    }
    for name in ("NodeMetrics", "PodMetrics")
}
SCALARS = {"string": "string", "integer": "int", "boolean": "bool", "number": "number", "object": "any"}
FORMATS = {"byte": "bytes", "int32": "int32"}


def short(name: str) -> str:
    """`io.k8s.api.core.v1.Pod` -> `core.v1.Pod`."""
    return next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name)


def type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return short(schema["$ref"].rsplit("/", 1)[1])
    kinds = schema.get("type", "object")
    kind = next(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")
    if kind == "array":
        return "[]" + type_of(schema["items"])
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "map:" + type_of(schema["additionalProperties"])
    return FORMATS.get(schema.get("format", ""), SCALARS[kind])


def field_row(schema: dict[str, Any]) -> str:
    """`[]core.v1.ContainerPort merge=containerPort list=map keys=containerPort,protocol`."""
    words = [type_of(schema)]
    if schema.get("x-kubernetes-patch-strategy"):
        words.append(f"strategy={schema['x-kubernetes-patch-strategy']}")
    if schema.get("x-kubernetes-patch-merge-key"):
        words.append(f"merge={schema['x-kubernetes-patch-merge-key']}")
    if schema.get("x-kubernetes-list-type"):
        words.append(f"list={schema['x-kubernetes-list-type']}")
    if schema.get("x-kubernetes-list-map-keys"):
        words.append("keys=" + ",".join(schema["x-kubernetes-list-map-keys"]))
    if schema.get("x-kubernetes-map-type"):
        words.append(f"map={schema['x-kubernetes-map-type']}")
    values = [v for v in schema.get("enum", []) if isinstance(v, str)]
    if values and all(" " not in v and "|" not in v for v in values):
        words.append("enum=" + "|".join(values))
    return " ".join(words)


def roots() -> list[str]:
    """`apps.v1.Deployment` and the like: all that clients may send us, and the lists that they are sent."""
    lists = [definition_name(kind.api_version, kind.list_kind) for kind in SERVED if kind.is_listed]
    return [*(definition_name(kind.api_version, kind.kind) for kind in SERVED), *lists, *EXTRA]


def reachable(definitions: dict[str, Any]) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    pending = roots()
    while pending:
        name = pending.pop()
        schema = definitions.get(name)
        if name in table or schema is None or "properties" not in schema:
            continue
        fields = {field: field_row(row) for field, row in sorted(schema["properties"].items())}
        table[name] = {"fields": fields}
        if required := schema.get("required"):
            table[name]["required"] = sorted(required)
        if map_type := schema.get("x-kubernetes-map-type"):
            table[name]["map"] = map_type
        pending += [
            row.split(" ")[0].removeprefix("[]").removeprefix("map:").removeprefix("[]") for row in fields.values()
        ]
    return dict(sorted(table.items()))


def read_definitions() -> dict[str, Any]:
    """By short name."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, SOURCE], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            definitions = json.loads(wheel.read(MEMBER))["$defs"]
    return {short(name): schema for name, schema in definitions.items()} | METRICS


def describe(definitions: dict[str, Any], table: dict[str, Any]) -> dict[str, list[Any]]:
    """`core.v1.Pod` -> [its description, {field: description}], of all in the table and of the scalars they use."""
    scalars = [name for name, schema in definitions.items() if "properties" not in schema and "." in name]
    used = " ".join(text for row in table.values() for text in row["fields"].values())
    names = sorted([*table, *(name for name in scalars if name in used or name == "meta.v1.Patch")])
    return {
        name: [
            definitions[name].get("description", ""),
            {
                field: row["description"]
                for field, row in sorted(definitions[name].get("properties", {}).items())
                if "description" in row
            },
        ]
        for name in names
    }


def one_a_line(rows: dict[str, Any]) -> str:
    lines = [f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    definitions = read_definitions()
    table = reachable(definitions)
    text, told = one_a_line(table), one_a_line(describe(definitions, table)).encode()
    if "--check" in sys.argv:
        same = TABLE.read_text() == text and gzip.decompress(DESCRIPTIONS.read_bytes()) == told
        return 0 if same else sys.exit("the tables of schemas have drifted: run make schemas")
    TABLE.write_text(text)
    DESCRIPTIONS.write_bytes(gzip.compress(told, 9, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
