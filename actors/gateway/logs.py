"""Pod logs: `GET pods/X/log`, and logs of pods that are gone, read from the node in chunks and streamed as text.

A follower survives the restart of a nodelet: it asks again from its cursor, so no line is lost or shown twice.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from actors.api.codec import lens
from actors.api.errors import BadRequest, Cause, Invalid, NotFound, Timeout, Unavailable
from actors.api.key import Key
from actors.api.kinds import NODE, POD
from actors.api.logs import LogChunk, LogRequest
from actors.api.pod import ContainerStatus, Pod
from actors.gateway.call import TEXT_TYPE, Call
from actors.gateway.crilog import LogText, since_of
from actors.gateway.options import Query, flag_of, integer_of, text_of
from actors.gateway.past import find_floor
from actors.gateway.stream import Stream
from actors.reconcile.watch import Selection

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_FOLLOW_WAIT_MS = 10_000
_RETRY_SECONDS = 0.5
_UNAVAILABLE_MAX = 240
_WAITING_WORDS = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int = -1
    since_seconds: int | None = None
    since_time: str = ""
    bytes_max: int | None = None
    stream: str = ""


def parse_options(query: Query) -> LogOptions:
    """Raises BadRequest, Invalid (kubernetes pkg/apis/core/validation.ValidatePodLogOptions)."""
    tail, limit = integer_of(query, "tailLines"), integer_of(query, "limitBytes")
    since_seconds, since_time = integer_of(query, "sinceSeconds"), text_of(query, "sinceTime")
    causes = []
    if tail is not None and tail < 0:
        causes.append(Cause("tailLines", f"Invalid value: {tail}: must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(Cause("limitBytes", f"Invalid value: {limit}: must be greater than 0"))
    if since_seconds is not None and since_time:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("sinceSeconds", why, "FieldValueForbidden"))
    elif since_seconds is not None and since_seconds < 1:
        causes.append(Cause("sinceSeconds", f"Invalid value: {since_seconds}: must be greater than 0"))
    if causes:
        told = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise Invalid(f'PodLogOptions "" is invalid: {told}', kind="PodLogOptions", causes=causes)
    return LogOptions(
        container=text_of(query, "container"),
        follow=flag_of(query, "follow"),
        previous=flag_of(query, "previous"),
        timestamps=flag_of(query, "timestamps"),
        tail_lines=-1 if tail is None else tail,
        since_seconds=since_seconds,
        since_time=since_time,
        bytes_max=limit,
        stream=text_of(query, "stream"),
    )


def choose_container(pod: Pod, wanted: str) -> str:
    """Raises BadRequest with kube-apiserver's sentences."""
    names = [c.name for c in pod.spec.containers]
    init = [c.name for c in pod.spec.init_containers or ()]
    ephemeral = [c.name for c in pod.spec.ephemeral_containers or ()]
    name = pod.metadata.name
    wanted = wanted or pod.metadata.annotation(DEFAULT_CONTAINER) or (names[0] if len(names) == 1 else "")
    if not wanted:
        also = f" or one of the init containers: [{' '.join(init)}]" if init else ""
        also += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]" if ephemeral else ""
        choice = f"choose one of: [{' '.join(names)}]{also}"
        raise BadRequest(f"a container name must be specified for pod {name}, {choice}")
    if wanted not in names + init + ephemeral:
        raise BadRequest(f"container {wanted[:253]} is not valid for pod {name}")
    return wanted


def check_started(pod: Pod, container: str, previous: bool) -> None:
    """Whether there is a log to read (kubelet's validateContainerLogStatus). Raises BadRequest."""
    where = f'container "{container}" in pod "{pod.metadata.name}"'
    if not pod.spec.node_name:
        raise BadRequest(f"{where} is waiting to start: the pod is not assigned to a node yet")
    told = pod.status
    lists = (told.container_statuses, told.init_container_statuses, told.ephemeral_container_statuses)
    status = next((s for statuses in lists for s in statuses or () if s.name == container), None)
    if previous and (status is None or status.last_state.terminated is None):
        raise BadRequest(f"previous terminated {where} not found")
    if not previous and not pod.is_finished and not _has_started(status):
        raise BadRequest(f"{where} is waiting to start: {_waiting_word(status)}")


