"""Header blocks: counted name and value pairs, deflated as one stream a direction over a dictionary that both know.

SPDY/3 section 2.6.10: the dictionary is words with their lengths, then a text of values that are frequent.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from actors.gateway.spdy.errors import SpdyError

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in (*_WORDS.split(), *_MORE_WORDS)) + _TEXT.encode()
)
#: Kubernetes' clients say what a stream is for, and no more.
_BLOCK_BYTES_MAX = 8 << 10
_PAIRS_MAX = 100


class HeaderCoder:
    """Both directions of one connection. Names are in lower case."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, 11, zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def encode(self, headers: Mapping[str, str]) -> bytes:
        words = [word.encode() for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def decode(self, compressed: bytes) -> dict[str, str]:
        """Raises SpdyError; the connection cannot go on then, for the state of the stream is lost."""
        try:
            block = self._inflate.decompress(compressed, _BLOCK_BYTES_MAX)
        except zlib.error as error:
            raise SpdyError(f"a header block cannot be inflated: {error}") from error
        if self._inflate.unconsumed_tail:
            raise SpdyError(f"a header block is longer than {_BLOCK_BYTES_MAX} bytes")
        return _parse(block)


def _parse(block: bytes) -> dict[str, str]:
    words: list[str] = []
    try:
        (count,) = struct.unpack_from(">I", block)
        if count > _PAIRS_MAX:
            raise SpdyError(f"{count} headers: at most {_PAIRS_MAX} are taken")
        at = 4
        for _ in range(2 * count):
            (length,) = struct.unpack_from(">I", block, at)
            if at + 4 + length > len(block):
                raise SpdyError("a header block is cut off")
            words.append(block[at + 4 : at + 4 + length].decode())
            at += 4 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise SpdyError(f"a header block is malformed: {error}") from error
    return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
