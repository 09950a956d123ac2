"""New objects: identity, namespaces, what a creator may not say."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from store_support import NOW, Desk, error_of, new_pod, obj_of

from actors.api.clock import format_time
from actors.api.key import Key
from actors.reconcile.actions import Create
from actors.store.ids import SUFFIX_ALPHABET, RandomIds


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_identity_is_the_stores(desk: Desk) -> None:
    claimed = {
        "name": "p",
        "uid": "mine",
        "generation": 7,
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "managedFields": [{"manager": "x"}],
    }
    pod = obj_of(desk.create("pods", {**new_pod("p"), "metadata": claimed}))
    metadata = pod["metadata"]
    assert metadata["uid"] not in ("", "mine")
    assert metadata["creationTimestamp"] == format_time(NOW)
    assert metadata["generation"] == 1
    assert metadata["namespace"] == "default"
    assert "deletionTimestamp" not in metadata and "managedFields" not in metadata


def test_status_is_not_the_creators(desk: Desk) -> None:
    pod = obj_of(desk.create("pods", {**new_pod("p"), "status": {"phase": "Running", "podIP": "1.2.3.4"}}))
    assert pod["status"]["phase"] == "Pending" and "podIP" not in pod["status"]
    node = obj_of(desk.create("nodes", {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}}, ""))
    assert node["status"]["capacity"] == {"cpu": "2"}


def test_nulls_are_dropped(desk: Desk) -> None:
    pod = new_pod("p", nodeName=None, containers=[{"name": "c", "image": "i", "env": None}])
    spec = obj_of(desk.create("pods", pod))["spec"]
    assert "nodeName" not in spec and "env" not in spec["containers"][0]


def test_empty_lists_and_maps_are_absent_ones(desk: Desk) -> None:
    """As Go's omitempty leaves them out: not those that are required, nor empty structs, which say something."""
    container = {"name": "c", "image": "i", "env": [], "resources": {"limits": {}, "requests": {"cpu": "1"}}}
    spec = {
        "containers": [container],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "nodeSelector": {},
        "tolerations": [],
    }
    pod = obj_of(desk.create("pods", {"metadata": {"name": "p", "labels": {}, "annotations": {}}, "spec": spec}))
    assert not {"labels", "annotations"} & pod["metadata"].keys()
    assert not {"nodeSelector"} & pod["spec"].keys()
    assert pod["spec"]["volumes"][0] == {"name": "v", "emptyDir": {}}
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert "env" not in pod["spec"]["containers"][0]
    role = {"metadata": {"name": "r"}, "rules": []}
    assert obj_of(desk.create("roles.rbac.authorization.k8s.io", role))["rules"] == []
    key = Key("pods", "default", "p")
    for metadata in ({"labels": {}}, {"annotations": {}, "finalizers": []}):
        assert not desk.patch(key, {"metadata": metadata}).changed
    obj_of(desk.patch(key, {"metadata": {"finalizers": ["a.b/c"]}}))
    assert "finalizers" not in obj_of(desk.patch(key, {"metadata": {"finalizers": []}}))["metadata"]


