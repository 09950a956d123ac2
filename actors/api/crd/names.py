"""The status of a definition: whether its names are free, whether it is served, which versions are stored.

What kube-apiserver's naming and establishing controllers do later is done here with the write itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from actors.api.codec import Object
from actors.api.crd.approval import State, approval_of
from actors.api.crd.definition import Definition, Names

_ACCEPTED = {"NamesAccepted": ("True", "NoConflicts", "no conflicts found")}


def settle(obj: Object, definition: Definition, others: Iterable[Definition], now: str) -> Object:
    """`obj` with the status that it deserves; `others` are the definitions of its group, itself left out."""
    status = dict(obj.get("status") or {})
    taken = _taken(others)
    conflicts = list(_conflicts(definition.spec.names, taken))
    conflict = conflicts[-1][1:] if conflicts else None
    was_established = definition.is_true("Established")
    wanted = dict(_ACCEPTED)
    if conflict is not None:
        wanted["NamesAccepted"] = ("False", *conflict)
    if conflict is None or was_established:
        wanted["Established"] = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    else:
        wanted["Established"] = ("False", "NotAccepted", "not all names are accepted")
    if (approval := approval_of(obj)) is not None:
        is_approved = "True" if approval.state is State.APPROVED else "False"
        wanted["KubernetesAPIApprovalPolicyConformant"] = (is_approved, approval.state.value, approval.message)
    status["conditions"] = _conditions(status.get("conditions") or [], wanted, now)
    names, known = obj["spec"].get("names") or {}, status.get("acceptedNames") or {"kind": "", "plural": ""}
    free = names.keys() - {field for field, *_ in conflicts}
    accepted = {**known, **{name: names[name] for name in free}} if conflicts else names
    status["acceptedNames"] = {name: value for name, value in accepted.items() if value or name in ("kind", "plural")}
    stored = list(status.get("storedVersions") or ())
    if (version := definition.storage_version) and version not in stored:
        stored.append(version)
    status["storedVersions"] = stored
    return {**obj, "status": status}


class Stage(StrEnum):
    """Of the end of a definition: its objects go first. The values are the reasons of the condition Terminating."""

    PENDING = "InstanceDeletionPending"
    UNDER_WAY = "InstanceDeletionInProgress"
    DONE = "InstanceDeletionCompleted"


_STAGES = {
    Stage.PENDING: ("True", "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"),
    Stage.UNDER_WAY: ("True", "CustomResource deletion is in progress"),
    Stage.DONE: ("False", "removed all instances"),
}


def terminating(obj: Object, now: str) -> Object:
    """A definition that is being deleted."""
    status = obj.get("status") or {}
    return {**obj, "status": {**status, "conditions": staged(status.get("conditions") or (), Stage.PENDING, now)}}


def stage_of(conditions: Iterable[Object]) -> str:
    return next((str(known.get("reason")) for known in conditions if known.get("type") == "Terminating"), "")


def staged(conditions: Iterable[Object], stage: Stage, now: str) -> list[Object]:
    """The conditions of a definition that has come this far on its way out."""
    known = list(conditions)
    kept = [condition for condition in known if condition.get("type") != "Terminating"]
    status, message = _STAGES[stage]
    wanted = {"Terminating": (status, stage.value, message)}
    return [*kept, *_conditions([item for item in known if item not in kept], wanted, now)]


def _taken(others: Iterable[Definition]) -> dict[str, set[str]]:
    taken: dict[str, set[str]] = {"resource": set(), "kind": set()}
    for other in others:
        names = (other.status.accepted_names if other.status else None) or Names()
        taken["resource"] |= {names.plural, names.singular, *(names.short_names or ())}
        taken["kind"] |= {names.kind, names.list_kind}
    return {name: words - {""} for name, words in taken.items()}


def _conflicts(names: Names, taken: dict[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    """Fields whose names are not free, with reason and message; the last one is told, as by kube-apiserver."""
    for field, reason, word, among in (
        ("plural", "PluralConflict", names.plural, "resource"),
        ("singular", "SingularConflict", names.singular, "resource"),
        *(("shortNames", "ShortNamesConflict", short, "resource") for short in names.short_names or ()),
        ("kind", "KindConflict", names.kind, "kind"),
        ("listKind", "ListKindConflict", names.list_kind, "kind"),
    ):
        if word in taken[among]:
            yield field, reason, f'"{word}" is already in use'


def _conditions(known: list[Object], wanted: dict[str, tuple[str, str, str]], now: str) -> list[Object]:
    """Times stay where the status does."""
    left = {condition.get("type"): condition for condition in known if isinstance(condition, dict)}
    settled = []
    for name, (status, reason, message) in wanted.items():
        before = left.pop(name, {})
        since = before.get("lastTransitionTime", now) if before.get("status") == status else now
        settled.append(
            {"lastTransitionTime": since, "message": message, "reason": reason, "status": status, "type": name}
        )
    return [*settled, *left.values()]


def read_all(bodies: Iterable[bytes]) -> list[Definition]:
    return [_DECODER.decode(body) for body in bodies]


_DECODER = msgspec.json.Decoder(Definition)
