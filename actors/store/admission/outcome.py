"""What admission decides about one write, and what it is told to decide with. Values only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.crd.kinds import Custom, read_custom
from actors.api.key import Key, Stored
from actors.api.kinds import Kind, is_static, kind_of
from actors.reconcile.actions import Amended, Write
from actors.store.ids import Ids

if TYPE_CHECKING:
    from actors.store.admission.plugin import Plugins
    from actors.store.admission.twins import Twins


class Notes(msgspec.Struct):
    """What admission has to say of one write beside its outcome: warnings for the client, annotations for the audit."""

    warnings: list[str] = msgspec.field(default_factory=list)
    audit: dict[str, str] = msgspec.field(default_factory=dict)


class Context(msgspec.Struct, frozen=True):
    """`lookup` and `scan` (of a resource: all, or those of an API namespace, in no order) answer the objects as the
    writes before this one have left them. `plugins`: the built-in ones. `twins`: of the whole commit. `user`: who
    asks. `notes` are of one write, as are `draft` and `amended`. `node_ports`: the first and the last that Services may
    have.
    """

    lookup: Callable[[Key], Stored | None]
    scan: Callable[[str, str], Sequence[Stored]]
    now: Millis
    ids: Ids
    plugins: Plugins
    twins: Twins
    user: str = ""
    notes: Notes = msgspec.field(default_factory=Notes)
    draft: bool = False
    amended: Amended | None = None
    node_ports: tuple[int, int] = (30_000, 32_767)

    def for_write(self, write: Write) -> Context:
        """What is the same for nearly all writes is not made anew."""
        if not write.draft and write.amended is None:
            return self
        return msgspec.structs.replace(self, draft=write.draft and write.dry_run, amended=write.amended)

    @property
    def checks(self) -> bool:
        """Whether the object that is made is held to its schema."""
        return not self.draft and not (self.amended is not None and self.amended.whole)

    def kind_of(self, resource: str) -> Kind:
        """Of the table, or of an established definition. Raises NotFound."""
        custom = self.custom(resource)
        return kind_of(resource) if custom is None or not custom.established else custom.stored

    def custom(self, resource: str) -> Custom | None:
        """What the definition of that name makes; None when there is none."""
        if is_static(resource):
            return None
        stored = self.lookup(Key(DEFINITIONS, "", resource))
        return read_custom(stored.body) if stored is not None else None


class Put(msgspec.Struct, frozen=True):
    """The object becomes this. `also`: other objects that change with it, in the same commit."""

    key: Key
    object: Object
    also: tuple[Put | Remove, ...] = ()


class Remove(msgspec.Struct, frozen=True):
    """The object is gone for good; this was its last state. `also` as in Put."""

    key: Key
    object: Object
    also: tuple[Put | Remove, ...] = ()


class Keep(msgspec.Struct, frozen=True):
    """Nothing to change: the write asks for what is already so."""

    stored: Stored


Outcome = Put | Remove | Keep
