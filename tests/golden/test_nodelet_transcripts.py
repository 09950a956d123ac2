"""What the nodelet asks of its node and tells the store over a pod's life, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.facts import NodeFacts
from actors.nodelet.operations import (
    CheckImage,
    CreateContainer,
    ListNode,
    Operation,
    PublishVolumes,
    PullImage,
    Result,
    RunSandbox,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from actors.plugins.image.port import Image
from actors.plugins.runtime.port import ContainerState, ContainerStatus, Sandbox, SandboxState
from actors.reconcile.actions import Delete, Patch, Reply, StoreWrite
from actors.reconcile.watch import EventType, WatchBatch, WatchEvent

START_MS = 1_800_000_000_000
POD = Key("pods", "default", "web")


class Conversation:
    """Answers every operation as a healthy node would, merges every patch, and writes down what is said."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.now, self.revision, self.lines = START_MS, 1, []
        self.core = NodeletCore("n1", NodeletConfig(relist_ms=1 << 40))
        self.core.learn(NodeFacts(address="10.0.0.1", cpu_millis=4_000, memory_bytes=8 << 30), self.now)
        self.core.adopt((), (), self.now)
        self.core.relist((), 1, self.now)
        self.containers: dict[str, ContainerStatus] = {}
        self.pod: dict[str, Any] = {"metadata": {"name": "web", "namespace": "default", "uid": "u1"}, "spec": spec}

    def say(self, text: str) -> None:
        self.lines.append(f"{(self.now - START_MS) / 1000:6.1f}  {text}")

    def bind(self, text: str, **metadata: Any) -> None:
        self.say(f"--- {text}")
        self.pod["metadata"].update(metadata)
        self.observe()

    def exit(self, name: str, code: int, after_ms: int) -> None:
        self.now += after_ms
        self.say(f"--- {name} exits with {code}")
        running = next(s for s in self.containers.values() if s.spec.name == name and s.state == ContainerState.RUNNING)
        self.core.container_event(self.keep(running, ContainerState.EXITED, code), self.now)
        self.settle()

    def wait(self, span_ms: int) -> None:
        self.now += span_ms
        self.settle()

    def observe(self) -> None:
        self.revision += 1
        event = WatchEvent(EventType.MODIFIED, self.stored())
        self.core.observe(WatchBatch((event,), self.revision), self.now)
        self.settle()

    def stored(self) -> Stored:
        return Stored(POD, self.revision, 1, "u1", encode(self.pod))

    def settle(self) -> None:
        while True:
            operations = self.core.operations(self.now)
            for operation in operations:
                if not isinstance(operation, ListNode):
                    self.say(f"node   {type(operation).__name__}{_detail(operation)}")
                self.core.completed(operation, self.answer(operation), self.now)
            writes = self.core.decide(self.now)
            self.core.replied(writes, [self.reply(write) for write in writes], self.now)
            if not operations and not writes:
                return

    def answer(self, operation: Operation) -> Result:
        match operation:
            case CheckImage():
                return None
            case PullImage(reference=reference):
                return Image(id=f"sha256:{reference}")
            case PublishVolumes(requests=requests):
                return {request.name: f"/volumes/{request.name}" for request in requests}
            case RunSandbox(spec=spec):
                return Sandbox(spec=spec, state=SandboxState.READY, ips=("10.160.0.2",))
            case CreateContainer(spec=spec):
                return self.keep(ContainerStatus(spec=spec, state=ContainerState.CREATED), ContainerState.CREATED)
            case StartContainer(container_id=container_id):
                return self.keep(self.containers[container_id], ContainerState.RUNNING)
            case StopContainer(container_id=container_id):
                return self.keep(self.containers[container_id], ContainerState.EXITED, 143)
            case UpdateContainer(container_id=container_id, resources=resources, labels=labels):
                known = self.containers[container_id]
                spec = msgspec.structs.replace(known.spec, resources=resources, labels={**known.spec.labels, **labels})
                return self.keep(msgspec.structs.replace(known, spec=spec), ContainerState.RUNNING)
            case _:
                return None

    def keep(self, status: ContainerStatus, state: ContainerState, code: int = 0) -> ContainerStatus:
        started = self.now if state == ContainerState.RUNNING else status.started_at_ms
        finished = self.now if state == ContainerState.EXITED else 0
        changes = {"state": state, "exit_code": code, "started_at_ms": started, "finished_at_ms": finished}
        kept = self.containers[status.spec.id] = msgspec.structs.replace(status, **changes)
        return kept

    def reply(self, write: StoreWrite) -> Reply:
        if isinstance(write, Delete):
            self.say("store  delete, grace 0")
            return Reply(stored=self.stored(), removed=True)
        if not isinstance(write, Patch) or write.key != POD:
            if getattr(write, "resource", "") == "events":
                self.say(f"event  {write.object['reason']}: {write.object['message']}")  # type: ignore[union-attr]
            return Reply()
        self.merge(write.patch["status"])
        self.say(f"store  {_told(self.pod['status'])}")
        self.revision += 1
        return Reply(stored=self.stored())

    def merge(self, patch: dict[str, Any]) -> None:
        """Strategic merge, as far as a status needs it."""
        status = self.pod.setdefault("status", {})
        conditions = {entry["type"]: entry for entry in status.get("conditions", ())}
        for entry in patch.get("conditions", ()):
            if entry.get("$patch") == "delete":
                del conditions[entry["type"]]
                continue
            conditions[entry["type"]] = {key: value for key, value in entry.items() if value is not None}
        status.update(patch)
        status["conditions"] = list(conditions.values())


