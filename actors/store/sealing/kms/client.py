"""Asks a KMS plugin over gRPC on its Unix socket, and holds its answers to what the interface promises.

As apiserver/pkg/storage/value/encrypt/envelope/kmsv2 does: an answer that does not fit is a failure, not a guess.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import grpc
from google.protobuf.message import DecodeError

from actors.store.sealing.ciphers import EncryptionError
from actors.store.sealing.kms import messages

_BYTES_MAX = 1024
_ANNOTATIONS_BYTES_MAX = 32 * 1024
_VERSIONS = ("v2", "v2beta1")


class KmsError(EncryptionError):
    """The plugin does not answer, or not as it must. The message says which and what to do."""


class SealedSeed(NamedTuple):
    """A seed as the plugin has sealed it: what it needs to unseal it again."""

    ciphertext: bytes
    key_id: str
    annotations: Mapping[str, bytes]


class KmsPort(Protocol):
    def key_id(self) -> str:
        """Of the key that seals now. Raises KmsError."""
        ...

    def encrypt(self, plaintext: bytes) -> SealedSeed:
        """Raises KmsError."""
        ...

    def decrypt(self, sealed: SealedSeed) -> bytes:
        """Raises KmsError."""
        ...


class KmsClient:
    """`endpoint`: `unix:///path`. A connection that broke is made again with the next call."""

    def __init__(self, name: str, endpoint: str, timeout_seconds: float) -> None:
        self._name, self._endpoint, self._seconds = name, endpoint, timeout_seconds
        options = (("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100))
        self._channel = grpc.insecure_channel(endpoint.replace("unix:///", "unix:/"), options=options)

    def key_id(self) -> str:
        answer = self._ask("Status", messages.StatusRequest(), messages.StatusResponse)
        if answer.version not in _VERSIONS:
            raise self._failure(f"it speaks version {answer.version!r}, and not v2")
        if answer.healthz != "ok":
            raise self._failure(f"it says of its health {answer.healthz[:200]!r}, and not ok")
        return self._checked_id(answer.key_id)

    def encrypt(self, plaintext: bytes) -> SealedSeed:
        request = messages.EncryptRequest(plaintext=plaintext, uid=str(uuid.uuid4()))
        answer = self._ask("Encrypt", request, messages.EncryptResponse)
        if not 0 < len(answer.ciphertext) <= _BYTES_MAX:
            raise self._failure(f"it answers with a ciphertext of {len(answer.ciphertext)} bytes: 1 to {_BYTES_MAX}")
        annotations = dict(answer.annotations)
        if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_BYTES_MAX:
            raise self._failure(f"it answers with annotations of more than {_ANNOTATIONS_BYTES_MAX} bytes")
        if bad := next((key for key in annotations if "." not in key), ""):
            raise self._failure(
                f"it answers with the annotation {bad[:100]!r}, which is no fully qualified domain name"
            )
        return SealedSeed(answer.ciphertext, self._checked_id(answer.key_id), annotations)

    def decrypt(self, sealed: SealedSeed) -> bytes:
        request = messages.DecryptRequest(
            ciphertext=sealed.ciphertext,
            uid=str(uuid.uuid4()),
            key_id=sealed.key_id,
            annotations=dict(sealed.annotations),
        )
        plaintext: bytes = self._ask("Decrypt", request, messages.DecryptResponse).plaintext
        return plaintext

    def _ask(self, method: str, request: Any, answer: Any) -> Any:
        path = f"/{messages.PACKAGE}.{messages.SERVICE}/{method}"
        call: Any = self._channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        try:
            return call(request, timeout=self._seconds, wait_for_ready=True)
        except (grpc.RpcError, DecodeError) as error:
            code = error.code().name if isinstance(error, grpc.Call) else ""
            told = error.details() if isinstance(error, grpc.Call) else str(error)
            why = f"{method}: {told or code} ({code})" if code else f"{method}: {told}"
            raise self._failure(why) from error

    def _checked_id(self, key_id: str) -> str:
        if not 0 < len(key_id.encode()) <= _BYTES_MAX:
            raise self._failure(f"it names its key with {len(key_id.encode())} bytes: 1 to {_BYTES_MAX}")
        return key_id

    def _failure(self, why: str) -> KmsError:
        return KmsError(f'the KMS plugin "{self._name}" at {self._endpoint} cannot be used: {why}; see that it runs')
