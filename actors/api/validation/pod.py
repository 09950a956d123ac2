"""Pods and pod templates (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.quantity import parse_millis
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, is_int, required, unsupported, wrong
from actors.api.validation.metadata import validate_labels, validate_name, validate_qualified
from actors.api.validation.relations import JUDGE

_ENV_NAME = re.compile(r"[^=\x00-\x1f\x7f-\uffff]+$")
#: Of a container, what one that is put into a running pod may not have.
_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
_NOT_EPHEMERAL = (
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
)


def validate_pod(pod: Object) -> Causes:
    """A new one."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        yield required("spec")
        return
    yield from validate_pod_spec(spec, "spec")
    if spec.get("ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")


def validate_ephemeral(spec: Object, path: str) -> Causes:
    """The ephemeral containers of a pod's spec."""
    volumes = {str(volume.get("name")) for volume in dicts_of(spec.get("volumes"))}
    others = {c.get("name") for kind in ("initContainers", "containers") for c in dicts_of(spec.get(kind))}
    names = set(others)
    for i, container in enumerate(dicts_of(spec.get("ephemeralContainers"))):
        at = f"{path}.ephemeralContainers[{i}]"
        yield from _container(container, at, volumes)
        if container.get("name") in names:
            yield duplicate(f"{at}.name", container["name"])
        names.add(container.get("name"))
        target = container.get("targetContainerName")
        if target and target not in others:
            yield Cause(f"{at}.targetContainerName", f'Not found: "{target}"', "FieldValueNotFound")
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                yield forbidden(f"{at}.{field}", "cannot be set for an Ephemeral Container")
        for j, mount in enumerate(dicts_of(container.get("volumeMounts"))):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    yield forbidden(f"{at}.volumeMounts[{j}].{field}", "cannot be set for an Ephemeral Container")


def validate_pod_spec(
    spec: Object,
    path: str,
    restart_policies: Sequence[str] = ("Always", "OnFailure", "Never"),
    *,
    is_template: bool = False,
) -> Causes:
    """Of a pod or of a pod template."""
    if is_template and spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.ephemeralContainers", "ephemeral containers not allowed in pod template")
    containers = spec.get("containers")
    if not containers:
        yield required(f"{path}.containers")
    yield from JUDGE.part(spec, "core.v1.PodSpec", path)
    volumes = dicts_of(spec.get("volumes"))
    yield from _volumes(volumes, f"{path}.volumes")
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for i, container in enumerate(dicts_of(spec.get(kind))):
            at = f"{path}.{kind}[{i}]"
            yield from _container(container, at, {str(volume.get("name")) for volume in volumes})
            if container.get("name") in names:
                yield duplicate(f"{at}.name", container["name"])
            names.add(container.get("name", ""))
    if spec.get("restartPolicy") not in restart_policies:
        yield unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), restart_policies)
    for field in ("terminationGracePeriodSeconds", "activeDeadlineSeconds"):
        low = 1 if field == "activeDeadlineSeconds" else 0
        if spec.get(field) is not None and not is_int(spec[field], low, 2**62):
            yield wrong(f"{path}.{field}", spec[field], f"must be greater than or equal to {low}")
    yield from _host_ports(spec, path)
    yield from _tolerations(spec, path)
    if spec.get("hostname"):
        yield from validate_name(f"{path}.hostname", spec["hostname"], label=True)
    if spec.get("nodeName"):
        yield from validate_name(f"{path}.nodeName", spec["nodeName"])
    yield from validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")


def _volumes(volumes: list[Object], path: str) -> Causes:
    seen: set[str] = set()
    for i, volume in enumerate(volumes):
        name = volume.get("name")
        if not name:
            yield required(f"{path}[{i}].name")
        else:
            yield from validate_name(f"{path}[{i}].name", name, label=True)
        if name in seen:
            yield duplicate(f"{path}[{i}].name", name)
        seen.add(str(name))
        sources = [source for source in volume if source != "name"]
        if len(sources) > 1:
            yield forbidden(f"{path}[{i}].{sources[1]}", "may not specify more than 1 volume type")
        host_path = volume.get("hostPath")
        if isinstance(host_path, dict) and ".." in str(host_path.get("path")).split("/"):
            yield wrong(f"{path}[{i}].hostPath.path", host_path["path"], "must not contain '..'")


def _container(container: Object, path: str, volumes: set[str]) -> Causes:
    if not container.get("name"):
        yield required(f"{path}.name")
    else:
        yield from validate_name(f"{path}.name", container["name"], label=True)
    if not container.get("image"):
        yield required(f"{path}.image")
    elif str(container["image"]) != str(container["image"]).strip():
        yield wrong(f"{path}.image", container["image"], "must not have leading or trailing whitespace")
    policies = ("Always", "IfNotPresent", "Never")
    if container.get("imagePullPolicy") not in policies:
        yield unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), policies)
    yield from _resources(container.get("resources") or {}, f"{path}.resources")
    yield from _ports(dicts_of(container.get("ports")), f"{path}.ports")
    yield from _environment(dicts_of(container.get("env")), f"{path}.env")
    yield from _mounts(dicts_of(container.get("volumeMounts")), f"{path}.volumeMounts", volumes)


