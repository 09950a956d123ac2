"""What a calm day looks like, as `python -m actors.sim --seed N --trace` tells it: the lives of a pod, a job and a
deployment on one node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.sim import trouble
from actors.sim.faults import CALM
from actors.sim.trace import Trace
from actors.sim.world import SimConfig, World

FOLDER = Path(__file__).parent / "sim"


class Golden(Protocol):
    def check(self, path: Path, text: str) -> None: ...


def template(run_ms: int) -> dict[str, Any]:
    env = [{"name": "SIM_RUN_MS", "value": str(run_ms)}]
    return {"containers": [{"name": "main", "image": "sim:1", "env": env}]}


def create(resource: str, api_version: str, kind: str, name: str, spec: dict[str, Any]) -> Create:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    return Create(resource=resource, namespace="default", object=obj)


def write_down(*writes: tuple[int, StoreWrite]) -> str:
    """The history of a calm cluster whose users write this, at these times; without Events and revisions."""
    world = World(1, SimConfig(nodes=1, busy_ms=0, rates=CALM, trouble=trouble.NONE), Trace(None))
    for at_ms, write in writes:
        world.timeline.after(at_ms, lambda write=write: world.order(write))
    try:
        world.run()
    finally:
        world.close()
    told = (line for line in world.trace.lines if " events " not in line)
    return "\n".join(" ".join(w for w in line.split(" ") if not w.startswith("#")) for line in told) + "\n"


def test_the_life_of_a_job(golden: Golden) -> None:
    spec = {"completions": 2, "parallelism": 1, "template": {"spec": {"restartPolicy": "Never", **template(1_500)}}}
    golden.check(FOLDER / "job.txt", write_down((100, create("jobs.batch", "batch/v1", "Job", "train", spec))))


def test_the_life_of_a_deployment(golden: Golden) -> None:
    labels = {"app": "shop"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": template(-1)},
    }
    key = Key("deployments.apps", "default", "shop")
    told = write_down(
        (100, create("deployments.apps", "apps/v1", "Deployment", "shop", spec)),
        (2_000, Patch(key=key, patch={"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})),
        (4_000, Delete(key=key)),
    )
    golden.check(FOLDER / "deployment.txt", told)


def test_the_life_of_a_pod(golden: Golden) -> None:
    told = write_down(
        (100, create("pods", "v1", "Pod", "one", template(-1))), (2_000, Delete(key=Key("pods", "default", "one")))
    )
    golden.check(FOLDER / "pod.txt", told)
