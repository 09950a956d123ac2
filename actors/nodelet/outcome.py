"""What became of an operation, put into the pod's record, and what is to be said about it as Events. Pure.

Container states only move forward (created, running, exited), so a result that comes late or twice changes nothing.
"""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.nodelet.images import pull_policy_of
from actors.nodelet.operations import (
    CANCELLED,
    AllocateDevices,
    CheckImage,
    CreateContainer,
    Failure,
    FetchConfig,
    FetchTokens,
    Operation,
    PublishVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    Result,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    UnpublishVolumes,
    UpdateContainer,
)
from actors.nodelet.record import PodRecord, Refusal, Retry, every_container
from actors.plugins.device.port import DeviceEdits
from actors.plugins.image.port import Image
from actors.plugins.runtime.port import ContainerState, ContainerStatus, Sandbox, SandboxState
from actors.reconcile.backoff import Backoff

#: How long a failed slot is left alone; kubelet's for images, quicker for what users repair meanwhile.
_BACKOFFS = {
    "image": Backoff(first_ms=10_000, most_ms=300_000),
    "config": Backoff(first_ms=1_000, most_ms=15_000),
    "create": Backoff(first_ms=1_000, most_ms=30_000),
    "tokens": Backoff(first_ms=500, most_ms=60_000),
    "volumes": Backoff(first_ms=500, most_ms=120_000),
}
_BACKOFF = Backoff(first_ms=500, most_ms=30_000)
#: A failure that trying again cannot cure is looked at again this rarely.
HOPELESS_MS = 300_000
_RANK = {
    ContainerState.CREATED: 0,
    ContainerState.UNKNOWN: 1,
    ContainerState.RUNNING: 1,
    ContainerState.EXITED: 2,
}
_FAILED_REASONS: dict[type[Operation], str] = {
    RunSandbox: "FailedCreatePodSandBox",
    FetchTokens: "FailedMount",
    PublishVolumes: "FailedMount",
    UnpublishVolumes: "FailedUnmount",
    UpdateContainer: "ResizeError",
    StopContainer: "FailedKillPod",
    StopSandbox: "FailedKillPod",
    RemoveSandbox: "FailedKillPod",
}


class Said(msgspec.Struct, frozen=True):
    """One Event to be."""

    type: str
    reason: str
    message: str


def begin(record: PodRecord, operation: Operation) -> list[Said]:
    """From here on it may have happened, whatever is heard of it."""
    match operation:
        case PublishVolumes():
            record.has_volumes = True
            return []
        case AllocateDevices(device_ids=ids):
            record.held |= frozenset(ids)
            return []
        case PullImage(reference=reference):
            return [Said("Normal", "Pulling", f'Pulling image "{reference}"')]
        case StopContainer(name=name):
            return [Said("Normal", "Killing", f"Stopping container {name}")]
        case _:
            return []


def absorb(record: PodRecord, operation: Operation, result: Result, now: Millis) -> list[Said]:
    """A result that is not a Failure."""
    match operation, result:
        case FetchConfig(keys=keys), dict():
            _absorb_config(record, {key: result.get(key) for key in keys}, now)
        case FetchTokens(), dict():
            record.tokens, record.volumes = dict(result), None
        case CheckImage(reference=reference), None:
            record.absent.add(reference)
        case CheckImage(reference=reference), Image():
            record.images[reference] = result
            return [Said("Normal", "Pulled", f'Container image "{reference}" already present on machine')]
        case PullImage(reference=reference), Image():
            record.images[reference] = result
            return [Said("Normal", "Pulled", f'Successfully pulled image "{reference}"')]
        case AllocateDevices(container=container), DeviceEdits():
            record.devices[container] = result
        case PublishVolumes(), dict():
            record.volumes = {str(name): str(path) for name, path in result.items()}
        case UnpublishVolumes(), _:
            record.has_volumes, record.volumes = False, None
        case RunSandbox(), Sandbox():
            _absorb_sandbox(record, result)
        case StopSandbox(sandbox_id=sandbox_id), _:
            _absorb_stop(record, sandbox_id)
        case RemoveSandbox(sandbox_id=sandbox_id), _:
            _absorb_removal(record, sandbox_id)
        case RemoveContainer(container_id=container_id), _:
            record.containers.pop(container_id, None)
            record.removed.add(container_id)
        case StopContainer(container_id=container_id), None:
            record.containers.pop(container_id, None)
        case ((CreateContainer() | StartContainer() | StopContainer() | UpdateContainer()), ContainerStatus()):
            absorb_container(record, result)
            return _say_container(operation, result)
    return []


def absorb_container(record: PodRecord, status: ContainerStatus) -> bool:
    """Did it tell something new?"""
    known = record.containers.get(status.spec.id)
    if status.spec.id in record.removed or known == status:
        return False
    if known is not None and _RANK[status.state] < _RANK[known.state]:
        return False
    if known is not None and known.state == ContainerState.EXITED:
        return False
    record.containers[status.spec.id] = status
    if status.state == ContainerState.EXITED and record.pod is not None:
        _forget_stale(record, status.spec.name)
    return True


