"""Gets and lists, now and at a retained revision; a list's cursor goes on at the revision where it began."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from actors.api.errors import BadRequest, Expired, NotFound
from actors.api.key import Key, Stored
from actors.api.kinds import kind_of
from actors.reconcile.watch import Selection
from actors.store.admission.refusals import not_found
from actors.store.log import Log
from actors.store.matching import Matcher, matcher_of
from actors.store.port import Page


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    revision: int
    after: Key


def get(log: Log, key: Key, revision: int = 0) -> Stored:
    """Raises NotFound, Expired, Timeout (a revision that has not come yet)."""
    stored = log.find(key)
    if revision:
        log.check_retained(revision)
        stored = log.undo_to(revision, key.resource).get(key, stored)
    if stored is None:
        raise _missing(key)
    return stored


def _missing(key: Key) -> NotFound:
    return not_found(kind_of(key.resource), key.name)


def select_page(log: Log, selection: Selection, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
    """Raises Expired, BadRequest (cursor, selector), Timeout (a revision that has not come yet)."""
    matcher = matcher_of(selection)
    after: Key | None = None
    if cursor:
        revision, after = _parse_cursor(cursor, log)
    at = revision or log.revision
    log.check_retained(at)
    undone = log.undo_to(at, matcher.topic) if at < log.revision else {}
    keys = _candidates(log, matcher, undone, after)
    found = _select(log, matcher, keys, undone)
    items = tuple(islice(found, limit + 1)) if limit > 0 else tuple(found)
    if limit <= 0 or len(items) <= limit:
        return Page(items, at)
    items = items[:limit]
    last = items[-1].key
    remaining = 0 if selection.labels or selection.fields else _count_after(last, matcher, keys, undone)
    return Page(items, at, _format_cursor(at, last), remaining)


def _candidates(log: Log, matcher: Matcher, undone: dict[Key, Stored | None], after: Key | None) -> Sequence[Key]:
    """Sorted keys among which all matches are."""
    if matcher.node is not None:
        keys = {*log.keys_on_node(matcher.node), *undone}
    elif len(matcher.resources) == 1 and matcher.namespace and matcher.name:
        keys = {Key(matcher.resources[0], matcher.namespace, matcher.name)}
    else:
        return _on_shelves(log, matcher, undone, after)
    return sorted(key for key in keys if after is None or key > after)


def _on_shelves(log: Log, matcher: Matcher, undone: dict[Key, Stored | None], after: Key | None) -> Sequence[Key]:
    """Those that are there, as they lie there, with those that are there no more."""
    resources = sorted(set(matcher.resources)) or log.resources()
    shelves = [log.keys(resource, matcher.namespace, after) for resource in resources]
    keys = shelves[0] if len(shelves) == 1 else [key for shelf in shelves for key in shelf]
    gone = [key for key in undone if log.find(key) is None and (after is None or key > after)]
    return sorted([*keys, *gone]) if gone else keys


def _count_after(last: Key, matcher: Matcher, keys: Sequence[Key], undone: dict[Key, Stored | None]) -> int:
    """How many more there are, where a selection has no selectors: every key is one, unless its object was not there
    then. Nothing is read, so that a page costs what it holds, however many come after it."""
    start = bisect_right(keys, last)
    absent = (key for key, stored in undone.items() if key > last and not (stored and matcher.matches_key(key)))
    return len(keys) - start - sum(_is_among(key, keys) for key in absent)


def _is_among(key: Key, keys: Sequence[Key]) -> bool:
    at = bisect_left(keys, key)
    return at < len(keys) and keys[at] == key


def _select(log: Log, matcher: Matcher, keys: Sequence[Key], undone: dict[Key, Stored | None]) -> Iterator[Stored]:
    for key in keys:
        stored = undone[key] if key in undone else log.find(key)
        if stored is not None and matcher.matches(stored):
            yield stored


def _format_cursor(revision: int, after: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(revision, after))).decode().rstrip("=")


def _parse_cursor(text: str, log: Log) -> tuple[int, Key]:
    """Revision 0 is now: what a client whose revision is gone may go on with, if it can live with what it missed."""
    cursor = _decode_cursor(text)
    if not 0 <= cursor.revision <= log.revision:
        raise BadRequest(f"invalid continue token: incorrect encoded start resourceVersion: {cursor.revision}")
    if 0 < cursor.revision < log.horizon:
        raise expired_page(text)
    return cursor.revision, cursor.after


def _decode_cursor(text: str) -> _Cursor:
    try:
        packed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(packed, type=_Cursor)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error


def expired_page(cursor: str) -> Expired:
    """What is said of a cursor that is too old, with one that goes on with what is there now. Raises BadRequest."""
    return Expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list - objects that were "
        "created, modified, or deleted between the time the first chunk was returned and now may show up in the "
        "list.",
        cursor=_format_cursor(0, _decode_cursor(cursor).after),
    )
