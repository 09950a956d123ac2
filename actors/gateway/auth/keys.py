"""The keys that sign service account tokens, under `<home>/pki/service-account`: the newest signs, all verify.

A key is made when there is none and when the newest is old; one that no token can live by any longer is removed. Files
are named by the time when they were made (milliseconds); each is replaced atomically and readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from actors.api.clock import Millis
from actors.gateway.auth.jwt import VerifyingKey, key_id
from actors.gateway.pki import PkiError, write_private

ROTATE_AFTER_MS: Millis = 90 * 24 * 3600 * 1000
#: The longest that a token may live, and so how long a key is kept after its successor was made.
TOKEN_SECONDS_MAX = 365 * 24 * 3600


class SigningKey(msgspec.Struct, frozen=True):
    created_ms: Millis
    kid: str
    key: ec.EllipticCurvePrivateKey

    @property
    def verifying(self) -> VerifyingKey:
        return VerifyingKey(self.kid, "ES256", self.key.public_key())


class KeyRing(msgspec.Struct, frozen=True):
    """Newest first; never empty."""

    keys: tuple[SigningKey, ...]

    @property
    def newest(self) -> SigningKey:
        return self.keys[0]

    @property
    def verifying(self) -> tuple[VerifyingKey, ...]:
        return tuple(key.verifying for key in self.keys)


def ensure_keys(home: Path, now: Millis) -> KeyRing:
    """Rotate what is due and read all. Raises PkiError."""
    folder = home / "pki" / "service-account"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        keys = _read_keys(folder)
        if not keys or now - keys[0].created_ms >= ROTATE_AFTER_MS:
            _make_key(folder, now)
            keys = _read_keys(folder)
        return KeyRing(tuple(_drop_dead(folder, keys, now)))
    except OSError as error:
        raise PkiError(f"cannot keep the keys of service account tokens in {folder}: {error.strerror}") from error


def _drop_dead(folder: Path, keys: list[SigningKey], now: Millis) -> list[SigningKey]:
    """A key that was followed by another so long ago that every token of it has expired."""
    live = keys[:1]
    for successor, key in itertools.pairwise(keys):
        if now - successor.created_ms > TOKEN_SECONDS_MAX * 1000:
            with contextlib.suppress(FileNotFoundError):
                (folder / f"{key.created_ms}.key").unlink()
        else:
            live.append(key)
    return live


def _make_key(folder: Path, now: Millis) -> None:
    form = serialization.PrivateFormat.PKCS8
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    )
    write_private(folder / f"{now}.key", pem)


def _read_keys(folder: Path) -> list[SigningKey]:
    paths = [path for path in folder.glob("*.key") if path.stem.isdigit()]
    return sorted(map(_read_key, paths), key=lambda key: -key.created_ms)


def _read_key(path: Path) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{path} is not a readable private key: restore it, or remove it") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PkiError(f"{path} is not a P-256 key: restore it, or remove it")
    return SigningKey(int(path.stem), key_id(key.public_key()), key)
