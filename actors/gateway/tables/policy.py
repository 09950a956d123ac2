"""`kubectl get` of what limits and guards: disruption budgets, quotas, flow control, admission, extension servers."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.codec import Object
from actors.gateway.tables.cells import AGED, CREATED_AT, UNSET, at, items, printer, shown
from actors.gateway.tables.table import NONE

_ABSENT = "N/A"
BUDGETS = printer(
    shown("Min Available", "spec.minAvailable", _ABSENT),
    shown("Max Unavailable", "spec.maxUnavailable", _ABSENT),
    shown("Allowed Disruptions", "status.disruptionsAllowed", 0, "integer"),
    AGED,
)
LIMIT_RANGES = printer(CREATED_AT)
DEFINITIONS = printer(CREATED_AT)


def _amounts(limits: bool) -> Callable[[Object], str]:
    def text(quota: Object) -> str:
        hard, used = at(quota, "status.hard") or {}, at(quota, "status.used") or {}
        names = sorted(name for name in hard if name.startswith("limits.") is limits)
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return text


QUOTAS = printer(shown("Request", _amounts(False)), shown("Limit", _amounts(True)), AGED)


def _condition(obj: Object, kind: str) -> Object | None:
    return next((row for row in items(obj, "status.conditions") if row.get("type") == kind), None)


def _missing_level(schema: Object) -> str:
    dangling = _condition(schema, "Dangling")
    return str(dangling["status"]) if dangling else "?"


FLOW_SCHEMAS = printer(
    shown("PriorityLevel", "spec.priorityLevelConfiguration.name", NONE),
    shown("MatchingPrecedence", "spec.matchingPrecedence", 0),
    shown("DistinguisherMethod", "spec.distinguisherMethod.type", NONE),
    AGED,
    shown("MissingPL", _missing_level),
)
PRIORITY_LEVELS = printer(
    shown("Type", "spec.type"),
    shown("NominalConcurrencyShares", "spec.limited.nominalConcurrencyShares", NONE),
    shown("Queues", "spec.limited.limitResponse.queuing.queues", NONE),
    shown("HandSize", "spec.limited.limitResponse.queuing.handSize", NONE),
    shown("QueueLengthLimit", "spec.limited.limitResponse.queuing.queueLengthLimit", NONE),
    AGED,
)


def _param_kind(policy: Object) -> str:
    found = at(policy, "spec.paramKind")
    return f"{found.get('apiVersion', '')}/{found.get('kind', '')}" if found else UNSET


def _param_ref(binding: Object) -> str:
    found = at(binding, "spec.paramRef")
    if not found:
        return UNSET
    name = found.get("name") or "*"
    return f"{found['namespace']}/{name}" if found.get("namespace") else name


WEBHOOKS = printer(shown("Webhooks", lambda obj: len(obj.get("webhooks") or ()), type="integer"), AGED)
VALIDATING_POLICIES = printer(
    shown("Validations", lambda obj: len(items(obj, "spec.validations")), type="integer"),
    shown("ParamKind", _param_kind),
    AGED,
)
MUTATING_POLICIES = printer(
    shown("Mutations", lambda obj: len(items(obj, "spec.mutations")), type="integer"),
    shown("ParamKind", _param_kind),
    AGED,
)
POLICY_BINDINGS = printer(shown("PolicyName", "spec.policyName"), shown("ParamRef", _param_ref), AGED)


def _service(api: Object) -> str:
    found = at(api, "spec.service")
    return f"{found.get('namespace', '')}/{found.get('name', '')}" if found else "Local"


def _available(api: Object) -> str:
    found = _condition(api, "Available")
    if found is None:
        return "Unknown"
    return "True" if found["status"] == "True" else f"{found['status']} ({found.get('reason', '')})"


API_SERVICES = printer(shown("Service", _service), shown("Available", _available), AGED)


def _health(status: Object) -> Object:
    return next((row for row in items(status, "conditions") if row.get("type") == "Healthy"), {})


def _is_healthy(status: Object) -> str:
    told = _health(status).get("status")
    return "Unknown" if told is None else "Healthy" if told == "True" else "Unhealthy"


COMPONENTS = printer(
    shown("Status", _is_healthy),
    shown("Message", lambda status: _health(status).get("message")),
    shown("Error", lambda status: _health(status).get("error")),
)
