"""When a pod's tokens are renewed, and what their files are."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.meta import ObjectMeta
from actors.api.pod import Container, Pod, PodSecurityContext, PodSpec, SecurityContext, Volume
from actors.api.tokens import ApiAddress, PodToken
from actors.nodelet.api import api_environment
from actors.nodelet.configuration import ConfigView
from actors.nodelet.environment import Downward
from actors.nodelet.service_tokens import renew_ms, token_requests
from actors.nodelet.volumes import shows_metadata, volume_requests

NOW, HOUR = 1_800_000_000_000, 3_600


def make_pod(users: tuple[int | None, ...] = (None,), sources: tuple[dict[str, Any], ...] = (), **context: Any) -> Pod:
    containers = tuple(
        Container(name=f"c{n}", security_context=None if user is None else SecurityContext(run_as_user=user))
        for n, user in enumerate(users)
    )
    projected = {"defaultMode": 0o644, "sources": [{"serviceAccountToken": s} for s in sources or ({"path": "token"},)]}
    spec = PodSpec(
        containers=containers,
        service_account_name="robot",
        volumes=(Volume(name="v", projected=projected),),
        security_context=PodSecurityContext(**context),
    )
    return Pod(metadata=ObjectMeta(name="p", namespace="team", uid="u"), spec=spec)


def token(life_seconds: int) -> PodToken:
    return PodToken(text="t", expires_ms=NOW + 1_000 * life_seconds, life_seconds=life_seconds)


@pytest.mark.parametrize(("life_seconds", "after_seconds"), [(3_600, 2_880), (600, 480), (365 * 86_400, 86_400)])
def test_a_token_is_renewed_at_four_fifths_of_its_life_and_daily_at_least(
    life_seconds: int, after_seconds: int
) -> None:
    due_ms = renew_ms([token(life_seconds)], "u")
    assert NOW + 1_000 * (after_seconds - 10) < due_ms <= NOW + 1_000 * after_seconds


def test_the_first_that_is_due_counts_and_pods_are_apart() -> None:
    assert renew_ms([token(HOUR), token(600)], "u") == renew_ms([token(600)], "u")
    assert len({renew_ms([token(HOUR)], f"u{n}") for n in range(20)}) > 10


def test_what_is_asked_for_tells_audience_and_life() -> None:
    pod = make_pod(sources=({"path": "a"}, {"path": "b", "audience": "vault", "expirationSeconds": 600}, {"path": "c"}))
    first, second = token_requests(pod)
    assert (first.namespace, first.account, first.pod, first.pod_uid) == ("team", "robot", "p", "u")
    assert (first.audience, first.expiration_seconds) == ("", 3_600)
    assert (second.audience, second.expiration_seconds) == ("vault", 600)


@pytest.mark.parametrize(
    ("users", "context", "mode", "owner"),
    [
        ((None,), {}, 0o644, None),
        ((1000,), {}, 0o600, 1000),
        ((None, None), {"run_as_user": 7}, 0o600, 7),
        ((1000, 1001), {}, 0o644, None),
        ((1000, None), {}, 0o644, None),
        ((None,), {"fs_group": 5}, 0o600, None),
    ],
)
def test_the_file_is_its_pods(
    users: tuple[int | None, ...], context: dict[str, Any], mode: int, owner: int | None
) -> None:
    pod = make_pod(users, **context)
    (asked,) = token_requests(pod)
    downward = Downward(pod, node_name="n", host_ip="", pod_ips=(), allocatable={})
    (request,) = volume_requests(pod, ConfigView("team", {}), downward, {asked: token(HOUR)})
    assert request.files == {"token": (b"t", mode)}
    assert request.owners == ({} if owner is None else {"token": owner})


def test_a_volume_that_shows_labels_is_written_anew_with_them() -> None:
    assert not shows_metadata(make_pod())
    labels = {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    for volume in (
        Volume(name="d", downward_api=labels),
        Volume(name="p", projected={"sources": [{"downwardAPI": labels}]}),
    ):
        assert shows_metadata(Pod(spec=PodSpec(volumes=(volume,))))


def test_pods_are_told_one_address_and_those_on_the_nodes_network_the_gateways_own() -> None:
    api = ApiAddress("192.0.2.7", 6443)
    inside, outside = api_environment(api, host_network=False), api_environment(api, host_network=True)
    assert (inside["KUBERNETES_SERVICE_HOST"], inside["KUBERNETES_SERVICE_PORT"]) == ("10.96.0.1", "443")
    assert (outside["KUBERNETES_SERVICE_HOST"], outside["KUBERNETES_SERVICE_PORT"]) == ("192.0.2.7", "6443")
    assert api_environment(ApiAddress("", 0), host_network=True) == inside
    assert inside["KUBERNETES_PORT_443_TCP_ADDR"] == "10.96.0.1"
