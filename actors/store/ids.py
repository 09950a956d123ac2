"""Where uids and name suffixes come from. The core is handed one; only `RandomIds` is not repeatable."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Protocol

#: Kubernetes' alphabet for generated names: no vowels, nothing that looks like another.
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_CHARS = 5


class Ids(Protocol):
    def uid(self) -> str:
        """A UUID never given before."""
        ...

    def suffix(self) -> str:
        """Five characters for `metadata.generateName`; may repeat."""
        ...


class RandomIds:
    """For a running store."""

    def uid(self) -> str:
        return str(uuid.uuid4())

    def suffix(self) -> str:
        return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_CHARS))


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
