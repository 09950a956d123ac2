"""Desired against observed: what to do now for one pod, by its stage. Pure; yields operations, refusals to go on, and
the times at which there is more to do.

What does not depend on each other is asked for at once: images, devices, volumes and the sandbox of a new pod are made
ready in parallel, for the time from bind to running is what users feel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from actors.api.clock import Millis
from actors.api.codec import decode
from actors.api.pod import Container, Pod
from actors.nodelet.admission import device_ids
from actors.nodelet.attempts import Attempt, AttemptState, latest_attempt
from actors.nodelet.configuration import ConfigMissing, ConfigView, config_keys, pull_secrets
from actors.nodelet.images import pull_policy_of, select_auth
from actors.nodelet.lifecycle import (
    Stage,
    is_outdated,
    next_backoff_ms,
    pending_init,
    restart_at,
    restart_policy_of,
    restarts,
)
from actors.nodelet.operations import (
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
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    UpdateContainer,
)
from actors.nodelet.outcome import Said
from actors.nodelet.record import (
    PodRecord,
    all_containers,
    ephemeral_containers,
    every_container,
    init_containers,
    is_sidecar,
    main_containers,
)
from actors.nodelet.resize import RESOURCES_LABEL, actual_size, format_size, is_same, needs_restart, running_of
from actors.nodelet.service_tokens import renew_ms, token_requests
from actors.nodelet.spec import NodeView, derive_container_spec, derive_resources, derive_sandbox_spec
from actors.nodelet.termination import Stop, deadline_ms, derive_end, plan_cleanup, plan_stop
from actors.nodelet.unsupported import refused_ephemeral_fields
from actors.nodelet.volumes import volume_requests

#: Attempts of a container that are kept: the latest and the one before it (for `lastState`).
ATTEMPTS_KEPT = 2


class Blocked(msgspec.Struct, frozen=True):
    """This slot cannot go on: left alone for a while, like one whose operation failed."""

    slot: str
    failure: Failure


class Wake(msgspec.Struct, frozen=True):
    """Look again at `at_ms`, even when nothing happens."""

    at_ms: Millis


class Notice(msgspec.Struct, frozen=True):
    """To be said once per pod and `topic`."""

    topic: str
    said: Said


Step = Operation | Blocked | Wake | Notice


def derive_stage(record: PodRecord, stop: Stop | None) -> Stage:
    pod = record.pod
    if stop is not None or pod is None:
        return derive_end(record)
    if record.ready_sandbox is None:
        return Stage.PREPARING
    if next(pending_init(record, pod), None) is not None:
        return Stage.INITIALIZING
    started = any(latest_attempt(record, container.name) for container in main_containers(pod))
    return Stage.RUNNING if started or init_containers(pod) else Stage.PREPARING


def plan_pod(record: PodRecord, stage: Stage, stop: Stop | None, node: NodeView, now: Millis) -> Iterator[Step]:
    """All that could be done now; the core leaves out what is under way or must wait after a failure."""
    if stop is not None:
        if stage == Stage.STOPPING:
            yield from plan_stop(record, stop)
        elif stage == Stage.CLEANING:
            yield from plan_cleanup(record)
    elif record.pod is not None:
        for plan in _PLANS:
            yield from plan(record, record.pod, node, now)


def _plan_config(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """Fetched at the start, before each restart, after each failure, and now and then for the volumes' sake."""
    keys = config_keys(pod)
    if not keys:
        return
    refresh_ms = record.config_ms + node.config.config_refresh_ms
    if record.config is None or record.config_stale or not record.config_ms <= now < refresh_ms:
        yield FetchConfig(pod_uid=record.uid, keys=keys)
    elif pod.spec.volumes:
        yield Wake(refresh_ms)


