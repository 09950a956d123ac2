"""Host names, /etc/hosts and kernel parameters of pods, by the kubelet's rules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.api.pod import Pod
from actors.nodelet.config import NodeletConfig
from actors.nodelet.configuration import ConfigMissing
from actors.nodelet.names import Names, derive_names
from actors.nodelet.sysctls import derive_sysctls, find_forbidden
from actors.nodelet.unsupported import uses_apparmor


def make(**spec: Any) -> Pod:
    return msgspec.convert({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}, Pod)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, Names("p")),
        ({"hostname": "h"}, Names("h")),
        ({"hostname": "h", "subdomain": "s"}, Names("h", ("h.s.ns.svc.cluster.local", "h"))),
        (
            {"subdomain": "s", "setHostnameAsFQDN": True},
            Names("p.s.ns.svc.cluster.local", ("p.s.ns.svc.cluster.local", "p")),
        ),
        ({"setHostnameAsFQDN": True}, Names("p")),
        ({"hostname": "h", "subdomain": "s", "hostnameOverride": "other.example"}, Names("other.example")),
    ],
)
def test_host_names(spec: dict[str, Any], names: Names) -> None:
    assert derive_names(make(**spec), "cluster.local") == names


def test_a_full_name_that_the_kernel_does_not_take() -> None:
    pod = make(hostname="h" * 30, subdomain="s" * 30, setHostnameAsFQDN=True)
    with pytest.raises(ConfigMissing, match=r"is too long \(64 characters is the max, 82 characters requested\)"):
        derive_names(pod, "cluster.local")
    without = make(hostname="h" * 30, subdomain="s" * 30)
    assert derive_names(without, "cluster.local").kernel == "h" * 30


def sysctls(*names: str, **spec: Any) -> Pod:
    return make(securityContext={"sysctls": [{"name": name, "value": "1"} for name in names]}, **spec)


@pytest.mark.parametrize(
    ("pod", "allowed", "why"),
    [
        (sysctls("net.ipv4.tcp_syncookies", "kernel/shm_rmid_forced"), (), ""),
        (sysctls("kernel.msgmax"), (), 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (sysctls("kernel.msgmax"), ("kernel.msg*",), ""),
        (sysctls("vm.swappiness"), ("kernel.msg*",), 'forbidden sysctl: "vm.swappiness" not allowlisted'),
        (
            sysctls("net.ipv4.tcp_syncookies", hostNetwork=True),
            (),
            'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
        ),
        (
            sysctls("kernel.shm_rmid_forced", hostIPC=True),
            (),
            'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
        ),
    ],
)
def test_sysctls_of_the_pods_own_namespaces_alone(pod: Pod, allowed: tuple[str, ...], why: str) -> None:
    assert find_forbidden(pod, allowed) == why


def test_both_separators_name_the_same_parameter() -> None:
    written = derive_sysctls(sysctls("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/proxy_arp"))
    assert list(written) == ["net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/proxy_arp"]


def test_an_operator_cannot_allow_what_is_the_nodes_own() -> None:
    with pytest.raises(ValueError, match=r"allowed_unsafe_sysctls: vm\.\*, kernel\.panic not known to be namespaced"):
        NodeletConfig(allowed_unsafe_sysctls=("net.core.*", "vm.*", "kernel.panic"))


@pytest.mark.parametrize(("kind", "used"), [("Unconfined", False), ("RuntimeDefault", True), ("Localhost", True)])
def test_apparmor(kind: str, used: bool) -> None:
    context = {"securityContext": {"appArmorProfile": {"type": kind}}}
    assert uses_apparmor({"spec": {"containers": [{"name": "a", **context}]}}) is used
    assert uses_apparmor({"spec": {"containers": [{"name": "a"}], **context}}) is used
