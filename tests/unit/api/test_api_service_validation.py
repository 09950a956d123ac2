"""APIServices: what they may say of whose they are."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.validation import validate


def told(name: str = "v1.a.example.com", **changes: Any) -> list[str]:
    spec: dict[str, Any] = {
        "group": "a.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
    }
    spec |= {"service": {"namespace": "n", "name": "s", "port": 443}, **changes}
    spec = {field: value for field, value in spec.items() if value is not None}
    obj = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec}
    return [f"{cause.field}: {cause.message}" for cause in validate(obj)]


def test_what_is_right_is_accepted() -> None:
    assert told() == []
    assert told(insecureSkipTLSVerify=True) == []
    assert told("v1.", group=None, service=None) == []


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("v2.a.example.com", {}, 'must be `spec.version+"."+spec.group`: v1.a.example.com'),
        ("v2.", {"group": None, "version": "v2"}, "spec.group: Required value: only v1 may have an empty group"),
        ("v1.a.example.com", {"service": None, "caBundle": "YQ=="}, "local APIServices may not have a caBundle"),
        ("v1.a.example.com", {"service": None, "insecureSkipTLSVerify": True}, "may not have insecureSkipTLSVerify"),
        ("v1.a.example.com", {"service": {"port": 443}}, "spec.service.name: Required value"),
        (
            "v1.a.example.com",
            {"insecureSkipTLSVerify": True, "caBundle": "YQ=="},
            "may not be true if caBundle is present",
        ),
        ("v1.a.example.com", {"groupPriorityMinimum": 30000}, "spec.groupPriorityMinimum"),
        ("v1.a.example.com", {"versionPriority": 0}, "spec.versionPriority"),
    ],
)
def test_what_is_wrong_is_told(name: str, changes: dict[str, Any], why: str) -> None:
    found = told(name, **changes)
    assert any(why in text for text in found), found
