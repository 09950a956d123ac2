"""Services get addresses and node ports from the one writer, in their own commit, and give them back."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, new_engine

from actors.api.codec import decode
from actors.api.key import Key
from actors.api.kinds import IP_ADDRESS, SERVICE, SERVICE_CIDR
from actors.reconcile.actions import Create, Delete, Patch, Update
from actors.reconcile.watch import Selection
from actors.store.config import StoreConfig

DUAL = StoreConfig(service_cidrs=("10.96.0.0/24", "fd00:10:96::/112"))
TINY = StoreConfig(service_cidrs=("10.9.0.0/29",), service_node_ports="30000-30003")


def desk(config: StoreConfig | None = None) -> Desk:
    made = Desk()
    if config is not None:
        made.engine = new_engine(config)
    return made


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}, **spec}}


def created(at: Desk, name: str = "web", **spec: Any) -> dict[str, Any]:
    reply = at.create("services", service(name, **spec))
    assert reply.error is None, reply.error
    return decode(reply.stored)  # type: ignore[arg-type]


def refused(at: Desk, name: str = "bad", **spec: Any) -> tuple[int, list[str], str]:
    error = at.create("services", service(name, **spec)).error
    assert error is not None
    causes = error.get("details", {}).get("causes", [])
    return error["code"], [cause["field"] for cause in causes], error["message"]


def held(at: Desk) -> dict[str, str]:
    """Every IPAddress and the Service it is of."""
    found = (decode(stored) for stored in at.engine.list(Selection((IP_ADDRESS.resource,))).items)
    return {obj["metadata"]["name"]: obj["spec"]["parentRef"]["name"] for obj in found}


def updated(at: Desk, obj: dict[str, Any], name: str = "web", **spec: Any) -> Any:
    changed = {**obj, "spec": {**obj["spec"], **spec}}
    changed["spec"] = {key: value for key, value in changed["spec"].items() if value is not None}
    return at.write(Update(key=Key(SERVICE.resource, "default", name), object=changed))


def test_a_service_gets_an_address_of_its_own_and_gives_it_back() -> None:
    at = desk()
    first, second = created(at, "a")["spec"], created(at, "b")["spec"]
    assert first["clusterIP"].startswith("10.96.") and first["clusterIPs"] == [first["clusterIP"]]
    assert (first["ipFamilies"], first["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert first["clusterIP"] != second["clusterIP"]
    assert held(at) == {"10.96.0.1": "kubernetes", first["clusterIP"]: "a", second["clusterIP"]: "b"}
    at.write(Delete(key=Key(SERVICE.resource, "default", "a")))
    assert held(at) == {"10.96.0.1": "kubernetes", second["clusterIP"]: "b"}
    assert created(at, "c", clusterIP=first["clusterIP"])["spec"]["clusterIP"] == first["clusterIP"]


def test_an_address_and_its_service_are_one_commit() -> None:
    at = desk()
    before = at.engine.revision
    writes = [
        Create(resource="services", namespace="default", object=service("a", clusterIP="10.96.0.9")),
        Create(resource="services", namespace="default", object=service("b", clusterIP="10.96.0.9")),
    ]
    good, bad = at.engine.commit(writes, at.now)
    assert good.error is None and bad.error is not None
    assert at.engine.revision == before + 2
    dry = Create(resource="services", namespace="default", object=service("c", clusterIP="10.96.0.10"), dry_run=True)
    assert at.write(dry).error is None
    assert "10.96.0.10" not in held(at)


@pytest.mark.parametrize(
    ("spec", "code", "fields", "words"),
    [
        ({"clusterIP": "10.96.0.1"}, 422, ["spec.clusterIPs"], "failed to allocate IP 10.96.0.1: provided IP is already allocated"),
        ({"clusterIP": "10.96.0.0"}, 422, ["spec.clusterIPs"], "the provided network does not match the current range"),
        ({"clusterIP": "1.2.3.4"}, 422, ["spec.clusterIPs"], 'Invalid value: ["1.2.3.4"]: failed to allocate IP 1.2.3.4'),
        ({"clusterIP": "nope"}, 422, ["spec.clusterIPs[0]"], "must be a valid IP address"),
        ({"clusterIP": "fd00::1"}, 422, ["spec.clusterIPs[0]"], "IPv6 is not configured on this cluster"),
        ({"ipFamilies": ["IPv6"]}, 422, ["spec.ipFamilies[0]"], "not configured on this cluster"),
        ({"ipFamilies": ["IPv5", "IPv4", "IPv4"]}, 422, ["spec.ipFamilies[0]", "spec.ipFamilies[2]"], "supported values"),
        ({"ipFamilyPolicy": "RequireDualStack"}, 422, ["spec.ipFamilyPolicy"], "this cluster is not configured for dual-stack services"),
        ({"clusterIPs": ["10.96.0.9"]}, 422, ["spec.clusterIPs"], "must be empty when `clusterIP` is not specified"),
        ({"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.9"}, 422, ["spec.clusterIPs"], "may not be set for ExternalName"),
        ({"type": "NodePort", "clusterIP": "None"}, 422, ["spec.clusterIPs[0]"], "may not be set to 'None' for NodePort services"),
        ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 99}]}, 422, ["spec.ports[0].nodePort"], "The range of valid ports is 30000-32767"),
        ({"externalTrafficPolicy": "Local"}, 422, ["spec.externalTrafficPolicy"], "externally-accessible"),
        ({"healthCheckNodePort": 30001}, 422, ["spec.healthCheckNodePort"], "may only be set when"),
        ({"loadBalancerClass": "a/b"}, 422, ["spec.loadBalancerClass"], "may only be used when `type` is 'LoadBalancer'"),
        ({"externalIPs": ["127.0.0.1"]}, 422, ["spec.externalIPs[0]"], "may not be in the loopback range"),
        ({"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]}, 422, ["spec.ports[1]"], 'Duplicate value: {"port":1,"protocol":"TCP"}'),
    ],
)  # fmt: skip
def test_what_a_cluster_cannot_give_is_refused(spec: dict[str, Any], code: int, fields: list[str], words: str) -> None:
    at = desk()
    before = at.engine.revision
    found = refused(at, **spec)
    assert found[:2] == (code, fields)
    assert words in found[2]
    assert at.engine.revision == before


def test_a_full_range_is_an_internal_error_and_takes_nothing() -> None:
    at = desk(TINY)
    names = [f"s{n}" for n in range(5)]
    given = {created(at, name)["spec"]["clusterIP"] for name in names}
    assert given == {f"10.9.0.{n}" for n in range(2, 7)}
    assert refused(at)[0::2] == (500, "failed to allocate a serviceIP: range is full")
    at.write(Delete(key=Key(SERVICE.resource, "default", "s3")))
    assert created(at, "again")["spec"]["clusterIP"] in given


def test_headless_and_external_names_hold_no_address() -> None:
    at = desk()
    headless = created(at, "headless", clusterIP="None")["spec"]
    assert (headless["clusterIPs"], headless["ipFamilies"], headless["ipFamilyPolicy"]) == (
        ["None"],
        ["IPv4"],
        "SingleStack",
    )
    bare = created(at, "bare", clusterIP="None", selector=None)["spec"]
    assert (bare["ipFamilies"], bare["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")
    other = created(at, "other", type="ExternalName", externalName="example.com.")["spec"]
    assert not other.keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"}
    assert held(at) == {"10.96.0.1": "kubernetes"}


def test_a_manifest_that_is_sent_again_changes_nothing() -> None:
    at = desk()
    made = created(at, type="NodePort")
    again = at.write(
        Update(
            key=Key(SERVICE.resource, "default", "web"),
            object={"kind": "Service", "apiVersion": "v1", **service(type="NodePort")},
        )
    )
    assert again.error is None and not again.changed
    assert decode(again.stored) == made  # type: ignore[arg-type]


def test_between_external_name_and_cluster_ip() -> None:
    at = desk()
    made = created(at)
    gone = updated(at, made, type="ExternalName", externalName="example.com")
    assert gone.error is None, gone.error
    spec = decode(gone.stored)["spec"]
    assert not spec.keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
    assert held(at) == {"10.96.0.1": "kubernetes"}
    back = updated(at, decode(gone.stored), type="NodePort", externalName=None)
    spec = decode(back.stored)["spec"]
    assert held(at) == {"10.96.0.1": "kubernetes", spec["clusterIP"]: "web"}
    assert 30_086 <= spec["ports"][0]["nodePort"] <= 32_767


def test_an_address_may_not_change() -> None:
    at = desk()
    made = created(at)
    error = updated(at, made, clusterIP="10.96.0.77").error
    assert [cause["field"] for cause in error["details"]["causes"]] == ["spec.clusterIPs[0]"]
    assert "may not change once set" in error["message"]
    assert "10.96.0.77" not in held(at)


def test_node_ports_are_one_services_and_come_back() -> None:
    at = desk(TINY)
    ports = [
        {"name": "t", "port": 53, "nodePort": 30001},
        {"name": "u", "port": 53, "protocol": "UDP"},
        {"name": "w", "port": 80},
    ]
    first = created(at, "dns", type="NodePort", ports=ports)["spec"]["ports"]
    assert first[0]["nodePort"] == first[1]["nodePort"] == 30001 != first[2]["nodePort"]
    assert refused(at, type="NodePort", ports=[{"port": 1, "nodePort": 30001}])[1:] == (
        ["spec.ports[0].nodePort"],
        'Service "bad" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated',
    )
    created(at, "more", type="NodePort", ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])
    assert refused(at, type="NodePort")[0::2] == (500, "failed to allocate a nodePort: range is full")
    assert "bad" not in held(at).values()
    old = decode(at.engine.get(Key(SERVICE.resource, "default", "dns")))
    reply = updated(at, old, "dns", type="ClusterIP")
    assert [port.get("nodePort") for port in decode(reply.stored)["spec"]["ports"]] == [None] * 3
    assert created(at, "next", type="NodePort")["spec"]["ports"][0]["nodePort"] in (30001, first[2]["nodePort"])


def test_a_load_balancer_may_do_without_node_ports_and_has_a_health_check() -> None:
    at = desk()
    plain = created(at, "plain", type="LoadBalancer", allocateLoadBalancerNodePorts=False)["spec"]
    assert "nodePort" not in plain["ports"][0] and plain["externalTrafficPolicy"] == "Cluster"
    local = created(at, "web", type="LoadBalancer", externalTrafficPolicy="Local")
    assert local["spec"]["healthCheckNodePort"] not in (0, local["spec"]["ports"][0]["nodePort"])
    shared = updated(at, local, externalTrafficPolicy="Cluster")
    assert "healthCheckNodePort" not in decode(shared.stored)["spec"]
    told = Patch(
        key=Key(SERVICE.resource, "default", "web"),
        patch={"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
        subresource="status",
    )
    reply = at.write(told)
    assert reply.error is None, reply.error
    assert decode(reply.stored)["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.1", "ipMode": "VIP"}]  # type: ignore[arg-type]
    inner = decode(updated(at, decode(reply.stored), type="ClusterIP").stored)  # type: ignore[arg-type]
    assert inner["status"]["loadBalancer"] == {}
    assert not inner["spec"].keys() & {"externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort"}


def test_two_families() -> None:
    at = desk(DUAL)
    single = created(at, "single")["spec"]
    assert single["ipFamilies"] == ["IPv4"] and len(single["clusterIPs"]) == 1
    both = created(at, "web", ipFamilyPolicy="PreferDualStack")
    assert both["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert [address[:4] for address in both["spec"]["clusterIPs"]] == ["10.9", "fd00"]
    assert set(both["spec"]["clusterIPs"]) <= held(at).keys()
    second = both["spec"]["clusterIPs"][1]
    fewer = updated(at, both, ipFamilyPolicy="SingleStack")
    assert decode(fewer.stored)["spec"]["clusterIPs"] == both["spec"]["clusterIPs"][:1]
    assert second not in held(at)
    more = updated(at, decode(fewer.stored), ipFamilyPolicy="RequireDualStack")
    assert len(decode(more.stored)["spec"]["clusterIPs"]) == 2
    error = updated(at, decode(more.stored), clusterIPs=both["spec"]["clusterIPs"][:1]).error
    assert {cause["field"] for cause in error["details"]["causes"]} == {"spec.ipFamilyPolicy"}
    six = created(at, "six", ipFamilies=["IPv6"])["spec"]
    assert six["clusterIP"].startswith("fd00:")
    assert refused(at, clusterIP="10.96.0.9", clusterIPs=["10.96.0.9", "10.96.0.8"], ipFamilyPolicy="PreferDualStack")[
        1
    ] == ["spec.clusterIPs"]


def test_the_address_of_a_service_is_not_anybodys_to_delete() -> None:
    at = desk()
    reply = at.write(Delete(key=Key(IP_ADDRESS.resource, "", "10.96.0.1")))
    assert reply.error is not None and reply.error["code"] == 403
    reserved = {
        "metadata": {"name": "10.96.0.50"},
        "spec": {"parentRef": {"group": "a.b", "resource": "foos", "name": "bar"}},
    }
    assert at.create(IP_ADDRESS.resource, reserved, namespace="").error is None
    assert "already allocated" in refused(at, clusterIP="10.96.0.50")[2]
    assert at.write(Delete(key=Key(IP_ADDRESS.resource, "", "10.96.0.50"))).error is None
    created(at, clusterIP="10.96.0.50")


def test_ranges_come_and_go() -> None:
    at = desk(TINY)
    for n in range(5):
        created(at, f"s{n}")
    key = Key(SERVICE_CIDR.resource, "", "more")
    made = at.create(
        SERVICE_CIDR.resource, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.10.0.0/24"]}}, namespace=""
    )
    assert decode(made.stored)["status"]["conditions"][0]["status"] == "True"  # type: ignore[arg-type]
    assert created(at)["spec"]["clusterIP"].startswith("10.10.0.")
    waiting = at.write(Delete(key=key))
    assert not waiting.removed
    assert decode(waiting.stored)["status"]["conditions"][0]["reason"] == "Terminating"  # type: ignore[arg-type]
    assert refused(at)[0] == 500
    at.write(Delete(key=Key(SERVICE.resource, "default", "web")))
    assert at.engine.log.find(key) is None


def test_an_unused_range_goes_at_once() -> None:
    at = desk()
    at.create(SERVICE_CIDR.resource, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.10.0.0/24"]}}, namespace="")
    assert at.write(Delete(key=Key(SERVICE_CIDR.resource, "", "more"))).removed


@pytest.mark.parametrize(
    "wrong",
    [{"service_cidrs": ()}, {"service_cidrs": ("10.96.0.1/16",)}, {"service_cidrs": ("10.0.0.0/24", "10.1.0.0/24")},
     {"service_cidrs": ("10.0.0.0/31",)}, {"service_node_ports": "5"}, {"service_node_ports": "9-5"}],
)  # fmt: skip
def test_a_configuration_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="service_"):
        StoreConfig(**wrong)