def test_generated_names_are_free_and_short(desk: Desk) -> None:
    template = {"metadata": {"generateName": "x" * 80}}
    names = {obj_of(desk.create("configmaps", template))["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(len(name) == 63 and name.startswith("x" * 58) for name in names)


def test_a_name_is_required(desk: Desk) -> None:
    error = error_of(desk.create("configmaps", {}))
    assert error["code"] == 422
    assert "metadata.name: Required value: name or generateName is required" in error["message"]


def test_a_taken_name_is_told_in_kubernetes_words(desk: Desk) -> None:
    desk.create("deployments.apps", _deployment())
    error = error_of(desk.create("deployments.apps", _deployment()))
    assert error["message"] == 'deployments.apps "web" already exists'
    assert error["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def _deployment() -> dict[str, object]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def test_a_resource_version_is_refused(desk: Desk) -> None:
    error = error_of(desk.create("configmaps", {"metadata": {"name": "a", "resourceVersion": "5"}}))
    assert error["message"] == "resourceVersion should not be set on objects to be created"
    obj_of(desk.create("configmaps", {"metadata": {"name": "a", "resourceVersion": ""}}))


def test_the_namespace_must_be_there(desk: Desk) -> None:
    error = error_of(desk.create("configmaps", {"metadata": {"name": "a"}}, "nowhere"))
    assert (error["code"], error["message"]) == (404, 'namespaces "nowhere" not found')


def test_nothing_is_created_in_a_namespace_that_ends(desk: Desk) -> None:
    desk.create("namespaces", {"metadata": {"name": "dev"}}, "")
    desk.delete(Key("namespaces", "", "dev"))
    error = error_of(desk.create("pods", new_pod("p"), "dev"))
    assert error["code"] == 403
    assert error["message"] == (
        'pods "p" is forbidden: unable to create new content in namespace dev because it is being terminated'
    )
    assert error["details"]["causes"][0]["reason"] == "NamespaceTerminating"


@pytest.mark.parametrize(("resource", "namespace"), [("configmaps", ""), ("nodes", "default")])
def test_scope_is_checked(desk: Desk, resource: str, namespace: str) -> None:
    assert error_of(desk.create(resource, {"metadata": {"name": "a"}}, namespace))["code"] == 400


def test_the_objects_own_namespace_counts_where_the_request_names_none(desk: Desk) -> None:
    created = desk.create("configmaps", {"metadata": {"name": "a", "namespace": "kube-system"}}, "")
    assert obj_of(created)["metadata"]["namespace"] == "kube-system"


def test_an_unknown_resource_is_not_found(desk: Desk) -> None:
    assert error_of(desk.create("unicorns", {"metadata": {"name": "a"}}))["code"] == 404


def test_a_namespace_begins_active_and_labelled(desk: Desk) -> None:
    namespace = obj_of(desk.create("namespaces", {"metadata": {"name": "dev"}}, ""))
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert namespace["status"] == {"phase": "Active"}
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "dev"}


def test_all_bad_fields_are_told_at_once(desk: Desk) -> None:
    pod = {"metadata": {"name": "Bad_"}, "spec": {"containers": [{"name": "c"}], "restartPolicy": "Sometimes"}}
    causes = error_of(desk.create("pods", pod))["details"]["causes"]
    assert {"metadata.name", "spec.restartPolicy"} <= {cause["field"] for cause in causes}


def test_writes_of_one_commit_see_each_other(desk: Desk) -> None:
    replies = desk.engine.commit(
        [
            Create(resource="namespaces", namespace="", object={"metadata": {"name": "dev"}}),
            Create(resource="configmaps", namespace="dev", object={"metadata": {"name": "a"}}),
        ],
        NOW,
    )
    assert [reply.error for reply in replies] == [None, None]


def test_named_managers_are_recorded(desk: Desk) -> None:
    obj = {"metadata": {"name": "smp"}, "data": {"k": "v"}}
    [entry] = obj_of(desk.create("configmaps", obj, manager="x"))["metadata"]["managedFields"]
    assert entry == {
        "manager": "x",
        "operation": "Update",
        "apiVersion": "v1",
        "time": format_time(NOW),
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:k": {}}},
    }


def test_random_ids_are_version_4_uuids_and_suffixes_of_the_alphabet() -> None:
    ids = RandomIds()
    uids = [ids.uid() for _ in range(1000)]
    assert len(set(uids)) == 1000
    assert all((uid := UUID(text)).version == 4 and str(uid) == text and uid.variant == RFC_4122 for text in uids)
    drawn = "".join(ids.suffix() for _ in range(1000))
    assert set(drawn) == set(SUFFIX_ALPHABET) and len(drawn) == 5000
