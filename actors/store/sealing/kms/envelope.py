"""Sealing with seeds that a key management service seals: a key of its own for each text, derived from the seed.

As Kubernetes has it on disk (envelope/kmsv2, aes/aes_extended_nonce.go): 32 random bytes beside the text and the seed
make its AES-GCM key (HKDF-Expand, SHA-256), so a seed serves any number of texts. A seed is made at the start and
whenever the service has another key; the plugin is asked for each seed once.

The plugin is needed at the start. While it is away later, texts are sealed with the last seed: the log is one for all
objects, and a write of a Secret must not stop the others. It is asked for its key every minute.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from google.protobuf.message import DecodeError

from actors.store.sealing.ciphers import WrongKey
from actors.store.sealing.kms.client import KmsError, KmsPort, SealedSeed
from actors.store.sealing.kms.messages import EncryptedObject

_LOG = logging.getLogger(__name__)
_SEED_BYTES = _INFO_BYTES = 32
_NONCE_BYTES = 12
_KEY_TYPE, _SEED_TYPE = 0, 1
POLL_SECONDS = 60.0


class _Current(NamedTuple):
    seed: bytes
    sealed: SealedSeed


class KmsCipher:
    """Raises KmsError where it needs the plugin: to `open`, and for seeds that it has not seen."""

    def __init__(self, kms: KmsPort, poll_seconds: float = POLL_SECONDS) -> None:
        self._kms, self._poll_seconds = kms, poll_seconds
        self._current: _Current | None = None
        self._seeds: dict[bytes, bytes] = {}
        self._closed = threading.Event()

    def open(self) -> None:
        self._now()

    def seal(self, text: bytes, about: bytes) -> bytes:
        current = self._now()
        info, nonce = os.urandom(_INFO_BYTES), os.urandom(_NONCE_BYTES)
        data = AESGCM(_derived(current.seed, info)).encrypt(nonce, text, about)
        sealed = current.sealed
        made: bytes = EncryptedObject(
            encryptedData=info + nonce + data,
            keyID=sealed.key_id,
            encryptedDEKSource=sealed.ciphertext,
            annotations=dict(sealed.annotations),
            encryptedDEKSourceType=_SEED_TYPE,
        ).SerializeToString()
        return made

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        try:
            found = EncryptedObject.FromString(sealed)
            source, data = self._source_of(found), found.encryptedData
            if found.encryptedDEKSourceType == _SEED_TYPE:
                source, data = _derived(source, data[:_INFO_BYTES]), data[_INFO_BYTES:]
            elif found.encryptedDEKSourceType != _KEY_TYPE:
                raise WrongKey
            return AESGCM(source).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], about)
        except (DecodeError, InvalidTag, ValueError) as error:
            raise WrongKey from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is sealed by the service's key of today; which seed does not matter."""
        try:
            found = EncryptedObject.FromString(sealed)
        except DecodeError:
            return False
        return bool(found.keyID == self._now().sealed.key_id and found.encryptedDEKSourceType == _SEED_TYPE)

    def close(self) -> None:
        self._closed.set()

    def _source_of(self, found: Any) -> bytes:
        """The seed, or the key, of a stored object."""
        source = self._seeds.get(found.encryptedDEKSource)
        if source is None:
            sealed = SealedSeed(found.encryptedDEKSource, found.keyID, dict(found.annotations))
            source = self._seeds[found.encryptedDEKSource] = self._kms.decrypt(sealed)
        return source

    def _now(self) -> _Current:
        if self._current is None:
            self._current = self._renew()
            threading.Thread(target=self._follow, name="kms-status", daemon=True).start()
        return self._current

    def _renew(self) -> _Current:
        self._kms.key_id()
        seed = os.urandom(_SEED_BYTES)
        sealed = self._kms.encrypt(seed)
        self._seeds[sealed.ciphertext] = seed
        return _Current(seed, sealed)

    def _follow(self) -> None:
        """Another key of the service brings another seed; what is sealed is rewritten at the next start."""
        is_away = False
        while not self._closed.wait(self._poll_seconds):
            try:
                key_id = self._kms.key_id()
                if self._current is not None and key_id != self._current.sealed.key_id:
                    self._current = self._renew()
                    _LOG.info("the key management service has another key, %s: new texts are sealed by it", key_id)
                is_away = False
            except KmsError as error:
                if not is_away:
                    _LOG.warning("%s; until then the last seed seals", error)
                is_away = True


def _derived(seed: bytes, info: bytes) -> bytes:
    return HKDFExpand(algorithm=hashes.SHA256(), length=32, info=info).derive(seed)
