"""Baseline: what is known to let a pod out of its place is forbidden. A check is `(metadata, spec) -> Violation`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
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

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost")
_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
        *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_HANDLERS = (
    *(("livenessProbe",), ("readinessProbe",), ("startupProbe",)),
    *(("lifecycle", "postStart"), ("lifecycle", "preStop")),
)


def app_armor_profile(metadata: Object, spec: Object) -> Violation | None:
    found = [(value_in(context_of(part), "appArmorProfile", "type"), part) for part in (spec, *containers(spec))]
    bad = [(profile, part) for profile, part in found if profile is not None and profile not in _PROFILES]
    annotations = sorted(
        f'{name}="{value}"'
        for name, value in (metadata.get("annotations") or {}).items()
        if name.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    values = [*sorted({profile for profile, _ in bad}), *annotations]
    if not values:
        return None
    who = setters(any(part is spec for _, part in bad), [part["name"] for _, part in bad if part is not spec])
    told = " and ".join(filter(None, (who, plural("annotation", len(annotations)) if annotations else "")))
    reason = plural("forbidden AppArmor profile", len(values))
    return Violation(reason, f"{told} must not set AppArmor profile type to {_joined(values)}")


def _joined(values: list[str]) -> str:
    """Quotation marks within are left as they are."""
    return '"' + '", "'.join(values) + '"'


def capabilities(metadata: Object, spec: Object) -> Violation | None:
    def added(container: Object) -> set[str]:
        return set(value_in(context_of(container), "capabilities", "add") or ()) - _CAPABILITIES

    names, wrong = names_where(spec, added), {name for container in containers(spec) for name in added(container)}
    detail = f"{named(names)} must not include {quoted(sorted(wrong))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail) if names else None


def host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def host_path_volumes(metadata: Object, spec: Object) -> Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{plural('volume', len(names))} {quoted(names)}") if names else None


def host_ports(metadata: Object, spec: Object) -> Violation | None:
    def published(container: Object) -> set[str]:
        return {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}

    names = names_where(spec, published)
    ports = sorted({port for container in containers(spec) for port in published(container)})
    verb, word = plural("uses", len(names), "use"), plural("hostPort", len(ports))
    return Violation("hostPort", f"{named(names)} {verb} {word} {', '.join(ports)}") if names else None


def host_probes(metadata: Object, spec: Object) -> Violation | None:
    def asked(container: Object) -> set[str]:
        return set(_hosts(container))

    names = sorted(set(names_where(spec, asked)))
    hosts = sorted({host for container in containers(spec) for host in asked(container)})
    verb, word = plural("uses", len(names), "use"), plural("probe or lifecycle host", len(hosts))
    return Violation("probe or lifecycle host", f"{named(names)} {verb} {word} {quoted(hosts)}") if names else None


def _hosts(container: Object) -> Iterator[str]:
    for path in _HANDLERS:
        for way in ("httpGet", "tcpSocket"):
            if host := value_in(container, *path, way, "host"):
                yield host


def host_process(metadata: Object, spec: Object) -> Violation | None:
    def asks(part: Object) -> bool:
        return value_in(context_of(part), "windowsOptions", "hostProcess") is True

    who = setters(asks(spec), names_where(spec, asks))
    return (
        Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None
    )


def privileged(metadata: Object, spec: Object) -> Violation | None:
    names = names_where(spec, lambda container: context_of(container).get("privileged"))
    return Violation("privileged", f"{named(names)} must not set securityContext.privileged=true") if names else None


def proc_mount(metadata: Object, spec: Object) -> Violation | None:
    def mount(container: Object) -> Any:
        found = context_of(container).get("procMount")
        return found if found != "Default" else None

    names = names_where(spec, mount)
    kinds = sorted({found for container in containers(spec) if (found := mount(container))})
    return (
        Violation("procMount", f"{named(names)} must not set securityContext.procMount to {quoted(kinds)}")
        if names
        else None
    )


def proc_mount_1_35(metadata: Object, spec: Object) -> Violation | None:
    """A pod with users of its own may see its /proc as it is (KEP-127)."""
    return None if spec.get("hostUsers") is False else proc_mount(metadata, spec)


def selinux_1_0(metadata: Object, spec: Object) -> Violation | None:
    return _selinux(spec, ("", "container_t", "container_init_t", "container_kvm_t"))


def selinux_1_31(metadata: Object, spec: Object) -> Violation | None:
    return _selinux(spec, ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))


def _selinux(spec: Object, allowed: tuple[str, ...]) -> Violation | None:
    def options(part: Object) -> Object:
        return context_of(part).get("seLinuxOptions") or {}

    def is_bad(part: Object) -> bool:
        found = options(part)
        return found.get("type", "") not in allowed or bool(found.get("user") or found.get("role"))

    who = setters(is_bad(spec), names_where(spec, is_bad))
    if not who:
        return None
    found = [options(part) for part in (spec, *containers(spec))]
    types = sorted({row.get("type", "") for row in found} - set(allowed))
    told = [f"{plural('type', len(types))} {quoted(types)}"] if types else []
    told += [f"{name} may not be set" for name in ("user", "role") if any(row.get(name) for row in found)]
    return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}")


def seccomp_1_0(metadata: Object, spec: Object) -> Violation | None:
    annotations = metadata.get("annotations") or {}
    asked = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + container["name"] for container in containers(spec))]
    bad = sorted({f'{name}="{annotations[name]}"' for name in asked if not _is_profile(annotations.get(name))})
    return Violation("seccompProfile", f"forbidden {plural('annotation', len(bad))} {', '.join(bad)}") if bad else None


def _is_profile(value: str | None) -> bool:
    return value is None or value in ("runtime/default", "docker/default") or value.startswith("localhost/")


def seccomp_1_19(metadata: Object, spec: Object) -> Violation | None:
    def profile(part: Object) -> Any:
        found = context_of(part).get("seccompProfile")
        return found.get("type", "") if found is not None else None

    def is_bad(part: Object) -> bool:
        return profile(part) not in (None, *_PROFILES)

    who = setters(is_bad(spec), names_where(spec, is_bad))
    values = sorted({profile(part) for part in (spec, *containers(spec)) if is_bad(part)})
    detail = f"{who} must not set securityContext.seccompProfile.type to {quoted(values)}"
    return Violation("seccompProfile", detail) if who else None


_SYSCTLS = {
    "kernel.shm_rmid_forced": 0,
    "net.ipv4.ip_local_port_range": 0,
    "net.ipv4.tcp_syncookies": 0,
    "net.ipv4.ping_group_range": 0,
    "net.ipv4.ip_unprivileged_port_start": 0,
    "net.ipv4.ip_local_reserved_ports": 27,
    "net.ipv4.tcp_keepalive_time": 29,
    "net.ipv4.tcp_fin_timeout": 29,
    "net.ipv4.tcp_keepalive_intvl": 29,
    "net.ipv4.tcp_keepalive_probes": 29,
    "net.ipv4.tcp_rmem": 32,
    "net.ipv4.tcp_wmem": 32,
    "net.ipv4.tcp_slow_start_after_idle": 37,
    "net.ipv4.tcp_notsent_lowat": 37,
}


def sysctls_since(minor: int) -> Any:
    """The check of that version: each sysctl is safe from a version on."""

    def sysctls(metadata: Object, spec: Object) -> Violation | None:
        rows = context_of(spec).get("sysctls") or ()
        names = [row["name"] for row in rows if _SYSCTLS.get(row["name"], minor + 1) > minor]
        return Violation(plural("forbidden sysctl", len(names)), ", ".join(names)) if names else None

    return sysctls
