"""JSON Web Tokens (RFC 7515, 7517, 7518, 7519), as much of them as tokens of service accounts and OpenID need.

The algorithm is that of the key, never of the token: a token that names another, or `none`, is refused, and so are
`crit` headers, duplicate names and tokens too large to be one. Times are seconds. Nothing here reads a clock.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

TOKEN_CHARS_MAX = 16 * 1024
LEEWAY_SECONDS = 10
_COORDINATE_BYTES = 32
_RSA_BITS_MIN = 2048

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class TokenError(Exception):
    """The token is not one that we accept. The message says why; it never quotes the token."""


class VerifyingKey(msgspec.Struct, frozen=True):
    """`algorithm` is ES256 or RS256. `kid` "" fits tokens that name none."""

    kid: str
    algorithm: str
    key: PublicKey


class Parsed(msgspec.Struct, frozen=True):
    """A token taken apart, not yet verified."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def text(self) -> str:
        """The token again."""
        return f"{self.signed.decode()}.{b64(self.signature)}"


def parse(token: str) -> Parsed:
    """Raises TokenError."""
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenError("the token is too large")
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("the token is not a signed JWT")
    header, claims = _object(parts[0], "header"), _object(parts[1], "payload")
    if "crit" in header or header.get("b64") is False:
        raise TokenError("the token has critical extensions, and none is understood")
    return Parsed(header, claims, f"{parts[0]}.{parts[1]}".encode(), unb64(parts[2]))


def verify(parsed: Parsed, keys: Sequence[VerifyingKey]) -> dict[str, Any]:
    """The claims, once one of the keys has made the signature. Raises TokenError."""
    algorithm, kid = parsed.header.get("alg"), parsed.header.get("kid")
    for key in keys:
        named = kid in (None, key.kid) or not key.kid
        if named and key.algorithm == algorithm and _is_signed(parsed, key):
            return parsed.claims
    raise TokenError("the signature is of none of the issuer's keys")


def check_times(claims: Mapping[str, Any], now_seconds: float) -> None:
    """`exp` must be there and to come; `nbf` and `iat`, where there, past. Raises TokenError."""
    expires: Any = claims.get("exp")
    if not is_number(expires):
        raise TokenError("the token has no expiry")
    if now_seconds >= expires + LEEWAY_SECONDS:
        raise TokenError("the token has expired")
    for name in ("nbf", "iat"):
        begins: Any = claims.get(name, 0)
        if not is_number(begins) or now_seconds + LEEWAY_SECONDS < begins:
            raise TokenError("the token is not valid yet")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    found = claims.get("aud")
    values = found if isinstance(found, list) else [found]
    return tuple(value for value in values if isinstance(value, str))


def sign(claims: Mapping[str, Any], kid: str, key: ec.EllipticCurvePrivateKey) -> str:
    """An ES256 token."""
    head = b64(_json({"alg": "ES256", "kid": kid}))
    signed = f"{head}.{b64(_json(claims))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
    return f"{signed}.{b64(signature)}"


def _is_signed(parsed: Parsed, key: VerifyingKey) -> bool:
    try:
        if isinstance(key.key, rsa.RSAPublicKey):
            key.key.verify(parsed.signature, parsed.signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.key.verify(_der(parsed.signature), parsed.signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _der(signature: bytes) -> bytes:
    if len(signature) != 2 * _COORDINATE_BYTES:
        raise ValueError("not an ES256 signature")
    r, s = signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


# --- keys as JSON ---------------------------------------------------------------------------------------------------


def key_id(key: PublicKey) -> str:
    """The SHA-256 of the public key's DER, as kube-apiserver names its keys."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, form))
    return b64(digest.finalize())


def to_jwk(key: VerifyingKey) -> dict[str, str]:
    """Of an elliptic curve key; ours are."""
    assert isinstance(key.key, ec.EllipticCurvePublicKey)
    numbers = key.key.public_numbers()
    x, y = (b64(value.to_bytes(_COORDINATE_BYTES, "big")) for value in (numbers.x, numbers.y))
    return {"use": "sig", "kty": "EC", "kid": key.kid, "crv": "P-256", "alg": key.algorithm, "x": x, "y": y}


def parse_jwks(text: bytes) -> tuple[VerifyingKey, ...]:
    """The usable keys of a JWK set. Raises TokenError when it is none."""
    try:
        rows = json.loads(text)["keys"]
        return tuple(key for row in rows if (key := _from_jwk(row)) is not None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TokenError(f"not a JWK set: {type(error).__name__}") from error


def _from_jwk(row: Mapping[str, Any]) -> VerifyingKey | None:
    """None for a key of another kind, use or strength."""
    if row.get("use", "sig") != "sig":
        return None
    kid = str(row.get("kid", ""))
    if row.get("kty") == "EC" and row.get("crv") == "P-256" and row.get("alg", "ES256") == "ES256":
        x, y = (int.from_bytes(unb64(row[name]), "big") for name in ("x", "y"))
        return VerifyingKey(kid, "ES256", ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    if row.get("kty") == "RSA" and row.get("alg", "RS256") == "RS256":
        n, e = (int.from_bytes(unb64(row[name]), "big") for name in ("n", "e"))
        key = rsa.RSAPublicNumbers(e, n).public_key()
        return VerifyingKey(kid, "RS256", key) if key.key_size >= _RSA_BITS_MIN else None
    return None


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Raises TokenError for what is not base64url."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise TokenError("the token is not base64url") from error


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _object(text: str, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise TokenError(f"the token's {what} has a name twice")
        return dict(pairs)

    try:
        value = json.loads(unb64(text), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise TokenError(f"the token's {what} is not JSON") from error
    if not isinstance(value, dict):
        raise TokenError(f"the token's {what} is not an object")
    return value