def absorb_failure(record: PodRecord, operation: Operation, failure: Failure, now: Millis) -> list[Said]:
    """Left alone for a while, growing with each failure in a row. Devices that are not to be had end the pod."""
    slot = operation.slot
    record.retries[slot] = retry_after(slot, record.retries.get(slot), failure, now)
    if isinstance(operation, PullImage):
        record.absent.discard(operation.reference)
    if isinstance(operation, RunSandbox):
        record.doubtful.add(operation.spec.id)
    if isinstance(operation, AllocateDevices) and not failure.retryable:
        record.refusal = Refusal("UnexpectedAdmissionError", f"Pod was rejected: {failure.message}")
    if failure.reason == CANCELLED:
        return []
    reason = _FAILED_REASONS.get(type(operation), "Failed")
    said = [Said("Warning", reason, _sentence(operation, failure))]
    if isinstance(operation, PullImage):
        said.append(Said("Warning", "Failed", f"Error: {failure.reason}"))
    return said


def retry_after(slot: str, before: Retry | None, failure: Failure, now: Millis) -> Retry:
    failures = before.failures + 1 if before is not None else 1
    backoff = _BACKOFFS.get(slot.partition("/")[0], _BACKOFF)
    curable = failure.retryable or slot.startswith("image/")  # somebody may push or load it meanwhile
    delay_ms = backoff.delay_ms(failures) if curable else HOPELESS_MS
    return Retry(failure, failures, now, delay_ms)


def _absorb_config(record: PodRecord, config: dict[Key, Stored | None], now: Millis) -> None:
    """Changed contents are published again; files in volumes are replaced atomically."""
    if record.config is not None and _revisions(record.config) != _revisions(config):
        record.volumes = None
    record.config, record.config_ms, record.config_stale = config, now, False


def _absorb_sandbox(record: PodRecord, sandbox: Sandbox) -> None:
    """A late answer does not bring a stopped sandbox back. What failed in another may be tried at once in this one."""
    record.doubtful.discard(sandbox.spec.id)
    if sandbox.spec.id in record.stopped:
        sandbox = msgspec.structs.replace(sandbox, state=SandboxState.NOT_READY)
    if sandbox.spec.id not in record.sandboxes:
        record.retries = {s: retry for s, retry in record.retries.items() if not s.startswith(("create/", "start/"))}
    record.sandboxes[sandbox.spec.id] = sandbox


def _absorb_stop(record: PodRecord, sandbox_id: str) -> None:
    record.stopped.add(sandbox_id)
    sandbox = record.sandboxes.get(sandbox_id)
    if sandbox is not None:
        record.sandboxes[sandbox_id] = msgspec.structs.replace(sandbox, state=SandboxState.NOT_READY)


def _absorb_removal(record: PodRecord, sandbox_id: str) -> None:
    record.sandboxes.pop(sandbox_id, None)
    record.doubtful.discard(sandbox_id)
    for container_id in [c.spec.id for c in record.containers.values() if c.spec.sandbox_id == sandbox_id]:
        del record.containers[container_id]
        record.removed.add(container_id)


def _forget_stale(record: PodRecord, name: str) -> None:
    """Before its next run config is fetched again, and so is an image whose policy is Always."""
    record.config_stale = True
    for container in every_container(record.pod) if record.pod else ():
        if container.name == name and pull_policy_of(container) == "Always":
            record.images.pop(container.image, None)


def _say_container(operation: Operation, status: ContainerStatus) -> list[Said]:
    name = status.spec.name
    if isinstance(operation, CreateContainer):
        return [Said("Normal", "Created", f"Container created: {name}")]
    if not isinstance(operation, StartContainer):
        return []
    if status.reason == "StartError":
        return [Said("Warning", "Failed", f"Error: {status.message or 'the container could not be started'}")]
    return [Said("Normal", "Started", f"Container started: {name}")]


def _sentence(operation: Operation, failure: Failure) -> str:
    match operation:
        case PullImage(reference=reference) | CheckImage(reference=reference):
            return f'Failed to pull image "{reference}": {failure.message}'
        case RunSandbox():
            return f"Failed to create pod sandbox: {failure.message}"
        case CreateContainer() | StartContainer():
            return f"Error: {failure.message}"
        case UpdateContainer(name=name):
            return f"Pod resize error: container {name}: {failure.message}"
        case FetchTokens():
            return f"MountVolume.SetUp failed: failed to fetch token: {failure.message}"
        case _:
            return failure.message


def _revisions(config: dict[Key, Stored | None]) -> dict[Key, int]:
    return {key: stored.revision if stored is not None else 0 for key, stored in config.items()}
