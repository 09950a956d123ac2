"""Server-side apply against a model that knows no paths, no schema and no merging: only who says what of each key.

The model keeps, per key, its value and the set of its owners. ConfigMap data stands for maps, finalizers for sets and
Service ports for keyed lists (with a key that has a default).
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.api.codec import decode
from actors.api.key import Key
from actors.reconcile.actions import Create, Patch, PatchType, Reply, Update
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.engine import Engine
from actors.store.ids import SeededIds

MANAGERS = st.sampled_from(["one", "two", "three"])
KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from(["1", "2"])
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=4)


class Model:
    """What a map, a set or a keyed list holds, and whose each entry is."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.owners: dict[str, set[tuple[str, str]]] = {}
        self.applied: dict[str, set[str]] = {}

    def conflicts(self, manager: str, wanted: dict[str, str]) -> set[str]:
        me = (manager, "Apply")
        return {
            key
            for key, value in wanted.items()
            if key in self.values and self.values[key] != value and self.owners[key] - {me}
        }

    def apply(self, manager: str, wanted: dict[str, str]) -> None:
        me = (manager, "Apply")
        for key in self.conflicts(manager, wanted):
            self.owners[key] = set()
        for key in self.applied.get(manager, set()) - wanted.keys():
            self.owners.get(key, set()).discard(me)
            if key in self.values and not self.owners[key]:
                del self.values[key], self.owners[key]
        for key, value in wanted.items():
            self.values[key] = value
            self.owners.setdefault(key, set()).add(me)
        self.applied[manager] = set(wanted)
        self._settle()

    def update(self, manager: str, wanted: dict[str, str]) -> None:
        for key in self.values.keys() - wanted.keys():
            del self.values[key], self.owners[key]
        for key, value in wanted.items():
            if self.values.get(key) != value:
                self.values[key] = value
                self.owners[key] = {(manager, "Update")}
        self._settle()

    def _settle(self) -> None:
        """Who has lost a key to another no longer applies it."""
        for manager, keys in self.applied.items():
            self.applied[manager] = {key for key in keys if (manager, "Apply") in self.owners.get(key, set())}


class Maps:
    """ConfigMap data: a granular map."""

    one_value = False

    resource, base = "configmaps", {"apiVersion": "v1", "kind": "ConfigMap"}

    @staticmethod
    def write(wanted: dict[str, str]) -> dict[str, Any]:
        return {"metadata": {"name": "x"}, "data": wanted}

    @staticmethod
    def read(obj: dict[str, Any]) -> dict[str, str]:
        return obj.get("data") or {}

    @staticmethod
    def key_of(fields: dict[str, Any]) -> set[str]:
        return {step[2:] for step in fields.get("f:data", {}) if step != "."}


class KeyedLists:
    """Ports of a Service, keyed by port and protocol, which is left out for every other port. An item is as a whole
    somebody's here: managers who want it otherwise would share it and quarrel about its name."""

    one_value = True

    resource, base = "services", {"apiVersion": "v1", "kind": "Service"}
    ports = {"a": (1, None), "b": (1, "UDP"), "c": (2, "TCP"), "d": (2, "SCTP")}

    @classmethod
    def write(cls, wanted: dict[str, str]) -> dict[str, Any]:
        listed = []
        for key, value in wanted.items():
            port, protocol = cls.ports[key]
            listed.append({"port": port, "name": f"{key}{value}", **({"protocol": protocol} if protocol else {})})
        return {"metadata": {"name": "x"}, "spec": {"clusterIP": "None", "ports": listed}}

    @classmethod
    def read(cls, obj: dict[str, Any]) -> dict[str, str]:
        return {port["name"][0]: port["name"][1] for port in obj["spec"].get("ports") or []}

    @classmethod
    def key_of(cls, fields: dict[str, Any]) -> set[str]:
        steps = {
            f'k:{{"port":{port},"protocol":"{protocol or "TCP"}"}}': key for key, (port, protocol) in cls.ports.items()
        }
        return {steps[step] for step in fields.get("f:spec", {}).get("f:ports", {}) if step != "."}


class ApplyMachine(RuleBasedStateMachine):
    shape: Any = Maps

    @initialize()
    def begin(self) -> None:
        self.engine = Engine(MemoryBackend(b""), SeededIds(1))
        self.engine.commit(bootstrap_writes(), 0)
        self.key = Key(self.shape.resource, "default", "x")
        self.now = 1_000_000
        body = {**self.shape.base, **self.shape.write({})}
        self.send(Create(resource=self.key.resource, namespace="default", object=body))
        self.model = Model()

    def send(self, write: Any) -> Reply:
        self.now += 1500
        return self.engine.commit([write], self.now)[0]

    def meant(self, wanted: dict[str, str]) -> dict[str, str]:
        return dict.fromkeys(wanted, "1") if self.shape.one_value else wanted

    def patch(self, manager: str, wanted: dict[str, str], **options: Any) -> Reply:
        patch = {**self.shape.base, **self.shape.write(wanted)}
        return self.send(Patch(key=self.key, patch=patch, type=PatchType.APPLY, manager=manager, **options))

    @rule(manager=MANAGERS, wanted=CONFIGS, force=st.booleans(), dry_run=st.booleans())
    def apply(self, manager: str, wanted: dict[str, str], force: bool, dry_run: bool) -> None:
        wanted = self.meant(wanted)
        conflicts = self.model.conflicts(manager, wanted)
        reply = self.patch(manager, wanted, force=force, dry_run=dry_run)
        if conflicts and not force:
            assert reply.error is not None
            assert reply.error["reason"] == "Conflict"
            assert len({cause["field"] for cause in reply.error["details"]["causes"]}) == len(conflicts)
            return
        assert reply.error is None, reply.error
        if not dry_run:
            self.model.apply(manager, wanted)

    @rule(manager=MANAGERS, wanted=CONFIGS)
    def apply_twice(self, manager: str, wanted: dict[str, str]) -> None:
        wanted = self.meant(wanted)
        if self.patch(manager, wanted, force=True).error is None:
            self.model.apply(manager, wanted)
        again = self.patch(manager, wanted)
        assert again.error is None and not again.changed

    @rule(manager=MANAGERS, wanted=CONFIGS)
    def update(self, manager: str, wanted: dict[str, str]) -> None:
        wanted = self.meant(wanted)
        reply = self.send(Update(key=self.key, object=self.shape.write(wanted), manager=manager))
        assert reply.error is None, reply.error
        self.model.update(manager, wanted)

    @invariant()
    def the_object_is_the_models(self) -> None:
        if not hasattr(self, "model"):
            return
        obj = decode(self.engine.get(self.key))
        assert self.shape.read(obj) == self.model.values
        found: dict[str, set[tuple[str, str]]] = {}
        for entry in obj["metadata"].get("managedFields", []):
            for key in self.shape.key_of(entry["fieldsV1"]):
                found.setdefault(key, set()).add((entry["manager"], entry["operation"]))
        assert found == {key: owners for key, owners in self.model.owners.items() if owners}


class KeyedApplyMachine(ApplyMachine):
    shape = KeyedLists


TestMaps = ApplyMachine.TestCase
TestMaps.settings = settings(max_examples=60, stateful_step_count=15)
TestKeyedLists = KeyedApplyMachine.TestCase
TestKeyedLists.settings = settings(max_examples=60, stateful_step_count=15)
