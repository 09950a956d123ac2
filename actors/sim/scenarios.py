"""What users do to a simulated cluster, drawn from the seed: deployments, jobs and pods come, change and go.

A container's behaviour is in its environment: SIM_RUN_MS (how long it runs, -1: for ever) and SIM_EXIT (its code).
"""

from __future__ import annotations

import random
from typing import Any

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.pod import GPU
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import ContainerSpec
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite

NAMESPACE = "default"


def script_of(spec: ContainerSpec) -> Script:
    """What the fake runtime lets a container do."""
    return Script(run_ms=int(spec.env.get("SIM_RUN_MS", FOREVER)), exit_code=int(spec.env.get("SIM_EXIT", "0")))


def container(random_: random.Random, run_ms: int, exit_code: int = 0) -> Object:
    limits: dict[str, str] = {"cpu": f"{random_.choice((100, 500, 1000))}m", "memory": f"{random_.choice((64, 512))}Mi"}
    if random_.random() < 0.25:
        limits[GPU] = random_.choice(("1", "2"))
    env = [{"name": "SIM_RUN_MS", "value": str(run_ms)}, {"name": "SIM_EXIT", "value": str(exit_code)}]
    return {"name": "main", "image": "sim:1", "env": env, "resources": {"limits": limits}}


def deployment(name: str, replicas: int, random_: random.Random) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container(random_, FOREVER)]}}
    spec: Object = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    if random_.random() < 0.3:
        spec["strategy"] = {"type": "Recreate"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(name: str, random_: random.Random) -> Object:
    completions = random_.randint(1, 4)
    run_ms = random_.randint(50, 5000)
    exit_code = 0 if random_.random() < 0.8 else random_.randint(1, 3)
    pod = {"restartPolicy": "Never", "containers": [container(random_, run_ms, exit_code)]}
    spec: Object = {
        "completions": completions,
        "parallelism": random_.randint(1, completions),
        "completionMode": random_.choice(("Indexed", "NonIndexed")),
        "backoffLimit": random_.choice((0, 1, 2)),
        "template": {"spec": pod},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def pod(name: str, random_: random.Random) -> Object:
    policy = random_.choice(("Always", "OnFailure", "Never"))
    run_ms = random_.choice((FOREVER, 100, 2000))
    spec: Object = {
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": random_.choice((0, 1, 5)),
        "containers": [container(random_, run_ms, random_.choice((0, 0, 1)))],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class User:
    """Draws the next wish. `wanted` is what must be true in the end: name -> replicas of each Deployment."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"user/{seed}")
        self._count = 0
        self.wanted: dict[str, int] = {}
        self.jobs: set[str] = set()
        self.pods: set[str] = set()

    def next_write(self) -> StoreWrite:
        wishes: list[Any] = [self._create_deployment, self._create_job, self._create_job, self._create_pod]
        wishes += [self._scale, self._roll_out, self._delete_deployment] if self.wanted else []
        wishes += [self._delete_job] if self.jobs else []
        wishes += [self._delete_pod, self._delete_pod] if self.pods else []
        write: StoreWrite = self._random.choice(wishes)()
        return write

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count}"

    def _create_deployment(self) -> StoreWrite:
        name, replicas = self._name("web"), self._random.randint(0, 4)
        self.wanted[name] = replicas
        made = deployment(name, replicas, self._random)
        return Create(resource="deployments.apps", namespace=NAMESPACE, object=made)

    def _create_job(self) -> StoreWrite:
        name = self._name("job")
        self.jobs.add(name)
        return Create(resource="jobs.batch", namespace=NAMESPACE, object=job(name, self._random))

    def _create_pod(self) -> StoreWrite:
        name = self._name("pod")
        self.pods.add(name)
        return Create(resource="pods", namespace=NAMESPACE, object=pod(name, self._random))

    def _deployment_key(self) -> Key:
        return Key("deployments.apps", NAMESPACE, self._random.choice(sorted(self.wanted)))

    def _scale(self) -> StoreWrite:
        key, replicas = self._deployment_key(), self._random.randint(0, 5)
        self.wanted[key.name] = replicas
        return Patch(key=key, patch={"spec": {"replicas": replicas}})

    def _roll_out(self) -> StoreWrite:
        self._count += 1
        note = {"annotations": {"sim/version": str(self._count)}}
        return Patch(key=self._deployment_key(), patch={"spec": {"template": {"metadata": note}}})

    def _delete_deployment(self) -> StoreWrite:
        key = self._deployment_key()
        del self.wanted[key.name]
        return Delete(key=key)

    def _delete_job(self) -> StoreWrite:
        name = self._random.choice(sorted(self.jobs))
        self.jobs.discard(name)
        return Delete(key=Key("jobs.batch", NAMESPACE, name))

    def _delete_pod(self) -> StoreWrite:
        name = self._random.choice(sorted(self.pods))
        self.pods.discard(name)
        return Delete(key=Key("pods", NAMESPACE, name))
