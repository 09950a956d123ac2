"""What may change of a pod once it is there, each way in for itself (pkg/apis/core/validation: Validate...Update).

the pod itself         images, a deadline that shrinks, more tolerations, fewer gates
ephemeralcontainers    more of them: those that are there stay as they are
resize                 CPU and memory of its containers, within its QoS class
"""

from __future__ import annotations

import json
from typing import Any

from actors.api.codec import Object
from actors.api.defaulting import qos_class
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, wrong
from actors.api.validation.pod import validate_ephemeral, validate_pod_spec

#: Parts of a pod spec that may change after creation.
_MUTABLE_POD_FIELDS = frozenset(
    {"activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates", "nodeName"}
)
_FROZEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CONTAINERS = ("containers", "initContainers")
_MIRROR = "kubernetes.io/config.mirror"
_RESIZABLE = ("cpu", "memory")


def validate_pod_update(pod: Object, old: Object) -> Causes:
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    gated = bool(before.get("schedulingGates"))
    if _fixed(spec, gated) != _fixed(before, gated):
        yield forbidden("spec", _FROZEN)
    if gated:
        yield from _aimed(spec, before)
    known = [_timeless(toleration) for toleration in dicts_of(spec.get("tolerations"))]
    if any(_timeless(toleration) not in known for toleration in dicts_of(before.get("tolerations"))):
        yield forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
    for kind in _CONTAINERS:
        for i, container in enumerate(dicts_of(spec.get(kind))):
            if not container.get("image"):
                yield required(f"spec.{kind}[{i}].image")


def _timeless(toleration: Object) -> Object:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _aimed(spec: Object, before: Object) -> Causes:
    """A pod that waits behind gates may be told more closely where to run (KEP-3838), never less."""
    told = "only additions are allowed (no mutations or deletions)"
    old, new = before.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    if any(new.get(name) != value for name, value in old.items()):
        yield wrong("spec.nodeSelector", new, told)
    terms, wanted = _node_terms(before), _node_terms(spec)
    at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    if terms and len(terms) != len(wanted):
        fewer = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield wrong(f"{at}.nodeSelectorTerms", wanted, fewer)
    for i, (was, now) in enumerate(zip(terms, wanted, strict=False)):
        for name in ("matchExpressions", "matchFields"):
            if any(need not in (now.get(name) or []) for need in was.get(name) or []):
                yield wrong(f"{at}.nodeSelectorTerms[{i}]", now, told)


def _node_terms(spec: Object) -> list[Object]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return dicts_of((affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms"))


def _fixed(spec: Object, gated: bool) -> Object:
    fixed = {name: value for name, value in spec.items() if name not in _MUTABLE_POD_FIELDS}
    if gated:
        fixed.pop("nodeSelector", None)
        fixed["affinity"] = {k: v for k, v in (fixed.get("affinity") or {}).items() if k != "nodeAffinity"}
    for kind in _CONTAINERS:
        if kind in fixed:
            fixed[kind] = [{k: v for k, v in c.items() if k != "image"} for c in dicts_of(fixed[kind])]
    return fixed


def validate_ephemeral_update(pod: Object, old: Object) -> Causes:
    path, spec, before = "spec.ephemeralContainers", pod.get("spec") or {}, old.get("spec") or {}
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        yield forbidden("", "static pods do not support ephemeral containers")
        return
    now = {container.get("name"): container for container in dicts_of(spec.get("ephemeralContainers"))}
    for container in dicts_of(before.get("ephemeralContainers")):
        name = json.dumps(container.get("name"))
        if container.get("name") not in now:
            yield forbidden(path, f"existing ephemeral containers {name} may not be removed\n")
        elif now[container.get("name")] != container:
            yield forbidden(path, f"existing ephemeral containers {name} may not be changed\n")
    yield from validate_ephemeral(spec, "spec")


def validate_resize(pod: Object, old: Object) -> Causes:
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        yield forbidden("", "static pods cannot be resized")
        return
    yield from validate_pod_spec(spec, "spec")
    if qos_class(spec) != qos_class(before):
        told = "Pod QOS Class may not change as a result of resizing"
        yield wrong("spec", (old.get("status") or {}).get("qosClass"), told)
    for kind in _CONTAINERS:
        new, known = dicts_of(spec.get(kind)), dicts_of(before.get(kind))
        if [container.get("name") for container in new] != [container.get("name") for container in known]:
            yield forbidden(f"spec.{kind}", "containers may not be renamed or reordered on resize")
            continue
        for i, (container, was) in enumerate(zip(new, known, strict=True)):
            yield from _resized(container, was, f"spec.{kind}[{i}].resources")
    if _unsized(spec) != _unsized(before):
        yield forbidden("spec", "only cpu and memory resources are mutable")


def _resized(container: Object, was: Object, path: str) -> Causes:
    for section in ("limits", "requests"):
        new, old = _amounts(container, section), _amounts(was, section)
        if any(name in old and name not in new for name in _RESIZABLE):
            yield forbidden(path, f"resource {section} cannot be removed")


def _amounts(container: Object, section: str) -> dict[str, Any]:
    return (container.get("resources") or {}).get(section) or {}


def _unsized(spec: Object) -> Object:
    """Without what a resize may say."""
    return {**spec, **{kind: [_without_sizes(c) for c in dicts_of(spec.get(kind))] for kind in _CONTAINERS}}


def _without_sizes(container: Object) -> Object:
    rest = {name: value for name, value in container.items() if name not in ("resources", "resizePolicy")}
    for section in ("limits", "requests"):
        rest[section] = {name: v for name, v in _amounts(container, section).items() if name not in _RESIZABLE}
    return rest
