"""Whatever a client sends: an answer of Kubernetes' kind, never a failure of the store, and what is kept stays sound."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.codec import decode
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, PatchType, StoreWrite, Update
from actors.reconcile.watch import Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.engine import Engine
from actors.store.ids import SeededIds

#: Names that mean something to the store, so that the noise hits its code and not only its doors.
WORDS = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "name",
        "namespace",
        "uid",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "creationTimestamp",
        "containers",
        "image",
        "nodeName",
        "replicas",
        "template",
        "selector",
        "matchLabels",
        "tolerations",
        "activeDeadlineSeconds",
        "schedulingGates",
        "terminationGracePeriodSeconds",
        "phase",
        "conditions",
        "type",
        "fieldsV1",
        "manager",
        "f:data",
        "k:{}",
        "$patch",
        "data",
        "a",
        "default",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), WORDS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=4)
RESOURCES = st.sampled_from(["pods", "configmaps", "namespaces", "deployments.apps", "jobs.batch", "nodes", "events"])
KEYS = st.sampled_from(
    [
        Key("pods", "default", "p"),
        Key("pods", "default", "bound"),
        Key("configmaps", "default", "a"),
        Key("namespaces", "", "dev"),
        Key("namespaces", "", "default"),
        Key("deployments.apps", "default", "web"),
        Key("configmaps", "default", "missing"),
        Key("configmaps", "", "a"),
        Key("unicorns", "", "a"),
    ]
)
SUBRESOURCES = st.sampled_from(["", "", "status", "scale", "binding", "finalize", "nonsense"])
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy", "x"]),
            "path": st.lists(st.one_of(WORDS, st.sampled_from(["0", "-", "~"])), max_size=4).map(
                lambda parts: "".join(f"/{part}" for part in parts)
            ),
            "value": JSON,
        }
    ),
    max_size=3,
)
WRITES: st.SearchStrategy[StoreWrite] = st.one_of(
    st.builds(Create, resource=RESOURCES, namespace=st.sampled_from(["default", ""]), object=OBJECTS),
    st.builds(Update, key=KEYS, object=OBJECTS, subresource=SUBRESOURCES),
    st.builds(
        Patch,
        key=KEYS,
        patch=st.one_of(OBJECTS, JSON),
        type=st.sampled_from([PatchType.MERGE, PatchType.STRATEGIC, PatchType.APPLY]),
        subresource=SUBRESOURCES,
        manager=st.sampled_from(["", "me", "you"]),
        force=st.booleans(),
    ),
    st.builds(Patch, key=KEYS, patch=OPERATIONS, type=st.just(PatchType.JSON), subresource=SUBRESOURCES),
    st.builds(Delete, key=KEYS, uid=st.sampled_from(["", "x"]), grace_period_seconds=st.none() | st.integers()),
)
KEPT = ("uid", "creationTimestamp", "name", "namespace")


def new_engine() -> Engine:
    engine = Engine(MemoryBackend(), SeededIds(1))
    spec = {"containers": [{"name": "c", "image": "i"}]}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    web = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    engine.commit(
        [
            *bootstrap_writes(),
            Create(resource="namespaces", namespace="", object={"metadata": {"name": "dev"}}),
            Create(resource="configmaps", namespace="default", object={"metadata": {"name": "a"}, "data": {"a": "1"}}),
            Create(resource="deployments.apps", namespace="default", object=web, manager="you"),
            *(
                Create(resource="pods", namespace="default", object={"metadata": {"name": name}, "spec": spec})
                for name in ("p", "bound")
            ),
            Patch(key=Key("pods", "default", "bound"), patch={"spec": {"nodeName": "n"}}, subresource="binding"),
        ],
        1_000,
    )
    return engine


def identities(engine: Engine) -> dict[tuple[Key, str], dict[str, Any]]:
    return {
        (stored.key, stored.uid): {name: decode(stored)["metadata"].get(name) for name in KEPT}
        for stored in engine.list(Selection()).items
    }


@settings(max_examples=300)
@given(st.lists(WRITES, max_size=6))
def test_every_write_has_an_answer_and_identity_is_kept(writes: list[StoreWrite]) -> None:
    engine = new_engine()
    before = identities(engine)
    replies = engine.commit(writes, 2_000)
    assert len(replies) == len(writes)
    for reply in replies:
        if reply.error is not None:
            words = reply.error["message"]
            assert reply.error["code"] < 500 or "resourceVersion should not be set" in words, reply.error
            assert words and not words.startswith("the request cannot be read"), reply.error
    after = identities(engine)
    assert all(kept == before[who] for who, kept in after.items() if who in before)
    for stored in engine.list(Selection()).items:
        metadata = decode(stored)["metadata"]
        assert (metadata["name"], metadata.get("namespace", ""), metadata["uid"]) == (
            stored.key.name,
            stored.key.namespace,
            stored.uid,
        )
    again = Engine(MemoryBackend(bytes(engine.backend.disk)), SeededIds(2))  # type: ignore[attr-defined]
    assert again.list(Selection()) == engine.list(Selection())
