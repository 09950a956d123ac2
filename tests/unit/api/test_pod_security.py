"""The Pod Security Standards: each control refuses what it must and lets the rest through, from its version on, in
Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.codec import Object
from actors.api.pod_security import Level, Policy, Standard, describe, find_violations, parse_standard, read_policy

#: What restricted lets through.
MODEST: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec_of(*contexts: Object | None, **more: Any) -> Object:
    rows = [{"name": f"c{n}", **({"securityContext": c} if c is not None else {})} for n, c in enumerate(contexts)]
    return {"containers": rows, **more}


def told(standard: str, spec: Object, annotations: dict[str, str] | None = None) -> str:
    level, _, version = standard.partition(":")
    found = find_violations(parse_standard(level, version or "latest"), {"annotations": annotations or {}}, spec)
    return describe(found)


def container(**fields: Any) -> Object:
    return {"containers": [{"name": "c", **fields}]}


def test_a_bare_pod_is_baseline_and_not_restricted() -> None:
    assert told("baseline", spec_of(None)) == "" and told("privileged", spec_of({"privileged": True})) == ""
    assert told("restricted", spec_of(None)) == (
        'allowPrivilegeEscalation != false (container "c0" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "c0" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c0" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c0" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )


def test_a_modest_pod_is_restricted() -> None:
    assert told("restricted", spec_of(MODEST, MODEST)) == ""
    pod_wide = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost", "localhostProfile": "p"}}
    modest = {name: MODEST[name] for name in ("allowPrivilegeEscalation", "capabilities")}
    assert told("restricted", spec_of(modest, securityContext=pod_wide)) == ""


def test_all_controls_speak_baseline_first_by_name() -> None:
    spec = spec_of(
        {**MODEST, "privileged": True},
        {**MODEST, "privileged": True},
        hostNetwork=True,
        hostPID=True,
        hostIPC=True,
        volumes=[{"name": "v", "hostPath": {"path": "/"}}],
    )
    assert told("restricted", spec) == (
        "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true), "
        'privileged (containers "c0", "c1" must not set securityContext.privileged=true), '
        'restricted volume types (volume "v" uses restricted volume type "hostPath")'
    )
    assert 'hostPath volumes (volume "v")' in told("baseline", spec)


def test_init_and_ephemeral_containers_count() -> None:
    bad = {"securityContext": {"privileged": True}}
    spec = {
        "initContainers": [{"name": "i", **bad}],
        "containers": [{"name": "c"}],
        "ephemeralContainers": [{"name": "e", **bad}],
    }
    assert told("baseline", spec) == 'privileged (containers "i", "e" must not set securityContext.privileged=true)'


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            container(ports=[{"hostPort": 80}, {"hostPort": 443}, {"containerPort": 1}]),
            'hostPort (container "c" uses hostPorts 443, 80)',
        ),
        (
            container(securityContext={"capabilities": {"add": ["CHOWN", "NET_RAW", "SYS_ADMIN"]}}),
            'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        (
            container(
                livenessProbe={"httpGet": {"host": "h", "port": 1}}, lifecycle={"preStop": {"tcpSocket": {"host": "g"}}}
            ),
            'probe or lifecycle host (container "c" uses probe or lifecycle hosts "g", "h")',
        ),
        (
            container(securityContext={"procMount": "Unmasked"}),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            {**container(), "securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}},
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
        ),
        (
            {
                **container(securityContext={"seccompProfile": {"type": "Unconfined"}}),
                "securityContext": {"seccompProfile": {"type": "Unconfined"}},
            },
            'seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {**container(), "securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}},
            "forbidden sysctl (kernel.msgmax)",
        ),
        (
            container(securityContext={"windowsOptions": {"hostProcess": True}}),
            'hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
        (
            container(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
        ),
    ],
)
def test_each_baseline_control(spec: Object, expected: str) -> None:
    assert told("baseline", spec) == expected


@pytest.mark.parametrize(
    ("context", "pod", "expected"),
    [
        (
            {"runAsNonRoot": False},
            {},
            'runAsNonRoot != true (container "c0" must not set securityContext.runAsNonRoot=false)',
        ),
        ({}, {"runAsUser": 0}, "runAsUser=0 (pod must not set runAsUser=0)"),
        (
            {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN"]}},
            {},
            'unrestricted capabilities (container "c0" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}, {}, ""),
    ],
)
def test_each_restricted_control(context: Object, pod: Object, expected: str) -> None:
    assert told("restricted", spec_of({**MODEST, **context}, securityContext=pod)) == expected


def test_annotations_of_old_count() -> None:
    armor = {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}
    assert "forbidden AppArmor profile (annotation must not set" in told("baseline", container(), armor)
    assert told("baseline", container(), {next(iter(armor)): "localhost/x"}) == ""
    old = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert 'forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined"' in told(
        "baseline:v1.18", container(), old
    )
    assert told("baseline:v1.19", container(), old) == ""


def test_a_version_brings_what_it_knew() -> None:
    probe = container(readinessProbe={"tcpSocket": {"host": "h", "port": 1}})
    assert told("baseline:v1.33", probe) == "" and told("baseline:v1.34", probe)
    buffers = {**container(), "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}
    assert told("baseline:v1.31", buffers) and not told("baseline:v1.32", buffers)
    engine = {**container(), "securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}
    assert told("baseline:v1.30", engine) and not told("baseline:v1.31", engine)
    assert "capabilities" not in told("restricted:v1.21", spec_of(None))
    assert told("restricted:v1.7", spec_of({"runAsNonRoot": True})) == ""
    assert told("restricted:v1.99", spec_of(None)) == told("restricted", spec_of(None))


def test_users_of_its_own_and_windows_are_let_more() -> None:
    own_users = spec_of({**MODEST, "runAsNonRoot": False, "runAsUser": 0, "procMount": "Unmasked"}, hostUsers=False)
    assert told("baseline", own_users) == "" and told("baseline:v1.34", own_users).startswith("procMount")
    assert told("restricted", own_users).startswith("procMount") and "runAs" not in told("restricted", own_users)
    assert "runAsUser=0" in told("restricted:v1.34", own_users)
    windows = spec_of({"runAsNonRoot": True}, os={"name": "windows"})
    assert told("restricted", windows) == "" and told("restricted:v1.24", windows)


def test_labels_over_defaults_and_what_is_wrong_with_them() -> None:
    defaults = Policy(enforce=Standard(Level.BASELINE, 30))
    assert read_policy({"a": "b"}, defaults) == (defaults, [])
    policy, causes = read_policy({"pod-security.kubernetes.io/warn": "restricted"}, defaults)
    assert (str(policy.enforce), str(policy.warn), causes) == ("baseline:v1.30", "restricted:latest", [])
    wrong = {
        "pod-security.kubernetes.io/enforce": "strict",
        "pod-security.kubernetes.io/warn": "all",
        "pod-security.kubernetes.io/enforce-version": "1.30",
    }
    policy, causes = read_policy(wrong, Policy())
    assert (str(policy.enforce), str(policy.warn)) == ("restricted:latest", "privileged:latest")
    assert [cause.message for cause in causes] == [
        'Invalid value: "strict": must be one of privileged, baseline, restricted',
        'Invalid value: "1.30": must be "latest" or "v1.x"',
        'Invalid value: "all": must be one of privileged, baseline, restricted',
    ]
