"""What the store itself keeps in `metadata`: identity, time of creation, generation, finalizers of a dying object."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.errors import BadRequest, Cause, InternalError
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.api.meta import ObjectMeta
from actors.store.admission import refusals

#: Set once, then only ever carried over. A client that leaves them out means no change.
_CARRIED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName")
_IMMUTABLE = {
    "creationTimestamp": "field is immutable",
    "deletionTimestamp": "field is immutable",
    "deletionGracePeriodSeconds": "field is immutable; may only be changed via deletion",
}
#: Never a client's to set on a new object.
_SERVER_SET = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation")
FIRST_GENERATION = 1


def without_nulls(value: Any, known: Any = None) -> Any:
    """A copy in which no object has a null member, for null and absent mean the same in Kubernetes.

    Parts that are `known`'s own are known to have none and are shared with it: a small patch of a large object costs
    what the patch costs.
    """
    if value is known:
        return value
    if isinstance(value, dict):
        parts = known if isinstance(known, dict) else {}
        return {name: without_nulls(item, parts.get(name)) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _may_hold_null(obj: Object) -> bool:
    """False is certain, and far quicker to know than to walk."""
    try:
        return b"null" in msgspec.json.encode(obj)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return True


def _with_nulls(obj: Object) -> Object:
    """A custom resource's schema says what is null or empty; in its metadata that is what is absent."""
    metadata = without_nulls(obj.get("metadata") or {})
    return {**obj, "metadata": {name: value for name, value in metadata.items() if value not in ([], {})}}


def check_type(obj: Any, kind: Kind, known: Object | None = None) -> Object:
    """A copy of a client's object with apiVersion, kind and metadata present. Raises BadRequest for another kind's.

    `known`: the stored object that `obj` may share parts with.
    """
    if not isinstance(obj, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind.kind}): it is not a JSON object")
    if kind.is_custom:
        obj = _with_nulls(obj)
    elif known is not None or _may_hold_null(obj):
        obj = without_nulls(obj, known)
    typed: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, **obj}
    if (typed["apiVersion"], typed["kind"]) != (kind.api_version, kind.kind):
        raise refusals.wrong_type(kind, typed["apiVersion"], typed["kind"])
    return typed


def read_meta(obj: Object) -> ObjectMeta:
    """Raises BadRequest when a field of metadata has the wrong type."""
    try:
        return msgspec.convert(obj["metadata"], ObjectMeta)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the object provided is unrecognized: metadata: {error}") from error


def with_identity(obj: Object, key: Key, uid: str, created_at: str, *, counts_generations: bool) -> Object:
    """A new object's metadata. Raises InternalError, as kube-apiserver does, when it brings a resourceVersion."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVER_SET}
    if metadata.pop("resourceVersion", "") not in ("", "0"):
        raise InternalError("resourceVersion should not be set on objects to be created")
    metadata |= {"name": key.name, "uid": uid, "creationTimestamp": created_at}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if counts_generations:
        metadata["generation"] = FIRST_GENERATION
    return {**obj, "metadata": metadata}


def check_target(obj: Object, key: Key) -> None:
    """The object's own name and namespace, where given, are those of the request. Raises BadRequest."""
    name, namespace = obj["metadata"].get("name", key.name), obj["metadata"].get("namespace", key.namespace)
    if name != key.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({key.name})")
    if namespace != key.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def check_preconditions(kind: Kind, stored: Stored, uid: object, revision: object) -> None:
    """`uid` and `revision`, where given, are the current ones. Raises Conflict; BadRequest for no number."""
    if uid and uid != stored.uid:
        raise refusals.uid_differs(kind, stored.key, str(uid), stored.uid)
    if revision in (None, "", "0", 0):
        return
    if not (text := str(revision)).isdecimal():
        raise BadRequest(f"resourceVersion {text!r} is not a number")
    if int(text) != stored.revision:
        raise refusals.conflict(kind, stored.key, refusals.MODIFIED)


def identity(obj: Object) -> Object:
    """The fields of metadata that are the same as long as the object lives."""
    kept = ("name", "namespace", "uid", "creationTimestamp", "generateName")
    return {name: obj["metadata"][name] for name in kept if name in obj["metadata"]}


def carried_over(old: Object, new: Object) -> Object:
    """`new` with what only the store may change in metadata taken from `old`."""
    metadata = {name: value for name, value in new["metadata"].items() if name not in ("resourceVersion", "selfLink")}
    before = old["metadata"]
    for name in _CARRIED:
        if name in before:
            metadata[name] = before[name]
        elif name != "generateName":
            metadata.pop(name, None)
    metadata["name"] = before["name"]
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    if "managedFields" in before:
        metadata.setdefault("managedFields", before["managedFields"])
    return {**new, "metadata": metadata}


def find_immutable(old: Object, new: Object) -> list[Cause]:
    """Fields of metadata that a client tries to change and may not."""
    before, after = old["metadata"], new["metadata"]
    return [
        Cause(f"metadata.{name}", f"Invalid value: {json.dumps(after[name])}: {why}")
        for name, why in _IMMUTABLE.items()
        if name in after and after[name] != before.get(name)
    ]


def find_late_finalizers(old: Object, new: Object) -> list[Cause]:
    """An object that is being deleted gets no new finalizers."""
    before, after = old["metadata"], new["metadata"]
    if "deletionTimestamp" not in before:
        return []
    added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
    if not added:
        return []
    shown = ", ".join(json.dumps(name) for name in added)
    message = (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        f"found new finalizers []string{{{shown}}}"
    )
    return [Cause("metadata.finalizers", message, "FieldValueForbidden")]


def counted(old: Object, new: Object, kind: Kind) -> Object:
    """`new` with the next generation when anything but metadata and status differs, for kinds that count."""
    if not kind.counts_generations or not _differs(old, new, kind):
        return new
    generation = int(old["metadata"].get("generation", 0)) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def _differs(old: Object, new: Object, kind: Kind) -> bool:
    """The status of a custom resource that has no subresource for it is content like any other."""
    if kind.is_custom and "status" not in kind.subresources and old.get("status") != new.get("status"):
        return True
    return differs_in_content(old, new)


def differs_in_content(old: Object, new: Object) -> bool:
    """In anything but metadata and status."""
    return _content(old) != _content(new)


def _content(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}
