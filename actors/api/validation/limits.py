"""LimitRange and ResourceQuota: names that there are, bounds that agree, scopes that fit what is counted.

That quantities are quantities and none is negative is rules.json's; here they are compared where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actors.api.amount import Amount, Amounts, parse_amount
from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, wrong

_NANO = 10**9
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_CONTAINER = frozenset(_COMPUTE)
_COUNTS = frozenset(
    {
        *("pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps"),
        *("persistentvolumeclaims", "services.nodeports", "services.loadbalancers"),
    }
)
_QUOTA = _COUNTS | {"requests.storage", *(p + name for p in ("", "requests.", "limits.") for name in _COMPUTE)}
_STANDARD = _QUOTA | {"storage"}
_TYPES = frozenset({"Pod", "Container", "PersistentVolumeClaim"})
_HUGE = ("hugepages-", "requests.hugepages-")


def _is_one_of(name: str, known: frozenset[str]) -> bool:
    return name in known or name.startswith(_HUGE)


def _amounts(quantities: Any) -> Amounts:
    """What can be read; the rest is told of elsewhere."""
    found: Amounts = {}
    for name, quantity in (quantities if isinstance(quantities, Mapping) else {}).items():
        try:
            found[name] = parse_amount(quantity)
        except ValueError:
            continue
    return found


# --- LimitRange -------------------------------------------------------------------------------------------------


def validate_limit_range(limits: Object, old: Object | None) -> Causes:
    seen: set[str] = set()
    for at, item in enumerate(dicts_of((limits.get("spec") or {}).get("limits"))):
        path, kind = f"spec.limits[{at}]", str(item.get("type", ""))
        if kind and "/" not in kind and kind not in _TYPES:
            yield wrong(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        yield from _item(item, kind, path)


def _item(item: Object, kind: str, path: str) -> Causes:
    parts = {name: _amounts(item.get(name)) for name in ("max", "min", "default", "defaultRequest")}
    ratios = _amounts(item.get("maxLimitRequestRatio"))
    for name, amounts in (*parts.items(), ("maxLimitRequestRatio", ratios)):
        if kind == "Pod" and name.startswith("default"):
            if amounts:
                yield forbidden(f"{path}.{name}", "may not be specified when `type` is 'Pod'")
            parts[name] = {}
            continue
        yield from _names(amounts, kind, f"{path}.{name}")
    if kind == "PersistentVolumeClaim" and "storage" not in (parts["min"] | parts["max"]):
        hint = "either minimum or maximum storage value is required, but neither was provided"
        yield required(f"{path}.limits", hint)
    for name in sorted({name for amounts in (*parts.values(), ratios) for name in amounts}):
        yield from _in_order({part: amounts.get(name) for part, amounts in parts.items()}, name, path)
        if name in ratios:
            yield from _ratio(ratios[name], parts["min"].get(name), parts["max"].get(name), name, path)


def _names(amounts: Amounts, kind: str, path: str) -> Causes:
    known = _CONTAINER if kind in ("Pod", "Container") else _STANDARD
    rule = (
        "must be a standard resource for containers"
        if known is _CONTAINER
        else "must be a standard resource type or fully qualified"
    )
    for name in sorted(amounts):
        if "/" not in name and not _is_one_of(name, known):
            yield wrong(f"{path}[{name}]", name, rule)


#: (smaller, its words, larger, its words, the field and the value that are blamed).
_ORDER = (
    ("min", "min value", "max", "max value", "min"),
    ("min", "min value", "defaultRequest", "default request value", "defaultRequest"),
    ("defaultRequest", "default request value", "max", "max value", "defaultRequest"),
    ("defaultRequest", "default request value", "default", "default limit value", "defaultRequest"),
    ("min", "min value", "default", "default value", "default"),
    ("default", "default value", "max", "max value", "default"),
)


def _in_order(parts: Mapping[str, Amount | None], name: str, path: str) -> Iterator[Any]:
    for low, low_words, high, high_words, blamed in _ORDER:
        less, more = parts[low], parts[high]
        if less is not None and more is not None and less.nanos > more.nanos:
            told = f"{low_words} {less} is greater than {high_words} {more}"
            yield wrong(f"{path}.{blamed}[{name}]", str(parts[blamed]), told)
    limit, request = parts["default"], parts["defaultRequest"]
    may_differ = "/" not in name and not name.startswith(_HUGE)
    if limit is not None and request is not None and limit.nanos != request.nanos and not may_differ:
        told = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        yield wrong(f"{path}.defaultRequest[{name}]", str(request), told)


def _ratio(ratio: Amount, low: Amount | None, high: Amount | None, name: str, path: str) -> Causes:
    at = f"{path}.maxLimitRequestRatio[{name}]"
    if ratio.nanos < _NANO:
        yield wrong(at, str(ratio), f"ratio {ratio} is less than 1")
    if low is not None and high is not None and low.nanos and ratio.nanos * low.nanos > high.nanos * _NANO:
        yield wrong(at, str(ratio), f"ratio {ratio} is greater than max/min = {high.nanos / low.nanos:f}")


# --- ResourceQuota ----------------------------------------------------------------------------------------------

_PODS = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_CLAIMS = frozenset({"persistentvolumeclaims", "requests.storage"})
#: What may be counted of the objects in a scope.
_SCOPES = {
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": _CLAIMS,
    **dict.fromkeys(
        ("NotBestEffort", "Terminating", "NotTerminating", "PriorityClass", "CrossNamespacePodAffinity"), _PODS
    ),
}
_EXIST_ONLY = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"})
_EXIST_RULE = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def validate_resource_quota(quota: Object, old: Object | None) -> Causes:
    spec = quota.get("spec") or {}
    hard, scopes = _amounts(spec.get("hard")), [str(scope) for scope in spec.get("scopes") or ()]
    for name, amount in sorted(hard.items()):
        yield from _quota_name(name, amount, f"spec.hard[{name}]")
    yield from _fitting(scopes, hard, "spec.scopes", spec.get("scopes"))
    terms = dicts_of((spec.get("scopeSelector") or {}).get("matchExpressions"))
    path = "spec.scopeSelector.matchExpressions"
    yield from _fitting([str(term.get("scopeName", "")) for term in terms], hard, path, spec.get("scopeSelector"))
    for term in terms:
        yield from _term(term, path)
    before = ((old or {}).get("spec") or {}).get("scopes") or ()
    if old is not None and set(scopes) != set(before):
        yield wrong("spec.scopes", scopes, "field is immutable")


def _quota_name(name: str, amount: Amount, path: str) -> Causes:
    if "/" not in name and not _is_one_of(name, _QUOTA):
        if not _is_one_of(name, _STANDARD):
            yield wrong(path, name, "must be a standard resource type or fully qualified")
        yield wrong(path, name, "must be a standard resource for quota")
    if (name in _COUNTS or _is_extended(name)) and amount.nanos % _NANO:
        yield wrong(path, str(amount), "must be an integer")


def _is_extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def _fitting(scopes: list[str], hard: Amounts, path: str, blamed: Any) -> Causes:
    for scope in scopes:
        counted = _SCOPES.get(scope)
        if counted is None:
            continue  # rules.json tells what scopes there are
        wrong_ones = [name for name in hard if _is_one_of(name, _QUOTA) and name not in counted]
        yield from (wrong(path, blamed, "unsupported scope applied to resource") for _ in wrong_ones[:1])
    if any(pair <= set(scopes) for pair in _CONFLICTS):
        yield wrong(path, blamed, "conflicting scopes")


def _term(term: Object, path: str) -> Causes:
    scope, operator, values = term.get("scopeName"), term.get("operator"), term.get("values") or []
    if scope not in _SCOPES:
        yield wrong(f"{path}.scopeName", scope, "unsupported scope")
    if scope in _EXIST_ONLY and operator != "Exists":
        yield wrong(f"{path}.operator", operator, _EXIST_RULE)
    if operator in ("In", "NotIn"):
        if not values:
            rule = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield required(f"{path}.values", rule)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            rule = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield wrong(f"{path}.values", values, rule)
    else:
        yield wrong(f"{path}.operator", operator, "not a valid selector operator")
