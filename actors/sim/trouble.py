"""What goes wrong on a date of its own, drawn from the seed: machines die and return, participants are cut off from the
store, clocks jump, GPUs fail, containers and sandboxes are killed behind the nodelet's back, and controllers that were
thought dead go on beside those that took their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.codec import lens
from actors.api.key import Key
from actors.api.node import TAINT_OUT_OF_SERVICE, Node
from actors.reconcile.actions import Delete, Patch, PatchType, StoreWrite
from actors.sim.faults import Faults
from actors.sim.link import SLOW_MS
from actors.sim.node import SimNode
from actors.sim.participant import Participant
from actors.sim.store import SimStore
from actors.sim.timeline import Clock, Timeline
from actors.sim.trace import Trace

_QUICK_REBOOT_MS = (3_000, 15_000)
_SLOW_REBOOT_MS = (50_000, 150_000)
_CUT_MS = (500, 90_000)
_NOTICED_MS = (3_000, 15_000)
_LOOK_AGAIN_MS: Millis = 5_000
_JUMP_MS_MAX = (2_000, 40_000, 40_000, 7_200_000)
_TWIN_MS = (1_000, 30_000)
_FOR_GOOD_MS: Millis = 1 << 40


class TroubleConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each, at most."""

    deaths: int = 2
    losses: int = 1
    partitions: int = 3
    clock_jumps: int = 3
    gpu_failures: int = 3
    kills: int = 4
    twins: int = 1


NONE = TroubleConfig(**dict.fromkeys(TroubleConfig.__struct_fields__, 0))


