"""Operators cordon nodes, taint them, and delete the objects of nodes that are there; and take it back, mostly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.node import Node
from actors.reconcile.actions import Delete, Patch, PatchType, StoreWrite
from actors.sim.rest.look import Look
from actors.sim.users.scenario import Draw, Wish

_TAINT = {"key": "sim/drain", "value": "yes"}


class Operators:
    """One of the cordoned nodes stays cordoned to the end. In the calm they do no more than that."""

    def __init__(self, draw: Draw, nodes: Sequence[str], is_calm: bool) -> None:
        self._draw, self._nodes, self._is_calm = draw, nodes, is_calm
        self._cordoned: set[str] = set()
        self._tainted: set[str] = set()

    def wishes(self) -> Sequence[Wish]:
        return [self._cordon] if self._is_calm else [self._cordon, self._taint, self._forget]

    def settle(self) -> Sequence[StoreWrite]:
        uncordoned = sorted(self._cordoned)[1:] if len(self._nodes) > 1 else sorted(self._cordoned)
        self._cordoned -= set(uncordoned)
        tainted, self._tainted = sorted(self._tainted), set()
        return [*(self._write_cordon(name) for name in uncordoned), *(_write_taint(name, "") for name in tainted)]

    def _pick(self) -> str:
        return self._draw.random.choice(self._nodes)

    def _cordon(self) -> StoreWrite:
        name = self._pick()
        (self._cordoned.discard if name in self._cordoned else self._cordoned.add)(name)
        return self._write_cordon(name)

    def _write_cordon(self, name: str) -> StoreWrite:
        return Patch(key=_key(name), patch={"spec": {"unschedulable": name in self._cordoned or None}})

    def _taint(self) -> StoreWrite:
        name = self._pick()
        if name in self._tainted:
            self._tainted.discard(name)
            return _write_taint(name, "")
        self._tainted.add(name)
        return _write_taint(name, self._draw.random.choice(("NoSchedule", "NoExecute")))

    def _forget(self) -> StoreWrite:
        """The node registers itself anew, with nothing that operators have said of it."""
        name = self._pick()
        self._cordoned.discard(name)
        self._tainted.discard(name)
        return Delete(key=_key(name))

    def unfinished(self, look: Look) -> Iterable[str]:
        for name in self._nodes:
            node = look.get(Node, "", name)
            if node is not None and node.spec.unschedulable and name not in self._cordoned:
                yield f"node {name} is cordoned, and nobody wants that"


def _write_taint(name: str, effect: str) -> StoreWrite:
    row = {**_TAINT, "effect": effect} if effect else {"$patch": "delete", "key": _TAINT["key"]}
    return Patch(key=_key(name), patch={"spec": {"taints": [row]}}, type=PatchType.STRATEGIC)


def _key(name: str) -> Key:
    return Key("nodes", "", name)
