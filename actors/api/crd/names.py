"""The status of a definition: whether its names are free, whether it is served, which versions are stored.

What kube-apiserver's naming and establishing controllers do later is done here with the write itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from actors.api.codec import Object
from actors.api.crd.definition import Definition, Names

_ACCEPTED = {"NamesAccepted": ("True", "NoConflicts", "no conflicts found")}


def settle(obj: Object, definition: Definition, others: Iterable[Definition], now: str) -> Object:
    """`obj` with the status that it deserves; `others` are the definitions of its group, itself left out."""
    status = dict(obj.get("status") or {})
    taken = _taken(others)
    conflict = next(_conflicts(definition.spec.names, taken), None)
    was_established = definition.is_true("Established")
    wanted = dict(_ACCEPTED)
    if conflict is not None:
        wanted["NamesAccepted"] = ("False", *conflict)
    if conflict is None or was_established:
        wanted["Established"] = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    else:
        wanted["Established"] = ("False", "NotAccepted", "not all names are accepted")
    status["conditions"] = _conditions(status.get("conditions") or [], wanted, now)
    if conflict is None:
        names = obj["spec"].get("names") or {}
        status["acceptedNames"] = {name: value for name, value in names.items() if value}
    else:
        status.setdefault("acceptedNames", {"kind": "", "plural": ""})
    stored = list(status.get("storedVersions") or ())
    if (version := definition.storage_version) and version not in stored:
        stored.append(version)
    status["storedVersions"] = stored
    return {**obj, "status": status}


def _taken(others: Iterable[Definition]) -> dict[str, set[str]]:
    taken: dict[str, set[str]] = {"resource": set(), "kind": set()}
    for other in others:
        names = (other.status.accepted_names if other.status else None) or Names()
        taken["resource"] |= {names.plural, names.singular, *(names.short_names or ())}
        taken["kind"] |= {names.kind, names.list_kind}
    return {name: words - {""} for name, words in taken.items()}


def _conflicts(names: Names, taken: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    for reason, word, among in (
        ("PluralConflict", names.plural, "resource"),
        ("SingularConflict", names.singular, "resource"),
        *(("ShortNamesConflict", short, "resource") for short in names.short_names or ()),
        ("KindConflict", names.kind, "kind"),
        ("ListKindConflict", names.list_kind, "kind"),
    ):
        if word in taken[among]:
            yield reason, f'"{word}" is already in use'


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
