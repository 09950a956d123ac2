"""What the core asks of the node, as values. The shell carries them out on the ports; each result goes to `completed`.

Every operation may be repeated: the ports' verbs are idempotent and ids are derived, not drawn. `slot` names what an
operation works on: the core has at most one operation per pod and slot in flight.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.tokens import PodTokenRequest
from actors.plugins.device.port import DeviceEdits
from actors.plugins.errors import PluginError
from actors.plugins.image.port import Auth, Image
from actors.plugins.runtime.port import ContainerSpec, ContainerStatus, Resources, Sandbox, SandboxSpec
from actors.plugins.storage.port import VolumeRequest

#: Added to an operation's own time limit before it counts as lost.
LOST_AFTER_MS = 5_000


class Operation(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """`pod_uid` "" is the node itself. `ABANDONABLE`: may be cancelled half-way when its pod no longer wants it."""

    ABANDONABLE: ClassVar[bool] = False
    TIMEOUT_MS: ClassVar[Millis] = 60_000
    pod_uid: str = ""

    @property
    def slot(self) -> str:
        return type(self).__name__

    @property
    def timeout_ms(self) -> Millis:
        return self.TIMEOUT_MS


class ListNode(Operation, frozen=True):
    """All that exists on the node, now. Answered with a `Listing`. `since`: the core's step at which it began."""

    TIMEOUT_MS: ClassVar[Millis] = 10_000
    since: int = 0


class FetchConfig(Operation, frozen=True):
    """The config maps and secrets that a pod names. Answered with `{key: Stored or None}`."""

    ABANDONABLE: ClassVar[bool] = True
    TIMEOUT_MS: ClassVar[Millis] = 10_000
    keys: tuple[Key, ...]


class FetchTokens(Operation, frozen=True):
    """Service account tokens for the pod's volumes. Answered with `{request: PodToken}`."""

    ABANDONABLE: ClassVar[bool] = True
    TIMEOUT_MS: ClassVar[Millis] = 10_000
    requests: tuple[PodTokenRequest, ...]

    @property
    def slot(self) -> str:
        return "tokens"


class CheckImage(Operation, frozen=True):
    """Is it here? Answered with an `Image` or None."""

    ABANDONABLE: ClassVar[bool] = True
    TIMEOUT_MS: ClassVar[Millis] = 10_000
    reference: str

    @property
    def slot(self) -> str:
        return f"image/{self.reference}"


class PullImage(Operation, frozen=True):
    """Answered with the `Image`."""

    ABANDONABLE: ClassVar[bool] = True
    TIMEOUT_MS: ClassVar[Millis] = 3_600_000
    reference: str
    auth: Auth | None = None

    @property
    def slot(self) -> str:
        return f"image/{self.reference}"


class AllocateDevices(Operation, frozen=True):
    """Answered with `DeviceEdits`."""

    TIMEOUT_MS: ClassVar[Millis] = 30_000
    container: str
    device_ids: tuple[str, ...]

    @property
    def slot(self) -> str:
        return f"devices/{self.container}"


class PublishVolumes(Operation, frozen=True):
    """Answered with `{volume name: host path}`."""

    requests: tuple[VolumeRequest, ...]

    @property
    def slot(self) -> str:
        return "volumes"


class UnpublishVolumes(Operation, frozen=True):
    @property
    def slot(self) -> str:
        return "volumes"


class RunSandbox(Operation, frozen=True):
    """Answered with the `Sandbox`."""

    spec: SandboxSpec

    @property
    def slot(self) -> str:
        return f"sandbox/{self.spec.id}"


class StopSandbox(Operation, frozen=True):
    sandbox_id: str

    @property
    def slot(self) -> str:
        return f"sandbox/{self.sandbox_id}"


class RemoveSandbox(Operation, frozen=True):
    """Also forgets its containers: only after what became of them is in the store."""

    sandbox_id: str

    @property
    def slot(self) -> str:
        return f"sandbox/{self.sandbox_id}"


class CreateContainer(Operation, frozen=True):
    """Answered with its `ContainerStatus`."""

    spec: ContainerSpec

    @property
    def slot(self) -> str:
        return f"create/{self.spec.name}"


class StartContainer(Operation, frozen=True):
    """Answered with its `ContainerStatus`, also when there was no such command (EXITED, StartError)."""

    name: str
    container_id: str

    @property
    def slot(self) -> str:
        return f"start/{self.name}"


class StopContainer(Operation, frozen=True):
    """Answered with its `ContainerStatus` (None: unknown). One with a shorter grace may overtake another."""

    name: str
    container_id: str
    grace_ms: Millis

    @property
    def slot(self) -> str:
        return f"stop/{self.name}/{self.grace_ms}"

    @property
    def timeout_ms(self) -> Millis:
        return self.grace_ms + 30_000


class UpdateContainer(Operation, frozen=True):
    """Other limits while it runs, and a label that says so. Answered with its `ContainerStatus`."""

    name: str
    container_id: str
    resources: Resources
    labels: dict[str, str]

    @property
    def slot(self) -> str:
        return f"resize/{self.name}"


class RemoveContainer(Operation, frozen=True):
    name: str
    container_id: str

    @property
    def slot(self) -> str:
        return f"remove/{self.container_id}"


#: The reason of an operation that was given up because its pod shall not run any more.
CANCELLED = "Cancelled"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an operation failed: a `PluginError` as a value. `reason` is a CamelCase constant, `message` a sentence."""

    reason: str
    message: str
    retryable: bool = True


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """`volumes`: the uids of the pods that still have volumes here."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()
    volumes: frozenset[str] = frozenset()


#: What operations are answered with. A dict is `FetchConfig`'s, `FetchTokens`' or `PublishVolumes`'.
Result = Listing | dict[Any, Any] | Image | DeviceEdits | Sandbox | ContainerStatus | Failure | None


def failure_of(error: PluginError) -> Failure:
    return Failure(reason=error.reason, message=error.message, retryable=error.retryable)
