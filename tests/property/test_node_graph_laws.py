"""The graph of nodes against a slow model: a search over all objects as they are, after any history of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.gateway.auth.nodes.graph import ATTACHMENTS, SLICES, VOLUMES, Graph

NODES, SPACES, NAMES = ("n1", "n2"), ("a", "b"), ("x", "y", "z")
SECRETS, MAPS, CLAIMS, ACCOUNTS = "secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts"
RESOURCE_CLAIMS = "resourceclaims.resource.k8s.io"
name, space, node = st.sampled_from(NAMES), st.sampled_from(SPACES), st.sampled_from(NODES)
maybe_node = st.sampled_from(("", *NODES))

volume = st.one_of(
    name.map(lambda n: {"name": "v", "secret": {"secretName": n}}),
    name.map(lambda n: {"name": "v", "configMap": {"name": n}}),
    name.map(lambda n: {"name": "v", "persistentVolumeClaim": {"claimName": n}}),
    st.just({"name": "z", "ephemeral": {"volumeClaimTemplate": {}}}),
    name.map(lambda n: {"name": "v", "projected": {"sources": [{"secret": {"name": n}}, {"configMap": {"name": n}}]}}),
    name.map(lambda n: {"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": n}}}),
)
container = st.fixed_dictionaries(
    {"name": st.just("c")},
    optional={
        "env": name.map(lambda n: [{"name": "E", "valueFrom": {"secretKeyRef": {"name": n, "key": "k"}}}]),
        "envFrom": name.map(lambda n: [{"configMapRef": {"name": n}}, {"secretRef": {"name": n}}]),
    },
)
pod = st.fixed_dictionaries(
    {},
    optional={
        "nodeName": maybe_node,
        "serviceAccountName": name,
        "volumes": st.lists(volume, max_size=2),
        "initContainers": st.lists(container, max_size=1),
        "ephemeralContainers": st.lists(container, min_size=1, max_size=1),
        "imagePullSecrets": name.map(lambda n: [{"name": n}]),
        "resourceClaims": name.map(lambda n: [{"name": "r", "resourceClaimName": n}]),
    },
)
persistent = st.fixed_dictionaries(
    {},
    optional={
        "claimRef": st.builds(lambda s, n: {"namespace": s, "name": n}, space, name),
        "csi": st.builds(lambda s, n: {"driver": "d", "nodeStageSecretRef": {"namespace": s, "name": n}}, space, name),
        "azureFile": name.map(lambda n: {"secretName": n}),
    },
)
#: What a pod that is there already may gain.
growth = st.fixed_dictionaries({"ephemeralContainers": st.lists(container, min_size=1, max_size=2)})
mark = st.sampled_from(({}, {}, {"kubernetes.io/config.mirror": "x"}))
change = st.one_of(
    st.tuples(st.just("pods"), space, name, growth, st.none(), st.just(False)),
    st.tuples(st.just("pods"), space, name, pod, mark, st.booleans()),
    st.tuples(st.just(VOLUMES), st.just(""), name, persistent, st.just({}), st.booleans()),
    st.tuples(st.just(ATTACHMENTS), st.just(""), name, node.map(lambda n: {"nodeName": n}), st.just({}), st.booleans()),
    st.tuples(st.just(SLICES), st.just(""), name, maybe_node.map(lambda n: {"nodeName": n}), st.just({}), st.booleans()),
)  # fmt: skip


def follow(node: str, objects: dict[Key, dict[str, Any]]) -> set[Key]:
    """All that leads to the node, found by going backwards from it until nothing is new."""
    found: set[Key] = set()
    for key, obj in objects.items():
        if key.resource != VOLUMES and (obj["spec"].get("nodeName") or None) == node:
            found.add(key)
            if key.resource == "pods" and not obj["metadata"].get("annotations"):
                found |= set(named_by(key, obj["spec"]))
    for key, obj in objects.items():
        ref = obj["spec"].get("claimRef") if key.resource == VOLUMES else None
        if ref and Key(CLAIMS, ref["namespace"], ref["name"]) in found:
            found.add(key)
            if "csi" in obj["spec"]:
                staged = obj["spec"]["csi"]["nodeStageSecretRef"]
                found.add(Key(SECRETS, staged["namespace"], staged["name"]))
            if "azureFile" in obj["spec"]:
                found.add(Key(SECRETS, ref["namespace"], obj["spec"]["azureFile"]["secretName"]))
    return found


def named_by(key: Key, spec: dict[str, Any]) -> Iterator[Key]:
    where = key.namespace
    if "serviceAccountName" in spec:
        yield Key(ACCOUNTS, where, spec["serviceAccountName"])
    for ref in spec.get("imagePullSecrets", ()):
        yield Key(SECRETS, where, ref["name"])
    for ref in spec.get("resourceClaims", ()):
        yield Key(RESOURCE_CLAIMS, where, ref["resourceClaimName"])
    for one in (*spec.get("initContainers", ()), *spec.get("ephemeralContainers", ())):
        for variable in one.get("env", ()):
            yield Key(SECRETS, where, variable["valueFrom"]["secretKeyRef"]["name"])
        for source in one.get("envFrom", ()):
            kind, ref = next(iter(source.items()))
            yield Key(MAPS if kind == "configMapRef" else SECRETS, where, ref["name"])
    for row in spec.get("volumes", ()):
        match row:
            case {"secret": {"secretName": n}} | {"csi": {"nodePublishSecretRef": {"name": n}}}:
                yield Key(SECRETS, where, n)
            case {"configMap": {"name": n}}:
                yield Key(MAPS, where, n)
            case {"persistentVolumeClaim": {"claimName": n}}:
                yield Key(CLAIMS, where, n)
            case {"ephemeral": _}:
                yield Key(CLAIMS, where, f"{key.name}-{row['name']}")
            case {"projected": {"sources": [{"secret": {"name": n}}, _]}}:
                yield from (Key(SECRETS, where, n), Key(MAPS, where, n))


EVERYTHING = [
    *(Key(r, s, n) for r in (SECRETS, MAPS, CLAIMS, ACCOUNTS, RESOURCE_CLAIMS, "pods") for s in SPACES for n in NAMES),
    *(Key(CLAIMS, s, f"{n}-z") for s in SPACES for n in NAMES),
    *(Key(r, "", n) for r in (VOLUMES, ATTACHMENTS, SLICES) for n in NAMES),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(change, max_size=14))
def test_the_graph_says_what_a_search_over_all_objects_says(changes: list[tuple[Any, ...]]) -> None:
    graph, objects = Graph(), dict[Key, dict[str, Any]]()
    for revision, (resource, namespace, name, spec, marks, gone) in enumerate(changes, 1):
        key = Key(resource, namespace, name)
        if gone:
            graph.remove(key)
            objects.pop(key, None)
            continue
        before = objects.get(key)
        if marks is None:  # a pod that is there grows
            if before is None:
                continue
            spec = {**before["spec"], **spec}
        uid = f"u{revision}"
        if before is not None and may_become(before, spec):
            uid, marks = before["metadata"]["uid"], before["metadata"]["annotations"]
        metadata = {"name": name, "namespace": namespace, "uid": uid, "annotations": marks}
        objects[key] = {"metadata": metadata, "spec": spec}
        graph.put(Stored(key, revision, 1, uid, encode(objects[key])))
    for node in NODES:
        expected = follow(node, objects)
        assert {key for key in EVERYTHING if graph.leads_to(node, key)} == expected & set(EVERYTHING)
        assert expected <= set(EVERYTHING)
    for key in list(objects):
        graph.remove(key)
    assert not graph._ways and not graph._held and not graph._volumes


def may_become(before: dict[str, Any], spec: dict[str, Any]) -> bool:
    """Whether an object may change so and be the same one: what is bound gains containers and claims, no more."""
    old = before["spec"]
    if "claimRef" in old or "claimRef" in spec or "csi" in old or "csi" in spec or "azureFile" in {**old, **spec}:
        return True
    grows = ("ephemeralContainers", "resourceClaims")
    fixed = {name: value for name, value in old.items() if name not in grows}
    if not old.get("nodeName"):
        return True
    wanted = {name: value for name, value in spec.items() if name not in grows}
    return wanted == fixed and all(name not in old or name in spec for name in grows)
