"""The local providers of EncryptionConfiguration (apiserver.config.k8s.io/v1), with Kubernetes' own forms on disk.

A sealed text is `k8s:enc:<provider>:v1:<key name>:` and the bytes of the cipher (apiserver/pkg/storage/value/encrypt).
`about` is where the object belongs; aesgcm binds the text to it, so that no row can be put in another's place.
"""

from __future__ import annotations

import os
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305

from actors.store.sealing.xsalsa20 import NONCE_BYTES, xsalsa20

_BODY = b'{"metadata":{'
_GCM_NONCE_BYTES, _BLOCK_BYTES, _TAG_BYTES = 12, 16, 16


class EncryptionError(Exception):
    """The configuration cannot be used, or does not have the key. The message says which and what to do."""


class WrongKey(Exception):
    """The text was not sealed with this key, or was changed since."""


class CipherPort(Protocol):
    def open(self) -> None:
        """Before anything is sealed. Raises EncryptionError where the key is not at hand."""
        ...

    def seal(self, text: bytes, about: bytes) -> bytes: ...

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        """Raises WrongKey, and EncryptionError where the key is not at hand."""
        ...

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is sealed as it would be today, as far as the prefix does not tell."""
        ...

    def close(self) -> None: ...


class _Local:
    """A cipher whose key is in the file, and in the prefix its name."""

    def open(self) -> None: ...

    def is_current(self, sealed: bytes) -> bool:
        return True

    def close(self) -> None: ...


class AesGcm(_Local):
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: bytes, about: bytes) -> bytes:
        nonce = os.urandom(_GCM_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, about)

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_GCM_NONCE_BYTES], sealed[_GCM_NONCE_BYTES:], about)
        except (InvalidTag, ValueError) as error:
            raise WrongKey from error


class AesCbc(_Local):
    """It proves nothing by itself: that a body comes out, which all begin alike, tells the right key."""

    def __init__(self, key: bytes) -> None:
        self._key = algorithms.AES(key)

    def seal(self, text: bytes, about: bytes) -> bytes:
        start = os.urandom(_BLOCK_BYTES)
        padder = padding.PKCS7(8 * _BLOCK_BYTES).padder()
        encryptor = Cipher(self._key, modes.CBC(start)).encryptor()
        return start + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        try:
            decryptor = Cipher(self._key, modes.CBC(sealed[:_BLOCK_BYTES])).decryptor()
            unpadder = padding.PKCS7(8 * _BLOCK_BYTES).unpadder()
            padded = decryptor.update(sealed[_BLOCK_BYTES:]) + decryptor.finalize()
            text = unpadder.update(padded) + unpadder.finalize()
        except ValueError as error:
            raise WrongKey from error
        if not text.startswith(_BODY):
            raise WrongKey
        return text


class SecretBox(_Local):
    """NaCl's: XSalsa20 and Poly1305."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, text: bytes, about: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.seal_with(nonce, text)

    def seal_with(self, nonce: bytes, text: bytes) -> bytes:
        stream = xsalsa20(self._key, nonce, bytes(32) + text)
        return Poly1305.generate_tag(stream[:32], stream[32:]) + stream[32:]

    def unseal(self, sealed: bytes, about: bytes) -> bytes:
        nonce, tag, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES : NONCE_BYTES + _TAG_BYTES], sealed[40:]
        if len(sealed) < NONCE_BYTES + _TAG_BYTES:
            raise WrongKey
        stream = xsalsa20(self._key, nonce, bytes(32) + rest)
        try:
            Poly1305.verify_tag(xsalsa20(self._key, nonce, bytes(32)), rest, tag)
        except InvalidSignature as error:
            raise WrongKey from error
        return stream[32:]