def _plan_tokens(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """Fetched at the start and when the first is due; the old ones serve until the new are there."""
    requests = token_requests(pod)
    if not requests:
        return
    held = [token for request in requests if (token := record.tokens.get(request)) is not None]
    due_ms = renew_ms(held, record.uid) if len(held) == len(requests) else 0
    if now >= due_ms:
        yield FetchTokens(pod_uid=record.uid, requests=requests)
    else:
        yield Wake(due_ms)


def _plan_images(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    needed: dict[str, Container] = {c.image: c for c in every_container(pod) if _needs_image(record, pod, c)}
    for reference, container in needed.items():
        if reference not in record.images:
            yield from _plan_image(record, pod, reference, pull_policy_of(container))


def _plan_image(record: PodRecord, pod: Pod, reference: str, policy: str) -> Iterator[Step]:
    if policy != "Always" and reference not in record.absent:
        yield CheckImage(pod_uid=record.uid, reference=reference)
    elif policy == "Never":
        message = f'Container image "{reference}" is not present with pull policy of Never'
        yield Blocked(f"image/{reference}", Failure(reason="ErrImageNeverPull", message=message))
    elif not pod.spec.image_pull_secrets:
        yield PullImage(pod_uid=record.uid, reference=reference)
    elif record.config is not None:
        secrets = pull_secrets(pod, ConfigView(record.key.namespace, record.config))
        yield PullImage(pod_uid=record.uid, reference=reference, auth=select_auth(reference, secrets))


def _needs_image(record: PodRecord, pod: Pod, container: Container) -> bool:
    """Until it is created; one that has ended for good needs none."""
    attempt = latest_attempt(record, container.name)
    if attempt is None or attempt.state == AttemptState.VOID:
        return True
    return attempt.has_exited and _runs_again(record, pod, container)


def _plan_devices(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """Also for containers without any, when the node has some: what they get then is that they see none."""
    if not node.facts.devices:
        return
    for container in every_container(pod):
        if container.name not in record.devices and _needs_image(record, pod, container):
            ids = device_ids(pod, container.name)
            yield AllocateDevices(pod_uid=record.uid, container=container.name, device_ids=ids)


def _plan_volumes(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    if record.volumes is not None or not pod.spec.volumes or not _has_config(record, pod):
        return
    if any(request not in record.tokens for request in token_requests(pod)):
        return
    try:
        view = ConfigView(record.key.namespace, record.config or {})
        requests = volume_requests(pod, view, node.downward(pod, _pod_ips(record, node, pod)), record.tokens)
    except ConfigMissing as error:
        yield Blocked("volumes", Failure(reason="FailedMount", message=str(error)))
        return
    yield PublishVolumes(pod_uid=record.uid, requests=requests)


def _plan_sandbox(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """One that is no longer ready is stopped, so that address and ports are free, and followed by the next."""
    sandbox = record.sandbox
    if sandbox is None:
        yield from _plan_attempt(record, pod, 0, node)
    elif record.ready_sandbox is None and sandbox.spec.id not in record.stopped:
        yield StopSandbox(pod_uid=record.uid, sandbox_id=sandbox.spec.id)
    elif record.ready_sandbox is None and not record.running():
        yield from _plan_attempt(record, pod, sandbox.spec.attempt + 1, node)


def _plan_attempt(record: PodRecord, pod: Pod, attempt: int, node: NodeView) -> Iterator[Step]:
    try:
        yield RunSandbox(pod_uid=record.uid, spec=derive_sandbox_spec(pod, attempt, node))
    except ConfigMissing as error:
        failure = Failure(reason="FailedCreatePodSandBox", message=f"Failed to create pod sandbox: {error}")
        yield Blocked(f"sandbox/{attempt}", failure)


def _plan_sizes(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """What runs gets what is allocated to it: at once, or by a new start where its policy says so."""
    for container in all_containers(pod):
        running = running_of(record, container.name)
        actual = actual_size(running) if running is not None else None
        if running is None or actual is None or is_same(actual, container.resources):
            continue
        if needs_restart(container, actual):
            record.restarting.add(running.spec.id)
        elif running.spec.id not in record.restarting:
            yield UpdateContainer(
                pod_uid=record.uid,
                name=container.name,
                container_id=running.spec.id,
                resources=derive_resources(container, node.config.pod_pids_max),
                labels={RESOURCES_LABEL: format_size(container.resources)},
            )


def _plan_containers(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """The next init container, or all containers; sidecars that were started are kept running all along."""
    if record.ready_sandbox is None or (pod.spec.volumes and record.volumes is None):
        return
    pending = next(pending_init(record, pod), None)
    for container in init_containers(pod):
        if container == pending:
            yield from _plan_container(record, pod, container, node, now)
            return
        if is_sidecar(container):
            yield from _plan_container(record, pod, container, node, now)
    for container in main_containers(pod):
        yield from _plan_container(record, pod, container, node, now)


def _plan_ephemerals(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    """As soon as there is a sandbox, whatever the others do; each is run once."""
    if record.ready_sandbox is None or (pod.spec.volumes and record.volumes is None):
        return
    for container in ephemeral_containers(pod):
        attempt = latest_attempt(record, container.name)
        if attempt is None or attempt.state in (AttemptState.CREATED, AttemptState.VOID):
            fields = refused_ephemeral_fields(decode(record.stored), container.name) if record.stored else []
            if fields:
                message = f"raypod does not support {', '.join(fields)}"
                failure = Failure(reason="CreateContainerConfigError", message=message)
                yield Blocked(f"create/{container.name}", failure)
                continue
            yield from _plan_container(record, pod, container, node, now)


def _plan_container(record: PodRecord, pod: Pod, container: Container, node: NodeView, now: Millis) -> Iterator[Step]:
    attempt = latest_attempt(record, container.name)
    if attempt is None:
        yield from _plan_create(record, pod, container, 0, node)
    elif attempt.state == AttemptState.CREATED:
        yield StartContainer(pod_uid=record.uid, name=container.name, container_id=attempt.container_id)
    elif attempt.is_running and is_outdated(record, container, attempt):
        yield from _plan_replacement(record, pod, container, attempt)
    elif not attempt.is_running and _runs_again(record, pod, container):
        due_ms = 0 if is_outdated(record, container, attempt) else restart_at(attempt, node.config.backoff)
        if attempt.finished_ms <= now < due_ms:
            pod_name = f"{record.key.name}_{record.key.namespace}({record.uid})"
            message = f"Back-off restarting failed container {container.name} in pod {pod_name}"
            yield Notice(f"backoff/{container.name}/{attempt.number}", Said("Warning", "BackOff", message))
            yield Wake(due_ms)
        else:
            yield from _plan_create(record, pod, container, attempt.number + 1, node)


def _plan_replacement(record: PodRecord, pod: Pod, container: Container, attempt: Attempt) -> Iterator[Step]:
    why = "resize requires a restart" if attempt.container_id in record.restarting else "definition changed"
    message = f"Container {container.name} {why}, will be restarted"
    yield Notice(f"replaced/{container.name}/{attempt.number}", Said("Normal", "Killing", message))
    grace_ms = 1_000 * pod.spec.termination_grace_period_seconds
    yield StopContainer(pod_uid=record.uid, name=container.name, container_id=attempt.container_id, grace_ms=grace_ms)


def _runs_again(record: PodRecord, pod: Pod, container: Container) -> bool:
    """An init container's work of an earlier sandbox is void: it is done again in the present one."""
    attempt = latest_attempt(record, container.name)
    assert attempt is not None, "only what has run can run again"
    if is_outdated(record, container, attempt) or restarts(restart_policy_of(pod, container), attempt):
        return True
    sandbox = record.ready_sandbox
    return container in init_containers(pod) and sandbox is not None and attempt.sandbox_id != sandbox.spec.id


def _plan_create(record: PodRecord, pod: Pod, container: Container, number: int, node: NodeView) -> Iterator[Step]:
    ready = container.image in record.images and _has_config(record, pod)
    if not ready or (node.facts.devices and container.name not in record.devices):
        return
    backoff_ms = next_backoff_ms(latest_attempt(record, container.name), node.config.backoff)
    try:
        spec = derive_container_spec(record, pod, container, number, backoff_ms, node)
    except ConfigMissing as error:
        failure = Failure(reason="CreateContainerConfigError", message=str(error))
        yield Blocked(f"create/{container.name}", failure)
        return
    yield CreateContainer(pod_uid=record.uid, spec=spec)


def _plan_old_attempts(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    for container in all_containers(pod):
        for old in record.attempts(container.name)[:-ATTEMPTS_KEPT]:
            yield RemoveContainer(pod_uid=record.uid, name=container.name, container_id=old.spec.id)


def _plan_deadline(record: PodRecord, pod: Pod, node: NodeView, now: Millis) -> Iterator[Step]:
    deadline = deadline_ms(record, pod)
    if deadline is not None:
        yield Wake(deadline)


def _has_config(record: PodRecord, pod: Pod) -> bool:
    return not config_keys(pod) or (record.config is not None and not record.config_stale)


def _pod_ips(record: PodRecord, node: NodeView, pod: Pod) -> tuple[str, ...]:
    if pod.spec.host_network:
        return (node.facts.address,)
    sandbox = record.sandbox
    return sandbox.ips if sandbox else ()


_PLANS: tuple[Callable[[PodRecord, Pod, NodeView, Millis], Iterator[Step]], ...] = (
    _plan_config,
    _plan_tokens,
    _plan_images,
    _plan_sandbox,
    _plan_devices,
    _plan_volumes,
    _plan_sizes,
    _plan_containers,
    _plan_ephemerals,
    _plan_old_attempts,
    _plan_deadline,
)