class Trouble:
    """`submit` is how the cluster's supervisor writes: it sees machines die, long before their lease runs out.
    `start_twin` starts the controllers a second time."""

    def __init__(
        self,
        nodes: Sequence[SimNode],
        participants: Sequence[Participant[Any]],
        clocks: dict[str, Clock],
        store: SimStore,
        timeline: Timeline,
        faults: Faults,
        trace: Trace,
        submit: Callable[[StoreWrite], None],
        start_twin: Callable[[], Participant[Any]],
    ) -> None:
        self._nodes, self._participants, self._clocks = nodes, participants, clocks
        self._store, self._timeline, self._faults, self._trace = store, timeline, faults, trace
        self._submit, self._start_twin = submit, start_twin
        self._is_over = False
        self._twins = self._twin_revision = 0
        self.lost: set[str] = set()

    def plan(self, config: TroubleConfig, length_ms: Millis) -> None:
        pick = self._faults.random.choice
        for kind, most, strike in (
            ("node death", config.deaths, lambda: self._kill_node(pick(self._nodes))),
            ("node loss", min(config.losses, len(self._nodes) - 1), self._lose_node),
            ("partition", config.partitions, self._cut_off),
            ("clock jump", config.clock_jumps, self._jump),
            ("gpu failure", config.gpu_failures, lambda: self._break_gpu(pick(self._nodes))),
            ("twin", config.twins, self._double),
            ("container killed", config.kills, lambda: self._kill_something(pick(self._nodes))),
        ):
            for _ in range(self._faults.delay(0, most)):
                self._timeline.after(self._faults.delay(2_000, length_ms), partial(self._strike, kind, strike))

    def _strike(self, kind: str, strike: Callable[[], None]) -> None:
        if not self._is_over:
            self._faults.note(kind)
            strike()

    def heal(self) -> None:
        """All is well again; what has broken stays mended."""
        self._is_over = True
        for participant in self._participants:
            participant.link.is_connected = True
        for node in self._nodes:
            if node.name in self.lost:
                self._submit(Delete(key=Key("nodes", "", node.name)))
                continue
            node.revive()
            for device in node.machine.list_devices():
                node.machine.devices.set_health(device.id, True)
            node.learn()
            self._clear(node)

    # --- one each -------------------------------------------------------------------------------------------------

    def _kill_node(self, node: SimNode) -> None:
        if node.name in self.lost:
            return
        away_ms = self._faults.delay(*self._faults.random.choice((_QUICK_REBOOT_MS, _SLOW_REBOOT_MS)))
        self._say(node.name, f"dies for {away_ms / 1000:.0f} s")
        node.die(away_ms)
        if self._faults.random.random() < 0.5:
            self._timeline.after(self._faults.delay(*_NOTICED_MS), partial(self._notice, node))

    def _lose_node(self) -> None:
        """For good: once all is calm, an operator takes it from the list of nodes."""
        candidates = [node for node in self._nodes if node.name not in self.lost]
        node = self._faults.random.choice(candidates)
        self._say(node.name, "is lost for good")
        self.lost.add(node.name)
        node.die(_FOR_GOOD_MS)

    def _notice(self, node: SimNode) -> None:
        """As cluster.lost_nodes does: the taint comes when a node stays away, and goes when it is back."""
        if not node.is_alive:
            self._set_out_of_service(node, True)
            self._timeline.after(_NOTICED_MS[0], partial(self._notice_return, node))

    def _notice_return(self, node: SimNode) -> None:
        if node.is_alive:
            self._clear(node)
        else:
            self._timeline.after(_NOTICED_MS[0], partial(self._notice_return, node))

    def _clear(self, node: SimNode, looks: int = 3) -> None:
        """More than once, for a write that sets the taint may still be on its way."""
        stored = self._store.find(Key("nodes", "", node.name)) if self._store.is_up else None
        taints = (lens(stored, Node).spec.taints or ()) if stored else ()
        if any(taint.key == TAINT_OUT_OF_SERVICE for taint in taints):
            self._set_out_of_service(node, False)
        if looks:
            self._timeline.after(_LOOK_AGAIN_MS, partial(self._clear, node, looks - 1))

    def _set_out_of_service(self, node: SimNode, is_out: bool) -> None:
        row = {"key": TAINT_OUT_OF_SERVICE, "effect": "NoExecute", "value": "simulated"}
        patch = {"spec": {"taints": [row if is_out else {"$patch": "delete", "key": TAINT_OUT_OF_SERVICE}]}}
        self._submit(Patch(key=Key("nodes", "", node.name), patch=patch, type=PatchType.STRATEGIC))

    def _cut_off(self) -> None:
        """A set of participants, or one alone."""
        count = self._faults.random.choice((1, 1, 2, len(self._participants)))
        cut = self._faults.random.sample(self._participants, min(count, len(self._participants)))
        length_ms = self._faults.delay(*_CUT_MS)
        for participant in cut:
            self._say(participant.name, f"cut off for {length_ms / 1000:.0f} s")
            participant.link.is_connected = False
            self._timeline.after(length_ms, partial(self._connect, participant))

    def _connect(self, participant: Participant[Any]) -> None:
        self._say(participant.name, "connected")
        participant.link.is_connected = True

    def _double(self) -> None:
        """Nobody has told the old ones that they are dead."""
        twin = self._start_twin()
        self._say(twin.name, "begins beside the other")
        self._twins += 1
        self._timeline.after(self._faults.delay(*_TWIN_MS), partial(self._end_twin, twin))

    def _end_twin(self, twin: Participant[Any]) -> None:
        """What it has sent may still arrive for a while."""
        twin.crash(restart=False)
        self._timeline.after(SLOW_MS[1], self._forget_twin)

    def _forget_twin(self) -> None:
        self._twins -= 1
        self._twin_revision = self._store.engine.revision

    def may_have_twin(self, seen_revision: int) -> bool:
        """`seen_revision`: how far the controllers that stay have seen. Who was cut off while a twin led may decide on
        what was before."""
        return self._twins > 0 or seen_revision < self._twin_revision

    def _jump(self) -> None:
        name = self._faults.random.choice(sorted(self._clocks))
        most_ms = self._faults.random.choice(_JUMP_MS_MAX)
        by_ms = self._faults.delay(-most_ms, most_ms)
        self._say(name, f"clock jumps by {by_ms / 1000:.0f} s")
        self._clocks[name].jump(by_ms)

    def _break_gpu(self, node: SimNode) -> None:
        """Or mend it."""
        device = self._faults.random.choice(node.machine.list_devices())
        self._say(node.name, f"{device.id} {'fails' if device.healthy else 'is mended'}")
        node.machine.devices.set_health(device.id, not device.healthy, "XID 79" if device.healthy else "")
        node.learn()

    def _kill_something(self, node: SimNode) -> None:
        running = sorted(node.machine.running(), key=lambda status: status.spec.id) if node.is_alive else []
        if not running:
            return
        victim = self._faults.random.choice(running)
        if self._faults.random.random() < 0.7:
            node.machine.kill(victim.spec.id)
        else:
            self._say(node.name, "a sandbox breaks")
            node.machine.break_sandbox(victim.spec.sandbox_id)

    def _say(self, who: str, what: str) -> None:
        self._trace.add(self._timeline.now, who, what)
