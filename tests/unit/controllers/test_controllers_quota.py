"""What is told of a quota's bounds is what they are, soon after somebody has told otherwise."""

from __future__ import annotations

from corerig import Rig, pod

from actors.api.key import Key
from actors.controllers.core import ControllersCore
from actors.controllers.resource_quota import reconcile

QUOTA = Key("resourcequotas", "default", "q")


def test_bounds_are_put_right_and_what_is_used_stays() -> None:
    rig = Rig(ControllersCore([reconcile]))
    spec = {"hard": {"pods": "5", "secrets": "2"}}
    made = rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec})
    rig.create(pod("p"))
    rig.settle()
    rig.patch(QUOTA, {"status": {"hard": {"pods": "9", "cpu": "1", "secrets": None}, "used": None}}, "status")
    rig.settle()
    status = rig.get("resourcequotas", "q")["status"]
    assert status["hard"] == spec["hard"] == made["status"]["hard"]
    assert status["used"] == {"pods": "1", "secrets": "0"}
