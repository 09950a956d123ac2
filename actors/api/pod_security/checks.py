"""The table of checks: which function decides at which version, which stands in for another, in Kubernetes' order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

from actors.api.codec import Object
from actors.api.pod_security import baseline, restricted
from actors.api.pod_security.policy import Level, Standard
from actors.api.pod_security.visit import Violation

__all__ = ["Violation", "describe", "find_violations"]

Decide = Callable[[Object, Object], Violation | None]


class _Check(NamedTuple):
    """`versions`: from which minor version on which function decides. `instead_of`: a baseline check that it covers."""

    id: str
    versions: tuple[tuple[int, Decide], ...]
    instead_of: str = ""


def _not_on_windows(decide: Decide) -> Decide:
    return lambda metadata, spec: None if restricted.is_windows(spec) else decide(metadata, spec)


def _not_with_own_users(decide: Decide) -> Decide:
    """KEP-127: root in a user namespace of the pod's own is no root."""
    return lambda metadata, spec: None if spec.get("hostUsers") is False else decide(metadata, spec)


_BASELINE = (
    _Check("appArmorProfile", ((0, baseline.app_armor_profile),)),
    _Check("capabilities_baseline", ((0, baseline.capabilities),)),
    _Check("hostNamespaces", ((0, baseline.host_namespaces),)),
    _Check("hostPathVolumes", ((0, baseline.host_path_volumes),)),
    _Check("hostPorts", ((0, baseline.host_ports),)),
    _Check("hostProbesAndHostLifecycle", ((34, baseline.host_probes),)),
    _Check("privileged", ((0, baseline.privileged),)),
    _Check("procMount", ((0, baseline.proc_mount), (35, baseline.proc_mount_1_35))),
    _Check("seLinuxOptions", ((0, baseline.selinux_1_0), (31, baseline.selinux_1_31))),
    _Check("seccompProfile_baseline", ((0, baseline.seccomp_1_0), (19, baseline.seccomp_1_19))),
    _Check("sysctls", tuple((minor, baseline.sysctls_since(minor)) for minor in (0, 27, 29, 32, 37))),
    _Check("windowsHostProcess", ((0, baseline.host_process),)),
)
_RESTRICTED = (
    _Check(
        "allowPrivilegeEscalation",
        (
            (8, restricted.allow_privilege_escalation),
            (25, _not_on_windows(restricted.allow_privilege_escalation)),
        ),
    ),
    _Check(
        "capabilities_restricted",
        ((22, restricted.capabilities), (25, _not_on_windows(restricted.capabilities))),
        "capabilities_baseline",
    ),
    _Check("procMount_restricted", ((35, baseline.proc_mount),), "procMount"),
    _Check("restrictedVolumes", ((0, restricted.restricted_volumes),), "hostPathVolumes"),
    _Check(
        "runAsNonRoot",
        ((0, restricted.run_as_non_root), (35, _not_with_own_users(restricted.run_as_non_root))),
    ),
    _Check("runAsUser", ((23, restricted.run_as_user), (35, _not_with_own_users(restricted.run_as_user)))),
    _Check(
        "seccompProfile_restricted",
        ((19, restricted.seccomp), (25, _not_on_windows(restricted.seccomp))),
        "seccompProfile_baseline",
    ),
)


@cache
def _checks(standard: Standard) -> tuple[Decide, ...]:
    asked = [(check, decide) for check in _RESTRICTED if (decide := _at(check, standard.minor)) is not None]
    if standard.level < Level.RESTRICTED:
        asked = []
    covered = {check.instead_of for check, _ in asked}
    wide = [decide for check in _BASELINE if check.id not in covered and (decide := _at(check, standard.minor))]
    return tuple([*wide, *(decide for _, decide in asked)] if standard.level else ())


def _at(check: _Check, minor: int) -> Decide | None:
    return next((decide for since, decide in reversed(check.versions) if since <= minor), None)


def find_violations(standard: Standard, metadata: Object, spec: Object) -> list[Violation]:
    """Everything that a pod (or a pod template) of that metadata and spec breaks."""
    return [found for decide in _checks(standard) if (found := decide(metadata, spec)) is not None]


def describe(violations: Iterable[Violation]) -> str:
    """For one pod: with the details."""
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in violations)
