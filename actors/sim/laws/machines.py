"""Laws seen at the machines, not in the store: what is started, where, how often, with which devices; and whether the
API tells the truth about how it ended.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.api.clock import Millis
from actors.api.pod import ContainerStatus as StatusLens
from actors.api.pod import Pod, StateTerminated
from actors.api.quantity import parse_millis
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus
from actors.sim.laws.law import Breach, Sight
from actors.sim.laws.pods import all_statuses

_PREFIX = "raypod://"
#: The second restart of a container and every later one waits so long, or longer.
_BACKOFF_MS: Millis = 10_000
_UNKNOWN = "ContainerStatusUnknown"


class _Run(msgspec.Struct):
    """One container, by its id: where it runs and how it ended. `sizes`: the CPU requests (millis) that it has had."""

    node: str
    pod_uid: str
    spec: ContainerSpec
    sizes: set[int] = set()
    finished_ms: Millis = 0
    exit_code: int | None = None
    lost: bool = False


class MachineLaws:
    """`pods` is every pod ever committed, by uid. Told of starts and exits as they happen."""

    def __init__(self, clock_has_jumped: Callable[[str], bool]) -> None:
        self._clock_has_jumped = clock_has_jumped
        self.pods: dict[str, Pod] = {}
        self._runs: dict[str, _Run] = {}
        self._last: dict[tuple[str, str], _Run] = {}
        self._died: set[str] = set()

    def name_of(self, pod_uid: str) -> str:
        pod = self.pods.get(pod_uid)
        return pod.metadata.name if pod else pod_uid

    # --- at the machine -------------------------------------------------------------------------------------------

    def changed(self, node: str, pod_uid: str, status: ContainerStatus) -> None:
        if status.state is ContainerState.RUNNING:
            self._started(node, pod_uid, status.spec, status.started_at_ms)
        elif status.state is ContainerState.EXITED:
            if status.spec.id not in self._runs:  # it could not be started: that, too, was an attempt
                self._started(node, pod_uid, status.spec, status.finished_at_ms)
            run = self._runs[status.spec.id]
            run.exit_code, run.finished_ms = status.exit_code, status.finished_at_ms

    def resized(self, status: ContainerStatus) -> None:
        """It may have been given another size just now."""
        run = self._runs.get(status.spec.id)
        if run is not None:
            run.spec = status.spec
            run.sizes.add(status.spec.resources.cpu_request_millis)

    def died(self, node: str) -> None:
        """The machine lost its power, and with it everything that ran."""
        self._died.add(node)
        for run in self._runs.values():
            run.lost = run.lost or run.node == node

    def _started(self, node: str, pod_uid: str, spec: ContainerSpec, now: Millis) -> None:
        pod = self.pods.get(pod_uid)
        what = f"{spec.name}#{spec.attempt} of {self.name_of(pod_uid)}"
        if pod is None:
            raise Breach(f"{node} starts {what}, a pod that never was")
        if pod.spec.node_name != node:
            raise Breach(f"{node} starts {what}, which is bound to {pod.spec.node_name!r}")
        before = self._last.get((pod_uid, spec.name))
        if before is not None and not before.lost:
            self._check_next(what, pod, before, spec)
            waits = spec.attempt >= 2 and before.spec.resources == spec.resources  # a new size needs a new start
            if waits and not self._clock_has_jumped(node) and now - before.finished_ms < _BACKOFF_MS:
                raise Breach(f"{what} is started {now - before.finished_ms} ms after #{before.spec.attempt} has ended")
        self._check_devices(node, what, spec)
        sizes = {spec.resources.cpu_request_millis}
        self._runs[spec.id] = self._last[pod_uid, spec.name] = _Run(node, pod_uid, spec, sizes)

    def _check_next(self, what: str, pod: Pod, before: _Run, spec: ContainerSpec) -> None:
        """After a run that nobody has lost. (Of what a power cut took nobody may know that it ever ran.)"""
        if before.exit_code is None:
            raise Breach(f"{what} is started while #{before.spec.attempt} runs")
        if spec.attempt <= before.spec.attempt:
            raise Breach(f"{what} follows #{before.spec.attempt}")
        if spec.name in {c.name for c in pod.spec.init_containers or ()}:
            return  # done again in a new sandbox
        if spec.name in {c.name for c in pod.spec.ephemeral_containers or ()}:
            raise Breach(f"{what} is started again, and it is ephemeral")
        if before.spec.resources != spec.resources:
            return
        if pod.spec.restart_policy == "Never":
            raise Breach(f"{what} is started again, with restartPolicy Never")
        if pod.spec.restart_policy == "OnFailure" and before.exit_code == 0:
            raise Breach(f"{what} is started again, with restartPolicy OnFailure after a success")

    def _check_devices(self, node: str, what: str, spec: ContainerSpec) -> None:
        mine = {device.path for device in spec.devices.nodes}
        for run in self._runs.values():
            if run.node == node and run.exit_code is None and not run.lost:
                shared = mine & {device.path for device in run.spec.devices.nodes}
                if shared:
                    raise Breach(f"{what} gets {sorted(shared)}, which {self.name_of(run.pod_uid)} uses")

    # --- in the store ---------------------------------------------------------------------------------------------

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if not isinstance(pod, Pod):
            return
        self.pods[pod.metadata.uid] = pod
        for status in pod.status.container_statuses or ():
            self._check_size(pod, status)
        for status in all_statuses(pod):
            for ended in (status.state.terminated, status.last_state.terminated):
                if ended is not None:
                    self._check_end(pod, status.name, ended)
        if pod.status.phase == "Succeeded":
            self._check_success(pod)

    def _check_end(self, pod: Pod, name: str, told: StateTerminated) -> None:
        """The exit code is the machine's, or unknown, and that only when the machine has lost it."""
        run = self._runs.get(told.container_id.removeprefix(_PREFIX))
        what = f"pod {pod.metadata.name}: container {name}"
        if run is None:
            if told.reason != _UNKNOWN:
                raise Breach(f"{what} never ran and is told to have ended with {told.exit_code} ({told.reason})")
        elif told.reason == _UNKNOWN:
            if not run.lost:
                raise Breach(f"{what} ended with {run.exit_code}, and its end is told to be unknown")
        elif told.exit_code != run.exit_code:
            raise Breach(f"{what} ended with {run.exit_code} and is told to have ended with {told.exit_code}")

    def _check_size(self, pod: Pod, status: StatusLens) -> None:
        """What a running container is told to have it has had: nothing is told before it is done."""
        run = self._runs.get(status.container_id.removeprefix(_PREFIX))
        if run is None or status.state.running is None or status.resources is None:
            return
        told = parse_millis((status.resources.requests or {}).get("cpu", 0))
        if told not in run.sizes:
            what = f"pod {pod.metadata.name}: container {status.name}"
            raise Breach(f"{what} is told to have {told} millis of CPU, and has had {sorted(run.sizes)}")

    def _check_success(self, pod: Pod) -> None:
        for container in pod.spec.containers:
            run = self._last.get((pod.metadata.uid, container.name))
            if run is None or run.exit_code != 0:
                raise Breach(f"pod {pod.metadata.name} succeeded, and {container.name} did not end with 0")

    def running_of(self, pod_uid: str) -> list[str]:
        """Names of the pod's containers that run somewhere."""
        runs = (run for run in self._runs.values() if run.pod_uid == pod_uid)
        return [run.spec.name for run in runs if run.exit_code is None and not run.lost]
