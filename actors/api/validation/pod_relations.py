"""Rules between fields of the parts of a pod, one small function per schema definition; the table at the end
(pkg/apis/core/validation: validation.go). What one field alone must hold is in rules.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from actors.api.codec import Object
from actors.api.quantity import parse_millis
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, unsupported, wrong

_PER_POD = ("metadata.name", "metadata.namespace", "metadata.uid")
_FIELDS_OF_ENV = (
    *_PER_POD,
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_FIELDS_OF_FILES = (*_PER_POD, "metadata.annotations", "metadata.labels")
_SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['[^']+'\]$")
_AMOUNTS = ("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage")
_RESOURCES = (*_AMOUNTS, "requests.memory")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _handler(obj: Object, path: str, names: Sequence[str] = _HANDLERS) -> Causes:
    given = [name for name in names if obj.get(name) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 handler type")


def _container(container: Object, path: str) -> Causes:
    for name in ("livenessProbe", "startupProbe"):
        threshold = (container.get(name) or {}).get("successThreshold", 1)
        if threshold != 1:
            yield wrong(f"{path}.{name}.successThreshold", threshold, "must be 1")
    grace = (container.get("readinessProbe") or {}).get("terminationGracePeriodSeconds")
    if grace is not None:
        at = f"{path}.readinessProbe.terminationGracePeriodSeconds"
        yield wrong(at, grace, "must not be set for readinessProbes")
    names: set[str] = set()
    for i, port in enumerate(dicts_of(container.get("ports"))):
        if port.get("name") in names:
            yield duplicate(f"{path}.ports[{i}].name", port["name"])
        names |= {port["name"]} if port.get("name") else set()
    privileged = (container.get("securityContext") or {}).get("privileged") is True
    for i, mount in enumerate(dicts_of(container.get("volumeMounts"))):
        at = f"{path}.volumeMounts[{i}]"
        if mount.get("mountPropagation") == "Bidirectional" and not privileged:
            told = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden(f"{at}.mountPropagation", told)
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield wrong(f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")


def _env_source(source: Object, path: str) -> Causes:
    given = [name for name in _ENV_SOURCES if source.get(name) is not None]
    if not given:
        *most, last = (f"`{name}`" for name in _ENV_SOURCES)
        yield wrong(path, "", f"must specify one of: {', '.join(most)} or {last}")
    elif len(given) > 1:
        yield wrong(path, "", "may not have more than one field specified at a time")
    if source.get("fieldRef"):
        yield from _field_path(source["fieldRef"], f"{path}.fieldRef", _FIELDS_OF_ENV)
    if source.get("resourceFieldRef"):
        yield from _resource(source["resourceFieldRef"], f"{path}.resourceFieldRef", in_volume=False)


def _env_from(source: Object, path: str) -> Causes:
    given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
    if not given:
        yield wrong(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield wrong(path, "", "may not have more than one field specified at a time")


def _field_path(ref: Object, path: str, known: Sequence[str]) -> Causes:
    field = str(ref.get("fieldPath") or "")
    if field and field not in known and not _SUBSCRIPT.match(field):
        if field in (*_FIELDS_OF_ENV, *_FIELDS_OF_FILES):
            yield unsupported(f"{path}.fieldPath", field, sorted(known))
        else:
            yield wrong(f"{path}.fieldPath", field, f"error converting fieldPath: field label not supported: {field}")


def _resource(ref: Object, path: str, *, in_volume: bool) -> Causes:
    resource = str(ref.get("resource") or "")
    if in_volume and not ref.get("containerName"):
        yield required(f"{path}.containerName")
    if resource and resource not in _RESOURCES and ".hugepages-" not in resource:
        yield unsupported(f"{path}.resource", resource, _RESOURCES)
    divisor = ref.get("divisor")
    if divisor not in (None, "0", 0) and parse_millis(divisor) < 0:
        yield wrong(f"{path}.divisor", divisor, "must be greater than or equal to 0")


def _downward_file(file: Object, path: str) -> Causes:
    field, resource = file.get("fieldRef"), file.get("resourceFieldRef")
    if field is not None and resource is not None:
        yield wrong(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif field is not None:
        yield from _field_path(field, f"{path}.fieldRef", _FIELDS_OF_FILES)
    elif resource is not None:
        yield from _resource(resource, f"{path}.resourceFieldRef", in_volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")


def _projection(source: Object, path: str) -> Causes:
    given = [name for name in source if source.get(name) is not None]
    if not given:
        yield required(path, "projection type is required")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 volume type")


def _security(context: Object, path: str) -> Causes:
    if context.get("allowPrivilegeEscalation") is not False:
        return
    if context.get("privileged"):
        told = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield wrong(path, context, told)
    if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
        told = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        yield wrong(path, context, told)


def _profile(profile: Object, path: str, what: str) -> Causes:
    local = profile.get("localhostProfile")
    if profile.get("type") == "Localhost":
        if not local:
            yield required(f"{path}.localhostProfile", f"must be set when {what} type is Localhost")
        elif str(local).startswith("/") and what == "seccomp":
            yield wrong(f"{path}.localhostProfile", local, "must be a relative path")
    elif local is not None:
        yield wrong(f"{path}.localhostProfile", local, f"can only be set when {what} type is Localhost")


def _spread(constraint: Object, path: str) -> Causes:
    when, least = constraint.get("whenUnsatisfiable"), constraint.get("minDomains")
    if least is not None and when != "DoNotSchedule":
        told = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        yield wrong(f"{path}.minDomains", least, told)


def _requirement(need: Object, path: str) -> Causes:
    operator, values = need.get("operator"), need.get("values") or []
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if operator in ("Gt", "Lt") and len(values) != 1:
        yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")


def _weight(term: Object, path: str) -> Causes:
    if not 1 <= (term.get("weight") or 0) <= 100:
        yield wrong(f"{path}.weight", term.get("weight") or 0, "must be in the range 1-100")


def _pod(spec: Object, path: str) -> Causes:
    config = spec.get("dnsConfig") or {}
    if spec.get("dnsPolicy") == "None" and not config:
        yield required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")
    elif spec.get("dnsPolicy") == "None" and not config.get("nameservers"):
        told = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{path}.dnsConfig.nameservers", told)
    security = spec.get("securityContext") or {}
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        told = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield wrong(f"{path}.shareProcessNamespace", True, told)
    for i, sysctl in enumerate(dicts_of(security.get("sysctls"))):
        if sysctl.get("name") in [other.get("name") for other in dicts_of(security["sysctls"])[:i]]:
            yield duplicate(f"{path}.securityContext.sysctls[{i}].name", sysctl.get("name"))
    yield from _repeated(spec.get("schedulingGates"), f"{path}.schedulingGates", ("name",))
    yield from _repeated(spec.get("resourceClaims"), f"{path}.resourceClaims", ("name",))
    at = f"{path}.topologySpreadConstraints"
    yield from _repeated(spec.get("topologySpreadConstraints"), at, ("topologyKey", "whenUnsatisfiable"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        yield forbidden(f"{path}.nodeName", "cannot be set until all schedulingGates have been cleared")
    if spec.get("hostNetwork"):
        yield from _same_ports(spec, path)
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(dicts_of(spec.get(kind))):
            yield from _lives(container, f"{path}.{kind}[{i}]", is_first=kind == "initContainers")


def _repeated(items: object, path: str, names: Sequence[str]) -> Causes:
    seen: set[tuple[str, ...]] = set()
    for i, item in enumerate(dicts_of(items)):
        key = tuple(str(item.get(name, "")) for name in names)
        if key in seen:
            at = f"{path}[{i}]" if len(names) == 1 else f"{path}[{i}].{{{', '.join(names)}}}"
            shown = key[0] if len(key) == 1 else f"{{{', '.join(key)}}}"
            yield duplicate(at, shown)
        seen.add(key)


def _same_ports(spec: Object, path: str) -> Causes:
    for i, container in enumerate(dicts_of(spec.get("containers"))):
        for j, port in enumerate(dicts_of(container.get("ports"))):
            if port.get("hostPort") not in (None, 0, port.get("containerPort")):
                at = f"{path}.containers[{i}].ports[{j}].containerPort"
                yield wrong(at, port.get("containerPort"), "must match `hostPort` when `hostNetwork` is true")


def _lives(container: Object, path: str, *, is_first: bool) -> Causes:
    """What only containers that run on may have: init containers end, unless they restart always (sidecars)."""
    policy = container.get("restartPolicy")
    if is_first:
        if policy not in (None, "Always", "Never", "OnFailure"):
            yield unsupported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
        names = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
        for name in names if policy != "Always" else ():
            if container.get(name) is not None:
                yield forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")


POD_RELATIONS: dict[str, Callable[[Object, str], Causes]] = {
    "core.v1.PodSpec": _pod,
    "core.v1.Container": _container,
    "core.v1.EnvVarSource": _env_source,
    "core.v1.EnvFromSource": _env_from,
    "core.v1.Probe": _handler,
    "core.v1.LifecycleHandler": partial(_handler, names=("exec", "httpGet", "tcpSocket", "sleep")),
    "core.v1.SecurityContext": _security,
    "core.v1.SeccompProfile": partial(_profile, what="seccomp"),
    "core.v1.AppArmorProfile": partial(_profile, what="AppArmor"),
    "core.v1.TopologySpreadConstraint": _spread,
    "core.v1.NodeSelectorRequirement": _requirement,
    "core.v1.PreferredSchedulingTerm": _weight,
    "core.v1.WeightedPodAffinityTerm": _weight,
    "core.v1.DownwardAPIVolumeFile": _downward_file,
    "core.v1.VolumeProjection": _projection,
}
