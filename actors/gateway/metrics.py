"""metrics.k8s.io/v1beta1: what nodes and pods use now, asked of the nodelets (k8s.io/metrics, metrics-server).

Nothing is stored. A node that does not answer and a pod that does not run have no metrics; lists leave them out.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiohttp import web

from actors.api.clock import format_time
from actors.api.codec import Object, encode, lens
from actors.api.errors import ApiError, NotFound
from actors.api.key import Key, Stored
from actors.api.kinds import NODE, NODE_METRICS, POD, Kind
from actors.api.meta import ObjectMeta, Resource
from actors.api.pod import Pod
from actors.api.usage import ContainerUsage, NodeUsage, Usage
from actors.gateway import render
from actors.gateway.call import Call
from actors.gateway.media import OBJECT_FORMS
from actors.gateway.options import parse_list
from actors.gateway.reading import content_type
from actors.reconcile.watch import Selection

_NODE_SECONDS = 3.0


async def read_metrics(call: Call, kind: Kind) -> web.StreamResponse:
    """Of one, or of those that the selectors choose. Raises NotFound, BadRequest."""
    form, target = call.form(OBJECT_FORMS), call.target
    subject = NODE if kind is NODE_METRICS else POD
    if not target.name:
        options = parse_list(call.query)
        selection = Selection((subject.resource,), target.namespace, options.labels, options.fields)
        found = await _measure(call, kind, (await call.store.list(selection)).items)
        chunks = render.collection(kind, found, {}, form, call.now, call.include)
        return call.answer(b"".join(chunks), content_type=content_type(form))
    found = await _measure(call, kind, [await call.store.get(Key(subject.resource, target.namespace, target.name))])
    if not found:
        message = f'{kind.resource} "{target.name}" not found: it has no metrics (yet)'
        raise NotFound(message, name=target.name, group=kind.group, kind=kind.plural)
    return call.answer(render.single(kind, found[0], form, call.now, call.include), content_type=content_type(form))


async def _measure(call: Call, kind: Kind, subjects: Sequence[Stored]) -> list[Stored]:
    if kind is NODE_METRICS:
        nodes = [lens(stored, Resource).metadata for stored in subjects]
        usages = await _ask_nodes(call, (meta.name for meta in nodes))
        objects = [_node_metrics(meta, usages[meta.name].node) for meta in nodes if meta.name in usages]
    else:
        pods = [lens(stored, Pod) for stored in subjects]
        usages = await _ask_nodes(call, (pod.spec.node_name for pod in pods if pod.spec.node_name))
        objects = list(_pods_metrics(pods, usages.values()))
    return [_as_answer(kind, obj) for obj in objects]


async def _ask_nodes(call: Call, names: Iterable[str]) -> dict[str, NodeUsage]:
    """Of those that answer in time."""
    wanted = list(dict.fromkeys(names))
    answers = await asyncio.gather(*(_ask_node(call, name) for name in wanted))
    return {name: usage for name, usage in zip(wanted, answers, strict=True) if usage is not None}


async def _ask_node(call: Call, name: str) -> NodeUsage | None:
    try:
        async with asyncio.timeout(_NODE_SECONDS):
            return await call.backend.nodes.usage(name)
    except (ApiError, TimeoutError):
        return None


def _node_metrics(meta: ObjectMeta, usage: Usage) -> Object:
    return {"metadata": _metadata(meta), **_when(usage), "usage": _quantities(usage)}


def _pods_metrics(pods: Iterable[Pod], usages: Iterable[NodeUsage]) -> Iterator[Object]:
    """A pod's time and window are those of its container that was read first and over the longest time."""
    by_pod: Mapping[str, list[ContainerUsage]] = defaultdict(list)
    for usage in usages:
        for container in usage.containers:
            by_pod[container.pod_uid].append(container)
    for pod in pods:
        containers = by_pod.get(pod.metadata.uid)
        if not containers:
            continue
        told = [{"name": one.name, "usage": _quantities(one.usage)} for one in containers]
        widest = max((one.usage for one in containers), key=lambda usage: usage.window_ms)
        yield {"metadata": _metadata(pod.metadata), **_when(widest), "containers": told}


def _metadata(meta: ObjectMeta) -> Object:
    labels = {"labels": meta.labels} if meta.labels else {}
    return {"name": meta.name, **({"namespace": meta.namespace} if meta.namespace else {}), **labels}


def _when(usage: Usage) -> Object:
    return {"timestamp": format_time(usage.at_ms), "window": f"{usage.window_ms / 1_000:g}s"}


def _quantities(usage: Usage) -> Object:
    return {"cpu": f"{usage.cpu_nanos}n", "memory": f"{usage.memory_bytes >> 10}Ki"}


def _as_answer(kind: Kind, obj: Object) -> Stored:
    """In the form in which all that is rendered comes; of no revision, for it is not stored."""
    metadata = {**obj["metadata"], "creationTimestamp": obj["timestamp"]}
    body = encode({**obj, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata})
    return Stored(Key(kind.resource, metadata.get("namespace", ""), metadata["name"]), 0, 0, "", body)
