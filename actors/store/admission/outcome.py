"""What admission decides about one write, and what it is told to decide with. Values only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key, Stored
from actors.store.ids import Ids


class Context(msgspec.Struct, frozen=True):
    """`lookup` answers the object as the writes before this one have left it."""

    lookup: Callable[[Key], Stored | None]
    now: Millis
    ids: Ids


class Put(msgspec.Struct, frozen=True):
    """The object becomes this."""

    key: Key
    object: Object


class Remove(msgspec.Struct, frozen=True):
    """The object is gone for good; this was its last state."""

    key: Key
    object: Object


class Keep(msgspec.Struct, frozen=True):
    """Nothing to change: the write asks for what is already so."""

    stored: Stored


Outcome = Put | Remove | Keep
