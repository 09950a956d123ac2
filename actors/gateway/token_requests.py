"""POST serviceaccounts/NAME/token (TokenRequest); JWKS and OIDC discovery, by which others check such tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from actors.api.clock import Millis, format_time
from actors.api.codec import Object, lens
from actors.api.errors import BadRequest, Cause, Conflict, Invalid
from actors.api.key import Key, Stored
from actors.api.kinds import SERVICE_ACCOUNT, Kind
from actors.api.pod import Pod
from actors.api.tokens import PodToken, PodTokenRequest
from actors.gateway.auth import jwt
from actors.gateway.auth.keys import TOKEN_SECONDS_MAX
from actors.gateway.auth.nodes.tokens import NodeTokens
from actors.gateway.auth.service_accounts import BOUND, bind, make_claims
from actors.gateway.auth.user import node_of
from actors.gateway.call import Backend, Call
from actors.gateway.options import parse_write
from actors.gateway.reading import key_of
from actors.gateway.render import encode
from actors.gateway.writing import read_object

_TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
_SECONDS_MIN, _SECONDS_DEFAULT = 600, 3600
_KINDS = {"Pod": "pod", "Secret": "secret", "Node": "node"}
JWKS_TYPE = "application/jwk-set+json"


class _Ref(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    api_version: str = ""
    name: str = ""
    uid: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    audiences: tuple[str, ...] | None = None
    expiration_seconds: int | None = None
    bound_object_ref: _Ref | None = None


async def issue_pod_token(backend: Backend, request: PodTokenRequest) -> PodToken:
    """What a node asks for one of its pods. Raises NotFound, Conflict, BadRequest as `create_token` does."""
    spec = _Spec(
        audiences=(request.audience,) if request.audience else None,
        expiration_seconds=request.expiration_seconds,
        bound_object_ref=_Ref("Pod", "v1", request.pod, request.pod_uid),
    )
    key = Key(SERVICE_ACCOUNT.resource, request.namespace, request.account)
    issued = await _issue(backend, key, spec, backend.clock())
    return PodToken(text=issued.text, expires_ms=issued.expires_ms, life_seconds=issued.life_seconds)


class _Issued(NamedTuple):
    text: str
    expires_ms: Millis
    life_seconds: int
    audiences: tuple[str, ...]


async def create_token(call: Call) -> web.StreamResponse:
    """Raises NotFound (account, bound object), Invalid, Conflict (uid)."""
    options = parse_write(call.query)
    obj = await call.admitted(await read_object(call, _TOKEN_REQUEST, options))
    spec = _read_spec(obj)
    account = key_of(SERVICE_ACCOUNT, call.target)
    if node_of(call.user) is not None:
        ref, policy = spec.bound_object_ref or _Ref(), await call.backend.access.policy_for(call.user)
        tokens = NodeTokens(call.store, policy, call.user, account)
        await tokens.check(ref.kind, ref.api_version, ref.name, ref.uid, spec.audiences or ())
    issued = await _issue(call.backend, account, spec, call.now)
    token = "" if options.dry_run else issued.text
    status = {"token": token, "expirationTimestamp": format_time(issued.expires_ms)}
    granted = {"audiences": list(issued.audiences), "expirationSeconds": issued.life_seconds}
    given = {**(obj.get("spec") or {}), **granted}
    metadata = {"name": call.target.name, "namespace": call.target.namespace}
    metadata["creationTimestamp"] = format_time(call.now)
    return call.answer_value({**obj, "metadata": metadata, "spec": given, "status": status}, 201)


async def _issue(backend: Backend, key: Key, spec: _Spec, now: Millis) -> _Issued:
    account = await backend.store.get(key)
    kind, bound = await _read_bound(backend, account, spec.bound_object_ref)
    access, now_seconds = backend.access, now // 1000
    seconds = min(spec.expiration_seconds or _SECONDS_DEFAULT, TOKEN_SECONDS_MAX)
    audiences = spec.audiences or access.audiences
    binding = bind(key.namespace, account, kind, bound)
    claims = make_claims(binding, access.accounts.issuer, audiences, backend.new_id(), now_seconds, seconds)
    signing = access.accounts.keys.newest
    text = jwt.sign(claims, signing.kid, signing.key)
    return _Issued(text, (now_seconds + seconds) * 1000, seconds, tuple(audiences))


def _read_spec(obj: Object) -> _Spec:
    try:
        spec = msgspec.convert(obj.get("spec") or {}, _Spec)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not a TokenRequest: {error}") from error
    causes = list(_find_problems(spec))
    if causes:
        told = [f"{cause.field}: {cause.message}" for cause in causes]
        listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        kind = _TOKEN_REQUEST
        message = f'{kind.kind}.{kind.group} "" is invalid: {listed}'
        raise Invalid(message, group=kind.group, kind=kind.kind, causes=causes)
    return spec


def _find_problems(spec: _Spec) -> Iterator[Cause]:
    seconds, ref = spec.expiration_seconds, spec.bound_object_ref
    if seconds is not None and seconds < _SECONDS_MIN:
        rule = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        yield Cause("spec.expirationSeconds", rule)
    if seconds is not None and seconds > 1 << 32:
        rule = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        yield Cause("spec.expirationSeconds", rule)
    if ref is not None and (ref.kind not in _KINDS or ref.api_version != "v1"):
        shown = ", ".join(f'"{kind}"' for kind in _KINDS)
        rule = f'Unsupported value: "{ref.kind}": supported values: {shown}'
        yield Cause("spec.boundObjectRef.kind", rule, "FieldValueNotSupported")
    if ref is not None and not ref.name:
        yield Cause("spec.boundObjectRef.name", "Required value", "FieldValueRequired")


async def _read_bound(backend: Backend, account: Stored, ref: _Ref | None) -> tuple[str, Stored | None]:
    if ref is None:
        return "", None
    kind = _KINDS[ref.kind]
    namespace = "" if kind == "node" else account.key.namespace
    bound = await backend.store.get(Key(BOUND[kind], namespace, ref.name))
    if ref.uid and ref.uid != bound.uid:
        told = f"the UID in the bound object reference ({ref.uid}) does not match the UID in record"
        raise Conflict(f"{told}. The object might have been deleted and then recreated", name=ref.name)
    if kind == "pod" and (lens(bound, Pod).spec.service_account_name or "default") != account.key.name:
        told = "to pod running with different serviceaccount name."
        raise BadRequest(f'cannot bind token for serviceaccount "{account.key.name}" {told}')
    return kind, bound


def read_jwks(call: Call) -> web.StreamResponse:
    keys = [jwt.to_jwk(key) for key in call.backend.access.accounts.keys.verifying]
    response = call.answer(encode({"keys": keys}), content_type=JWKS_TYPE)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


def read_openid_configuration(call: Call) -> web.StreamResponse:
    """The keys are where the client has come by: the issuer need not be an address of ours."""
    issuer = call.backend.access.accounts.issuer
    host = call.request.headers.get("Host", "")
    document: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": f"https://{host}/openid/v1/jwks" if host else f"{issuer}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return call.answer(encode(document))
