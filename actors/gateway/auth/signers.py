"""The signers that are ours: what may be asked of each, and which requests of nodes need nobody to approve them. Pure.

kubernetes.io/kube-apiserver-client          any user's client certificate, but never of system:masters
kubernetes.io/kube-apiserver-client-kubelet  a node's client certificate; approved by whether RBAC lets its asker
kubernetes.io/kubelet-serving                a node's serving certificate, for the names and addresses it asks for
(pkg/apis/certificates/helpers.go, pkg/controller/certificates/{approver,signer})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from actors.gateway.auth.user import MASTERS, NODE_PREFIX, NODES

CLIENT, KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
_KEY_USAGES = frozenset({"digital signature", "key encipherment"})
_SAN_NAMES: Mapping[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.RFC822Name: "Email",
    x509.UniformResourceIdentifier: "URI",
}


class Signer(NamedTuple):
    """`check` raises ValueError for a request, with its usages, that it does not sign. `is_server`: what for."""

    check: Callable[[x509.CertificateSigningRequest, Sequence[str]], None]
    is_server: bool = False


def common_name(request: x509.CertificateSigningRequest) -> str:
    found = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def groups_of(request: x509.CertificateSigningRequest) -> list[str]:
    return [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def sans_of(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """Raises ValueError for an extension that cannot be read."""
    try:
        return list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _check_client(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    allowed = _KEY_USAGES | {"client auth"}
    if "client auth" not in usages or set(usages) - allowed:
        raise ValueError(f"the usages must be among {', '.join(sorted(allowed))}, with client auth")
    if MASTERS in groups_of(request):
        raise ValueError(f"no certificate is issued for {MASTERS}")
    if not common_name(request):
        raise ValueError("the subject has no common name")


def _check_node_client(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    _check_node(request, usages, "client auth")
    if sans := sans_of(request):
        raise ValueError(f"{_san_name(sans[0])} subjectAltNames are not allowed")


def _check_node_server(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> None:
    _check_node(request, usages, "server auth")
    sans = sans_of(request)
    if other := [san for san in sans if not isinstance(san, x509.DNSName | x509.IPAddress)]:
        raise ValueError(f"{_san_name(other[0])} subjectAltNames are not allowed")
    if not sans:
        raise ValueError("DNS or IP subjectAltName is required")


def _check_node(request: x509.CertificateSigningRequest, usages: Sequence[str], purpose: str) -> None:
    if groups_of(request) != [NODES]:
        raise ValueError(f"subject organization is not {NODES}")
    if not common_name(request).startswith(NODE_PREFIX):
        raise ValueError(f"subject common name does not begin with {NODE_PREFIX}")
    needed = {purpose, "digital signature"}
    if not needed <= set(usages) <= needed | _KEY_USAGES:
        raise ValueError(f"usages did not match {sorted(needed)}")


def _san_name(san: x509.GeneralName) -> str:
    return _SAN_NAMES.get(type(san), "other")


SIGNERS: Mapping[str, Signer] = {
    CLIENT: Signer(_check_client),
    KUBELET_CLIENT: Signer(_check_node_client),
    KUBELET_SERVING: Signer(_check_node_server, is_server=True),
}


class Approval(NamedTuple):
    """What the asker must be allowed to `create` (of certificatesigningrequests) to be approved, and what is told."""

    subresource: str
    message: str


_SELF = Approval("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
_ANY = Approval("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


def approvals_of(
    signer: str, request: x509.CertificateSigningRequest, usages: Sequence[str], user_name: str
) -> Iterable[Approval]:
    """Each of which is enough; none for requests that people decide on."""
    if signer != KUBELET_CLIENT:
        return ()
    try:
        _check_node_client(request, usages)
    except ValueError:
        return ()
    return (_SELF, _ANY) if common_name(request) == user_name else (_ANY,)
