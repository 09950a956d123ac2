"""What users of the simulated cluster write: pods, jobs and all that keeps pods running, drawn from a seed.

A container's behaviour is in its environment: SIM_RUN_MS (how long it runs, -1: for ever), SIM_EXIT (its code),
SIM_START (127: there is no such command), SIM_STUBBORN (only SIGKILL ends it).
"""

from __future__ import annotations

import random
from typing import Any

from actors.api.codec import Object
from actors.api.pod import GPU
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import ContainerSpec

IMAGE = "sim:1"
#: No registry has it.
MISSING_IMAGE = "missing:1"

__all__ = ["FOREVER", "IMAGE", "MISSING_IMAGE"]


def script_of(spec: ContainerSpec) -> Script:
    """What the fake runtime lets a container do."""
    return Script(
        run_ms=int(spec.env.get("SIM_RUN_MS", FOREVER)),
        exit_code=int(spec.env.get("SIM_EXIT", "0")),
        start_error=int(spec.env.get("SIM_START", "0")),
        ignores_stop=spec.env.get("SIM_STUBBORN") == "1",
    )


def container(random_: random.Random, run_ms: int, exit_code: int = 0, name: str = "main", **more: int) -> Object:
    limits: dict[str, str] = {"cpu": f"{random_.choice((100, 500, 1000))}m", "memory": f"{random_.choice((64, 512))}Mi"}
    if random_.random() < 0.2:
        limits[GPU] = random_.choice(("1", "2"))
    told = {"SIM_RUN_MS": run_ms, "SIM_EXIT": exit_code, **more}
    env = [{"name": key, "value": str(value)} for key, value in told.items()]
    return {"name": name, "image": IMAGE, "env": env, "resources": {"limits": limits}}


def _serving(name: str, random_: random.Random) -> Object:
    """A template of pods that run for ever."""
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": [container(random_, FOREVER)]},
    }


def stateful_set(name: str, replicas: int, random_: random.Random) -> Object:
    spec: Object = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "serviceName": name}
    spec |= {"template": _serving(name, random_)}
    spec["podManagementPolicy"] = random_.choice(("OrderedReady", "OrderedReady", "Parallel"))
    if most := random_.choice((None, None, 2, "50%")):
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": most}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def daemon_set(name: str, random_: random.Random) -> Object:
    """Mostly small, for it is everywhere; a big one waits where there is no room."""
    template = _serving(name, random_)
    cpu = random_.choice(("100m", "100m", "1500m"))
    template["spec"]["containers"][0]["resources"] = {"limits": {"cpu": cpu, "memory": "64Mi"}}
    spec: Object = {"selector": {"matchLabels": {"app": name}}, "template": template}
    rolling = random_.choice(({"maxUnavailable": 1}, {"maxUnavailable": "50%"}, {"maxUnavailable": 0, "maxSurge": 1}))
    spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}


def replication_controller(name: str, replicas: int, random_: random.Random) -> Object:
    spec: Object = {"replicas": replicas, "selector": {"app": name}, "template": _serving(name, random_)}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, replicas: int, random_: random.Random) -> Object:
    template = _serving(name, random_)
    spec: Object = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    if random_.random() < 0.3:
        spec["strategy"] = {"type": "Recreate"}
    elif random_.random() < 0.5:
        surge = random_.choice((0, 1, "50%"))
        spec["strategy"] = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": random_.choice((1, "50%"))}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(name: str, random_: random.Random, exit_code: int) -> Object:
    completions = random_.randint(1, 4)
    policy = random_.choice(("Never", "Never", "OnFailure"))
    pod = {"restartPolicy": policy, "containers": [container(random_, random_.randint(50, 5_000), exit_code)]}
    spec: Object = {
        "completions": completions,
        "parallelism": random_.randint(1, completions),
        "completionMode": random_.choice(("Indexed", "NonIndexed")),
        "backoffLimit": random_.choice((0, 1, 2)),
        "podReplacementPolicy": random_.choice(("TerminatingOrFailed", "Failed")),
        "template": {"spec": pod},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def pod(name: str, random_: random.Random) -> Object:
    """Of every sort; finalizers, configuration and volumes are added by who asks for them."""
    run_ms = random_.choice((FOREVER, 100, 2_000))
    main = container(random_, run_ms, random_.choice((0, 0, 1)), SIM_STUBBORN=random_.choice((0, 0, 1)))
    spec: Object = {
        "restartPolicy": random_.choice(("Always", "OnFailure", "Never")),
        "terminationGracePeriodSeconds": random_.choice((0, 1, 5)),
        "containers": [main],
    }
    _vary(spec, main, random_)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _vary(spec: Object, main: dict[str, Any], random_: random.Random) -> None:
    dice = random_.random()
    if dice < 0.1:
        main["env"].append({"name": "SIM_START", "value": "127"})
    elif dice < 0.2:
        spec["initContainers"] = [container(random_, 300, random_.choice((0, 0, 1)), name="init")]
    elif dice < 0.3:
        spec["containers"].append(container(random_, random_.choice((FOREVER, 500)), name="second"))
    elif dice < 0.35:
        spec["activeDeadlineSeconds"] = random_.choice((1, 5))
    elif dice < 0.4:
        key, impatient = "node.kubernetes.io/unreachable", {"effect": "NoExecute", "tolerationSeconds": 3}
        spec["tolerations"] = [{"key": key, "operator": "Exists", **impatient}]
    elif dice < 0.45:
        main["image"] = MISSING_IMAGE
    elif dice < 0.5:
        main["ports"] = [{"containerPort": 80, "hostPort": 8080}]
