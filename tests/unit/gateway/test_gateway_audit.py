from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.api.rbac import Attributes
from actors.gateway.audit import DEFAULT, AuditPolicyError, Entry, Policy, Trail, _value, read_policy
from actors.gateway.audit_log import RotatingLog
from actors.gateway.auth.authorize import attributes_of
from actors.gateway.auth.user import User
from actors.gateway.target import parse_target

ALICE = User("alice", ("devs",))
SECRET = b'{"metadata":{"name":"s","managedFields":[1]},"data":{"password":"aHVudGVyMg=="}}'


def trail(policy: Policy = DEFAULT) -> tuple[Trail, list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    return Trail(policy, lambda line: lines.append(json.loads(line)), lambda: 1_795_428_000_123), lines


def entry(of: Trail, method: str = "POST", path: str = "/api/v1/namespaces/x/secrets", user: User = ALICE) -> Entry:
    target = parse_target(method, path, False)
    found = of.begin("id-1", path, {"User-Agent": "kubectl/1", "Content-Type": "application/json"}, "10.0.0.1")
    found.identify(user, user, target, attributes_of(target))
    found.body = SECRET
    return found


def policy(tmp_path: Path, *rules: dict[str, Any], **more: Any) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}))
    return read_policy(path)


def test_metadata_keeps_who_what_and_how_it_ended_and_no_content() -> None:
    of, lines = trail()
    entry(of).completed(201, SECRET)
    assert lines == [
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": "id-1",
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/namespaces/x/secrets",
            "verb": "create",
            "user": {"username": "alice", "groups": ["devs"]},
            "sourceIPs": ["10.0.0.1"],
            "userAgent": "kubectl/1",
            "objectRef": {"resource": "secrets", "namespace": "x", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 201},
            "annotations": {"authorization.k8s.io/decision": "allow"},
            "requestReceivedTimestamp": "2026-11-23T10:00:00.123000Z",
            "stageTimestamp": "2026-11-23T10:00:00.123000Z",
        }
    ]


def test_the_object_that_is_sent_says_more_of_itself_than_the_path() -> None:
    of, lines = trail()
    made = entry(of)
    made.about({"metadata": {"name": "s", "namespace": "elsewhere", "uid": "u", "resourceVersion": "7", "labels": {}}})
    made.completed(201, SECRET)
    assert lines[0]["objectRef"] == {
        "resource": "secrets",
        "namespace": "x",
        "apiVersion": "v1",
        "name": "s",
        "uid": "u",
        "resourceVersion": "7",
    }
    odd = entry(of)
    odd.about({"metadata": {"name": 7, "uid": ""}})
    odd.completed(422)
    assert lines[1]["objectRef"] == {"resource": "secrets", "namespace": "x", "apiVersion": "v1"}


