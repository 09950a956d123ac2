"""A kubelet of somebody's own, from its certificate request to what it may and may not, over TLS and with kubectl."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from gateway_server import RunningGateway, pod, served

from actors.api.key import Key

__all__ = ["served"]
CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
CSR = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODE_USAGES = ["client auth", "digital signature"]


def ask(served: RunningGateway, node: str, sans: Sequence[x509.GeneralName] = ()) -> str:
    """Base64 of a PEM request; its key lies beside where the certificate will."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (served.home / "pki" / f"{node}.key.next").write_bytes(pem)
    parts = ((NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, f"system:node:{node}"))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(*p) for p in parts]))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def manifest(name: str, request: str, signer: str, usages: Sequence[str] = NODE_USAGES) -> dict[str, Any]:
    spec = {"request": request, "signerName": signer, "usages": list(usages)}
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": spec,
    }


def wait(probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 15
    while not (found := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def status_of(served: RunningGateway, name: str) -> dict[str, Any]:
    return dict(served.kubectl("get", "csr", name, "-o", "json").json.get("status") or {})


def take(served: RunningGateway, node: str, name: str) -> x509.Certificate:
    """The certificate that was issued, in the place where `request` finds it."""
    text = base64.b64decode(wait(lambda: status_of(served, name).get("certificate")))
    (served.home / "pki" / f"{node}.crt").write_bytes(text)
    (served.home / "pki" / f"{node}.key.next").rename(served.home / "pki" / f"{node}.key")
    return x509.load_pem_x509_certificate(text)


@pytest.fixture(scope="module")
def node(served: RunningGateway) -> str:
    """`n1` has joined by a bootstrap token's user, who may ask for certificates of nodes."""
    body = manifest("first", ask(served, "n1"), CLIENT)
    joining = ["--as=system:bootstrap:abcdef", "--as-group=system:bootstrappers"]
    served.kubectl(
        *[
            "create",
            "clusterrolebinding",
            "ask",
            "--group=system:bootstrappers",
            "--clusterrole=system:node-bootstrapper",
        ]
    )
    wait(lambda: served.kubectl("create", "-f", "-", *joining, stdin=json.dumps(body), fails=None).code == 0)
    time.sleep(0.5)
    assert status_of(served, "first") == {}, "nobody has been given the right to have it approved"
    role = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
    served.kubectl("create", "clusterrolebinding", "join", "--group=system:bootstrappers", f"--clusterrole={role}")
    take(served, "n1", "first")
    conditions = status_of(served, "first")["conditions"]
    assert [(c["type"], c["reason"]) for c in conditions] == [("Approved", "AutoApproved")]
    return "n1"


def call(
    served: RunningGateway, method: str, path: str, body: Any = None, node: str = "n1"
) -> tuple[int, dict[str, Any]]:
    kind = "application/strategic-merge-patch+json" if method == "PATCH" else "application/json"
    data = json.dumps(body).encode() if body is not None else None
    code, _, answer = served.request(method, path, data, {"Content-Type": kind}, node)
    return code, json.loads(answer)


def test_it_registers_itself_and_no_other(served: RunningGateway, node: str) -> None:
    assert call(served, "GET", "/api/v1/nodes/n1")[0] == 404  # it may look before it is there
    made, _ = call(served, "POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    assert made == 201
    code, told = call(served, "POST", "/api/v1/nodes", {"metadata": {"name": "n2"}})
    assert (code, told["message"]) == (
        403,
        'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
    )
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert call(served, "PATCH", "/api/v1/nodes/n1/status", status)[0] == 200
    code, told = call(served, "GET", "/api/v1/nodes")
    assert told["message"] == (
        'nodes is forbidden: User "system:node:n1" cannot list resource "nodes" in API group "" at the cluster scope: '
        "node 'n1' cannot read all nodes, only its own Node object"
    )
    lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}}
    assert call(served, "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)[0] == 201


def test_it_reads_what_its_pods_need_while_they_are_there(served: RunningGateway, node: str) -> None:
    for name in ("mine", "other"):
        served.make({"metadata": {"name": name}, "data": {"k": "dg=="}}, "secrets")
        secret = {"volumes": [{"name": "v", "secret": {"secretName": name}}]}
        body = pod(f"uses-{name}")
        served.make({**body, "spec": {**body["spec"], **secret}}, "pods")
    served.place("uses-mine", "n1")
    served.place("uses-other", "n2")
    secrets = "/api/v1/namespaces/default/secrets"
    wait(lambda: call(served, "GET", f"{secrets}/mine")[0] == 200)
    watched = f"{secrets}?fieldSelector=metadata.name%3Dmine"
    assert call(served, "GET", watched)[1]["items"][0]["metadata"]["name"] == "mine"
    code, told = call(served, "GET", f"{secrets}/other")
    assert code == 403 and told["message"].endswith("no relationship found between node 'n1' and this object")
    code, told = call(served, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
    assert [item["metadata"]["name"] for item in told["items"]] == ["uses-mine"]
    assert call(served, "GET", "/api/v1/pods")[0] == 403
    assert (
        call(served, "PATCH", "/api/v1/namespaces/default/pods/uses-mine/status", {"status": {"phase": "Running"}})[0]
        == 200
    )
    assert (
        call(served, "PATCH", "/api/v1/namespaces/default/pods/uses-other/status", {"status": {"phase": "Running"}})[0]
        == 403
    )
    evicted, told = call(
        served, "POST", "/api/v1/namespaces/default/pods/uses-other/eviction", {"metadata": {"name": "uses-other"}}
    )
    assert evicted == 403 and "with spec.nodeName set to itself" in told["message"]
    served.confirm_gone("uses-mine")
    wait(lambda: call(served, "GET", f"{secrets}/mine")[0] == 403)


def test_tokens_and_questions_about_a_node(served: RunningGateway, node: str) -> None:
    served.make(pod("plain"), "pods")
    served.place("plain", "n1")
    uid = served.run(served.store.get(Key("pods", "default", "plain"))).uid
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    ref = {"kind": "Pod", "apiVersion": "v1", "name": "plain", "uid": uid}
    wait(lambda: call(served, "POST", path, {"spec": {"boundObjectRef": ref}})[0] == 201)
    code, told = call(served, "POST", path, {"spec": {"boundObjectRef": ref, "audiences": ["vault"]}})
    assert code == 403 and 'audience "vault" not found in pod spec volume' in told["message"]
    assert "not bound to a pod" in call(served, "POST", path, {"spec": {}})[1]["message"]
    can = ["auth", "can-i", "--as=system:node:n1", "--as-group=system:nodes"]
    assert served.kubectl(*can, "get", "pods/plain").out.strip() == "yes"
    assert served.kubectl(*can, "get", "nodes/n2", fails=True).out.startswith("no - node 'n1' cannot read 'n2'")
    listed = served.kubectl(*can, "--list")
    assert "node authorizer does not support user rule resolution" in listed.err


def test_it_renews_its_certificate_itself_and_nobody_elses(served: RunningGateway, node: str) -> None:
    other = manifest("theirs", ask(served, "n2"), CLIENT)
    code, told = call(served, "POST", CSR, other)
    assert (code, told["message"]) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "theirs" is forbidden: can only create a node CSR with '
        "CN=system:node:n1",
    )
    role = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
    served.kubectl("create", "clusterrolebinding", "renew", "--group=system:nodes", f"--clusterrole={role}")
    assert call(served, "POST", CSR, manifest("again", ask(served, "n1"), CLIENT))[0] == 201
    take(served, "n1", "again")
    assert call(served, "GET", "/api/v1/nodes/n1")[0] == 200


def test_a_serving_certificate_is_for_people_to_approve(served: RunningGateway, node: str) -> None:
    usages = ["digital signature", "server auth"]
    sans = [x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.1.2.3"))]
    assert call(served, "POST", CSR, manifest("serve", ask(served, "n1", sans), SERVING, usages))[0] == 201
    time.sleep(0.3)
    assert status_of(served, "serve") == {}
    served.kubectl("certificate", "approve", "serve")
    certificate = x509.load_pem_x509_certificate(
        base64.b64decode(wait(lambda: status_of(served, "serve").get("certificate")))
    )
    found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(found) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["n1", "10.1.2.3"]


@pytest.mark.parametrize(
    ("name", "signer", "usages", "sans", "why"),
    [
        ("bad-san", CLIENT, NODE_USAGES, [x509.DNSName("n1")], "DNS subjectAltNames are not allowed"),
        ("bad-use", CLIENT, ["client auth"], [], "usages did not match"),
        ("no-san", SERVING, ["server auth", "digital signature"], [], "DNS or IP subjectAltName is required"),
        (
            *("bad-uri", SERVING, ["server auth", "digital signature"]),
            *([x509.UniformResourceIdentifier("https://x")], "URI subjectAltNames are not allowed"),
        ),
    ],
)  # fmt: skip
def test_what_a_signer_does_not_sign_fails(
    served: RunningGateway, name: str, signer: str, usages: list[str], sans: list[x509.GeneralName], why: str
) -> None:
    served.kubectl("create", "-f", "-", stdin=json.dumps(manifest(name, ask(served, "n9", sans), signer, usages)))
    served.kubectl("certificate", "approve", name)
    wait(lambda: len(status_of(served, name).get("conditions") or ()) == 2)
    failed = status_of(served, name)["conditions"][1]
    assert (failed["type"], failed["reason"]) == ("Failed", "SignerValidationFailure") and why in failed["message"]
