"""CertificateSigningRequest (pkg/apis/certificates/validation); that it parses is the gateway's to tell."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, unsupported, wrong

_SECONDS_MIN = 600
_USAGES = frozenset(
    {
        *("signing", "digital signature", "content commitment", "key encipherment", "key agreement"),
        *("data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth"),
        *("client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel"),
        *("ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"),
    }
)
_TYPES = ("Approved", "Denied", "Failed")


def validate_signing_request(request: Object, old: Object | None) -> Causes:
    spec = request.get("spec") or {}
    for field in ("request", "signerName", "usages"):
        if not spec.get(field):
            yield required(f"spec.{field}")
    signer = spec.get("signerName") or "a.b/c"
    domain, _, name = signer.partition("/")
    if not domain or not name or "." not in domain:
        yield wrong(
            "spec.signerName", signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        )
    for i, usage in enumerate(spec.get("usages") or ()):
        if usage not in _USAGES:
            yield unsupported(f"spec.usages[{i}]", usage, sorted(_USAGES))
        if usage in spec["usages"][:i]:
            yield duplicate(f"spec.usages[{i}]", usage)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SECONDS_MIN:
        yield wrong("spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)")
    types = _types(request)
    if {"Approved", "Denied"} <= set(types):
        yield wrong("status.conditions", "Denied", "Approved and Denied conditions are mutually exclusive")
    if old is not None:
        if spec != (old.get("spec") or {}):
            yield forbidden("spec", "a request may not be changed: make another one")
        for type_ in _types(old):
            if type_ in _TYPES and type_ not in types:
                yield forbidden("status.conditions", f'updates may not remove a condition of type "{type_}"')
        before = (old.get("status") or {}).get("certificate")
        if before and (request.get("status") or {}).get("certificate") != before:
            yield forbidden("status.certificate", "updates may not change a certificate that was issued")


def _types(request: Object) -> list[str]:
    conditions: Iterable[Object] = dicts_of((request.get("status") or {}).get("conditions"))
    return [str(condition.get("type")) for condition in conditions]
