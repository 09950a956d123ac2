"""What the participants believe must be what the store says, once everybody has heard everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.api.key import Key
from actors.api.pod import Pod
from actors.controllers.core import ControllersCore
from actors.scheduler.core import SchedulerCore
from actors.sim.laws.nodes import devices_of
from actors.sim.rest.look import Look


def find_untrue(look: Look, scheduler: SchedulerCore, controllers: ControllersCore) -> Iterator[str]:
    yield from _view(look, controllers)
    yield from _ledger(look, scheduler)


def _view(look: Look, controllers: ControllersCore) -> Iterator[str]:
    known = {key: obj.metadata.revision for key in sorted(controllers.view.keys()) if (obj := controllers.view.at(key))}
    wanted = {key: stored.revision for key, stored in look.stored.items() if not is_heartbeat(key)}
    for key in sorted({**known, **wanted}):
        if not is_heartbeat(key) and known.get(key) != wanted.get(key):
            yield f"the controllers know {key} at {known.get(key)}, it is at {wanted.get(key)}"


def is_heartbeat(key: Key) -> bool:
    """These change all the time."""
    return key.resource in ("leases.coordination.k8s.io", "nodes", "events")


def _ledger(look: Look, scheduler: SchedulerCore) -> Iterator[str]:
    """What the scheduler counts as taken on each node, against the pods that are there."""
    nodes = scheduler.cache.nodes
    for name, row in nodes.rows.items():
        used = look.used_on(name)
        for resource, column in nodes.columns.items():
            taken = int(nodes.requested[row, column])
            if taken != used[resource]:
                yield f"the scheduler counts {taken} {resource} as taken on {name}, it is {used[resource]}"
    loads = [(tracked.node, tracked.load.devices) for tracked in scheduler.cache.tracked()]
    charged = Counter((node, device) for node, devices in loads for ids in devices.values() for device in ids)
    bound = [pod for pod in look.all(Pod) if pod.spec.node_name and not pod.is_finished]
    held = Counter((pod.spec.node_name, device) for pod in bound for device in devices_of(pod))
    if charged != held:
        yield f"the scheduler holds other devices than the pods have: {sorted((charged - held) + (held - charged))}"