def test_levels_keep_more_only_where_a_rule_asks_for_it(tmp_path: Path) -> None:
    rules = [
        {"level": "None", "users": ["robot"]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}]},
        {"level": "Request", "verbs": ["create"], "namespaces": ["x"]},
        {"level": "RequestResponse", "userGroups": ["devs"], "omitManagedFields": True},
    ]
    of, lines = trail(policy(tmp_path, *rules, omitStages=["RequestReceived"]))
    entry(of, user=User("robot")).completed(201, SECRET)
    assert lines == []
    entry(of).completed(201, SECRET)
    assert "hunter" not in json.dumps(lines) and "aHVudGVyMg" not in json.dumps(lines)
    entry(of, path="/api/v1/namespaces/x/configmaps").completed(201, SECRET)
    assert lines[-1]["requestObject"]["data"] and "responseObject" not in lines[-1]
    entry(of, "PUT", "/api/v1/namespaces/x/configmaps/c").completed(200, SECRET)
    assert lines[-1]["responseObject"] == {"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    count = len(lines)
    entry(of, "PUT", "/api/v1/namespaces/x/configmaps/c", User("eve")).completed(200, SECRET)
    assert len(lines) == count  # no rule fits


def test_stages_of_a_watch_and_refusals(tmp_path: Path) -> None:
    of, lines = trail(policy(tmp_path, {"level": "Metadata"}))
    watch = entry(of, "GET", "/api/v1/namespaces/x/pods")
    watch.started()
    watch.completed(200)
    assert [line["stage"] for line in lines] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    entry(of).completed(403)
    assert lines[-1]["annotations"] == {"authorization.k8s.io/decision": "forbid"}


@pytest.mark.parametrize(
    ("rule", "asked", "fits"),
    [
        ({"resources": [{"resources": ["pods"]}]}, Attributes(verb="get", resource="pods"), True),
        ({"resources": [{"resources": ["pods"]}]}, Attributes(verb="get", resource="pods", subresource="log"), False),
        ({"resources": [{"resources": ["pods/*"]}]}, Attributes(verb="get", resource="pods", subresource="log"), True),
        ({"resources": [{"resources": ["*/log"]}]}, Attributes(verb="get", resource="pods", subresource="log"), True),
        ({"resources": [{"group": "apps"}]}, Attributes(verb="get", resource="pods"), False),
        (
            {"resources": [{"resources": ["pods"], "resourceNames": ["a"]}]},
            Attributes(verb="get", resource="pods"),
            False,
        ),
        ({"nonResourceURLs": ["/api*"]}, Attributes(verb="get", path="/apis"), True),
        ({"nonResourceURLs": ["/api*"]}, Attributes(verb="get", resource="pods"), False),
        ({"resources": [{"group": ""}]}, Attributes(verb="get", path="/apis"), False),
        ({"namespaces": ["x"]}, Attributes(verb="get", resource="pods", namespace="y"), False),
    ],
)
def test_rules(tmp_path: Path, rule: dict[str, Any], asked: Attributes, fits: bool) -> None:
    assert (policy(tmp_path, {"level": "Metadata", **rule}).rule_for(ALICE, asked) is not None) is fits


@pytest.mark.parametrize("rule", [{"level": "All"}, {}, {"level": "None", "user": ["a"]}])
def test_a_policy_that_cannot_be_used_is_named(tmp_path: Path, rule: dict[str, Any]) -> None:
    with pytest.raises(AuditPolicyError, match=r"policy\.yaml"):
        policy(tmp_path, rule)
    (tmp_path / "policy.yaml").write_text("kind: Elf")
    with pytest.raises(AuditPolicyError, match="not a Policy"):
        read_policy(tmp_path / "policy.yaml")


def test_the_log_rotates_and_keeps_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = RotatingLog(path, 100, 2)
    for number in range(30):
        log.write(b"%039d\n" % number)
    log.close()
    kept = [tmp_path / name for name in ("audit.log.2", "audit.log.1", "audit.log")]
    text = b"".join(file.read_bytes() for file in kept)
    assert [int(line) for line in text.splitlines()] == list(range(24, 30))
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
    again = RotatingLog(path, 100, 2)
    again.write(b"x" * 99 + b"\n")
    assert path.read_bytes() == b"x" * 99 + b"\n"
    again.close()
    again.write(b"lost\n")
    assert again.lost == 1


def test_a_rule_says_otherwise_than_the_policy_about_managed_fields_and_stages_add_up(tmp_path: Path) -> None:
    rules = [
        {"level": "RequestResponse", "verbs": ["update"], "omitManagedFields": False},
        {"level": "RequestResponse", "omitStages": ["ResponseComplete"]},
    ]
    of, lines = trail(policy(tmp_path, *rules, omitManagedFields=True, omitStages=["RequestReceived"]))
    body = b'{"metadata":{"name":"s","managedFields":[{"manager":"m"}]}}'
    entry(of, "PUT", "/api/v1/namespaces/x/configmaps/c").completed(200, body)
    assert lines[-1]["responseObject"]["metadata"]["managedFields"] and len(lines) == 1
    other = entry(of, "PATCH", "/api/v1/namespaces/x/configmaps/c")
    other.started()
    other.completed(200, body)
    assert [line["stage"] for line in lines[1:]] == ["ResponseStarted"]


@pytest.mark.parametrize("body", [b"{", b"[" + b"{}," * 60_000 + b"{}]"], ids=["malformed", "too dense"])
def test_a_body_that_is_refused_is_told_by_its_length(body: bytes) -> None:
    assert _value(body, "application/json") == {"unreadable": len(body)}
