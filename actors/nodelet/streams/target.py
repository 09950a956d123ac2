"""What a stream on this node is of: the running container or the sandbox that a request names."""

from __future__ import annotations

from collections.abc import Mapping

from actors.api.errors import BadRequest, NotFound
from actors.api.streams import StreamRequest
from actors.nodelet.record import PodRecord
from actors.plugins.runtime.port import Connection, ContainerState, ExecSpec, RuntimePort, Streams


def find_target(records: Mapping[str, PodRecord], request: StreamRequest) -> str:
    """The id of a container, or of a sandbox for a connection. Raises NotFound, BadRequest in the kubelet's words."""
    record = records.get(request.pod_uid)
    if record is None:
        raise NotFound(f'pod "{request.pod}" not found on its node', name=request.pod, kind="pods")
    if request.verb == "connect":
        sandbox = record.ready_sandbox
        if sandbox is None:
            raise BadRequest(f'pod "{request.pod}" is not running')
        return sandbox.spec.id
    attempts = record.attempts(request.container)
    if not attempts or attempts[-1].state is not ContainerState.RUNNING:
        raise NotFound(f'container not found ("{request.container}")', name=request.container, kind="containers")
    return attempts[-1].spec.id


async def open_target(runtime: RuntimePort, target: str, request: StreamRequest) -> Streams | Connection:
    """Raises PluginError."""
    if request.verb == "connect":
        return await runtime.port_forward(target, request.port, request.address)
    if request.verb == "attach":
        return await runtime.attach(target, stdin=request.stdin)
    return await runtime.exec(
        ExecSpec(container_id=target, command=request.command, stdin=request.stdin, tty=request.tty)
    )
