"""From a request to what is to be asked: each policy that it fits, with each binding and each of its parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.admission.policies.evaluation import Authority, authorizer_of, control_plane, data_of
from actors.admission.policies.hooks import Hook, Hooks
from actors.admission.policies.params import ConfigurationError, collect_params
from actors.admission.request import Place, Request
from actors.admission.shapes import OwnShapes, Shapes
from actors.api.codec import Object, decode
from actors.api.errors import BadRequest
from actors.api.key import Key, Stored
from actors.api.kinds import NAMESPACE, Kind
from actors.api.policies.policy import Binding
from actors.store.port import StorePort


@dataclass(frozen=True)
class World:
    """What policies are asked with: where parameters are, how objects look, who may do what."""

    store: StorePort
    shapes: Shapes = field(default_factory=OwnShapes)
    authority: Authority = control_plane


@dataclass(frozen=True)
class Invocation:
    """`failure`: why it cannot be asked; then there may be no `binding`."""

    hook: Hook
    kind: Kind
    binding: Binding | None = None
    params: Object | None = None
    namespace: Object | None = None
    failure: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        meta = (self.params or {}).get("metadata") or {}
        param = f"{meta.get('namespace', '')}/{meta.get('name', '')}" if self.params else ""
        return self.hook.policy.name, self.binding.name if self.binding else "", param


class Invocations:
    """A step's view of its policies."""

    def __init__(self, world: World, hooks: Hooks) -> None:
        self._world = world
        self._hooks = hooks

    def may_want(self, place: Place) -> bool:
        return bool(self._hooks.wanting(place))

    async def find(self, request: Request) -> AsyncIterator[Invocation]:
        """Raises ApiError when the store does not answer."""
        namespace: Object | None = None
        looked = False
        for hook in self._hooks.wanting(request.place):
            kind = hook.constraints.find_kind(request)
            if kind is None:
                continue
            if not looked:
                namespace, looked = await self._namespace(request), True
            if not hook.constraints.fits_labels(request, namespace):
                continue
            if hook.broken:
                yield Invocation(hook, kind, failure=f"failed to configure policy: {hook.broken}")
                continue
            async for invocation in self._of(hook, kind, request, namespace):
                yield invocation

    async def _of(
        self, hook: Hook, kind: Kind, request: Request, namespace: Object | None
    ) -> AsyncIterator[Invocation]:
        for bound in hook.bindings:
            if bound.constraints.find_kind(request) is None or not bound.constraints.fits_labels(request, namespace):
                continue
            binding, spec = bound.binding, hook.policy.spec
            world = self._world
            place = "" if request.kind.storage is NAMESPACE else request.namespace
            try:
                found = await collect_params(world.store, world.shapes, spec.param_kind, binding.spec.param_ref, place)
            except (ConfigurationError, BadRequest) as error:
                yield Invocation(hook, kind, binding, failure=str(error))
                continue
            for params in found:
                yield Invocation(hook, kind, binding, params, namespace)

    async def _namespace(self, request: Request) -> Object | None:
        if not request.namespace or request.kind.storage is NAMESPACE:
            return None
        return decode(await self._world.store.get(Key(NAMESPACE.resource, "", request.namespace)))

    async def data(self, invocation: Invocation, request: Request) -> dict[str, Any]:
        """All variables but those of the policy's own."""
        data = await data_of(request, invocation.kind, invocation.namespace, self._world.shapes)
        if invocation.hook.policy.spec.param_kind is not None:
            data["params"] = invocation.params
        if invocation.hook.compiled.asks:
            data |= authorizer_of(request, await self._world.authority(request.origin.user))
        return data


class PolicyStep:
    """What steps of the chain that ask policies of one kind have in common."""

    def __init__(self, world: World, policies: str, bindings: str) -> None:
        self._world = world
        self._hooks = Hooks(policies, bindings)
        self._invocations = Invocations(world, self._hooks)

    @property
    def resources(self) -> tuple[str, ...]:
        return self._hooks.resources

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        self._hooks.configure(objects)

    def may_want(self, place: Place) -> bool:
        return self._invocations.may_want(place)
