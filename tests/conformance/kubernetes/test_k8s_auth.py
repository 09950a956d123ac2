"""test/e2e/auth: certificates.go, selfsubjectreviews.go, subjectreviews.go, service_accounts.go as far as no node is needed."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from api_client import Api, Json
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from eventually import eventually, told
from remote_server import Authority

_CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1"
_CONDITION = {
    "status": "True",
    "reason": "E2E",
    "message": "Set from an e2e test",
    "lastUpdateTime": None,
    "lastTransitionTime": None,
}
_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def _request(common_name: str, *names: str) -> tuple[rsa.RSAPrivateKey, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return key, base64.b64encode(pem).decode()


def _csr(name: str, request: str, signer: str, usage: str) -> Json:
    usages = ["digital signature", "key encipherment", usage]
    spec = {"request": request, "signerName": signer, "usages": usages, "expirationSeconds": 3600}
    return {"metadata": {"generateName": name}, "spec": spec}


def test_a_client_is_made_with_a_signing_request(api: Api, tmp_path: Path) -> None:
    name = f"tester-csr-{api.namespace}"
    key, request = _request(name)
    rule = {"verbs": ["create"], "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"]}
    role = api.post(f"{_RBAC}/clusterroles", {"metadata": {"generateName": name}, "rules": [rule]}).ok()
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    binding = {"metadata": {"generateName": name}, "roleRef": reference, "subjects": [subject]}
    api.post(f"{_RBAC}/clusterrolebindings", binding).ok()
    template = _csr(name, request, "kubernetes.io/kube-apiserver-client", "client auth")
    csr = api.post(_CSRS, template).ok()
    path = f"{_CSRS}/{csr['metadata']['name']}"
    csr["status"] = {"conditions": [{**_CONDITION, "type": "Approved"}]}
    api.put(f"{path}/approval", csr).ok()
    signed = eventually(lambda: api.get(path).ok()["status"].get("certificate"))
    (certificate,) = x509.load_pem_x509_certificates(base64.b64decode(signed))
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert valid <= timedelta(hours=1, minutes=5)
    both = tmp_path / "client.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    both.write_bytes(key.private_bytes(*form) + base64.b64decode(signed))
    context: ssl.SSLContext = api.served.ssl_context("")
    context.load_cert_chain(both)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    ask = urllib.request.Request(
        api.served.gateway.url + _CSRS, json.dumps(template).encode(), {"Content-Type": "application/json"}
    )
    with opener.open(ask, timeout=30) as answer:
        assert json.load(answer)["spec"]["username"] == name


def test_signing_requests_support_their_api_operations(api: Api, tmp_path: Path) -> None:
    rows = [row["name"] for row in api.get("/apis/certificates.k8s.io/v1").ok()["resources"]]
    for name in ("", "/approval", "/status"):
        assert f"certificatesigningrequests{name}" in rows
    _, request = _request("e2e.example.com", "e2e.example.com")
    signer = f"example.com/e2e-{api.namespace}"
    template = _csr("e2e-example-csr-", request, signer, "server auth")
    created = [api.post(_CSRS, template).ok() for _ in range(3)][2]
    path = f"{_CSRS}/{created['metadata']['name']}"
    got = api.get(path).ok()
    assert got["metadata"]["uid"] == created["metadata"]["uid"] and got["spec"]["expirationSeconds"] == 3600
    query = {"fieldSelector": f"spec.signerName={signer}"}
    listed = api.get(_CSRS, **query)
    assert len(listed.names) == 3
    watch = api.watch(
        _CSRS, 20, resourceVersion=listed.revision, fieldSelector=f"metadata.name={created['metadata']['name']}"
    )
    patched = api.patch("merge", path, {"metadata": {"annotations": {"patched": "true"}}}).ok()
    patched["metadata"]["annotations"]["updated"] = "true"
    assert api.put(path, patched).ok()["metadata"]["annotations"]["updated"] == "true"
    told(watch, "MODIFIED", lambda obj: obj["metadata"]["annotations"].get("updated") == "true", only="MODIFIED")

    assert api.get(f"{path}/approval").ok()["metadata"]["uid"] == created["metadata"]["uid"]
    condition = {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}
    change = {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [condition]}}
    approval = api.patch("merge", f"{path}/approval", change).ok()
    assert [found["type"] for found in approval["status"]["conditions"]] == ["ApprovalPatch"]
    assert approval["metadata"]["annotations"]["patchedapproval"] == "true"
    approval["status"]["conditions"].append({**_CONDITION, "type": "Approved"})
    approved = api.put(f"{path}/approval", approval).ok()
    assert [found["type"] for found in approved["status"]["conditions"]] == ["ApprovalPatch", "Approved"]

    assert api.get(f"{path}/status").ok()["metadata"]["uid"] == created["metadata"]["uid"]
    pem = base64.b64encode(Authority(tmp_path).pem).decode()
    change = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": pem}}
    status = api.patch("merge", f"{path}/status", change).ok()
    assert status["status"]["certificate"] == pem and status["metadata"]["annotations"]["patchedstatus"] == "true"
    status["status"]["conditions"].append({**_CONDITION, "type": "StatusUpdate"})
    updated = api.put(f"{path}/status", status).ok()
    types = [found["type"] for found in updated["status"]["conditions"]]
    assert len(types) == 3 and types[-1] == "StatusUpdate"

    api.delete(path).ok()
    api.get(path).refused(404, "NotFound")
    assert len(api.get(_CSRS, **query).names) == 2
    api.delete(_CSRS, **query).ok()
    assert api.get(_CSRS, **query).names == []


def test_who_one_is(api: Api) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    headers = {
        "Impersonate-User": "jane-doe",
        "Impersonate-Uid": "uniq-id",
        "Impersonate-Group": "system:authenticated",
    }
    headers |= {"Impersonate-Extra-Known-Languages": "python"}
    user = api.ask("POST", path, {}, headers).ok()["status"]["userInfo"]
    assert (user["username"], user["uid"], user["groups"]) == ("jane-doe", "uniq-id", ["system:authenticated"])
    assert user["extra"] == {"known-languages": ["python"]}


@pytest.mark.parametrize("allowed", [False, True])
def test_reviews_say_what_requests_are_told(api: Api, allowed: bool) -> None:
    account = api.post("serviceaccounts", {"metadata": {"name": "e2e"}}).ok()
    user = f"system:serviceaccount:{api.namespace}:e2e"
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{api.namespace}"]
    if allowed:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        subject = {"kind": "ServiceAccount", "name": "e2e", "namespace": api.namespace}
        binding = {"metadata": {"name": "view"}, "roleRef": reference, "subjects": [subject]}
        api.post(f"{_RBAC}/namespaces/{api.namespace}/rolebindings", binding).ok()
    attributes = {"verb": "list", "resource": "configmaps", "namespace": api.namespace, "version": "v1"}
    who = {"user": user, "groups": groups, "uid": account["metadata"]["uid"]}
    headers = {"Impersonate-User": user, "Impersonate-Uid": account["metadata"]["uid"], "Impersonate-Group": groups[0]}
    assert (api.get("configmaps", headers).code == 200) == allowed
    for path in ("subjectaccessreviews", f"namespaces/{api.namespace}/localsubjectaccessreviews"):
        review = {"spec": {"resourceAttributes": attributes, **who}}
        assert api.post(f"{_REVIEWS}/{path}", review).ok()["status"]["allowed"] == allowed


@pytest.mark.parametrize("account", ["default", "mount", "nomount"])
@pytest.mark.parametrize("pod", [None, True, False])
def test_a_token_is_mounted_unless_it_is_not_wanted(api: Api, account: str, pod: bool | None) -> None:
    if account != "default":
        api.post(
            "serviceaccounts", {"metadata": {"name": account}, "automountServiceAccountToken": account == "mount"}
        ).ok()
    spec = {
        "containers": [{"name": "token-test", "image": "agnhost"}],
        "restartPolicy": "Never",
        "serviceAccountName": account,
    }
    spec |= {} if pod is None else {"automountServiceAccountToken": pod}
    made = api.post("pods", {"metadata": {"name": "p"}, "spec": spec}).ok()["spec"]
    mounts = [mount["mountPath"] for mount in made["containers"][0].get("volumeMounts", [])]
    assert (_MOUNT in mounts) == (account != "nomount" if pod is None else pod)


def test_the_life_of_a_service_account(api: Api) -> None:
    labels = {"test-serviceaccount-static": "true"}
    made = api.post("serviceaccounts", {"metadata": {"name": "testserviceaccount", "labels": labels}}).ok()
    assert not made.get("secrets"), "no token is made for it"
    assert api.get("serviceaccounts/testserviceaccount").ok()["metadata"]["uid"] == made["metadata"]["uid"]
    watch = api.watch("serviceaccounts", 20, labelSelector="test-serviceaccount-static=true")
    told(watch, "ADDED")
    patch = {"metadata": {"creationTimestamp": None}, "automountServiceAccountToken": False}
    api.patch("strategic", "serviceaccounts/testserviceaccount", patch).ok()
    told(watch, "MODIFIED")
    everywhere = api.get("/api/v1/serviceaccounts", labelSelector="test-serviceaccount-static=true").json["items"]
    assert [
        item["automountServiceAccountToken"] for item in everywhere if item["metadata"]["namespace"] == api.namespace
    ] == [False]
    api.delete("serviceaccounts").ok()
    told(watch, "DELETED")


def test_a_service_account_is_updated(api: Api) -> None:
    path = "serviceaccounts/e2e-sa"
    api.post("serviceaccounts", {"metadata": {"name": "e2e-sa"}, "automountServiceAccountToken": False}).ok()
    found = api.get(path).ok()
    assert found["automountServiceAccountToken"] is False
    found["automountServiceAccountToken"] = True
    assert api.put(path, found).ok()["automountServiceAccountToken"] is True


def test_the_root_certificate_is_in_every_namespace(api: Api) -> None:
    path = "configmaps/kube-root-ca.crt"
    eventually(lambda: api.get(path).code == 200)
    first = api.get(path).ok()["metadata"]["uid"]
    api.delete(path, {"gracePeriodSeconds": 0}).ok()
    eventually(lambda: api.get(path).code == 200 and api.get(path).json["metadata"]["uid"] != first)
    api.put(path, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}}).ok()
    eventually(lambda: api.get(path).ok()["data"].get("ca.crt"))


def test_tokens_are_issued_and_their_issuer_is_discovered(api: Api) -> None:
    """The pod's own check, `test-service-account-issuer-discovery` of agnhost, is made from here: with the token that it has."""
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:service-account-issuer-discovery",
    }
    subject = {"kind": "ServiceAccount", "apiGroup": "", "name": "default", "namespace": api.namespace}
    metadata = {"name": f"{api.namespace}-system:service-account-issuer-discovery"}
    api.post(f"{_RBAC}/clusterrolebindings", {"metadata": metadata, "roleRef": reference, "subjects": [subject]}).ok()
    request = {"spec": {"audiences": ["oidc-discovery-test"], "expirationSeconds": 600}}
    token = api.post("serviceaccounts/default/token", request).ok()["status"]["token"]
    own = api.post("serviceaccounts/default/token", {"spec": {"audiences": []}}).ok()["status"]["token"]
    code, _, text = api.served.request(
        "GET", "/.well-known/openid-configuration", None, {"Authorization": f"Bearer {own}"}, ""
    )
    assert code == 200, text
    issuer = json.loads(text)
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert issuer["issuer"] == payload["iss"] and payload["aud"] == ["oidc-discovery-test"]
    assert payload["sub"] == f"system:serviceaccount:{api.namespace}:default"
    path = "/openid/v1/jwks"
    assert issuer["jwks_uri"].endswith(path)
    code, _, text = api.served.request("GET", path, None, {"Authorization": f"Bearer {own}"}, "")
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert code == 200 and header["kid"] in [key["kid"] for key in json.loads(text)["keys"]]
