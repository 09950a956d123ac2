"""PodSecurity at the store's door: labels decide who is refused, warned, written down; who is exempt is not asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.codec import Object
from actors.api.key import Key
from actors.reconcile.actions import Create, PatchType
from actors.store.admission.profile import AdmissionConfig
from actors.store.config import StoreConfig

PREFIX = "pod-security.kubernetes.io/"
NAMESPACE = Key("namespaces", "", "default")
CONTAINERS = [{"name": "c", "image": "i:1", "securityContext": {"privileged": True}}]
PRIVILEGED = 'privileged (container "c" must not set securityContext.privileged=true)'


def desk_with(labels: dict[str, str] | None = None, **config: Any) -> Desk:
    admission = msgspec.convert({"plugins": [{"plugin": "PodSecurity", **config}]}, AdmissionConfig)
    desk = Desk(StoreConfig(admission=admission))
    if labels:
        obj_of(label(desk, labels))
    return desk


def label(desk: Desk, labels: dict[str, str]) -> Any:
    return desk.patch(NAMESPACE, {"metadata": {"labels": {PREFIX + name: level for name, level in labels.items()}}})


def pod(name: str = "p", **spec: Any) -> Object:
    return new_pod(name, **{"containers": CONTAINERS, **spec})


def test_enforced_is_refused_with_all_that_is_wrong() -> None:
    desk = desk_with({"enforce": "baseline", "enforce-version": "v1.30"})
    error = error_of(desk.create("pods", pod(hostNetwork=True)))
    assert (error["code"], error["reason"]) == (403, "Forbidden")
    assert error["message"] == (
        'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true), '
        + PRIVILEGED
    )
    obj_of(desk.create("pods", new_pod("q")))
    obj_of(desk.create("pods", pod(), "kube-system"))


def test_warnings_and_audit_let_it_through() -> None:
    desk = desk_with({"warn": "baseline", "audit": "baseline"})
    reply = desk.create("pods", pod())
    told = f'would violate PodSecurity "baseline:latest": {PRIVILEGED}'
    assert reply.error is None and reply.warnings == (told,)
    assert reply.audit == {f"{PREFIX}enforce-policy": "privileged:latest", f"{PREFIX}audit-violations": told}
    assert desk.create("pods", pod("q"), dry_run=True).warnings == (told,)


def test_what_is_refused_is_not_warned_of_but_audited() -> None:
    reply = desk_with({"enforce": "baseline", "warn": "restricted", "audit": "baseline"}).create("pods", pod())
    assert reply.error is not None and reply.warnings == ()
    assert reply.audit[f"{PREFIX}audit-violations"].startswith("would violate")


@pytest.mark.parametrize(
    ("resource", "obj"),
    [
        ("deployments.apps", {"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
        ("jobs.batch", {"spec": {}}),
        ("cronjobs.batch", {"spec": {"schedule": "* * * * *"}}),
        ("podtemplates", {}),
    ],
)
def test_workloads_are_only_warned_of(resource: str, obj: Object) -> None:
    desk = desk_with({"enforce": "baseline", "warn": "baseline"})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}
    if resource == "deployments.apps":
        del template["spec"]["restartPolicy"]
    whole: Object = {"metadata": {"name": "w"}, **obj}
    if resource == "podtemplates":
        whole["template"] = template
    elif resource == "cronjobs.batch":
        whole["spec"]["jobTemplate"] = {"spec": {"template": template}}
    else:
        whole["spec"]["template"] = template
    reply = desk.create(resource, whole)
    assert reply.error is None, reply.error
    assert reply.warnings == (f'would violate PodSecurity "baseline:latest": {PRIVILEGED}',)


def test_an_update_is_judged_when_it_changes_what_is_judged() -> None:
    desk = desk_with()
    obj_of(desk.create("pods", pod()))
    label(desk, {"enforce": "baseline"})
    key = Key("pods", "default", "p")
    assert desk.patch(key, {"metadata": {"labels": {"a": "b"}}}).error is None
    assert desk.patch(key, {"status": {"phase": "Running"}}, subresource="status").error is None
    newer = {"spec": {"containers": [{**CONTAINERS[0], "image": "i:2"}]}}
    assert error_of(desk.patch(key, newer, PatchType.STRATEGIC))["code"] == 403


def test_defaults_and_exemptions_come_from_the_configuration() -> None:
    config = {"enforce": "baseline", "exempt_namespaces": ["kube-system"], "exempt_users": ["root"]}
    desk = desk_with(**config, exempt_runtime_classes=["vm"])
    obj_of(desk.create("runtimeclasses.node.k8s.io", {"metadata": {"name": "vm"}, "handler": "vm"}, ""))
    assert error_of(desk.create("pods", pod()))["code"] == 403
    assert desk.create("pods", pod(), "kube-system").audit == {f"{PREFIX}exempt": "namespace"}
    assert desk.create("pods", pod("vm", runtimeClassName="vm")).error is None
    by_root = desk.write(Create(resource="pods", namespace="default", object=pod("r"), user="root"))
    assert by_root.audit == {f"{PREFIX}exempt": "user"} and by_root.error is None
    label(desk, {"enforce": "privileged"})
    assert desk.create("pods", pod()).error is None


def test_labels_must_be_valid() -> None:
    desk = desk_with()
    error = error_of(label(desk, {"enforce": "strict"}))
    assert (error["code"], error["reason"]) == (422, "Invalid")
    assert error["details"]["causes"] == [
        {
            "field": "metadata.labels[pod-security.kubernetes.io/enforce]",
            "message": 'Invalid value: "strict": must be one of privileged, baseline, restricted',
            "reason": "FieldValueInvalid",
        }
    ]
    made = {"metadata": {"name": "n", "labels": {f"{PREFIX}warn-version": "2"}}}
    assert error_of(desk.create("namespaces", made, ""))["code"] == 422


def test_a_namespace_that_becomes_stricter_is_told_of_its_pods() -> None:
    desk = desk_with()
    for name in ("b", "a", "c"):
        obj_of(desk.create("pods", pod(name)))
    obj_of(desk.create("pods", pod("net", hostNetwork=True)))
    reply = label(desk, {"enforce": "baseline"})
    assert reply.error is None and reply.warnings == (
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): privileged",
        "net: host namespaces, privileged",
    )
    assert label(desk, {"enforce": "privileged"}).warnings == ()


def test_a_wrong_level_in_the_configuration_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="must be one of privileged, baseline, restricted"):
        desk_with(enforce="strict")
