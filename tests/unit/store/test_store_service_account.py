"""The ServiceAccount admission plugin: as whom pods run, what they mount, which secrets they may name."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.codec import Object
from actors.api.key import Key
from actors.reconcile.actions import PatchType

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def account(desk: Desk, name: str, annotations: dict[str, str] | None = None, **fields: Any) -> None:
    metadata = {"name": name, "annotations": annotations or {}}
    obj_of(desk.create("serviceaccounts", {"metadata": metadata, **fields}))


def spec_of(desk: Desk, name: str, **spec: Any) -> Object:
    return dict(obj_of(desk.create("pods", new_pod(name, **spec)))["spec"])


def tokens(spec: Object) -> list[Object]:
    return [volume for volume in spec.get("volumes") or () if "projected" in volume]


def test_every_container_gets_the_volume_of_the_default_account(desk: Desk) -> None:
    containers = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    spec = spec_of(desk, "p", containers=containers, initContainers=[{"name": "c", "image": "i"}])
    (volume,) = tokens(spec)
    assert volume["name"] == "kube-api-access-token"
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    for container in [*spec["containers"], *spec["initContainers"]]:
        assert container["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": FOLDER}]
    token, ca, namespace = volume["projected"]["sources"]
    assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert ca["configMap"] == {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert namespace["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"] == "metadata.namespace"
    assert volume["projected"]["defaultMode"] == 420


def test_a_mount_of_the_users_own_at_that_path_stays_alone(desk: Desk) -> None:
    mine = {"name": "v", "image": "i", "volumeMounts": [{"name": "mine", "mountPath": FOLDER}]}
    spec = spec_of(desk, "p", containers=[mine], volumes=[{"name": "mine", "emptyDir": {}}])
    assert not tokens(spec) and len(spec["containers"][0]["volumeMounts"]) == 1


def test_the_pods_word_counts_before_its_accounts(desk: Desk) -> None:
    account(desk, "shy", automountServiceAccountToken=False)
    assert not tokens(spec_of(desk, "a", serviceAccountName="shy"))
    assert tokens(spec_of(desk, "b", serviceAccountName="shy", automountServiceAccountToken=True))
    assert not tokens(spec_of(desk, "c", automountServiceAccountToken=False))


def test_an_unknown_account_is_refused_in_kubernetes_words(desk: Desk) -> None:
    error = error_of(desk.create("pods", new_pod("p", serviceAccountName="ghost")))
    assert (error["code"], error["reason"]) == (403, "Forbidden")
    assert error["message"] == (
        'pods "p" is forbidden: error looking up service account default/ghost: serviceaccount "ghost" not found'
    )


def test_the_default_account_is_not_waited_for_in_a_namespace_that_is_just_made(desk: Desk) -> None:
    obj_of(desk.create("namespaces", {"metadata": {"name": "fresh"}}, ""))
    assert tokens(obj_of(desk.create("pods", new_pod("p"), "fresh"))["spec"])


def test_pull_secrets_are_the_accounts_where_the_pod_names_none(desk: Desk) -> None:
    account(desk, "puller", imagePullSecrets=[{"name": "registry"}])
    assert spec_of(desk, "a", serviceAccountName="puller")["imagePullSecrets"] == [{"name": "registry"}]
    own = [{"name": "own"}]
    assert spec_of(desk, "b", serviceAccountName="puller", imagePullSecrets=own)["imagePullSecrets"] == own


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "secret": {"secretName": "hidden"}}]},
        {"containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "hidden"}}]}]},
        {"initContainers": [{"name": "c2", "image": "i", "envFrom": [{"secretRef": {"name": "hidden"}}]}]},
        {
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "k"}}}],
                }
            ]
        },
        {"imagePullSecrets": [{"name": "hidden"}]},
    ],
)
def test_secrets_that_the_account_does_not_list_are_refused_where_it_is_enforced(desk: Desk, spec: Object) -> None:
    account(desk, "strict", {"kubernetes.io/enforce-mountable-secrets": "true"}, secrets=[{"name": "shown"}])
    error = error_of(desk.create("pods", new_pod("p", serviceAccountName="strict", **spec)))
    assert error["code"] == 403 and '"hidden"' in error["message"]
    assert "is not allowed because service account strict does not reference that" in error["message"]
    shown = [{"name": "v", "secret": {"secretName": "shown"}}]
    spec_of(desk, "q", serviceAccountName="strict", volumes=shown)


def test_what_admission_adds_is_nobodys_field(desk: Desk) -> None:
    """So that applying the same pod again takes nothing away."""
    pod = {"apiVersion": "v1", "kind": "Pod", **new_pod("p")}
    key = Key("pods", "default", "p")
    for _ in range(2):
        applied = obj_of(desk.patch(key, pod, PatchType.APPLY, manager="m"))
        assert tokens(applied["spec"])
    (entry,) = applied["metadata"]["managedFields"]
    assert "f:volumes" not in entry["fieldsV1"]["f:spec"]
