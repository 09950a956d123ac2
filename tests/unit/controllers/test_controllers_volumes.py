"""Claims and volumes that are deleted: gone at once when nobody uses them, later when somebody does."""

from __future__ import annotations

import pytest
from corerig import Rig, pod

from actors.api.key import Key
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.controllers.volume_protection import protect_claim, protect_volume

CLAIM, VOLUME = Key("persistentvolumeclaims", "default", "c"), Key("persistentvolumes", "", "v")


@pytest.fixture
def rig() -> Rig:
    rig = Rig(ControllersCore([protect_claim, protect_volume]))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    rig.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec})
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    rig.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": spec})
    rig.settle()
    return rig


def user(rig: Rig, name: str, *, is_bound: bool) -> None:
    obj = pod(name)
    obj["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    rig.create(obj)
    if is_bound:
        rig.patch(Key("pods", "default", name), {"spec": {"nodeName": "n"}}, "binding")


def test_what_nobody_uses_goes(rig: Rig) -> None:
    user(rig, "waiting", is_bound=False)
    rig.delete(CLAIM)
    rig.delete(VOLUME)
    rig.settle()
    assert rig.get(*CLAIM[::2]) is None and rig.list("persistentvolumes") == []


def test_a_claim_waits_for_the_pod_that_uses_it(rig: Rig) -> None:
    user(rig, "p", is_bound=True)
    rig.delete(CLAIM)
    rig.settle()
    assert rig.get(*CLAIM[::2])["metadata"]["deletionTimestamp"]
    rig.patch(Key("pods", "default", "p"), {"status": {"phase": "Succeeded"}}, "status")
    rig.settle()
    assert rig.get(*CLAIM[::2]) is None


def test_a_volume_waits_until_it_is_released(rig: Rig) -> None:
    rig.patch(VOLUME, {"status": {"phase": "Bound"}}, "status")
    rig.delete(VOLUME)
    rig.settle()
    assert rig.list("persistentvolumes")
    rig.patch(VOLUME, {"status": {"phase": "Released"}}, "status")
    rig.settle()
    assert rig.list("persistentvolumes") == []


def test_a_namespace_with_claims_quotas_and_limits_can_go() -> None:
    rig = Rig(ControllersCore(all_controllers(ControllersConfig())))
    rig.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    rig.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec}, "team")
    hard = {"persistentvolumeclaims": "1", "resourcequotas": "1", "count/limitranges": "1"}
    rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}, "team")
    limits = [{"type": "Container", "max": {"cpu": "1"}}]
    rig.create(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}}, "team"
    )
    rig.settle()
    rig.delete(Key("namespaces", "", "team"))
    rig.advance(10_000)
    assert "team" not in [ns["metadata"]["name"] for ns in rig.list("namespaces")]
