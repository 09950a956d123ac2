"""Scheduling at 5,000 nodes and 10,000 pods: from encoded objects to the writes that bind them, events included.

Two kinds of rows: the scheduler's own work (replies are made up from its decisions; in CPU seconds of its one thread,
so that a busy machine does not blur it), and the same by the wall clock with every bind and Event committed to the
store on disk. The peer's figures are quoted: a real kube-scheduler 1.36 with its apiserver and etcd on the machine
that raypod is developed on; compare them with the durable row.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from actors.api.codec import Object, encode
from actors.api.key import Key, Stored
from actors.api.kinds import kind_for
from actors.reconcile.actions import Create, Patch, Reply, StoreWrite
from actors.reconcile.watch import EventType, Selection, WatchBatch, WatchEvent
from actors.scheduler.core import SchedulerCore
from actors.store.admission.profile import AdmissionConfig
from actors.store.backend.sqlite import SqliteBackend
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import RandomIds

PEER = "kube-scheduler 1.36, quoted"
PEER_PODS_PER_SECOND = {"mix of 20 shapes": 410.0, "GPU mix": 180.0}
_NOW_MS = 1_790_000_000_000
_ROUND_PODS = 2000


def measure(quick: bool) -> list[dict[str, Any]]:
    """Rows for the table. `quick`: a fifth of the size, once."""
    nodes, pods, runs = (1000, 2000, 1) if quick else (5000, 10_000, 3)
    rows = []
    for name, gpus in (("mix of 20 shapes", False), ("GPU mix", True)):
        timings = [_run(nodes, pods, gpus) for _ in range(runs)]
        rates = sorted(rate for rate, _ in timings)
        rounds_ms = sorted(ms for _, each in timings for ms in each)
        value, peer = statistics.median(rates), PEER_PODS_PER_SECOND[name]
        rows.append(
            {
                "name": f"scheduler: {nodes} nodes, {pods} pods, {name}",
                "value": round(value),
                "unit": "pods/s",
                "peer": PEER,
                "peer_value": peer,
                "ratio": round(value / peer, 1),
                "n": runs,
                "p50": round(statistics.median(rounds_ms), 1),
                "p99": round(rounds_ms[-1], 1),
            }
        )
    durable = _run_durable(nodes // 5, pods // 5)
    peer = PEER_PODS_PER_SECOND["mix of 20 shapes"]
    name = f"scheduler with store on disk: {nodes // 5} nodes, {pods // 5} pods, binds and Events durable"
    rows.append({"name": name, "value": round(durable), "unit": "pods/s", "peer": PEER, "peer_value": peer})
    rows[-1] |= {"ratio": round(durable / peer, 1), "n": 1, "p50": None, "p99": None}
    return rows


def _run(node_count: int, pod_count: int, gpus: bool) -> tuple[float, list[float]]:
    """Pods a second over the whole queue, and the milliseconds of each decision with its replies."""
    core = SchedulerCore()
    nodes = [_stored(_node(index, gpus), index + 1) for index in range(node_count)]
    pods = [_stored(_pod(index, gpus), node_count + index + 1) for index in range(pod_count)]
    core.relist(nodes, node_count, _NOW_MS)
    revision, bound, rounds_ms = node_count + pod_count, 0, []
    started = time.process_time()
    for chunk in _chunks(pods, _ROUND_PODS):
        core.observe(WatchBatch(tuple(WatchEvent(EventType.ADDED, pod) for pod in chunk), chunk[-1].revision), _NOW_MS)
        before = time.process_time()
        while writes := core.decide(_NOW_MS):
            revision, binds, replies, own_s = _answer(writes, revision)
            bound += binds
            core.replied(writes, replies, _NOW_MS)
            started, before = started + own_s, before + own_s
        rounds_ms.append((time.process_time() - before) * 1000)
    elapsed = time.process_time() - started
    if bound != pod_count:
        raise AssertionError(f"only {bound} of {pod_count} pods were bound")
    return pod_count / elapsed, rounds_ms


def _run_durable(node_count: int, pod_count: int) -> float:
    """Pods a second, from the list to the last bind on disk."""
    with tempfile.TemporaryDirectory() as folder:
        config = StoreConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))
        engine = Engine(SqliteBackend(f"{folder}/log.db"), RandomIds(), config)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        objects = [
            namespace,
            *(_node(n, False) for n in range(node_count)),
            *(_pod(n, False) for n in range(pod_count)),
        ]
        engine.commit([_create(obj) for obj in objects], _NOW_MS)
        core = SchedulerCore()
        started = time.perf_counter()
        page = engine.list(core.selection())
        core.relist(page.items, page.revision, _NOW_MS)
        while writes := core.decide(_NOW_MS):
            core.replied(writes, engine.commit(writes, _NOW_MS), _NOW_MS)
        elapsed = time.perf_counter() - started
        bound = sum(b'"nodeName"' in s.body for s in engine.list(Selection(resources=("pods",))).items)
        engine.backend.close()
    if bound != pod_count:
        raise AssertionError(f"only {bound} of {pod_count} pods were bound")
    return pod_count / elapsed


def _create(obj: Object) -> Create:
    kind = kind_for(obj["apiVersion"], obj["kind"])
    assert kind is not None
    metadata = {name: value for name, value in obj["metadata"].items() if name not in ("uid", "creationTimestamp")}
    namespace = "default" if kind.namespaced else ""
    return Create(resource=kind.resource, namespace=namespace, object=obj | {"metadata": metadata})


def _answer(writes: Sequence[StoreWrite], revision: int) -> tuple[int, int, list[Reply], float]:
    """Replies as a store would give them, and how long making them took (which is not the scheduler's time)."""
    started = time.process_time()
    replies, binds = [], 0
    for write in writes:
        revision += 1
        if not isinstance(write, Patch) or write.subresource != "binding":
            replies.append(Reply())
            continue
        obj = _POD_OBJECTS[write.key.name]
        metadata = obj["metadata"] | write.patch.get("metadata", {})
        body = encode(obj | {"metadata": metadata, "spec": obj["spec"] | write.patch["spec"]})
        replies.append(Reply(Stored(write.key, revision, 1, write.uid, body)))
        binds += 1
    return revision, binds, replies, time.process_time() - started


def _chunks(items: Sequence[Stored], size: int) -> Iterator[Sequence[Stored]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _stored(obj: Object, revision: int) -> Stored:
    meta = obj["metadata"]
    resource = "pods" if obj["kind"] == "Pod" else "nodes"
    if resource == "pods":
        _POD_OBJECTS[meta["name"]] = obj
    key = Key(resource, meta.get("namespace", ""), meta["name"])
    return Stored(key, revision, revision, meta["uid"], encode(obj))


_POD_OBJECTS: dict[str, Object] = {}


def _node(index: int, gpus: bool) -> Object:
    allocatable = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "500Gi", "pods": "110"}
    annotations = {}
    if gpus:
        allocatable["nvidia.com/gpu"] = "8"
        rows = ",".join(f'{{"id":"GPU-{index}-{n}","healthy":true,"attributes":{{}}}}' for n in range(8))
        annotations["raypod.io/devices"] = f'{{"nvidia.com/gpu":[{rows}]}}'
    labels = {
        "zone": f"zone-{index % 3}",
        "kubernetes.io/hostname": f"node-{index}",
        "disk": "ssd" if index % 2 else "hdd",
    }
    taints = [{"key": "dedicated", "value": "team", "effect": "NoSchedule"}] if index % 10 == 0 else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{index}", "uid": f"n{index}", "labels": labels, "annotations": annotations},
        "spec": {"taints": taints},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _pod(index: int, gpus: bool) -> Object:
    """One of 20 shapes: five sizes, with and without a selector, tolerations, preferences."""
    shape = index % 20
    size = shape % 5 + 1
    requests = {"cpu": f"{size * 250}m", "memory": f"{size * 512}Mi"}
    limits = {}
    if gpus:
        limits["nvidia.com/gpu"] = requests["nvidia.com/gpu"] = str((1, 1, 2, 4, 1)[shape % 5])
    spec: Object = {
        "containers": [
            {
                "name": "main",
                "image": "registry.local/team/train:1",
                "command": ["python", "train.py"],
                "env": [
                    {"name": f"VARIABLE_{n}", "value": "some text that is as long as such texts are"} for n in range(12)
                ],
                "resources": {"requests": requests, "limits": limits},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        "tolerations": [
            {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for why in ("not-ready", "unreachable")
        ],
    }
    if shape in (5, 6):
        spec["nodeSelector"] = {"disk": "ssd"}
    if shape in (10, 11):
        spec["tolerations"].append({"key": "dedicated", "operator": "Exists"})
    if shape in (15, 16):
        term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["zone-1"]}]}
        preferred = [{"weight": 10, "preference": term}]
        spec["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    metadata = {
        "name": f"pod-{index}",
        "namespace": "default",
        "uid": f"p{index}",
        "creationTimestamp": "2026-11-23T10:00:00Z",
        "labels": {"app": f"app-{shape}", "raypod.io/run": f"run-{index % 100}"},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


if __name__ == "__main__":
    for row in measure(quick=False):
        print(row)
