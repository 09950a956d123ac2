"""Helm 4, unmodified, on a cluster that really runs hooks and workloads: its releases, waits, rollbacks and ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_cluster import WholeCluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "tests/manifests/charts/shop")
PYTHON = ROOT / ".venv-helm/bin/python"
NAMESPACE = "shop"


class Helm:
    def __init__(self, cluster: WholeCluster) -> None:
        self._cluster = cluster

    def __call__(self, verb: str, *given: Any, **arguments: Any) -> Any:
        """What Helm answered; {"error": its words} when it refused."""
        text = json.dumps({"given": given, **arguments})
        command = [str(PYTHON), str(ROOT / "tests/e2e/helm_client.py")]
        done = subprocess.run(
            [*command, str(self._cluster.kubeconfig), NAMESPACE, verb, text],
            env=self._cluster.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def done(self, verb: str, *given: Any, **arguments: Any) -> Any:
        said = self(verb, *given, **arguments)
        assert "error" not in said, said
        return said["answer"]


@pytest.fixture
def helm(whole: WholeCluster) -> Iterator[Helm]:
    assert PYTHON.exists(), "Helm's SDK is missing: run scripts/install-test-peers"
    yield Helm(whole)
    whole.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    whole.kubectl("delete", "crd", "gadgets.shop.example.com", "--ignore-not-found")


def _names(whole: WholeCluster, kind: str) -> list[str]:
    listed = whole.kubectl("get", kind, "-n", NAMESPACE, "-o", "jsonpath={.items[*].metadata.name}").out
    return sorted(listed.split())


def _get(whole: WholeCluster, kind: str, path: str) -> str:
    return whole.kubectl("get", kind, "web", "-n", NAMESPACE, "-o", f"jsonpath={{{path}}}").out


def test_a_release_from_install_to_uninstall(whole: WholeCluster, helm: Helm) -> None:
    waits = {"namespace": NAMESPACE, "timeout": 90}
    made = helm.done("install", CHART, "web", create_namespace=True, wait="watcher", **waits)
    assert (made["status"], made["revision"]) == ("deployed", 1)
    assert _get(whole, "deploy", ".status.readyReplicas") == "1", "it waited for that"
    assert _get(whole, "gadget", ".spec.color") == "red", "the definition was served at once"
    assert _names(whole, "jobs") == [], "hooks that succeeded are gone"
    kept = whole.kubectl("get", "secret", "sh.helm.release.v1.web.v1", "-n", NAMESPACE, "-o", "json").json
    assert (kept["type"], kept["metadata"]["labels"]["owner"]) == ("helm.sh/release.v1", "helm")
    assert {row["operation"] for row in _managed(whole, "cm")} == {"Apply"}, "Helm 4 applies on the server's side"

    changed = helm.done("upgrade", CHART, "web", {"color": "blue", "replicas": 2}, wait="watcher", **waits)
    assert changed["revision"] == 2
    assert (_get(whole, "cm", ".data.color"), _get(whole, "deploy", ".status.readyReplicas")) == ("blue", "2")
    assert "web-only-red" not in _names(whole, "cm"), "what the chart no longer has is deleted"

    helm.done("upgrade", CHART, "web", {"color": "green"}, wait="legacy", **waits)
    failed = helm("upgrade", CHART, "web", {"color": "grey", "hook": "exit 3"}, wait="watcher", **waits)
    assert "pre-upgrade hooks failed" in failed["error"]
    assert _get(whole, "cm", ".data.color") == "green", "a hook that failed stops the upgrade"

    rehearsed = helm.done("upgrade", CHART, "web", {"color": "white"}, dry_run="server", **waits)
    assert "white" in rehearsed["manifest"]
    assert _get(whole, "cm", ".data.color") == "green"

    helm.done("rollback", "web", version=1, wait="watcher", timeout=90)
    assert (_get(whole, "cm", ".data.color"), _get(whole, "deploy", ".spec.replicas")) == ("red", "1")
    assert "web-only-red" in _names(whole, "cm")
    statuses = [row["status"] for row in helm.done("history", "web")]
    assert statuses == ["superseded", "superseded", "superseded", "failed", "deployed"]

    helm.done("uninstall", "web", wait="watcher", timeout=90)
    for kind in ("deploy", "svc", "role", "rolebinding", "gadget"):
        assert _names(whole, kind) == []
    assert [name for name in _names(whole, "secret") if "helm" in name] == []
    assert helm("status", "web")["error"].endswith("not found")


def _managed(whole: WholeCluster, kind: str) -> list[dict[str, Any]]:
    shown = whole.kubectl("get", kind, "web", "-n", NAMESPACE, "-o", "json", "--show-managed-fields").json
    managed: list[dict[str, Any]] = shown["metadata"]["managedFields"]
    return managed


def test_a_manifest_that_is_refused_leaves_a_failed_release(whole: WholeCluster, helm: Helm) -> None:
    failed = helm("install", CHART, "web", {"replicas": -1}, namespace=NAMESPACE, create_namespace=True, timeout=60)
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in failed["error"]
    assert helm.done("status", "web")["status"] == "failed"
    helm.done("uninstall", "web", timeout=60)