def _resources(resources: Object, path: str) -> Causes:
    amounts: dict[str, dict[str, int]] = {"limits": {}, "requests": {}}
    for section in ("limits", "requests"):
        for name, quantity in (resources.get(section) or {}).items():
            at = f"{path}.{section}[{name}]"
            if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
                yield wrong(at, name, "must be a standard resource for containers")
            try:
                amounts[section][name] = parse_millis(quantity)
            except ValueError as error:
                yield wrong(at, quantity, str(error))
                continue
            yield from _amount(name, quantity, amounts[section][name], at)
    for name, request in amounts["requests"].items():
        limit = amounts["limits"].get(name)
        if limit is not None and request > limit:
            shown = resources["requests"][name]
            yield wrong(
                f"{path}.requests", shown, f"must be less than or equal to {name} limit of {resources['limits'][name]}"
            )
        elif "/" in name and request != limit:
            yield wrong(
                f"{path}.requests",
                resources["requests"][name],
                f"must be equal to {name} limit: extended resources cannot be overcommitted",
            )


def _amount(name: str, quantity: Any, millis: int, path: str) -> Causes:
    yield from validate_qualified(path, name)
    if millis < 0:
        yield wrong(path, quantity, "must be greater than or equal to 0")
    if "/" in name and millis % 1000:
        yield wrong(path, quantity, "must be an integer")


def _ports(ports: list[Object], path: str) -> Causes:
    for i, port in enumerate(ports):
        if not is_int(port.get("containerPort"), 1, 65535):
            yield wrong(
                f"{path}[{i}].containerPort", port.get("containerPort"), "must be between 1 and 65535, inclusive"
            )
        if port.get("hostPort") is not None and not is_int(port["hostPort"], 0, 65535):
            yield wrong(f"{path}[{i}].hostPort", port["hostPort"], "must be between 1 and 65535, inclusive")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(f"{path}[{i}].protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


def _host_ports(spec: Object, path: str) -> Causes:
    seen: set[tuple[Any, ...]] = set()
    for i, container in enumerate(dicts_of(spec.get("containers"))):
        for j, port in enumerate(dicts_of(container.get("ports"))):
            claim = (port.get("hostPort"), port.get("protocol"), port.get("hostIP", ""))
            if claim[0] and claim in seen:
                yield duplicate(f"{path}.containers[{i}].ports[{j}].hostPort", claim[0])
            seen.add(claim)


def _environment(variables: list[Object], path: str) -> Causes:
    for i, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            yield required(f"{path}[{i}].name")
        elif not _ENV_NAME.match(str(name)):
            yield wrong(
                f"{path}[{i}].name",
                name,
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            )
        if variable.get("value") and variable.get("valueFrom"):
            yield wrong(f"{path}[{i}].valueFrom", "", "may not be specified when `value` is not empty")


def _mounts(mounts: list[Object], path: str, volumes: set[str]) -> Causes:
    seen: set[str] = set()
    for i, mount in enumerate(mounts):
        if not mount.get("name"):
            yield required(f"{path}[{i}].name")
        elif mount["name"] not in volumes:
            yield Cause(f"{path}[{i}].name", f'Not found: "{mount["name"]}"', "FieldValueNotFound")
        target = mount.get("mountPath")
        if not target:
            yield required(f"{path}[{i}].mountPath")
        elif target in seen:
            yield wrong(f"{path}[{i}].mountPath", target, "must be unique")
        seen.add(str(target))
        sub_path = str(mount.get("subPath") or "")
        if sub_path.startswith("/") or ".." in sub_path.split("/"):
            yield wrong(
                f"{path}[{i}].subPath",
                sub_path,
                "must be a relative path" if sub_path.startswith("/") else "must not contain '..'",
            )


def _tolerations(spec: Object, path: str) -> Causes:
    for i, toleration in enumerate(dicts_of(spec.get("tolerations"))):
        at = f"{path}.tolerations[{i}]"
        operator = toleration.get("operator") or "Equal"
        if operator not in ("Equal", "Exists"):
            yield unsupported(f"{at}.operator", operator, ("Equal", "Exists"))
        if operator == "Exists" and toleration.get("value"):
            yield wrong(f"{at}.operator", operator, "value must be empty when `operator` is 'Exists'")
        if not toleration.get("key") and operator != "Exists":
            yield wrong(
                f"{at}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
        if toleration.get("effect") and toleration["effect"] not in effects:
            yield unsupported(f"{at}.effect", toleration["effect"], effects)
        elif toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            rule = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield wrong(f"{at}.effect", toleration.get("effect") or "", rule)
