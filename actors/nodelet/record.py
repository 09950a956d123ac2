"""All that the nodelet knows of one pod: what the store wants, what the node has, what is under way.

Nothing here is truth: a relist gives back `pod` and `status`, an adoption gives back `sandboxes` and `containers`, and
everything else is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.api.pod import Container, Pod, ResourceRequirements
from actors.api.tokens import PodToken, PodTokenRequest
from actors.nodelet.operations import LOST_AFTER_MS, Failure, Operation
from actors.plugins.device.port import DeviceEdits
from actors.plugins.image.port import Image
from actors.plugins.runtime.port import ContainerState, ContainerStatus, Sandbox, SandboxState

TERMINAL_PHASES = ("Succeeded", "Failed")


class Flight(msgspec.Struct, frozen=True):
    """An operation under way; from `deadline_ms` on it counts as lost and may be issued again."""

    operation: Operation
    since_ms: Millis

    @property
    def deadline_ms(self) -> Millis:
        return self.since_ms + self.operation.timeout_ms + LOST_AFTER_MS


class Retry(msgspec.Struct, frozen=True):
    """Why a slot failed, how often in a row, and how long to leave it alone."""

    failure: Failure
    failures: int
    failed_ms: Millis
    delay_ms: Millis

    def is_due(self, now: Millis) -> bool:
        """A clock that went backwards makes it due, too: waiting is never longer than `delay_ms`."""
        return not self.failed_ms <= now < self.failed_ms + self.delay_ms

    @property
    def due_ms(self) -> Millis:
        return self.failed_ms + self.delay_ms


class Refusal(msgspec.Struct, frozen=True):
    """The node will not run this pod: it fails with this reason (`OutOfcpu`) and sentence."""

    reason: str
    message: str


class ResizePending(msgspec.Struct, frozen=True):
    """Why the pod does not get the size that it asks for: `Infeasible` on this node, or `Deferred`."""

    reason: str
    message: str
    generation: int


#: What is allocated, by container.
Sizes = dict[str, ResourceRequirements]


class PodRecord(msgspec.Struct, kw_only=True):
    """`pod` None: the store has it no longer. `config` None: not fetched yet.

    `removed`: containers that were removed; a late word of them is not believed. `stopped`: sandboxes that were
    stopped. `doubtful`: sandboxes of which nobody knows whether they were made. `noticed`: what was said once.
    `held`: ids of the devices that its containers may have. `progress`: how far slow operations are, by slot.
    `touched`: the step at which an operation last changed it; a listing that began earlier does not judge it.
    `wanted`: the pod as the store has it; `pod` is the same with what is allocated to it, which is `sizes` (None:
    nobody has looked yet). `restarting`: runs that are ended so that the next one has another size.
    `resizing`: a resize was begun and its end is not told yet.
    `overrun`: it was seen to have run past its deadline.
    """

    uid: str
    key: Key
    pod: Pod | None = None
    wanted: Pod | None = None
    stored: Stored | None = None
    sizes: Sizes | None = None
    resize_pending: ResizePending | None = None
    restarting: set[str] = set()
    resizing: bool = False
    status: dict[str, Any] = {}
    started_ms: Millis = 0
    admitted: bool = False
    refusal: Refusal | None = None
    overrun: bool = False
    confirmed: bool = False

    sandboxes: dict[str, Sandbox] = {}
    containers: dict[str, ContainerStatus] = {}
    removed: set[str] = set()
    stopped: set[str] = set()
    doubtful: set[str] = set()
    has_volumes: bool = False

    config: dict[Key, Stored | None] | None = None
    config_stale: bool = False
    config_ms: Millis = 0
    tokens: dict[PodTokenRequest, PodToken] = {}
    images: dict[str, Image] = {}
    absent: set[str] = set()
    devices: dict[str, DeviceEdits] = {}
    held: frozenset[str] = frozenset()
    volumes: dict[str, str] | None = None

    noticed: set[str] = set()
    in_flight: dict[str, Flight] = {}
    progress: dict[str, str] = {}
    retries: dict[str, Retry] = {}
    touched: int = 0

    @property
    def is_terminal(self) -> bool:
        """The store says Succeeded or Failed: that stands for ever."""
        return self.status.get("phase") in TERMINAL_PHASES

    @property
    def sandbox(self) -> Sandbox | None:
        """The latest one."""
        return max(self.sandboxes.values(), key=lambda s: s.spec.attempt, default=None)

    @property
    def ready_sandbox(self) -> Sandbox | None:
        sandbox = self.sandbox
        return sandbox if sandbox is not None and sandbox.state == SandboxState.READY else None

    def attempts(self, name: str) -> list[ContainerStatus]:
        """The container's attempts that the runtime still knows, the oldest first."""
        return sorted((c for c in self.containers.values() if c.spec.name == name), key=lambda c: c.spec.attempt)

    def running(self) -> list[ContainerStatus]:
        return [c for c in self.containers.values() if c.state in (ContainerState.RUNNING, ContainerState.UNKNOWN)]

    def is_busy(self, *prefixes: str) -> bool:
        """Is an operation under way whose slot starts with one of these?"""
        return any(slot.startswith(prefixes) for slot in self.in_flight)


def main_containers(pod: Pod) -> tuple[Container, ...]:
    return pod.spec.containers


def init_containers(pod: Pod) -> tuple[Container, ...]:
    return pod.spec.init_containers or ()


def ephemeral_containers(pod: Pod) -> tuple[Container, ...]:
    """Added to a pod that runs, for a look inside: started once, never again, and of no account for its phase."""
    return pod.spec.ephemeral_containers or ()


def all_containers(pod: Pod) -> Iterator[Container]:
    """Those that the pod is made of, in the order in which they start."""
    yield from init_containers(pod)
    yield from main_containers(pod)


def every_container(pod: Pod) -> Iterator[Container]:
    """The ephemeral ones, too."""
    yield from all_containers(pod)
    yield from ephemeral_containers(pod)


def is_sidecar(container: Container) -> bool:
    """An init container that goes on beside the others (KEP-753)."""
    return container.restart_policy == "Always"