def _detail(operation: Operation) -> str:
    match operation:
        case CheckImage(reference=reference) | PullImage(reference=reference):
            return f" {reference}"
        case CreateContainer(spec=spec):
            return f" {spec.name} attempt {spec.attempt}"
        case StartContainer(name=name):
            return f" {name}"
        case UpdateContainer(name=name, resources=size):
            return f" {name} cpu {size.cpu_limit_millis} memory {size.memory_limit_bytes}"
        case StopContainer(name=name, grace_ms=grace_ms):
            return f" {name} grace {grace_ms} ms"
        case _:
            return ""


def _told(status: dict[str, Any]) -> str:
    lists = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    entries = [entry for name in lists for entry in status.get(name, ())]
    states = ", ".join(f"{entry['name']} {_state(entry)}" for entry in entries)
    true = " ".join(entry["type"] for entry in status["conditions"] if entry["status"] == "True")
    return f"{status['phase']} [{states}] {true}"


def _state(entry: dict[str, Any]) -> str:
    ((kind, state),) = entry["state"].items()
    detail = state.get("reason") or ""
    code = f" {state['exitCode']}" if kind == "terminated" else ""
    return f"{kind}{code} {detail}".strip() + (f" x{entry['restartCount']}" if entry["restartCount"] else "")


def container(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "app:1", **fields}


def play_staged() -> Conversation:
    talk = Conversation(
        {
            "nodeName": "n1",
            "terminationGracePeriodSeconds": 30,
            "initContainers": [container("prepare"), container("proxy", restartPolicy="Always")],
            "containers": [container("main", volumeMounts=[{"name": "v", "mountPath": "/v"}])],
            "volumes": [{"name": "v", "emptyDir": {}}],
        }
    )
    talk.bind("bound")
    talk.exit("prepare", 0, 1_500)
    talk.wait(5_000)
    deleted = {"deletionTimestamp": "2027-01-15T08:00:00Z", "deletionGracePeriodSeconds": 10}
    talk.bind("deleted with a grace of 10 s", **deleted)
    return talk


def play_loop() -> Conversation:
    talk = Conversation({"nodeName": "n1", "containers": [container("main", livenessProbe={"exec": {}})]})
    talk.bind("bound")
    talk.exit("main", 1, 500)
    talk.exit("main", 1, 500)
    talk.wait(10_000)
    talk.exit("main", 137, 500)
    return talk


def _sizes(cpu: str, memory: str) -> dict[str, Any]:
    return {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": cpu, "memory": memory}}


def play_resize() -> Conversation:
    """More CPU at once; more memory by a restart; more than the node has, and more than it has left; then what fits."""
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    main = container("main", resources=_sizes("1", "1Gi"), resizePolicy=policy)
    talk = Conversation({"nodeName": "n1", "restartPolicy": "OnFailure", "containers": [main]})
    talk.bind("bound", generation=1)
    for generation, (text, cpu, memory) in enumerate(
        [("more CPU", "2", "1Gi"), ("more memory", "2", "2Gi"), ("too much", "5", "2Gi"), ("as it is", "2000m", "2Gi")],
        2,
    ):
        main["resources"] = _sizes(cpu, memory)
        talk.bind(text, generation=generation)
        entry, told = talk.pod["status"]["containerStatuses"][0], talk.pod["status"]["conditions"]
        pending = [c["reason"] for c in told if c["type"] == "PodResizePending"]
        talk.say(f"       allocated {entry['allocatedResources']}, has {entry['resources']['limits']} {pending}")
    return talk


def play_debug() -> Conversation:
    """Added while an init container still runs; the target's start is waited for; neither is started again."""
    talk = Conversation(
        {
            "nodeName": "n1",
            "terminationGracePeriodSeconds": 30,
            "restartPolicy": "Never",
            "initContainers": [container("prepare")],
            "containers": [container("main")],
        }
    )
    talk.bind("bound")
    talk.pod["spec"]["ephemeralContainers"] = [
        container("look"),
        container("trace", targetContainerName="main"),
        container("odd", securityContext={"procMount": "Unmasked"}),
    ]
    talk.bind("three ephemeral containers are added")
    talk.exit("look", 3, 500)
    talk.exit("prepare", 0, 1_500)
    talk.wait(10_000)
    talk.exit("main", 0, 500)
    return talk


@pytest.mark.parametrize(
    ("name", "play"),
    [("staged", play_staged), ("crash_loop", play_loop), ("debug", play_debug), ("resize", play_resize)],
)
def test_transcript(name: str, play: Any, golden: Any) -> None:
    golden.check(Path(__file__).parent / "nodelet" / f"{name}.txt", "\n".join(play().lines) + "\n")
