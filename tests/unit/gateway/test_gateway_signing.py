"""Certificate requests at the door: what is none is refused with all else that is wrong with it."""

from __future__ import annotations

import pytest

from actors.api.errors import Invalid
from actors.gateway.auth.signing import owned
from actors.gateway.auth.user import User


def test_every_fault_of_a_request_is_told_at_once() -> None:
    spec = {"request": "AAAA", "signerName": "nobody", "usages": ["magic"], "expirationSeconds": 5}
    with pytest.raises(Invalid) as refused:
        owned({"metadata": {"name": "x"}, "spec": spec}, User("ann"))
    assert {cause.field for cause in refused.value.causes} == {
        "spec.request",
        "spec.signerName",
        "spec.usages[0]",
        "spec.expirationSeconds",
    }
    assert 'CertificateSigningRequest.certificates.k8s.io "x" is invalid: [spec.request:' in refused.value.message
