"""Objects to bytes and back. A body is JSON whose first key is `metadata`, without a resourceVersion.

That order lets `with_revision` add the resourceVersion by joining bytes: a list of 5,000 pods is answered
without decoding one of them. Revisions are thus stored once, in the envelope, and cannot disagree with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from actors.api.errors import BadRequest
from actors.api.key import Stored

_PREFIX = b'{"metadata":{'
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])

Object = dict[str, Any]
#: What holds other values, for `isinstance` where it is asked often: a union would be made anew each time.
NESTED = (dict, list)
T = TypeVar("T")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def encode(obj: Object) -> bytes:
    """The body of `obj`: metadata first, resourceVersion left out. `obj` is not changed."""
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "resourceVersion"}
    return _ENCODER.encode({"metadata": metadata, **{k: v for k, v in obj.items() if k != "metadata"}})


def with_revision(body: bytes, revision: int) -> bytes:
    """JSON text of the object as clients see it, resourceVersion included; revision 0 is that of nothing stored."""
    if not revision:
        return body
    comma = b"" if body.startswith(b"}", len(_PREFIX)) else b","
    return b'%s"resourceVersion":"%d"%s%s' % (_PREFIX, revision, comma, body[len(_PREFIX) :])


def decode(stored: Stored) -> Object:
    """The object as a dict of its own, resourceVersion included. For the gateway and the patch applier."""
    obj = _DECODER.decode(stored.body)
    obj["metadata"]["resourceVersion"] = str(stored.revision)
    return obj


def decode_json(text: bytes) -> Object:
    """A client's JSON. Raises BadRequest with the parser's words."""
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the request body is not a JSON object: {error}") from error


def lens(stored: Stored, shape: type[T]) -> T:
    """The fields of the object that `shape` (a frozen Struct) names; every other field is skipped unread."""
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders[shape] = msgspec.json.Decoder(shape)
    return decoder.decode(with_revision(stored.body, stored.revision))  # type: ignore[no-any-return]  # by `shape`


@lru_cache(maxsize=1024)
def _lens_kept(stored: Stored, shape: Any) -> Any:
    return lens(stored, shape)


def lens_kept(stored: Stored, shape: type[T]) -> T:
    """`lens` of what many writes ask for again and again while it does not change: their API namespace, its account."""
    return _lens_kept(stored, shape)  # type: ignore[no-any-return, arg-type]  # a type can be hashed
