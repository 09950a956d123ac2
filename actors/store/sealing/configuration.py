"""EncryptionConfiguration (apiserver.config.k8s.io/v1): of which resource, by which providers, with which keys.

Of a resource the first rule that names it counts; the first provider's first key seals, and every key unseals.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from actors.api.key import Key
from actors.store.sealing.ciphers import AesCbc, AesGcm, CipherPort, EncryptionError, SecretBox, WrongKey

API_VERSION = "apiserver.config.k8s.io/v1"
_MARK = b"k8s:enc:"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_AES_BYTES = (16, 24, 32)
_CIPHERS: dict[str, tuple[Callable[[bytes], CipherPort], tuple[int, ...]]] = {
    "aesgcm": (AesGcm, _AES_BYTES),
    "aescbc": (AesCbc, _AES_BYTES),
    "secretbox": (SecretBox, (32,)),
}


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[dict[str, str], ...] = ()


class _Kms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`cachesize` is v1's: v2 keeps every seed."""

    name: str
    endpoint: str
    api_version: str = ""
    timeout: str = "3s"
    cachesize: int = 0


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resources: tuple[str, ...] = ()
    providers: tuple[dict[str, Any], ...] = ()


class _Configuration(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    resources: tuple[_Rule, ...] = ()


class Provider(msgspec.Struct, frozen=True):
    """One key of one provider. `prefix` b"" is identity: the text as it is."""

    prefix: bytes
    cipher: CipherPort | None = None

    def fits(self, sealed: bytes) -> bool:
        return sealed.startswith(self.prefix) if self.prefix else not sealed.startswith(_MARK)


class Sealing:
    """What is sealed, and how. `source` is told in messages."""

    def __init__(self, rules: Iterable[tuple[tuple[str, ...], tuple[Provider, ...]]], source: str = "") -> None:
        self._rules, self._source = tuple(rules), source
        self._known: dict[str, tuple[Provider, ...]] = {}

    def covers(self, resource: str) -> bool:
        return bool(self._providers(resource))

    def seal(self, key: Key, text: bytes) -> bytes:
        """As the first provider has it; of what is not covered, the text itself."""
        providers = self._providers(key.resource)
        if not providers or (cipher := providers[0].cipher) is None:
            return text
        return providers[0].prefix + cipher.seal(text, _about(key))

    def unseal(self, key: Key, sealed: bytes) -> bytes:
        """Raises EncryptionError."""
        providers = self._providers(key.resource)
        if not providers and not sealed.startswith(_MARK):
            return sealed
        fitting = next((provider for provider in providers if provider.fits(sealed)), None)
        if fitting is None:
            raise EncryptionError(self._lack(key, sealed))
        if fitting.cipher is None:
            return sealed
        try:
            return fitting.cipher.unseal(sealed[len(fitting.prefix) :], _about(key))
        except WrongKey:
            raise EncryptionError(
                f"{_named(key)} cannot be decrypted with the key {_key_name(sealed)} of {self._source}: that is "
                "another key of this name, or the row was changed; restore the file that it was written with"
            ) from None

    def is_current(self, key: Key, sealed: bytes) -> bool:
        """Would it be sealed so today?"""
        providers = self._providers(key.resource)
        if not providers:
            return not sealed.startswith(_MARK)
        prefix, cipher = providers[0].prefix, providers[0].cipher
        return providers[0].fits(sealed) and (cipher is None or cipher.is_current(sealed[len(prefix) :]))

    def open(self) -> None:
        """Raises EncryptionError where what seals is not at hand: better at the start than with the first write."""
        for _, providers in self._rules:
            if providers and providers[0].cipher is not None:
                providers[0].cipher.open()

    def close(self) -> None:
        for _, providers in self._rules:
            for provider in providers:
                if provider.cipher is not None:
                    provider.cipher.close()

    def _providers(self, resource: str) -> tuple[Provider, ...]:
        found = self._known.get(resource)
        if found is None:
            rule = next((providers for names, providers in self._rules if _names(names, resource)), ())
            found = self._known[resource] = rule
        return found

    def _lack(self, key: Key, sealed: bytes) -> str:
        if not sealed.startswith(_MARK):
            return (
                f"{_named(key)} is stored in plain text, which {self._source} does not allow: "
                "add the provider identity, at the end, until everything is rewritten"
            )
        return (
            f"{_named(key)} was encrypted with the key {_key_name(sealed)}, which {self._source} does not have: "
            "put that key back, or restore the file"
        )


def read_sealing(path: Path) -> Sealing:
    """Raises EncryptionError."""
    try:
        tree = yaml.safe_load(path.read_text())
        parsed = msgspec.convert(tree, _Configuration)
    except OSError as error:
        raise EncryptionError(f"cannot read the encryption configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        told = " ".join(str(error).split())
        raise EncryptionError(f"the encryption configuration {path} cannot be read: {told}") from error
    if (parsed.api_version, parsed.kind) != (API_VERSION, "EncryptionConfiguration"):
        raise EncryptionError(f"{path} must be an EncryptionConfiguration of {API_VERSION}")
    try:
        return Sealing([_read_rule(rule, index) for index, rule in enumerate(parsed.resources)], str(path))
    except ValueError as error:
        raise EncryptionError(f"{path}: {error}") from error


def make_configuration() -> str:
    """One with a key of its own, for Secrets: what a cluster has that was told nothing."""
    key = {"name": f"key-{secrets.token_hex(4)}", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
    providers = [{"aesgcm": {"keys": [key]}}, {"identity": {}}]
    rules = [{"resources": ["secrets"], "providers": providers}]
    return yaml.safe_dump(
        {"apiVersion": API_VERSION, "kind": "EncryptionConfiguration", "resources": rules}, sort_keys=False
    )


def _read_rule(rule: _Rule, index: int) -> tuple[tuple[str, ...], tuple[Provider, ...]]:
    """Raises ValueError."""
    place = f"resources[{index}]"
    if not rule.resources or not rule.providers:
        raise ValueError(f"{place}: needs resources and providers")
    return rule.resources, tuple(_read_providers(rule, place))


def _read_providers(rule: _Rule, place: str) -> Iterator[Provider]:
    for number, provider in enumerate(rule.providers):
        where = f"{place}.providers[{number}]"
        if len(provider) != 1:
            raise ValueError(f"{where}: exactly one of {', '.join(_CIPHERS)}, kms, identity")
        ((name, value),) = provider.items()
        if name == "identity":
            yield Provider(b"")
        elif name == "kms":
            yield _read_kms(value, f"{where}.kms")
        elif name in _CIPHERS:
            yield from _read_keys(name, value, f"{where}.{name}")
        else:
            raise ValueError(f"{where}: {name} is not supported: use {', '.join(_CIPHERS)}, kms or identity")


def _read_kms(value: Any, where: str) -> Provider:
    """Raises ValueError. gRPC is loaded where it is needed: it costs a start a tenth of a second."""
    from actors.store.sealing.kms.client import KmsClient
    from actors.store.sealing.kms.envelope import KmsCipher

    kms = msgspec.convert(value, _Kms)
    if kms.api_version != "v2":
        raise ValueError(f"{where}.apiVersion: {kms.api_version or 'v1'} is not supported: use v2")
    if not kms.name or ":" in kms.name:
        raise ValueError(f"{where}.name: needs a name without a colon")
    if not kms.endpoint.startswith("unix:///"):
        raise ValueError(f"{where}.endpoint: must be unix:// and the path of the plugin's socket")
    seconds = _DURATION.fullmatch(kms.timeout)
    if seconds is None or not float(seconds[1]):
        raise ValueError(f"{where}.timeout: {kms.timeout!r} must be a duration like 3s or 500ms")
    client = KmsClient(kms.name, kms.endpoint, float(seconds[1]) * _UNIT_SECONDS[seconds[2]])
    return Provider(b"%skms:v2:%s:" % (_MARK, kms.name.encode()), KmsCipher(client))


def _read_keys(provider: str, value: Any, where: str) -> Iterator[Provider]:
    make, sizes = _CIPHERS[provider]
    keys = msgspec.convert(value, _Keys).keys
    if not keys:
        raise ValueError(f"{where}: needs keys")
    for number, key in enumerate(keys):
        name, place = key.get("name", ""), f"{where}.keys[{number}]"
        if not name or ":" in name:
            raise ValueError(f"{place}.name: needs a name without a colon")
        try:
            secret = base64.b64decode(key.get("secret", ""), validate=True)
        except binascii.Error as error:
            raise ValueError(f"{place}.secret: must be base64") from error
        if len(secret) not in sizes:
            raise ValueError(f"{place}.secret: {len(secret)} bytes, must be {' or '.join(map(str, sizes))}")
        yield Provider(b"%s%s:v1:%s:" % (_MARK, provider.encode(), name.encode()), make(secret))


def _names(listed: Iterable[str], resource: str) -> bool:
    """`secrets`, `deployments.apps`, `*.apps`, `*.` (core) or `*.*`."""
    plural, _, group = resource.partition(".")
    return any(name in (resource, f"{plural}.{group}", f"*.{group}", "*.*") for name in listed)


def _about(key: Key) -> bytes:
    return f"/registry/{key.resource}/{key.namespace}/{key.name}".encode()


def _named(key: Key) -> str:
    return f"{key.resource} {f'{key.namespace}/' if key.namespace else ''}{key.name}"


def _key_name(sealed: bytes) -> str:
    """`"key1" (aesgcm)` of a sealed text."""
    parts = sealed[len(_MARK) :].split(b":", 3)
    return f'"{parts[2].decode(errors="replace")}" ({parts[0].decode(errors="replace")})' if len(parts) == 4 else "?"
