"""Quotas over random lives of an API namespace: what is used is what a count finds, after every commit; it never grows
beyond the bounds."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.amount import ZERO, total
from actors.api.codec import Object, decode
from actors.api.key import Key
from actors.api.quota import counted_by, read_quota, usage_of
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.reconcile.watch import Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.engine import Engine
from actors.store.ids import SeededIds

_NOW = 1_790_000_000_000
_NAMES = (
    "pods",
    "cpu",
    "limits.memory",
    "count/pods",
    "services",
    "services.nodeports",
    "configmaps",
    "requests.storage",
)
_SCOPES: tuple[list[str] | None, ...] = (None, None, ["BestEffort"], ["NotBestEffort"], ["PriorityClass"])
#: Nobody comes back from these, so nobody is charged for that.
_PHASES = ("Succeeded", "Failed")


def new_object(resource: str, name: str, random_: random.Random) -> Object:
    metadata = {"name": name}
    if resource == "pods":
        amounts = random_.choice(({}, {"cpu": "300m", "memory": "64Mi"}, {"cpu": "2"}))
        spec: Object = {"containers": [{"name": "c", "image": "i:1", "resources": {"limits": amounts}}]}
        if random_.random() < 0.3:
            spec["priorityClassName"] = "system-node-critical"
        return {"metadata": metadata, "spec": spec}
    if resource == "services":
        ports = [{"name": f"p{n}", "port": n} for n in range(1, random_.randint(2, 4))]
        return {"metadata": metadata, "spec": {"type": random_.choice(("ClusterIP", "NodePort")), "ports": ports}}
    if resource == "persistentvolumeclaims":
        storage = {"requests": {"storage": random_.choice(("512Mi", "1Gi"))}}
        return {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"], "resources": storage}}
    return {"metadata": metadata}


def bounds(random_: random.Random) -> dict[str, str]:
    return {name: str(random_.choice((0, 1, 2, 5, "1Gi"))) for name in random_.sample(_NAMES, random_.randint(1, 4))}


def next_write(random_: random.Random, names: list[str]) -> StoreWrite:
    resource = random_.choice(("pods", "pods", "pods", "services", "configmaps", "persistentvolumeclaims"))
    key = Key(resource, "default", random_.choice(names))
    match random_.randint(0, 9):
        case 0 | 1 | 2 | 3:
            return Create(resource=resource, namespace="default", object=new_object(resource, key.name, random_))
        case 4 | 5:
            return Delete(key=key, grace_period_seconds=random_.choice((None, 0)))
        case 6:
            phase = {"status": {"phase": random_.choice(_PHASES)}}
            return Patch(key=key._replace(resource="pods"), patch=phase, subresource="status")
        case 7:
            scopes = random_.choice(_SCOPES)
            spec: Any = {"hard": bounds(random_), **({"scopes": scopes} if scopes else {})}
            obj = {"metadata": {"name": random_.choice("abc")}, "spec": spec}
            return Create(resource="resourcequotas", namespace="default", object=obj)
        case 8:
            kind = random_.choice(("ClusterIP", "NodePort"))
            return Patch(key=key._replace(resource="services"), patch={"spec": {"type": kind}})
    quota = Key("resourcequotas", "default", random_.choice("abc"))
    lies = {"status": {"hard": bounds(random_), "used": {"pods": "0"}}}
    changes = ({"spec": {"hard": bounds(random_)}}, None, lies)
    change = random_.choice(changes)
    return (
        Delete(key=quota)
        if change is None
        else Patch(key=quota, patch=change, subresource="status" if change is lies else "")
    )


def counted(objects: list[Object], resources: list[str], quota: Object) -> dict[str, int]:
    found = read_quota(quota)
    used = dict.fromkeys(found.hard, ZERO)
    for obj, resource in zip(objects, resources, strict=True):
        if found.covers(resource, obj):
            usage = usage_of(resource, obj)
            used = total((used, {name: usage[name] for name in counted_by(resource, found.hard) if name in usage}))
    return {name: amount.nanos for name, amount in used.items()}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_used_is_what_there_is(seed: int) -> None:
    random_ = random.Random(seed)
    engine = Engine(MemoryBackend(), SeededIds(seed))
    engine.commit(bootstrap_writes(), _NOW)
    names, before = [f"o{n}" for n in range(6)], {}
    for _ in range(40):
        engine.commit([next_write(random_, names) for _ in range(random_.randint(1, 4))], _NOW)
        stored = [item for item in engine.list(Selection()).items if item.key.namespace == "default"]
        objects, resources = [decode(item) for item in stored], [item.key.resource for item in stored]
        quotas = [(o, s) for o, s in zip(objects, stored, strict=True) if s.key.resource == "resourcequotas"]
        after = {}
        for obj, item in quotas:
            quota = read_quota(obj)
            assert quota.used is not None, obj
            used = {name: amount.nanos for name, amount in quota.used.items()}
            assert used == counted(objects, resources, obj), (item.key, obj["status"])
            after[item.uid, str(sorted(quota.hard.items()))] = used
            for name, nanos in before.get((item.uid, str(sorted(quota.hard.items()))), {}).items():
                assert used[name] <= max(quota.hard[name].nanos, nanos), (name, obj)
        before = after
