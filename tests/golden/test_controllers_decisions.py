"""What the controllers decide for whole objects, write by write: `tests/golden/controllers/*.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from corerig import Rig, finish, node

from actors.api.codec import Object
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.scheduler.core import SchedulerCore

FILES = Path(__file__).parent / "controllers"
POD_SPEC = {"containers": [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}]}


def deployment() -> Object:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": POD_SPEC}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def job() -> Object:
    spec = {
        "completions": 2,
        "parallelism": 2,
        "completionMode": "Indexed",
        "template": {"spec": POD_SPEC | {"restartPolicy": "Never"}},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": spec}


def impossible_job() -> Object:
    obj = job()
    obj["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "tape"}
    return obj


@pytest.mark.parametrize("make", [deployment, job, impossible_job])
def test_life(make: Any, golden: Any) -> None:
    """Created, run to the end where there is one, deleted; on one node."""
    rig = Rig(ControllersCore(all_controllers(ControllersConfig())), SchedulerCore())
    rig.create(node("n"))
    rig.settle()
    rig.writes.clear()
    rig.create(make())
    rig.settle()
    if make is job:
        for pod in rig.list("pods"):
            finish(rig, pod["metadata"]["name"])
        rig.settle()
    text = yaml.safe_dump_all([msgspec.to_builtins(write) for write in rig.writes], sort_keys=True, width=120)
    golden.check(FILES / f"{make.__name__}.yaml", text)
