from __future__ import annotations

from typing import Any

from corerig import Rig, node, pod

from actors.api.key import Key
from actors.controllers import namespace
from actors.controllers.core import ControllersCore
from actors.reconcile.actions import Patch, Reply


def config_map(name: str, *owners: dict[str, Any], **ref: Any) -> dict[str, Any]:
    refs = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"], **ref}
        for o in owners
    ]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": refs}}


def left(rig: Rig) -> set[str]:
    return {m["metadata"]["name"] for m in rig.list("configmaps") if m["metadata"]["namespace"] == "default"} - {
        "kube-root-ca.crt"
    }


def key(name: str) -> Key:
    return Key("configmaps", "default", name)


def test_background_takes_dependents_of_dependents(rig: Rig) -> None:
    a = rig.create(config_map("a"))
    b = rig.create(config_map("b", a))
    rig.create(config_map("c", b))
    rig.create(config_map("other"))
    rig.settle()
    rig.delete(key("a"), propagation="Background")
    rig.settle()
    assert left(rig) == {"other"}


def test_one_living_owner_is_enough(rig: Rig) -> None:
    a, b = rig.create(config_map("a")), rig.create(config_map("b"))
    rig.create(config_map("c", a, b))
    rig.settle()
    rig.delete(key("a"))
    rig.settle()
    assert left(rig) == {"b", "c"}
    assert [ref["name"] for ref in rig.get("configmaps", "c")["metadata"]["ownerReferences"]] == ["b"]


def test_foreground_goes_last(rig: Rig) -> None:
    a = rig.create(config_map("a"))
    stuck = config_map("b", a, blockOwnerDeletion=True)
    stuck["metadata"]["finalizers"] = ["example.com/wait"]
    rig.create(stuck)
    rig.settle()
    rig.delete(key("a"), propagation="Foreground")
    rig.settle()
    assert left(rig) == {"a", "b"}
    rig.patch(key("b"), {"metadata": {"finalizers": None}})
    rig.settle()
    assert left(rig) == set()


def test_orphan_leaves_dependents_free(rig: Rig) -> None:
    a = rig.create(config_map("a"))
    rig.create(config_map("b", a))
    rig.settle()
    rig.delete(key("a"), propagation="Orphan")
    rig.settle()
    assert left(rig) == {"b"}
    assert not rig.get("configmaps", "b")["metadata"].get("ownerReferences")


def test_an_owner_that_never_was_and_one_of_an_unknown_kind(rig: Rig) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    rig.create(config_map("haunted", ghost))
    rig.create(config_map("custom", ghost, apiVersion="example.com/v1", kind="Thing"))
    rig.settle()
    assert left(rig) == {"custom"}


def test_an_owner_of_the_same_name_with_another_uid_is_no_owner(rig: Rig) -> None:
    a = rig.create(config_map("a"))
    rig.delete(key("a"))
    rig.create(config_map("a"))
    rig.create(config_map("b", a))
    rig.settle()
    assert left(rig) == {"a"}


def test_every_namespace_has_its_account_and_the_ca(rig: Rig) -> None:
    rig.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    rig.settle()
    assert rig.get("serviceaccounts", "default", "team")
    assert rig.get("configmaps", "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}
    rig.delete(Key("serviceaccounts", "team", "default"))
    rig.delete(Key("configmaps", "team", "kube-root-ca.crt"))
    rig.settle()
    assert rig.get("serviceaccounts", "default", "team")
    assert rig.get("configmaps", "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}


def test_a_ca_that_was_changed_in_a_namespace_is_given_back(rig: Rig) -> None:
    rig.patch(Key("configmaps", "default", "kube-root-ca.crt"), {"data": {"ca.crt": "", "more": "x"}})
    rig.settle()
    assert rig.get("configmaps", "kube-root-ca.crt")["data"] == {"ca.crt": "PEM"}


def test_a_terminating_namespace_is_emptied_and_goes(rig: Rig) -> None:
    """Pods go first (KEP-5080); all the while it says what it waits for."""
    rig.create(node("n"))
    rig.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    rig.create(config_map("a") | {"metadata": {"name": "a", "finalizers": ["example.com/wait"]}}, "team")
    rig.create(pod("p"), "team")
    rig.settle()
    rig.delete(Key("namespaces", "", "team"))
    rig.settle()
    ns = rig.get("namespaces", "team", "")
    assert ns["status"]["phase"] == "Terminating"
    assert _told(ns) == {
        "NamespaceDeletionDiscoveryFailure": ("False", "All resources successfully discovered"),
        "NamespaceDeletionGroupVersionParsingFailure": ("False", "All legacy kube types successfully parsed"),
        "NamespaceDeletionContentFailure": (
            "False",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": ("True", "Some resources are remaining: pods. has 1 resource instances"),
        "NamespaceFinalizersRemaining": ("False", "All content-preserving finalizers finished"),
    }
    assert "deletionTimestamp" not in rig.get("configmaps", "a", "team")["metadata"]
    rig.delete(Key("pods", "team", "p"), grace_period_seconds=0)
    rig.settle()
    told = _told(rig.get("namespaces", "team", ""))
    assert told["NamespaceContentRemaining"] == (
        "True",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    assert told["NamespaceFinalizersRemaining"] == (
        "True",
        "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances",
    )
    rig.patch(Key("configmaps", "team", "a"), {"metadata": {"finalizers": None}})
    rig.settle()
    assert rig.get("namespaces", "team", "") is None
    assert rig.get("configmaps", "a", "team") is None


def test_a_namespace_with_a_finalizer_of_its_own_says_that_it_is_empty(rig: Rig) -> None:
    rig.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    patch = {"spec": {"finalizers": ["kubernetes", "example.com/mine"]}}
    rig.patch(Key("namespaces", "", "team"), patch, "finalize")
    rig.delete(Key("namespaces", "", "team"))
    rig.settle()
    ns = rig.get("namespaces", "team", "")
    assert ns["spec"]["finalizers"] == ["example.com/mine"]
    assert {status for status, _ in _told(ns).values()} == {"False"}


def test_a_namespace_says_what_could_not_be_deleted() -> None:
    """A webhook may refuse a deletion; it is tried again, and told of meanwhile."""
    core = ControllersCore([namespace.reconcile])
    rig = Rig(core)
    rig.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    rig.create(config_map("a"), "team")
    rig.settle()
    rig.delete(Key("namespaces", "", "team"))
    rig.deliver(core)
    writes = core.decide(rig.now)
    refusal = {"reason": "Forbidden", "message": "admission webhook denied the request: not this one"}
    core.replied(writes, [Reply(error=refusal) for _ in writes], rig.now)
    rig.now += 60_000
    (told,) = (w.patch["status"]["conditions"] for w in core.decide(rig.now) if isinstance(w, Patch))
    (failure,) = (row for row in told if row["type"] == "NamespaceDeletionContentFailure")
    assert (failure["status"], failure["reason"]) == ("True", "ContentDeletionFailed")
    assert "not this one" in failure["message"]


def _told(ns: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {row["type"]: (row["status"], row["message"]) for row in ns["status"]["conditions"]}
