"""Bearer tokens of every kind, and everything that is none: over a real store, a clock of the test's, keys of the test's."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from multidict import CIMultiDict

from actors.api.errors import Unauthorized
from actors.api.key import Key
from actors.gateway.auth import jwt, tokens
from actors.gateway.auth.authenticate import KEPT_MS, Authenticator, read_bearer
from actors.gateway.auth.jwt import TokenError, VerifyingKey
from actors.gateway.auth.keys import ROTATE_AFTER_MS, TOKEN_SECONDS_MAX, KeyRing, SigningKey, ensure_keys
from actors.gateway.auth.oidc import OidcIssuer
from actors.gateway.auth.service_accounts import Binding, Ref, ServiceAccountTokens, bind, make_claims
from actors.gateway.auth.tokens import StaticTokens, TokenFileError
from actors.gateway.auth.user import NOBODY, User
from actors.gateway.config import OidcConfig
from actors.reconcile.actions import Create, Delete
from actors.store.local import LocalStore

NOW_MS = 1_795_428_000_000
NOW = NOW_MS // 1000
ISSUER, AUDIENCE = "https://kubernetes.default.svc", "api"


def signing_key(number: int = 7) -> SigningKey:
    key = ec.derive_private_key(number, ec.SECP256R1())
    return SigningKey(NOW_MS, jwt.key_id(key.public_key()), key)


KEY = signing_key()


class Rig:
    def __init__(self, **options: Any) -> None:
        self.now_ms = NOW_MS
        self.store = LocalStore(clock=lambda: self.now_ms)
        self.accounts = ServiceAccountTokens(self.store, ISSUER, KeyRing((KEY,)))
        self.door = Authenticator(self.store, self.accounts, [AUDIENCE], **options)

    async def make(self, resource: str, name: str, namespace: str = "default", **fields: Any) -> None:
        versions = {"pods": "Pod", "secrets": "Secret", "serviceaccounts": "ServiceAccount", "nodes": "Node"}
        obj = {"apiVersion": "v1", "kind": versions[resource], "metadata": {"name": name}, **fields}
        reply = (await self.store.commit([Create(resource=resource, namespace=namespace, object=obj)]))[0]
        assert reply.error is None, reply.error

    async def claims(self, kind: str = "", name: str = "", **more: Any) -> dict[str, Any]:
        account = await self.store.get(Key("serviceaccounts", "default", "default"))
        bound = await self.store.get(Key(f"{kind}s", "default", name)) if kind else None
        return {**make_claims(bind("default", account, kind, bound), ISSUER, [AUDIENCE], "j", NOW, 600), **more}

    async def user(self, token: str) -> User:
        return (await self.door.verify(token, (), self.now_ms)).user

    async def refused(self, token: str) -> str:
        with pytest.raises(TokenError) as refusal:
            await self.user(token)
        assert token[:200] not in str(refusal.value)
        headers = CIMultiDict({"Authorization": f"Bearer {token}"})
        with pytest.raises(Unauthorized, match=r"^Unauthorized$"):
            await self.door.authenticate(None, headers, self.now_ms)
        return str(refusal.value)


def signed(claims: dict[str, Any], key: SigningKey = KEY) -> str:
    return jwt.sign(claims, key.kid, key.key)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_a_service_account_token_names_its_account() -> None:
    rig = Rig()
    user = await rig.user(signed(await rig.claims()))
    assert user.name == "system:serviceaccount:default:default"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert dict(user.extra) == {"authentication.kubernetes.io/credential-id": ("JTI=j",)}
    assert user.uid == (await rig.store.get(Key("serviceaccounts", "default", "default"))).uid


async def test_no_algorithm_but_the_keys_is_taken() -> None:
    rig = Rig()
    claims = await rig.claims()
    good = signed(claims)
    head, body, signature = good.split(".")
    public = KEY.key.public_key().public_numbers().x.to_bytes(32, "big")
    for algorithm in ("none", "None", "NONE", "HS256", "RS256", "ES384", "", None, ["ES256"]):
        for made in (b"", jwt.unb64(signature), public):
            assert "signature" in await rig.refused(forged({"alg": algorithm, "kid": KEY.kid}, claims, made))
    await rig.refused(f"{head}.{body}.")
    await rig.refused(f"{head}.{body}")
    await rig.refused(f"{head}.{body}.{signature}.{signature}")
    await rig.refused(forged({"alg": "ES256", "crit": ["exp"]}, claims, jwt.unb64(signature)))
    assert (await rig.user(good)).name


async def test_wrong_keys_and_changed_claims_are_refused() -> None:
    rig = Rig()
    claims = await rig.claims()
    other = signing_key(8)
    await rig.refused(signed(claims, other))
    await rig.refused(jwt.sign(claims, KEY.kid, other.key))  # its key, by our key's name
    head, _, signature = signed(claims).split(".")
    raised = jwt.b64(json.dumps({**claims, "sub": "system:serviceaccount:kube-system:root"}).encode())
    await rig.refused(f"{head}.{raised}.{signature}")
    zero = forged({"alg": "ES256", "kid": KEY.kid}, claims, bytes(64))  # r = s = 0
    await rig.refused(zero)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exp": NOW - 11}, "expired"),
        ({"exp": None}, "no expiry"),
        ({"exp": "9999999999"}, "no expiry"),
        ({"exp": True}, "no expiry"),
        ({"exp": float("1e300")}, "no expiry"),
        ({"nbf": NOW + 60}, "not valid yet"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"iss": "https://elsewhere"}, "issuer"),
        ({"iss": ["https://kubernetes.default.svc"]}, "issuer"),
        ({"sub": "system:serviceaccount:kube-system:default"}, "two service accounts"),
        ({"kubernetes.io": None}, "names no service account"),
        ({"kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "default"}}}, "gone"),
    ],
)
async def test_claims_that_do_not_hold_are_refused(change: dict[str, Any], told: str) -> None:
    rig = Rig()
    assert told in await rig.refused(signed(await rig.claims(**change)))


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "e30.e30.", "x" * 20_000, "é.é.é", "e30.W10.e30", "\0"])
async def test_what_is_no_token_is_refused_without_a_traceback(token: str) -> None:
    rig = Rig()
    with pytest.raises(TokenError):
        await rig.user(token)


async def test_a_token_ends_with_its_account_and_a_namesake_does_not_revive_it() -> None:
    rig = Rig()
    await rig.make("serviceaccounts", "robot")
    account = await rig.store.get(Key("serviceaccounts", "default", "robot"))
    token = signed(make_claims(bind("default", account), ISSUER, [AUDIENCE], "j", NOW, 600))
    assert (await rig.user(token)).name.endswith(":robot")
    await rig.store.commit([Delete(key=account.key)])
    rig.now_ms += KEPT_MS
    assert "gone" in await rig.refused(token)
    await rig.make("serviceaccounts", "robot")
    assert "another one" in await rig.refused(token)


@pytest.mark.parametrize("kind", ["pod", "secret"])
async def test_a_bound_token_ends_with_what_it_is_bound_to(kind: str) -> None:
    rig = Rig()
    fields = {"spec": {"containers": [{"name": "c", "image": "i"}]}} if kind == "pod" else {}
    await rig.make(f"{kind}s", "holder", **fields)
    token = signed(await rig.claims(kind, "holder"))
    user = await rig.user(token)
    assert (f"authentication.kubernetes.io/{kind}-name" in dict(user.extra)) is (kind == "pod")
    await rig.store.commit([Delete(key=Key(f"{kind}s", "default", "holder"), grace_period_seconds=0)])
    rig.now_ms += KEPT_MS
    assert "gone" in await rig.refused(token)
    await rig.make(f"{kind}s", "holder", **fields)
    assert "another one" in await rig.refused(token)


async def test_expiry_is_seen_also_by_a_token_that_was_just_used() -> None:
    rig = Rig()
    token = signed(await rig.claims(exp=NOW + 1))
    assert await rig.user(token)
    rig.now_ms += 12_000
    assert "expired" in await rig.refused(token)


async def test_audiences_that_were_asked_for() -> None:
    rig = Rig()
    token = signed(await rig.claims(aud=["vault", "other"]))
    assert (await rig.door.verify(token, ("vault", "x"), NOW_MS)).audiences == ("vault",)
    with pytest.raises(TokenError, match="another audience"):
        await rig.door.verify(token, (), NOW_MS)


# --- tokens that are no JWTs -----------------------------------------------------------------------------------------


async def bootstrap(rig: Rig, **data: str) -> None:
    plain = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", **data}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
    await rig.make(
        "secrets", "bootstrap-token-abcdef", "kube-system", type="bootstrap.kubernetes.io/token", data=encoded
    )


async def test_a_bootstrap_token() -> None:
    rig = Rig()
    await bootstrap(rig, **{"auth-extra-groups": "system:bootstrappers:nodes"})
    user = await rig.user("abcdef.0123456789abcdef")
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:bootstrappers:nodes", "system:authenticated")
    for token in (
        "abcdef.0123456789abcdee",
        "abcdee.0123456789abcdef",
        "abcdef.0123456789abcdef0",
        "ABCDEF.0123456789abcdef",
    ):
        await rig.refused(token)


@pytest.mark.parametrize(
    "data",
    [
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "soon"},
        {"usage-bootstrap-authentication": "false"},
        {"auth-extra-groups": "system:masters"},
        {"token-id": "fedcba"},
        {"token-secret": ""},
    ],
)
async def test_a_bootstrap_token_that_is_no_longer_one(data: dict[str, str]) -> None:
    rig = Rig()
    await bootstrap(rig, **data)
    await rig.refused("abcdef.0123456789abcdef")


async def test_static_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('s3cret,alice,7,"dev,ops"\n\nother,bob,\n')
    rig = Rig(static=StaticTokens.read(file))
    assert await rig.user("s3cret") == User("alice", ("dev", "ops", "system:authenticated"), "7")
    assert (await rig.user("other")).name == "bob"
    await rig.refused("s3cre")
    file.write_text("only,two\n")
    with pytest.raises(TokenFileError, match="line 1"):
        StaticTokens.read(file)


async def test_headers_that_are_refused_and_those_that_say_nothing() -> None:
    rig = Rig()
    assert await rig.door.authenticate(None, CIMultiDict(), NOW_MS) is NOBODY
    for value in ("Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "", "Negotiate x"):
        with pytest.raises(Unauthorized):
            read_bearer(CIMultiDict({"authorization": value}))
    with pytest.raises(Unauthorized):
        read_bearer(CIMultiDict([("Authorization", "Bearer a"), ("authorization", "Bearer b")]))
    proxy = CIMultiDict({"X-Remote-User": "admin", "X-Remote-Group": "system:masters"})
    assert await rig.door.authenticate(None, proxy, NOW_MS) is NOBODY


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_keys_rotate_and_old_tokens_live_on_until_they_cannot(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path, NOW_MS)
    assert ensure_keys(tmp_path, NOW_MS + 1) == first or len(ensure_keys(tmp_path, NOW_MS + 1).keys) == 1
    folder = tmp_path / "pki" / "service-account"
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
    rotated = ensure_keys(tmp_path, NOW_MS + ROTATE_AFTER_MS)
    assert [key.kid for key in rotated.keys][1:] == [first.newest.kid]
    token = jwt.parse(signed({"a": 1}, first.newest))
    assert jwt.verify(token, rotated.verifying) == {"a": 1}
    later = ensure_keys(tmp_path, NOW_MS + ROTATE_AFTER_MS + TOKEN_SECONDS_MAX * 1000 + 1)
    assert first.newest.kid not in {key.kid for key in later.keys}
    assert {
        key.kid for key in jwt.parse_jwks(json.dumps({"keys": [jwt.to_jwk(k) for k in later.verifying]}).encode())
    } == {key.kid for key in later.keys}


# --- OpenID Connect --------------------------------------------------------------------------------------------------

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OIDC = "https://login.example"


def rs256(claims: dict[str, Any]) -> str:
    unsigned = forged({"alg": "RS256", "kid": "r"}, claims).rsplit(".", 1)[0]
    return f"{unsigned}.{jwt.b64(RSA.sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def rsa_jwks() -> bytes:
    numbers = RSA.public_key().public_numbers()
    n, e = (jwt.b64(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
    return json.dumps({"keys": [{"kty": "RSA", "kid": "r", "alg": "RS256", "n": n, "e": e}, {"kty": "oct"}]}).encode()


def oidc(**config: Any) -> tuple[Rig, list[str]]:
    fetched: list[str] = []

    async def fetch(url: str, ca_file: str) -> bytes:
        fetched.append(url)
        if url.endswith("openid-configuration"):
            return json.dumps({"issuer": OIDC, "jwks_uri": f"{OIDC}/keys"}).encode()
        return rsa_jwks()

    settings = OidcConfig(issuer=OIDC, audiences=("raypod",), groups_claim="groups", **config)
    return Rig(issuers=[OidcIssuer(settings, fetch)]), fetched


def id_claims(**more: Any) -> dict[str, Any]:
    return {"iss": OIDC, "aud": "raypod", "sub": "u1", "exp": NOW + 600, "groups": ["dev"], **more}


async def test_oidc_users_and_groups_and_keys_read_once() -> None:
    rig, fetched = oidc()
    assert await rig.user(rs256(id_claims())) == User(f"{OIDC}#u1", ("dev", "system:authenticated"))
    await rig.user(rs256(id_claims(sub="u2")))
    assert fetched == [f"{OIDC}/.well-known/openid-configuration", f"{OIDC}/keys"]
    rig, _ = oidc(username_claim="email", jwks_url=f"{OIDC}/k", groups_prefix="g:", required_claims={"hd": "x"})
    user = await rig.user(rs256(id_claims(email="a@b", hd="x", groups="one")))
    assert user == User("a@b", ("g:one", "system:authenticated"))


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other"},
        {"exp": NOW - 60},
        {"sub": ""},
        {"sub": 7},
        {"groups": ["system:masters"]},
        {"iss": ISSUER},
    ],
)
async def test_oidc_tokens_that_are_refused(change: dict[str, Any]) -> None:
    rig, _ = oidc()
    await rig.refused(rs256(id_claims(**change)))


async def test_oidc_with_unverified_mail_or_a_key_used_as_a_secret() -> None:
    rig, _ = oidc(username_claim="email")
    await rig.refused(rs256(id_claims(email="a@b", email_verified=False)))
    await rig.refused(forged({"alg": "HS256", "kid": "r"}, id_claims(email="a@b"), b"\1" * 32))


def test_keys_that_are_too_weak_or_of_another_use_are_left_out() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    row = {"kty": "RSA", "n": jwt.b64(weak.n.to_bytes(128, "big")), "e": "AQAB"}
    assert jwt.parse_jwks(json.dumps({"keys": [row, {"kty": "EC", "use": "enc"}]}).encode()) == ()
    for text in (b"", b"[]", b'{"keys": 1}', b'{"keys": [1]}'):
        with pytest.raises(TokenError):
            jwt.parse_jwks(text)


def test_a_binding_knows_its_parts() -> None:
    binding = Binding("n", Ref("a", "1"), pod=Ref("p", "2"))
    assert make_claims(binding, "i", ["a"], "j", 1, 2)["kubernetes.io"] == {
        "namespace": "n",
        "serviceaccount": {"name": "a", "uid": "1"},
        "pod": {"name": "p", "uid": "2"},
    }
    assert VerifyingKey("k", "ES256", KEY.key.public_key()).kid == "k"


async def test_tokens_are_compared_by_digest_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is compared has the length of a digest, and is compared in constant time or looked up as a whole."""

    compared: list[tuple[bytes, bytes]] = []
    constant_time = tokens.hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or constant_time(a, b))
    (tmp_path / "t.csv").write_text("s3cret,alice,7\n")
    rig = Rig(static=StaticTokens.read(tmp_path / "t.csv"))
    await bootstrap(rig)
    for token in ("abcdef.0123456789abcdef", "abcdef.0000000000000000", "nobody.0000000000000000"):
        compared.clear()
        with contextlib.suppress(TokenError):
            await rig.user(token)
        assert compared
        assert {len(part) for pair in compared for part in pair} == {32}
    assert all(len(key) == 32 for key in StaticTokens.read(tmp_path / "t.csv")._users)


async def test_an_issuer_that_cannot_be_reached_is_told_of_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def fetch(url: str, ca_file: str) -> bytes:
        raise OSError("no route to host")

    rig = Rig(issuers=[OidcIssuer(OidcConfig(issuer=OIDC, audiences=("raypod",)), fetch)])
    await rig.refused(rs256(id_claims()))
    assert f"the keys of the OpenID issuer {OIDC} cannot be read: no route to host" in caplog.text
