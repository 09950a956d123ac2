"""The priority levels and flow schemas that a cluster has from the start, and what a schema's status is to say. Pure.

As kube-apiserver has them (apiserver/pkg/apis/flowcontrol/bootstrap): the mandatory ones are kept as they are, the
suggested ones too, unless their annotation `apf.kubernetes.io/autoupdate-spec` is "false".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.codec import Object, decode
from actors.api.key import Key, Stored
from actors.gateway.auth.user import AUTHENTICATED, MASTERS, SERVICE_ACCOUNTS, UNAUTHENTICATED
from actors.gateway.flow.schemas import GROUP, LEVELS, SCHEMAS, FlowSchema
from actors.reconcile.actions import Create, Patch, PatchType, StoreWrite

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
MANAGER = "api-priority-and-fairness-config-producer-v1"
_STATUS_MANAGER = "api-priority-and-fairness-config-consumer-v1"
_MANDATORY = frozenset({"exempt", "catch-all"})
#: name: (shares, lendable percent, queues, hand size)
_QUEUED = {
    "system": (30, 33, 64, 6),
    "node-high": (40, 25, 64, 6),
    "leader-election": (10, 0, 16, 4),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
    "global-default": (20, 50, 128, 6),
}
_QUEUE_LENGTH = 50
_EVERYONE = ("Group", UNAUTHENTICATED), ("Group", AUTHENTICATED)
_SYSTEM_ACCOUNTS = ("ServiceAccount", "*")
_MANAGER_USER, _SCHEDULER_USER = ("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")
_LEASES = ("get", "create", "update"), "coordination.k8s.io", ("leases",), False
#: name: (precedence, level, what tells its flows apart, subjects, what of resources; None: everything)
_SCHEMAS: dict[str, tuple[int, str, str, tuple[tuple[str, str], ...], Any]] = {
    "exempt": (1, "exempt", "", (("Group", MASTERS),), None),
    "probes": (2, "exempt", "", _EVERYONE, ()),
    "system-leader-election": (
        *(100, "leader-election", "ByUser"),
        (_MANAGER_USER, _SCHEDULER_USER, _SYSTEM_ACCOUNTS),
        (_LEASES,),
    ),
    "endpoint-controller": (
        *(150, "workload-high", "ByUser"),
        (
            _MANAGER_USER,
            ("ServiceAccount", "endpoint-controller"),
            ("ServiceAccount", "endpointslicemirroring-controller"),
        ),
        ((("get", "create", "update"), "", ("endpoints",), False),),
    ),
    "workload-leader-election": (200, "leader-election", "ByUser", (_SYSTEM_ACCOUNTS,), (_LEASES,)),
    "system-node-high": (
        *(400, "node-high", "ByUser"),
        (("Group", "system:nodes"),),
        ((("*",), "", ("nodes", "nodes/status"), True), (("*",), "coordination.k8s.io", ("leases",), False)),
    ),
    "system-nodes": (500, "system", "ByUser", (("Group", "system:nodes"),), None),
    "kube-controller-manager": (800, "workload-high", "ByNamespace", (_MANAGER_USER,), None),
    "kube-scheduler": (800, "workload-high", "ByNamespace", (_SCHEDULER_USER,), None),
    "kube-system-service-accounts": (900, "workload-high", "ByNamespace", (_SYSTEM_ACCOUNTS,), None),
    "service-accounts": (9000, "workload-low", "ByUser", (("Group", SERVICE_ACCOUNTS),), None),
    "global-default": (9900, "global-default", "ByUser", _EVERYONE, None),
    "catch-all": (10000, "catch-all", "ByUser", _EVERYONE, None),
}


def default_levels() -> Iterator[Object]:
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield _object("PriorityLevelConfiguration", "exempt", exempt)
    rejecting = {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}
    yield _object("PriorityLevelConfiguration", "catch-all", {"type": "Limited", "limited": rejecting})
    for name, (shares, lendable, queues, hand) in _QUEUED.items():
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": _QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
        limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
        yield _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def default_schemas() -> Iterator[Object]:
    for name, (precedence, level, distinguisher, subjects, resources) in _SCHEMAS.items():
        rules: Object = {"subjects": [_subject(*subject) for subject in subjects]}
        if resources is None:
            resources = ((("*",), "*", ("*",), True),)
            rules["nonResourceRules"] = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
        elif not resources:
            rules["nonResourceRules"] = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
        if resources:
            rules["resourceRules"] = [_resource_rule(*rule) for rule in resources]
        spec: Object = {
            "priorityLevelConfiguration": {"name": level},
            "matchingPrecedence": precedence,
            "rules": [rules],
        }
        if distinguisher:
            spec["distinguisherMethod"] = {"type": distinguisher}
        yield _object("FlowSchema", name, spec)


def plan_defaults(there: Mapping[Key, Stored]) -> Iterator[StoreWrite]:
    """What is missing is made, what was changed is given back."""
    for resource, wanted in ((LEVELS, default_levels()), (SCHEMAS, default_schemas())):
        for obj in wanted:
            name = obj["metadata"]["name"]
            stored = there.get(Key(resource, "", name))
            if stored is None:
                yield Create(resource=resource, namespace="", object=obj, manager=MANAGER)
                continue
            found = decode(stored)
            free = (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false" and name not in _MANDATORY
            if not free and found.get("spec") != obj["spec"]:
                patch = [{"op": "add", "path": "/spec", "value": obj["spec"]}]
                yield Patch(key=stored.key, patch=patch, type=PatchType.JSON, revision=stored.revision, manager=MANAGER)


def plan_status(schemas: Iterable[tuple[Key, FlowSchema]], levels: Iterable[str], now: Millis) -> Iterator[StoreWrite]:
    """Of each schema, whether its level is there (the condition Dangling)."""
    known = frozenset(levels)
    for key, schema in schemas:
        level = schema.spec.priority_level_configuration.name
        wanted = _dangling(level, is_there=level in known)
        held = next((c for c in schema.status.conditions or () if c.type == "Dangling"), None)
        if schema.metadata.is_deleting or (held is not None and held.status == wanted["status"]):
            continue
        others = [c for c in schema.status.conditions or () if c.type != "Dangling"]
        rows = [{"type": c.type, "status": c.status, "reason": c.reason, "message": c.message} for c in others]
        patch = {"status": {"conditions": [*rows, {**wanted, "lastTransitionTime": format_time(now)}]}}
        uid, revision = schema.metadata.uid, schema.metadata.revision
        yield Patch(key=key, patch=patch, subresource="status", uid=uid, revision=revision, manager=_STATUS_MANAGER)


def _dangling(level: str, *, is_there: bool) -> dict[str, str]:
    what = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if is_there:
        return {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{what} and it exists"}
    message = f"{what} but there is no such object"
    return {"type": "Dangling", "status": "True", "reason": "NotFound", "message": message}


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": {AUTOUPDATE: "true"}}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _subject(kind: str, name: str) -> Object:
    if kind == "ServiceAccount":
        return {"kind": kind, "serviceAccount": {"namespace": "kube-system", "name": name}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _resource_rule(verbs: tuple[str, ...], group: str, resources: tuple[str, ...], cluster: bool) -> Object:
    rule: Object = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources), "namespaces": ["*"]}
    return {**rule, "clusterScope": True} if cluster else rule
