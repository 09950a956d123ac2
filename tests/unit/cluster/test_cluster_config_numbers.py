"""Numbers that cannot be are refused with the path of their field, whichever package they are of."""

import pytest

from actors.cluster.config import ClusterConfig, ConfigError, check_numbers, parse_config


def test_the_defaults_are_all_right():
    assert list(check_numbers(ClusterConfig())) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gateway: {port: -1}", "gateway.port: between 0 and 65535, not -1"),
        ("gateway: {port: 123456}", "gateway.port: between 0 and 65535"),
        ("gateway: {connections_max: 0}", "gateway.connections_max: between 1 and"),
        ("store: {housekeeping_seconds: -1}", "store.housekeeping_seconds: between 0.001 and"),
        ("store: {housekeeping_seconds: .nan}", "store.housekeeping_seconds: between"),
        ("store: {watch_events_max: 0}", "store.watch_events_max"),
        ("scheduler: {batch_pods_max: 0}", "scheduler.batch_pods_max"),
        ("controllers: {writes_max: 0}", "controllers.writes_max"),
        ("controllers: {node_grace_ms: -1}", "controllers.node_grace_ms"),
        ("nodelet: {cpu_millis: -5}", "nodelet.cpu_millis"),
        ("nodelet: {pod_pids_max: 0}", "nodelet.pod_pids_max"),
        ("nodelet: {images: {layers_concurrent: 0}}", "nodelet.images.layers_concurrent"),
        ("controllers: {job_backoff: {most_ms: -1}}", "controllers.job_backoff.most_ms"),
        ("ray: {cpus: -1}", "ray.cpus"),
        ("supervisor: {period_ms: 0}", "supervisor.period_ms"),
    ],
)
def test_is_refused_by_its_place(text, place):
    with pytest.raises(ConfigError, match=place):
        parse_config(text, "f.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "gateway: {port: 0}",
        "nodelet: {cpu_millis: 0, log_retention_hours: 0}",
        "controllers: {node_gone_grace_ms: 0}",
        "store: {retention_minutes: 0}",
        "node_name: node-1",
    ],
)
def test_zero_is_taken_where_it_means_something(text):
    parse_config(text, "f.yaml")
