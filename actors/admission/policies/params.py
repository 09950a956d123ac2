"""The objects that a binding gives its policy as `params` (generic/policy_dispatcher.go: CollectParams)."""

from __future__ import annotations

from actors.admission.shapes import Shapes
from actors.api.codec import Object, decode
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.crd.kinds import read_custom
from actors.api.errors import NotFound
from actors.api.key import Key, Stored
from actors.api.kinds import Kind, kind_for
from actors.api.policies.policy import ParamKind, ParamRef
from actors.api.selector import format_labels, from_selector
from actors.reconcile.watch import Selection
from actors.store.port import StorePort


class ConfigurationError(Exception):
    """A binding or policy that cannot be asked; `binding` tells whose fault it is."""

    def __init__(self, why: str, of_binding: bool = True) -> None:
        super().__init__(f"failed to configure {'binding' if of_binding else 'policy'}: {why}")


async def collect_params(
    store: StorePort, shapes: Shapes, kind: ParamKind | None, ref: ParamRef | None, namespace: str
) -> list[Object | None]:
    """One None where the policy takes none. Raises ConfigurationError; ApiError when the store does not answer."""
    if kind is None or ref is None:
        return [None]
    found = await _find_kind(store, kind)
    if found is None:
        raise ConfigurationError(f"failed to find resource referenced by paramKind: '{_gvk(kind)}'", False)
    if ref.namespace and not found.namespaced:
        raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    place = (ref.namespace or namespace) if found.namespaced else ""
    if found.namespaced and not place:
        raise ConfigurationError(
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
    if ref.name:
        stored = await _get(store, Key(found.storage.resource, place, ref.name))
    else:
        labels = format_labels(from_selector(ref.selector))
        stored = list((await store.list(Selection((found.storage.resource,), place, labels))).items)
    if not stored and ref.parameter_not_found_action == "Deny":
        raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
    return [await shapes.show(decode(item), found) for item in stored]


def _gvk(kind: ParamKind) -> str:
    group, _, version = kind.api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind.kind}"


async def _get(store: StorePort, key: Key) -> list[Stored]:
    try:
        return [await store.get(key)]
    except NotFound:
        return []


async def _find_kind(store: StorePort, kind: ParamKind) -> Kind | None:
    """Of the table, or of an established definition."""
    known = kind_for(kind.api_version, kind.kind)
    if known is not None:
        return known
    group, _, version = kind.api_version.rpartition("/")
    for stored in (await store.list(Selection((DEFINITIONS,)))).items:
        if stored.key.name.partition(".")[2] != group:
            continue
        custom = read_custom(stored.body)
        if custom.stored.kind == kind.kind and custom.established and version in custom.versions:
            return custom.versions[version]
    return None
