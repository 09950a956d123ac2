"""`kubectl certificate approve`: from a request to a certificate that lets its owner in, over TLS."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_server import RunningGateway, served

__all__ = ["served"]
SIGNER = "kubernetes.io/kube-apiserver-client"
KIND = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}


def request_for(served: RunningGateway, name: str, *groups: str) -> str:
    """Base64 of a PEM request; its key lies beside where the certificate will."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (served.home / "pki" / f"{name}.key").write_bytes(pem)
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    named = x509.Name([*subject, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(named).sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def manifest(name: str, request: str, **spec: Any) -> str:
    wanted = {"request": request, "signerName": SIGNER, "usages": ["client auth"], **spec}
    return json.dumps({**KIND, "metadata": {"name": name}, "spec": wanted})


def status_of(served: RunningGateway, name: str) -> dict[str, Any]:
    return dict(served.kubectl("get", "csr", name, "-o", "json").json.get("status") or {})


def wait_status(served: RunningGateway, name: str, field: str) -> Any:
    deadline = time.monotonic() + 10
    while not status_of(served, name).get(field):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return status_of(served, name)[field]


def test_a_request_is_approved_and_lets_its_owner_in(served: RunningGateway) -> None:
    forged = {"username": "kubernetes-admin", "groups": ["system:masters"], "uid": "1", "extra": {"a": ["b"]}}
    served.kubectl(
        "create",
        "-f",
        "-",
        "--as=dana",
        "--as-group=system:masters",
        stdin=manifest("dana", request_for(served, "dana", "devs"), **forged),
    )
    spec = served.kubectl("get", "csr", "dana", "-o", "json").json["spec"]
    assert (spec["username"], spec["groups"], "uid" in spec) == (
        "dana",
        ["system:masters", "system:authenticated"],
        False,
    )
    assert "Pending" in served.kubectl("get", "csr", "dana").out
    assert "certificate" not in status_of(served, "dana")
    served.kubectl("certificate", "approve", "dana")
    certificate = base64.b64decode(wait_status(served, "dana", "certificate"))
    assert "Approved,Issued" in served.kubectl("get", "csr", "dana").out
    (served.home / "pki" / "dana.crt").write_bytes(certificate)
    served.kubectl("create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=devs")
    deadline = time.monotonic() + 10
    while served.request("GET", "/api/v1/pods", certificate="dana")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.request("POST", "/api/v1/namespaces/default/configmaps", b"{}", certificate="dana")[0] == 403
    assert (
        not x509.load_pem_x509_certificate(certificate)
        .extensions.get_extension_for_class(x509.BasicConstraints)
        .value.ca
    )


def test_a_denied_request_stays_without_one(served: RunningGateway) -> None:
    served.kubectl("create", "-f", "-", stdin=manifest("no", request_for(served, "no")))
    served.kubectl("certificate", "deny", "no")
    assert "Denied" in served.kubectl("get", "csr", "no").out
    patch = json.dumps({"status": {"conditions": [{"type": "Approved", "status": "True"}]}})
    undone = served.kubectl("patch", "csr", "no", "--subresource=approval", "--type=merge", "-p", patch, fails=True)
    assert "Denied" in undone.err


def test_nobody_becomes_a_master_by_request(served: RunningGateway) -> None:
    request = request_for(served, "evil", "system:masters")
    refused = served.kubectl("create", "-f", "-", stdin=manifest("evil", request), fails=True)
    assert "with system:masters group is not allowed" in refused.err
    applied = served.kubectl("apply", "--server-side", "-f", "-", stdin=manifest("evil", request), fails=True)
    assert "with system:masters group is not allowed" in applied.err


def test_who_approves_must_hold_the_signer(served: RunningGateway) -> None:
    served.kubectl("create", "-f", "-", stdin=manifest("asked", request_for(served, "asked")))
    role = [
        "create", "clusterrole", "approver", "--verb=get,list,update,patch",
        "--resource=certificatesigningrequests,certificatesigningrequests/approval,certificatesigningrequests/status",
    ]  # fmt: skip
    served.kubectl(*role)
    served.kubectl("create", "clusterrolebinding", "approver", "--clusterrole=approver", "--user=pat")
    deadline = time.monotonic() + 10
    while True:
        refused = served.kubectl("certificate", "approve", "asked", "--as=pat", fails=True)
        if "not permitted to approve" in refused.err:
            break
        assert time.monotonic() < deadline, refused.err
    forged = json.dumps({"status": {"certificate": base64.b64encode(b"x").decode()}})
    words = ["patch", "csr", "asked", "--subresource=status", "--type=merge", "-p", forged, "--as=pat"]
    assert "not permitted to sign" in served.kubectl(*words, fails=True).err
    assert status_of(served, "asked") == {}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"request": "bm8="}, "spec.request"),
        ({"request": "%%%"}, "spec.request"),
        ({"signerName": "nobody"}, "spec.signerName"),
        ({"usages": []}, "spec.usages"),
        ({"expirationSeconds": 5}, "spec.expirationSeconds"),
    ],
)
def test_what_is_no_request(served: RunningGateway, spec: dict[str, Any], told: str) -> None:
    text = manifest("bad", spec.pop("request", None) or request_for(served, "bad"), **spec)
    assert told in served.kubectl("create", "-f", "-", "--validate=false", stdin=text, fails=True).err


def test_usages_that_are_no_clients_fail_the_request(served: RunningGateway) -> None:
    served.kubectl("create", "-f", "-", stdin=manifest("srv", request_for(served, "srv"), usages=["server auth"]))
    served.kubectl("certificate", "approve", "srv")
    conditions = wait_status(served, "srv", "conditions")
    deadline = time.monotonic() + 10
    while [row["type"] for row in conditions] != ["Approved", "Failed"]:
        assert time.monotonic() < deadline
        conditions = status_of(served, "srv")["conditions"]
