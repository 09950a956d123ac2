"""`kubectl get pods`: STATUS tells of the most telling container, as kubernetes' printPod does."""

from __future__ import annotations

from actors.api.clock import Millis, parse_time
from actors.api.pod import ContainerState, ContainerStatus, Pod, StateTerminated
from actors.gateway.tables.table import AGE, NAME, NONE, Cell, Column, Printer, age, format_duration, wide

_TERMINAL = ("Succeeded", "Failed")


def _ended(state: StateTerminated) -> str:
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exit_code}"


def _initializing(pod: Pod) -> str | None:
    """The word for the first init container that has not done its work."""
    statuses = pod.status.init_container_statuses or ()
    for i, status in enumerate(statuses):
        ended, waiting = status.state.terminated, status.state.waiting
        if ended is not None and ended.exit_code == 0:
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        if waiting is not None and waiting.reason not in ("", "PodInitializing"):
            return f"Init:{waiting.reason}"
        return f"Init:{i}/{len(pod.spec.init_containers or statuses)}"
    return None


def _container_word(state: ContainerState) -> str | None:
    if state.waiting is not None and state.waiting.reason:
        return state.waiting.reason
    return _ended(state.terminated) if state.terminated is not None else None


def _is_serving(status: ContainerStatus) -> bool:
    return status.ready and status.state.running is not None


def _condition(pod: Pod, name: str) -> bool:
    return any(c.type == name and c.status == "True" for c in pod.status.conditions or ())


def _running_word(pod: Pod, word: str) -> str:
    """Of the first container that has something to tell."""
    statuses = pod.status.container_statuses or ()
    word = next((told for s in statuses if (told := _container_word(s.state))), word)
    if word == "Completed" and any(_is_serving(s) for s in statuses):
        return "Running" if _condition(pod, "Ready") else "NotReady"
    return word


def _is_gated(pod: Pod) -> bool:
    return any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in pod.status.conditions or ())


def status_word(pod: Pod) -> str:
    status = pod.status
    if pod.metadata.is_deleting and status.reason == "NodeLost":
        return "Unknown"
    if pod.metadata.is_deleting and status.phase not in _TERMINAL:
        return "Terminating"
    word = "SchedulingGated" if _is_gated(pod) else status.reason or status.phase
    initializing = None if _condition(pod, "Initialized") else _initializing(pod)
    return initializing or _running_word(pod, word)


def _restarts(pod: Pod, now: Millis) -> str:
    statuses = pod.status.container_statuses or ()
    if not _condition(pod, "Initialized") and _initializing(pod):
        statuses = pod.status.init_container_statuses or ()
    ended = [s.last_state.terminated for s in statuses]
    times = [parse_time(e.finished_at) for e in ended if e is not None and e.finished_at]
    count = sum(s.restart_count for s in statuses)
    return f"{count} ({format_duration(now - max(times))} ago)" if count and times else str(count)


def _gates(pod: Pod) -> str:
    gates = pod.spec.readiness_gates or ()
    met = sum(_condition(pod, gate.condition_type) for gate in gates)
    return f"{met}/{len(gates)}" if gates else NONE


def cells(pod: Pod, now: Millis) -> tuple[Cell, ...]:
    ready = sum(_is_serving(s) for s in pod.status.container_statuses or ())
    return (
        pod.metadata.name,
        f"{ready}/{len(pod.spec.containers)}",
        status_word(pod),
        _restarts(pod, now),
        age(pod, now),
        pod.status.pod_ip or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    )


COLUMNS = (
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column("Restarts", description="The number of times the containers in this pod have been restarted."),
    AGE,
    *wide("IP", "Node", "Nominated Node", "Readiness Gates"),
)
PRINTER = Printer(COLUMNS, Pod, cells)
