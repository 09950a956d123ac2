from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.api.pod import Container, Pod, PodSecurityContext, SecurityContext
from actors.nodelet.config import NodeletConfig
from actors.nodelet.configuration import ConfigMissing
from actors.nodelet.facts import NodeFacts
from actors.nodelet.mounting import derive_mounts
from actors.nodelet.names import derive_hosts, derive_resolv_conf
from actors.nodelet.resources import derive_allocatable, derive_capacity, format_amounts, pod_requests
from actors.nodelet.spec import NodeView, derive_resources, derive_sandbox_spec, derive_security
from actors.nodelet.status import derive_qos_class
from actors.nodelet.unsupported import refused_fields, reported_fields
from actors.plugins.device.port import Device
from actors.plugins.runtime.port import Mount

FACTS = NodeFacts(address="10.0.0.1", hostname="machine", cpu_millis=4_000, memory_bytes=8 << 30)


def make(**spec: Any) -> Pod:
    metadata = {"name": "p" * 70, "namespace": "default", "uid": "u"}
    return msgspec.convert({"metadata": metadata, "spec": {"containers": [{"name": "main"}], **spec}}, Pod)


def container(**fields: Any) -> Container:
    return msgspec.convert({"name": "main", **fields}, Container)


def test_sandbox_spec() -> None:
    pod = make(containers=[{"name": "m", "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]}])
    spec = derive_sandbox_spec(pod, 2, NodeView("n1", NodeletConfig(), FACTS))
    assert spec.attempt == 2
    assert spec.hostname == "p" * 63
    assert [(port.host_port, port.container_port) for port in spec.ports] == [(8080, 80)]
    again = derive_sandbox_spec(pod, 2, NodeView("n1", NodeletConfig(), FACTS))
    assert again.id == spec.id != derive_sandbox_spec(pod, 3, NodeView("n1", NodeletConfig(), FACTS)).id


def test_host_network_takes_the_hosts_name_and_no_ports() -> None:
    pod = make(hostNetwork=True, containers=[{"name": "m", "ports": [{"containerPort": 80, "hostPort": 80}]}])
    spec = derive_sandbox_spec(pod, 0, NodeView("n1", NodeletConfig(), FACTS))
    assert (spec.hostname, spec.ports, spec.etc_hosts) == ("machine", (), "")


def test_resolv_conf_by_policy() -> None:
    host = "nameserver 10.0.0.53\nsearch corp\n"
    extra = {"nameservers": ["1.2.3.4"], "searches": ["x.y"], "options": [{"name": "ndots", "value": "2"}]}
    assert derive_resolv_conf(make(), host) == host
    alone = derive_resolv_conf(make(dnsPolicy="None", dnsConfig=extra), host)
    assert alone == "search x.y\nnameserver 1.2.3.4\noptions ndots:2\n"
    both = derive_resolv_conf(make(dnsConfig=extra), host + "options ndots:5 rotate\n")
    words = [set(line.split()) for line in both.splitlines()]
    assert words[0] == {"search", "corp", "x.y"}, "a second search line would replace the first"
    assert both.splitlines()[1:3] == ["nameserver 10.0.0.53", "nameserver 1.2.3.4"]
    assert words[3] == {"options", "ndots:2", "rotate"}


def test_host_aliases() -> None:
    text = derive_hosts(make(hostAliases=[{"ip": "10.9.9.9", "hostnames": ["db", "db.local"]}]))
    assert "127.0.0.1\tlocalhost\n" in text
    assert text.endswith("10.9.9.9\tdb\tdb.local\n")


def test_mounts() -> None:
    pod = make(volumes=[{"name": "c", "configMap": {"name": "x"}}, {"name": "d", "emptyDir": {}}])
    mounts = [
        {"name": "c", "mountPath": "/c", "subPathExpr": "$(FILE)"},
        {"name": "c", "mountPath": "/e", "subPath": "$(FILE)"},
        {"name": "d", "mountPath": "/d"},
        {"name": "d", "mountPath": "/r", "readOnly": True},
    ]
    derived = derive_mounts(pod, container(volumeMounts=mounts), {"c": "/v/c", "d": "/v/d"}, {"FILE": "f"})
    assert derived == (
        Mount("/v/c", "/c", True, sub_path="f"),
        Mount("/v/c", "/e", True, sub_path="$(FILE)"),
        Mount("/v/d", "/d", False),
        Mount("/v/d", "/r", True),
    )


def test_an_expression_with_an_unknown_variable_names_it() -> None:
    mount = {"name": "c", "mountPath": "/c", "subPathExpr": "a/$(NOPE)"}
    with pytest.raises(ConfigMissing, match=r'subPathExpr "a/\$\(NOPE\)": missing value for "NOPE"'):
        derive_mounts(make(), container(volumeMounts=[mount]), {"c": "/v/c"}, {})


@pytest.mark.parametrize("path", ["/", "//", "/a/..", ".", "./"])
def test_nothing_is_mounted_over_the_containers_root(path: str) -> None:
    mount = {"name": "v0", "mountPath": path}
    with pytest.raises(ConfigMissing, match=r'volumeMounts: the mountPath ".*" of "v0" is the container.s own root'):
        derive_mounts(make(), container(volumeMounts=[mount]), {"v0": "/v"}, {})


@pytest.mark.parametrize("sub_path", ["../x", "/etc", "a/../../b"])
def test_a_sub_path_never_leads_out(sub_path: str) -> None:
    mount = {"name": "c", "mountPath": "/c", "subPath": sub_path}
    with pytest.raises(ConfigMissing, match="SubPath"):
        derive_mounts(make(), container(volumeMounts=[mount]), {"c": "/v/c"}, {})
    smuggled = {"name": "c", "mountPath": "/c", "subPathExpr": "$(X)"}
    with pytest.raises(ConfigMissing, match="SubPath"):
        derive_mounts(make(), container(volumeMounts=[smuggled]), {"c": "/v/c"}, {"X": sub_path})


def test_a_limit_is_the_request_when_there_is_none() -> None:
    derived = derive_resources(container(resources={"limits": {"cpu": "2", "memory": "1Gi"}}), 100)
    assert (derived.cpu_request_millis, derived.cpu_limit_millis) == (2_000, 2_000)
    assert (derived.memory_limit_bytes, derived.pids_max) == (1 << 30, 100)
    assert derive_resources(container(), 100).memory_limit_bytes == 0


def test_the_containers_security_context_wins() -> None:
    pod = msgspec.convert(
        {"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True, "fsGroup": 3, "supplementalGroups": [4]},
        PodSecurityContext,
    )
    inner = msgspec.convert(
        {
            "runAsUser": 9,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["CAP_net_admin"], "drop": ["ALL"]},
            "seccompProfile": {"type": "Unconfined"},
        },
        SecurityContext,
    )
    derived = derive_security(pod, inner)
    assert (derived.uid, derived.gid, derived.groups) == (9, 2, (4, 3))
    assert derived.no_new_privileges and not derived.run_as_non_root
    assert (derived.capabilities_add, derived.capabilities_drop) == (("NET_ADMIN",), ("ALL",))
    assert derived.seccomp == "Unconfined"
    assert derive_security(None, None).seccomp == "RuntimeDefault"


def test_a_pod_needs_its_peak() -> None:
    cpu = lambda amount: {"resources": {"requests": {"cpu": amount}}}  # noqa: E731
    pod = make(
        containers=[{"name": "a", **cpu("1")}, {"name": "b", **cpu("500m")}],
        initContainers=[{"name": "i", **cpu("3")}, {"name": "s", "restartPolicy": "Always", **cpu("250m")}],
        overhead={"cpu": "10m"},
    )
    assert pod_requests(pod) == {"cpu": 3_010, "pods": 1}
    late = make(
        containers=[{"name": "a", **cpu("1")}],
        initContainers=[{"name": "s", "restartPolicy": "Always", **cpu("1")}, {"name": "i", **cpu("3")}],
    )
    assert pod_requests(late)["cpu"] == 4_000, "the sidecar is up while the init container runs"


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
    ],
)
def test_qos_class(resources: dict[str, Any], qos: str) -> None:
    assert derive_qos_class(make(containers=[{"name": "m", "resources": resources}])) == qos


def test_capacity_and_allocatable() -> None:
    devices = tuple(Device(id=f"g{i}", resource="nvidia.com/gpu", healthy=i > 0) for i in range(3))
    facts = msgspec.structs.replace(FACTS, devices=devices)
    config = NodeletConfig(cpu_reserved_millis=500, memory_reserved_bytes=1 << 30, pods_max=10)
    assert format_amounts(derive_capacity(facts, config))["nvidia.com/gpu"] == "3"
    allocatable = format_amounts(derive_allocatable(facts, config))
    assert allocatable == {
        "cpu": "3500m",
        "ephemeral-storage": "0",
        "memory": f"{7 << 20}Ki",
        "nvidia.com/gpu": "2",
        "pods": "10",
    }


def test_fields_that_nobody_carries_out() -> None:
    pod = {
        "spec": {
            "hostUsers": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "a",
                    "livenessProbe": {"exec": {}},
                    "lifecycle": {"preStop": {}},
                    "securityContext": {"procMount": "Unmasked"},
                }
            ],
            "initContainers": [{"name": "i", "tty": True, "stdin": True, "startupProbe": {"exec": {}}}],
            "volumes": [
                {"name": "e", "emptyDir": {}},
                {"name": "c", "configMap": {"name": "x"}},
                {"name": "n", "nfs": {"server": "x"}},
                {"name": "p", "projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}},
            ],
        }
    }
    assert refused_fields(pod) == [
        "spec.containers[0].securityContext.procMount",
        "spec.hostUsers",
        "spec.volumes[2].nfs",
        "spec.volumes[3].projected.sources[0].clusterTrustBundle",
    ]
    assert reported_fields(pod) == [
        "spec.containers[0].lifecycle",
        "spec.containers[0].livenessProbe",
        "spec.initContainers[0].startupProbe",
    ]
    assert refused_fields({"spec": {"hostUsers": True, "shareProcessNamespace": False}}) == []
