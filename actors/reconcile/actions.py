"""Decisions as values. A core yields them; a shell carries them out, and every reply comes back as an event.

`Create`, `Update`, `Patch` and `Delete` are also the store's whole write language: what a controller decides is
what the store commits, fifty of them in one message. `Emit` and `RequeueAfter` are for the shell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key, Stored


class PatchType(StrEnum):
    """How `Patch.patch` is read: a dict, for JSON (RFC 6902) a list of operations."""

    MERGE = "merge"  # RFC 7386
    JSON = "json"  # RFC 6902
    STRATEGIC = "strategic"  # Kubernetes' strategic merge patch
    APPLY = "apply"  # server-side apply


class Propagation(StrEnum):
    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class Amended(msgspec.Struct, frozen=True):
    """What admission outside of the store has made of a write, or has seen of it: `object` takes the place of what the
    write would make, and holds only while the stored object is at `revision` (0: not there), else Conflict. The
    write's manager claims nothing more: `object` has its managedFields. None: a removal has no object. `whole`: it is
    all of the object, status and generation too, for it was judged in the terms of another version already."""

    object: Object | None
    revision: int
    whole: bool = False


class Write(msgspec.Struct, frozen=True, tag_field="op", tag=True, omit_defaults=True, kw_only=True):
    """What all writes share. `dry_run`: answered as if committed, nothing stored. `manager`: fieldManager. `user`: who
    asked, as the gateway has authenticated them, for the log; "" is the part of the control plane that commits.
    `draft`, of a dry run: the object with its defaults, before it is validated."""

    dry_run: bool = False
    manager: str = ""
    user: str = ""
    draft: bool = False
    amended: Amended | None = None


class Create(Write, frozen=True):
    """AlreadyExists when the name is taken. `metadata.generateName` gets a suffix from the store."""

    resource: str
    namespace: str
    object: Object


class Update(Write, frozen=True):
    """Replace. `object.metadata.resourceVersion`, when set, must be the current one (else Conflict).

    `api_version`: of the view that it was written for, "" is the stored kind's; `object` is in the stored form.
    """

    key: Key
    object: Object
    subresource: str = ""
    api_version: str = ""


class Patch(Write, frozen=True):
    """Change some fields. `revision` > 0 and `uid` != "" are preconditions (else Conflict).

    `api_version`: of the view that the patch is written for, "" is the stored kind's.
    """

    key: Key
    patch: Any
    type: PatchType = PatchType.MERGE
    subresource: str = ""
    revision: int = 0
    uid: str = ""
    force: bool = False
    api_version: str = ""


class Delete(Write, frozen=True):
    """Ask for the end of an object. Bound pods become Terminating until their node confirms with grace 0."""

    key: Key
    uid: str = ""
    revision: int = 0
    grace_period_seconds: int | None = None
    propagation: Propagation | None = None


class Emit(msgspec.Struct, frozen=True, tag_field="op", tag=True, kw_only=True):
    """An Event about an object. The shell counts repeats into one Event (`count`, `lastTimestamp`)."""

    regarding: Key
    uid: str
    reason: str
    message: str
    type: str = "Normal"


class RequeueAfter(msgspec.Struct, frozen=True, tag_field="op", tag=True):
    """Reconcile the same key again after `delay_ms`, even when nothing changes."""

    delay_ms: Millis


StoreWrite = Create | Update | Patch | Delete
Action = StoreWrite | Emit | RequeueAfter


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one write: the object as it is now (for a removal, its last state), or a `Status` failure.

    `removed` tells that the object is gone for good, `changed` is False for a write that changed nothing. `warnings`
    are for the client, `audit` are annotations for the audit trail; both also beside an error.
    """

    stored: Stored | None = None
    error: dict[str, Any] | None = None
    removed: bool = False
    changed: bool = True
    warnings: tuple[str, ...] = ()
    audit: dict[str, str] = {}
