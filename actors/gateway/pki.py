"""The cluster's certificates, made at first start under `<home>/pki`: a CA, the server's, the administrator's.

Files are replaced atomically, keys are mode 0600. `ensure` is idempotent: what is valid for long enough and names
all the server's addresses stays; the rest is issued again by the same CA, so that kubeconfigs keep working.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
#: Issued again when less than this is left.
RENEW_BEFORE = timedelta(days=90)
_BACKDATE = timedelta(minutes=5)
CA_NAME = "raypod-ca"
PROXY_NAME = "front-proxy-client"
ADMIN_NAME, ADMIN_GROUP = "kubernetes-admin", "system:masters"

Key = ec.EllipticCurvePrivateKey


class PkiError(Exception):
    """The files cannot be used. The message says which and what to do."""


class Pair(msgspec.Struct, frozen=True):
    """Paths of a certificate and its key."""

    certificate: Path
    key: Path


class Pki(msgspec.Struct, frozen=True):
    """`proxy` is what other API servers know us by when we pass requests on to them; its CA signs nothing else."""

    ca: Pair
    server: Pair
    admin: Pair
    proxy_ca: Pair
    proxy: Pair

    @property
    def fingerprint(self) -> str:
        """The first bytes of the CA's SHA-256, as hex: names the cluster in kubeconfigs."""
        return _load_certificate(self.ca.certificate).fingerprint(hashes.SHA256()).hex()[:12]


def pki_at(home: Path) -> Pki:
    folder = home / "pki"

    def pair(name: str) -> Pair:
        return Pair(folder / f"{name}.crt", folder / f"{name}.key")

    return Pki(pair("ca"), pair("server"), pair("admin"), pair("front-proxy-ca"), pair("front-proxy-client"))


def ensure(home: Path, sans: Sequence[str], now: datetime) -> Pki:
    """Make or renew what is missing, expiring or not signed by the CA. Raises PkiError for unreadable files."""
    pki = pki_at(home)
    try:
        _ensure_ca(pki.ca, now)
        authority = _Authority(pki.ca, now)
        if not authority.accepts(pki.server, sans):
            authority.issue(pki.server, "raypod-gateway", "", sans, ExtendedKeyUsageOID.SERVER_AUTH)
        if not authority.accepts(pki.admin, ()):
            authority.issue(pki.admin, ADMIN_NAME, ADMIN_GROUP, (), ExtendedKeyUsageOID.CLIENT_AUTH)
        _ensure_ca(pki.proxy_ca, now)
        proxies = _Authority(pki.proxy_ca, now)
        if not proxies.accepts(pki.proxy, ()):
            proxies.issue(pki.proxy, PROXY_NAME, "", (), ExtendedKeyUsageOID.CLIENT_AUTH)
    except OSError as error:
        raise PkiError(f"cannot keep certificates in {pki.ca.certificate.parent}: {error.strerror}") from error
    return pki


def read_ca(home: Path, now: datetime) -> str:
    """The CA's certificate in PEM, made where there is none: what clients trust. Raises PkiError."""
    pair = pki_at(home).ca
    try:
        _ensure_ca(pair, now)
        return pair.certificate.read_text()
    except OSError as error:
        raise PkiError(f"cannot keep certificates in {pair.certificate.parent}: {error.strerror}") from error


def _ensure_ca(pair: Pair, now: datetime) -> None:
    pair.certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (pair.certificate.exists() and pair.key.exists()):
        _write_ca(pair, now)


def server_sans(host_names: Sequence[str], addresses: Sequence[str], extra: Sequence[str]) -> tuple[str, ...]:
    """Every name that clients may call the server by, without repeats, in a fixed order."""
    service = "kubernetes.default.svc"
    fixed = ("localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", service, f"{service}.cluster.local")
    return tuple(dict.fromkeys(filter(None, (*fixed, *host_names, *addresses, *extra))))


def sign_request(
    home: Path, request: x509.CertificateSigningRequest, life: timedelta, now: datetime, *, is_server: bool = False
) -> bytes:
    """A certificate in PEM for the subject and key of a request: a client's, or a server's of the names that it asks
    for. Raises PkiError."""
    authority = _Authority(pki_at(home).ca, now)
    end = min(now + life, authority.certificate.not_valid_after_utc)
    builder = x509.CertificateBuilder().subject_name(request.subject).public_key(request.public_key())
    builder = builder.serial_number(x509.random_serial_number()).issuer_name(authority.certificate.subject)
    builder = builder.not_valid_before((now - _BACKDATE).astimezone(UTC)).not_valid_after(end.astimezone(UTC))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if is_server:
        sans = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        builder = builder.add_extension(sans, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class _Authority:
    """The CA with its key, at one moment."""

    def __init__(self, ca: Pair, now: datetime) -> None:
        self.certificate = _load_certificate(ca.certificate)
        self.key = _load_key(ca.key)
        self.now = now
        if self.certificate.not_valid_after_utc <= now:
            raise PkiError(f"the CA {ca.certificate} has expired: move {ca.certificate.parent} away to make a new one")
        if self.certificate.public_key() != self.key.public_key():
            raise PkiError(f"{ca.key} is not the key of {ca.certificate}: restore the pair that belongs together")

    def accepts(self, pair: Pair, sans: Sequence[str]) -> bool:
        """Whether the pair can be used for a while longer."""
        try:
            certificate, key = _load_certificate(pair.certificate), _load_key(pair.key)
            certificate.verify_directly_issued_by(self.certificate)
        except (PkiError, ValueError, TypeError, InvalidSignature):
            return False
        fresh = (
            certificate.not_valid_after_utc - self.now > RENEW_BEFORE and certificate.not_valid_before_utc <= self.now
        )
        return (
            fresh
            and certificate.public_key() == key.public_key()
            and _texts(map(_general_name, sans)) <= _sans_of(certificate)
        )

    def issue(self, pair: Pair, name: str, group: str, sans: Sequence[str], usage: x509.ObjectIdentifier) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        end = min(self.now + LEAF_LIFE, self.certificate.not_valid_after_utc)
        builder = _builder(name, group, key, self.now, end).issuer_name(self.certificate.subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        if sans:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(s) for s in sans]), critical=False
            )
        _write_pair(pair, builder.sign(self.key, hashes.SHA256()), key)


def _write_ca(pair: Pair, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    builder = _builder(CA_NAME, "", key, now, now + CA_LIFE).issuer_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(_ca_usage(), critical=True)
    _write_pair(pair, builder.sign(key, hashes.SHA256()), key)


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(name: str, group: str, key: Key, now: datetime, end: datetime) -> x509.CertificateBuilder:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before((now - _BACKDATE).astimezone(UTC))
        .not_valid_after(end.astimezone(UTC))
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _texts(names: Iterable[x509.GeneralName]) -> set[str]:
    return {str(name.value) for name in names}


def _sans_of(certificate: x509.Certificate) -> set[str]:
    try:
        return _texts(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(f"{path} is not a readable certificate: restore it, or move {path.parent} away") from error


def _load_key(path: Path) -> Key:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(f"{path} is not a readable private key: restore it, or move {path.parent} away") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is not an elliptic curve key")
    return key


def _write_pair(pair: Pair, certificate: x509.Certificate, key: Key) -> None:
    form = serialization.PrivateFormat.PKCS8
    write_private(pair.key, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file at once, durably, readable by its owner alone."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, path)
