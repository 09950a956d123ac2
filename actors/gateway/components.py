"""ComponentStatuses: the health of the control plane's parts, by the names that Kubernetes' users know them by
(pkg/registry/core/componentstatus). Deprecated since 1.19, and still asked for. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from actors.api.codec import Object, encode
from actors.api.errors import NotFound
from actors.api.field_selector import check_paths, parse_fields
from actors.api.key import Key, Stored
from actors.api.kinds import COMPONENT_STATUS, Kind
from actors.gateway import render
from actors.gateway.call import Call
from actors.gateway.media import OBJECT_FORMS
from actors.gateway.options import parse_list
from actors.gateway.port import ActorHealth
from actors.gateway.reading import content_type
from actors.reconcile.watch import Selection
from actors.store.matching import matcher_of

#: By the actors that do the work of each.
_COMPONENTS = {"controller-manager": "raypod-controllers", "etcd-0": "raypod-store", "scheduler": "raypod-scheduler"}


async def read_components(call: Call, kind: Kind) -> web.StreamResponse:
    """Of one, or of those that the selectors choose. Raises NotFound, BadRequest."""
    form, target = call.form(OBJECT_FORMS), call.target
    if target.name and target.name not in _COMPONENTS:
        message = f"Component not found: {target.name}"
        raise NotFound(message, name=target.name, kind=kind.plural)
    options = parse_list(call.query)
    check_paths(parse_fields(options.fields))
    found = _statuses(await call.backend.cluster.actors())
    if target.name:
        one = next(status for status in found if status.key.name == target.name)
        return call.answer(render.single(kind, one, form, call.now, call.include), content_type=content_type(form))
    matcher = matcher_of(Selection((kind.resource,), "", options.labels, options.fields))
    chunks = render.collection(kind, [one for one in found if matcher.matches(one)], {}, form, call.now, call.include)
    return call.answer(b"".join(chunks), content_type=content_type(form))


def _statuses(actors: Sequence[ActorHealth]) -> list[Stored]:
    """In the form in which all that is rendered comes; of no revision, for they are not stored."""
    by_name = {actor.name: actor for actor in actors}
    return [_status(name, by_name.get(actor)) for name, actor in _COMPONENTS.items()]


def _status(name: str, actor: ActorHealth | None) -> Stored:
    kind = COMPONENT_STATUS
    metadata = {"name": name}
    body = {"metadata": metadata, "apiVersion": kind.api_version, "kind": kind.kind, "conditions": [_healthy(actor)]}
    return Stored(Key(kind.resource, "", name), 0, 0, "", encode(body))


def _healthy(actor: ActorHealth | None) -> Object:
    if actor is not None and actor.alive:
        return {"type": "Healthy", "status": "True", "message": "ok"}
    error = actor.message if actor is not None else "nobody tells of it"
    return {"type": "Healthy", "status": "Unknown", "error": error}
