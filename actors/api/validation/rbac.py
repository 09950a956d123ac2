"""Role, ClusterRole and their bindings (pkg/apis/rbac/validation)."""

from __future__ import annotations

from actors.api.codec import Object
from actors.api.rbac import GROUP
from actors.api.validation.causes import Causes, dicts_of, required, unsupported, wrong
from actors.api.validation.metadata import validate_name

_GROUPS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}


def validate_role(role: Object, old: Object | None) -> Causes:
    for i, rule in enumerate(dicts_of(role.get("rules"))):
        path = f"rules[{i}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs")
        if not urls:
            yield from _validate_resources(rule, path)
        elif role.get("kind") == "Role":
            yield wrong(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
        elif rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            told = "rules cannot apply to both regular resources and non-resource URLs"
            yield wrong(f"{path}.nonResourceURLs", urls, told)
    aggregation = role.get("aggregationRule")
    if isinstance(aggregation, dict) and not aggregation.get("clusterRoleSelectors"):
        yield required(
            "aggregationRule.clusterRoleSelectors",
            "at least one clusterRoleSelector required if aggregationRule is non-nil",
        )


def _validate_resources(rule: Object, path: str) -> Causes:
    if not rule.get("apiGroups"):
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def validate_binding(binding: Object, old: Object | None) -> Causes:
    ref = binding.get("roleRef") or {}
    if ref.get("apiGroup") != GROUP:
        yield unsupported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,))
    kinds = ("ClusterRole",) if binding.get("kind") == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if ref.get("kind") not in kinds:
        yield unsupported("roleRef.kind", ref.get("kind") or "", kinds)
    if not ref.get("name"):
        yield required("roleRef.name")
    for i, subject in enumerate(dicts_of(binding.get("subjects"))):
        yield from _validate_subject(subject, f"subjects[{i}]", binding.get("kind") == "RoleBinding")
    if old is not None and old.get("roleRef") != binding.get("roleRef"):
        yield wrong("roleRef", ref, "cannot change roleRef")


def _validate_subject(subject: Object, path: str, namespaced: bool) -> Causes:
    kind, group = subject.get("kind"), subject.get("apiGroup") or ""
    if not subject.get("name"):
        yield required(f"{path}.name")
    if kind not in _GROUPS:
        yield unsupported(f"{path}.kind", kind or "", tuple(_GROUPS))
        return
    if group != _GROUPS[kind]:
        yield unsupported(f"{path}.apiGroup", group, (_GROUPS[kind],))
    if kind == "ServiceAccount" and subject.get("name"):
        yield from validate_name(f"{path}.name", subject["name"])
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        yield required(f"{path}.namespace")
