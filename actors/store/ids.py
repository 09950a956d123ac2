"""Where uids and name suffixes come from. The core is handed one; only `RandomIds` is not repeatable."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterator
from typing import Protocol

#: Kubernetes' alphabet for generated names: no vowels, nothing that looks like another.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_CHARS = 5
_DRAWN_AT_ONCE = 256
#: The bits of a UUID that are random, and those that say version 4 of RFC 9562.
_UUID_FREE = ~((0xF << 76) | (0x3 << 62))
_UUID4 = (0x4 << 76) | (0x2 << 62)


class Ids(Protocol):
    def uid(self) -> str:
        """A UUID never given before."""
        ...

    def suffix(self) -> str:
        """Five characters for `metadata.generateName`; may repeat."""
        ...


class RandomIds:
    """For a running store. The system's randomness is drawn for many ids at once: each draw lets go of the interpreter,
    and whoever else wants it then has it for a while."""

    def __init__(self) -> None:
        self._drawn: Iterator[bytes] = iter(())

    def uid(self) -> str:
        digits = f"{int.from_bytes(self._draw(), 'big') & _UUID_FREE | _UUID4:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def suffix(self) -> str:
        drawn = int.from_bytes(self._draw(), "big")
        return "".join(
            SUFFIX_ALPHABET[drawn // len(SUFFIX_ALPHABET) ** n % len(SUFFIX_ALPHABET)] for n in range(SUFFIX_CHARS)
        )

    def _draw(self) -> bytes:
        """Sixteen bytes, never given before."""
        while (found := next(self._drawn, None)) is None:
            pool = secrets.token_bytes(16 * _DRAWN_AT_ONCE)
            self._drawn = iter([pool[at : at + 16] for at in range(0, len(pool), 16)])
        return found


class SeededIds:
    """For the simulator and for tests: the same seed gives the same ids. One per life of a simulated store."""

    def __init__(self, seed: int | str) -> None:
        self._seed = seed
        self._count = 0

    def _digest(self) -> bytes:
        self._count += 1
        return hashlib.blake2b(f"{self._seed}/{self._count}".encode(), digest_size=16).digest()

    def uid(self) -> str:
        return str(uuid.UUID(bytes=self._digest(), version=4))

    def suffix(self) -> str:
        return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in self._digest()[:SUFFIX_CHARS])
