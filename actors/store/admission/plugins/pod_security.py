"""PodSecurity: pods are held to the standard that their API namespace's labels name (KEP-2579).

Pods are refused, warned of and written to the audit log; workloads, whose pods will be, are only warned of. A namespace
that becomes stricter is told which of its pods would no longer be let in.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import islice
from typing import Any, ClassVar

from actors.api.codec import Object, decode, lens_kept
from actors.api.key import Key
from actors.api.kinds import NAMESPACE, POD
from actors.api.meta import Resource
from actors.api.pod_security import Policy, Standard, describe, find_violations, parse_standard, read_policy
from actors.api.validation import invalid
from actors.store.admission.plugin import Operation, Plugin, Request

PREFIX = "pod-security.kubernetes.io/"
_MARK = PREFIX.encode()
_PODS_MAX = 1000
_TEMPLATES = {
    "podtemplates": ("template",),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        (
            *("replicationcontrollers", "replicasets.apps", "deployments.apps", "statefulsets.apps"),
            *("daemonsets.apps", "jobs.batch"),
        ),
        ("spec", "template"),
    ),
}
_JUDGED = ("containers", "initContainers", "ephemeralContainers", "securityContext")


class PodSecurity(Plugin, frozen=True):
    """The levels and versions count where a namespace has no labels. Who and what is exempt is asked nothing."""

    resources: ClassVar[frozenset[str]] = frozenset({POD.resource, NAMESPACE.resource, *_TEMPLATES})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})
    subresources: ClassVar[frozenset[str]] = frozenset({"", "ephemeralcontainers"})
    enforce: str = "privileged"
    enforce_version: str = "latest"
    audit: str = "privileged"
    audit_version: str = "latest"
    warn: str = "privileged"
    warn_version: str = "latest"
    exempt_namespaces: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    exempt_runtime_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._defaults()

    def _defaults(self) -> Policy:
        """Raises ValueError."""
        return _policy(
            *((self.enforce, self.enforce_version), (self.audit, self.audit_version), (self.warn, self.warn_version))
        )

    def validate(self, request: Request, obj: Object) -> None:
        if request.kind is NAMESPACE:
            self._validate_namespace(request, obj)
        elif request.kind is POD:
            if request.old is None or _judged(request.old) != _judged(obj):
                self._judge(request, obj["metadata"], obj["spec"], enforced=True)
        else:
            template = _template_of(obj, _TEMPLATES[request.kind.resource])
            if template is not None:
                self._judge(request, template.get("metadata") or {}, template["spec"], enforced=False)

    # --- pods and what makes them -------------------------------------------------------------------------------

    def _judge(self, request: Request, metadata: Object, spec: Object, *, enforced: bool) -> None:
        stored, defaults = request.context.lookup(Key(NAMESPACE.resource, "", request.key.namespace)), self._defaults()
        if stored is None or (defaults.is_idle and _MARK not in stored.body):
            return  # as in most namespaces: nothing is read
        policy, causes = read_policy(lens_kept(stored, Resource).metadata.labels, defaults)
        if (policy.is_idle and not causes) or self._is_exempt(request, spec):
            return
        notes = request.context.notes.audit
        if causes:
            notes[f"{PREFIX}error"] = "Failed to parse policy: " + ", ".join(f"{c.field}: {c.message}" for c in causes)
        if enforced:
            notes[f"{PREFIX}enforce-policy"] = str(policy.enforce)
        found = {standard: find_violations(standard, metadata, spec) for standard in {*policy}}
        if found[policy.audit]:
            notes[f"{PREFIX}audit-violations"] = _would_violate(policy.audit, found[policy.audit])
        if enforced and found[policy.enforce]:
            raise request.forbidden(f'violates PodSecurity "{policy.enforce}": {describe(found[policy.enforce])}')
        if found[policy.warn]:
            request.warn(_would_violate(policy.warn, found[policy.warn]))

    def _is_exempt(self, request: Request, spec: Object) -> bool:
        exempt = {
            "namespace": request.key.namespace in self.exempt_namespaces,
            "user": request.context.user in self.exempt_users,
            "runtimeClass": spec.get("runtimeClassName") in self.exempt_runtime_classes,
        }
        why = next((word for word, is_exempt in exempt.items() if is_exempt), None)
        if why is not None:
            request.context.notes.audit[f"{PREFIX}exempt"] = why
        return why is not None

    # --- namespaces ---------------------------------------------------------------------------------------------

    def _validate_namespace(self, request: Request, obj: Object) -> None:
        defaults = self._defaults()
        policy, causes = read_policy(obj["metadata"].get("labels"), defaults)
        old, known = read_policy((request.old or obj)["metadata"].get("labels"), defaults)
        if causes and (request.old is None or causes != known):
            raise invalid(obj, causes)
        wanted, before = policy.enforce, old.enforce
        is_relaxed = wanted.minor == before.minor and wanted.level <= before.level
        if request.old is None or not wanted.level or is_relaxed or request.key.name in self.exempt_namespaces:
            return
        for text in self._told_of_pods(request, wanted):
            request.warn(text)

    def _told_of_pods(self, request: Request, wanted: Standard) -> list[str]:
        name = request.key.name
        stored = list(request.context.scan(POD.resource, name))
        pods = [decode(pod) for pod in islice(stored, _PODS_MAX)]
        names: dict[str, list[str]] = defaultdict(list)
        for pod in pods:
            if pod["spec"].get("runtimeClassName") not in self.exempt_runtime_classes:
                found = find_violations(wanted, pod["metadata"], pod["spec"])
                names[", ".join(reason for reason, _ in found)].append(pod["metadata"]["name"])
        names.pop("", None)
        told = []
        if len(pods) < len(stored):
            count = f"first {len(pods)} of {len(stored)} existing pods"
            told.append(f"new PodSecurity enforce level only checked against the {count}")
        if names:
            told.append(f'existing pods in namespace "{name}" violate the new PodSecurity enforce level "{wanted}"')
        return told + sorted(_of_pods(sorted(found), reasons) for reasons, found in names.items())


@cache
def _policy(*standards: tuple[str, str]) -> Policy:
    return Policy(*(parse_standard(level, version) for level, version in standards))


def _of_pods(names: list[str], reasons: str) -> str:
    others = len(names) - 1
    also = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
    return f"{names[0]}{also}: {reasons}"


def _would_violate(standard: Standard, found: list[Any]) -> str:
    return f'would violate PodSecurity "{standard}": {describe(found)}'


def _template_of(obj: Object, path: tuple[str, ...]) -> Object | None:
    found: Any = obj
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get("spec"), dict) else None


def _judged(pod: Object) -> tuple[Any, ...]:
    """What the checks look at, and a change of an image: a container that was let in before may do otherwise now."""
    annotations = pod["metadata"].get("annotations") or {}
    marks = {name: value for name, value in annotations.items() if "seccomp" in name or "apparmor" in name}
    return (*(pod["spec"].get(name) for name in _JUDGED), marks)