def _has_started(status: ContainerStatus | None) -> bool:
    if status is None:
        return False
    state, last = status.state, status.last_state
    return state.running is not None or state.terminated is not None or last.terminated is not None


def _waiting_word(status: ContainerStatus | None) -> str:
    waiting = status.state.waiting if status else None
    reason = (waiting.reason if waiting else "") or "ContainerCreating"
    return _WAITING_WORDS.get(reason, reason)


async def read_pod_log(call: Call) -> web.StreamResponse:
    options = parse_options(call.query)
    target = call.target
    pod = lens(await call.store.get(Key(POD.resource, target.namespace, target.name)), Pod)
    container = choose_container(pod, options.container)
    check_started(pod, container, options.previous)
    request = request_of(call, options, container, pod.metadata.uid)
    node = pod.spec.node_name
    try:
        first = await call.backend.nodes.read_log(node, request)
    except NotFound as error:
        where = f'container "{container}" in pod "{target.name}"'
        raise BadRequest(f"{where} has no log on node {node}: {error.message}") from error
    return await stream_log(call, node, request, options, first)


async def read_past_log(call: Call, namespace: str, name: str) -> web.StreamResponse:
    """Of a pod that may be gone. The query may name `node`, `uid` and `container`; without a node all are asked."""
    options = parse_options(call.query)
    wanted = text_of(call.query, "node")
    page = await call.store.list(Selection((NODE.resource,)))
    nodes = [wanted] if wanted else [item.key.name for item in page.items]
    request = request_of(call, options, options.container, text_of(call.query, "uid"))
    floor = await find_floor(call)
    since_ms = max(
        request.since_ms, floor.at + 1000 if floor.revision else 0
    )  # the namespace's age is in whole seconds
    request = msgspec.structs.replace(request, namespace=namespace, pod=name, since_ms=since_ms)
    asked = (call.backend.nodes.read_log(node, request) for node in nodes)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for node, answer in zip(nodes, answers, strict=True):
        if isinstance(answer, LogChunk):
            return await stream_log(call, node, request, options, answer)
    for failure in answers:
        if isinstance(failure, BaseException) and not isinstance(failure, NotFound):
            raise failure
    raise NotFound(f'no node has a log of pod "{name}" in namespace "{namespace}"', name=name, kind="logs")


def request_of(call: Call, options: LogOptions, container: str, uid: str) -> LogRequest:
    try:
        since = since_of(options.since_seconds, options.since_time, call.now)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return LogRequest(
        namespace=call.target.namespace,
        pod=call.target.name,
        container=container,
        pod_uid=uid,
        previous=options.previous,
        tail_lines=options.tail_lines,
        since_ms=since,
    )


async def stream_log(
    call: Call, node: str, request: LogRequest, options: LogOptions, first: LogChunk
) -> web.StreamResponse:
    """From the first chunk on. A failure cuts the reply off, so that the client notices."""
    text = LogText(timestamps=options.timestamps, bytes_max=options.bytes_max, stream=options.stream)
    chunk = first
    stream = call.stream(TEXT_TYPE)
    await stream.write([text.feed(chunk.lines)])
    while not (chunk.ended or text.is_full):
        if not chunk.lines and not options.follow:
            break
        request = msgspec.structs.replace(
            request, cursor=chunk.cursor, tail_lines=-1, wait_ms=_FOLLOW_WAIT_MS if options.follow else 0
        )
        chunk = await _read_on(call, node, request, stream)
        await stream.write([text.feed(chunk.lines)])
    return stream.response


async def _read_on(call: Call, node: str, request: LogRequest, stream: Stream) -> LogChunk:
    """Patient with a nodelet that restarts."""
    for _ in range(_UNAVAILABLE_MAX):
        try:
            return await call.backend.nodes.read_log(node, request)
        except (Unavailable, Timeout):
            await asyncio.sleep(_RETRY_SECONDS)
        except NotFound:
            return LogChunk(lines=b"", cursor=request.cursor, ended=True)
    stream.abort()
    raise ConnectionResetError(f"node {node} does not answer")
