"""Policies and bindings in a store, and the chain that asks them."""

from __future__ import annotations

from typing import Any

from actors.admission.chain import Chain
from actors.admission.policies.evaluation import Authority, control_plane
from actors.admission.policies.invocations import World
from actors.admission.policies.mutating import MutatingPolicies
from actors.admission.policies.validating import ValidatingPolicies
from actors.admission.request import Origin
from actors.api.codec import Object, decode
from actors.reconcile.actions import Create, Reply, StoreWrite
from actors.store.local import LocalStore

USER = {"username": "ann", "groups": ["system:authenticated"]}
API = "admissionregistration.k8s.io/v1"


def rule(resources: str = "configmaps", groups: str = "", operations: tuple[str, ...] = ("CREATE", "UPDATE")) -> Object:
    return {
        "apiGroups": [groups],
        "apiVersions": ["v1"],
        "operations": list(operations),
        "resources": [resources],
    }


def policy(name: str = "p", rules: list[Object] | None = None, mutating: bool = False, **spec: Any) -> Create:
    constraints = {"resourceRules": rules or [rule()], **spec.pop("constraints", {})}
    kind = "MutatingAdmissionPolicy" if mutating else "ValidatingAdmissionPolicy"
    spec = {"reinvocationPolicy": "Never", **spec} if mutating else spec
    obj = {"apiVersion": API, "kind": kind, "metadata": {"name": name}}
    return _create({**obj, "spec": {"matchConstraints": constraints, **spec}})


def binding(name: str = "b", to: str = "p", mutating: bool = False, **spec: Any) -> Create:
    kind = "MutatingAdmissionPolicyBinding" if mutating else "ValidatingAdmissionPolicyBinding"
    spec = spec if mutating else {"validationActions": ["Deny"], **spec}
    obj = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": {"policyName": to, **spec}}
    return _create(obj)


def _create(obj: Object) -> Create:
    plural = obj["kind"].lower() + "s" if not obj["kind"].endswith("y") else obj["kind"].lower()[:-1] + "ies"
    return Create(resource=f"{plural}.admissionregistration.k8s.io", namespace="", object=obj)


class Bench:
    """A store with a chain of policies before it."""

    def __init__(self, store: LocalStore, authority: Authority = control_plane) -> None:
        self.store = store
        world = World(store, authority=authority)
        self.chain = Chain(store, [MutatingPolicies(world)], [ValidatingPolicies(world)])
        self.notes = Origin(USER)

    async def given(self, *writes: StoreWrite) -> None:
        for reply in await self.store.commit(writes):
            assert reply.error is None, reply.error

    async def submit(self, write: StoreWrite) -> Reply:
        self.notes = Origin(USER)
        return (await self.chain.submit([write], [self.notes]))[0]

    async def one(self, write: StoreWrite) -> Object:
        reply = await self.submit(write)
        assert reply.error is None, reply.error
        assert reply.stored is not None
        return decode(reply.stored)

    async def refusal(self, write: StoreWrite) -> Object:
        reply = await self.submit(write)
        assert reply.error is not None
        return reply.error
