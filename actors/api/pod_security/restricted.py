"""Restricted: a pod gives up what it does not need. A check is `(metadata, spec) -> Violation`."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.pod_security.baseline import seccomp_1_19
from actors.api.pod_security.visit import (
    Violation,
    containers,
    context_of,
    named,
    names_where,
    plural,
    quoted,
    setters,
    value_in,
)

_VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
        "secret",
    }
)
_KNOWN_VOLUMES = frozenset(
    {
        *("hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd"),
        *("flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk"),
        *("photonPersistentDisk", "portworxVolume", "scaleIO", "storageos"),
    }
)


def is_windows(spec: Object) -> bool:
    return bool(value_in(spec, "os", "name") == "windows")


def allow_privilege_escalation(metadata: Object, spec: Object) -> Violation | None:
    names = names_where(spec, lambda container: context_of(container).get("allowPrivilegeEscalation") is not False)
    detail = f"{named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail) if names else None


def capabilities(metadata: Object, spec: Object) -> Violation | None:
    def part(container: Object, name: str) -> list[str]:
        return value_in(context_of(container), "capabilities", name) or []

    def added(container: Object) -> set[str]:
        return set(part(container, "add")) - {"NET_BIND_SERVICE"}

    keeping, adding = names_where(spec, lambda c: "ALL" not in part(c, "drop")), names_where(spec, added)
    wrong = sorted({name for container in containers(spec) for name in added(container)})
    told = [f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        told.append(f"{named(adding)} must not include {quoted(wrong)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(told)) if told else None


def restricted_volumes(metadata: Object, spec: Object) -> Violation | None:
    bad = [volume for volume in spec.get("volumes") or () if not _VOLUMES & volume.keys()]
    kinds = sorted({next(iter(sorted(_KNOWN_VOLUMES & volume.keys())), "unknown") for volume in bad})
    names = [volume["name"] for volume in bad]
    verb, word = plural("uses", len(names), "use"), plural("restricted volume type", len(kinds))
    detail = f"{plural('volume', len(names))} {quoted(names)} {verb} {word} {quoted(kinds)}"
    return Violation("restricted volume types", detail) if bad else None


def run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    def says(part: Object) -> Any:
        return context_of(part).get("runAsNonRoot")

    who = setters(says(spec) is False, names_where(spec, lambda container: says(container) is False))
    if who:
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [] if says(spec) else names_where(spec, lambda container: says(container) is None)
    detail = f"pod or {named(silent)} must set securityContext.runAsNonRoot=true"
    return Violation("runAsNonRoot != true", detail) if silent else None


def run_as_user(metadata: Object, spec: Object) -> Violation | None:
    def is_root(part: Object) -> bool:
        return context_of(part).get("runAsUser") == 0

    who = setters(is_root(spec), names_where(spec, is_root))
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp(metadata: Object, spec: Object) -> Violation | None:
    """One must be named, for the pod or for each of its containers."""

    def says(part: Object) -> bool:
        return context_of(part).get("seccompProfile") is not None

    if (found := seccomp_1_19(metadata, spec)) is not None:
        return found
    silent = [] if says(spec) else names_where(spec, lambda container: not says(container))
    detail = f'pod or {named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", detail) if silent else None
