"""/metrics as Prometheus reads it: the names and labels that dashboards and alerts of kube-apiserver ask for."""

from __future__ import annotations

import re
import time

import pytest
from api_client import Api
from gateway_server import RunningGateway

_LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
Row = tuple[str, dict[str, str], float]


def read(served: RunningGateway, certificate: str = "admin") -> list[Row]:
    """Every line must be one of the text form, its type told before it, and no series twice."""
    code, headers, body = served.request("GET", "/metrics", certificate=certificate)
    assert (code, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    rows, typed = list[Row](), set[str]()
    for line in body.decode().splitlines():
        if line.startswith("#"):
            assert line.split()[1] in ("HELP", "TYPE")
            typed.add(line.split()[2])
            continue
        match = _LINE.fullmatch(line)
        assert match is not None, line
        assert match[1] in typed or re.sub("_(bucket|sum|count)$", "", match[1]) in typed, line
        rows.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in rows]
    assert len(keys) == len(set(keys))
    return rows


def value(rows: list[Row], name: str, **labels: str) -> float:
    return sum(v for n, found, v in rows if n == name and labels.items() <= found.items())


def test_requests_are_counted_by_what_was_asked(api: Api) -> None:
    served = api.served
    api.make("counted")
    api.get("configmaps/counted").ok()
    api.get("configmaps", labelSelector="a=b").ok()
    api.post("configmaps", {"metadata": {"name": "dry"}}, dryRun="All").ok()
    api.apply("configmaps/counted", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}).ok()
    api.get("configmaps/nobody").refused(404, "NotFound")
    for path in ("/api/v1/made-up-1", "/api/v1/made-up-2", "/nothing/here"):
        assert api.get(path).code == 404
    rows = read(served)
    total, where = "apiserver_request_total", {"resource": "configmaps", "version": "v1", "component": "apiserver"}
    assert value(rows, total, verb="GET", scope="resource", code="200", **where) >= 1
    assert value(rows, total, verb="GET", code="404", **where) == 1
    assert value(rows, total, verb="LIST", scope="namespace", code="200", **where) >= 1
    assert value(rows, total, verb="POST", dry_run="All", code="201", **where) == 1
    assert value(rows, total, verb="APPLY", code="200", **where) == 1
    assert {labels["resource"] for n, labels, _ in rows if n == total} <= {"configmaps", "namespaces", ""}
    for name in ("apiserver_request_duration_seconds", "apiserver_request_sli_duration_seconds"):
        at = {"verb": "LIST", **where}
        assert value(rows, f"{name}_count", **at) == value(rows, f"{name}_bucket", le="+Inf", **at) > 0
        assert value(rows, f"{name}_bucket", le="60", **at) == value(rows, f"{name}_count", **at)
    assert value(rows, "apiserver_current_inflight_requests", request_kind="readOnly") == 1, "this very one"
    assert value(rows, "apiserver_current_inflight_requests", request_kind="mutating") == 0


def test_open_watches_show_until_they_end(api: Api) -> None:
    def watches() -> float:
        return value(read(api.served), "apiserver_longrunning_requests", verb="WATCH", resource="secrets")

    watch = api.watch("secrets", seconds=2)
    deadline = time.monotonic() + 5
    while watches() != 1:
        assert time.monotonic() < deadline
    watch.close()
    while watches() != 0:
        assert time.monotonic() < deadline


def test_priority_and_fairness_and_the_process(api: Api) -> None:
    api.get("configmaps", headers={"Impersonate-User": "tenant"})
    rows = read(api.served)
    who = {"priority_level": "global-default", "flow_schema": "global-default"}
    deadline = time.monotonic() + 5
    while not value(rows, "apiserver_flowcontrol_dispatched_requests_total", **who) and time.monotonic() < deadline:
        api.get("/version", headers={"Impersonate-User": "tenant"})
        rows = read(api.served)
    assert value(rows, "apiserver_flowcontrol_dispatched_requests_total", **who) >= 1
    assert value(rows, "apiserver_flowcontrol_current_executing_requests", **who) == 0
    assert value(rows, "apiserver_flowcontrol_nominal_limit_seats", priority_level="workload-low") > 0
    assert value(rows, "apiserver_flowcontrol_request_wait_duration_seconds_count", execute="true", **who) >= 1
    assert value(rows, "apiserver_client_certificate_expiration_seconds_count") > 0
    assert value(rows, "apiserver_client_certificate_expiration_seconds_bucket", le="604800") == 0
    assert abs(time.time() - value(rows, "process_start_time_seconds")) < 3600
    assert value(rows, "process_resident_memory_bytes") > 1 << 20


def test_who_may_read_it(api: Api) -> None:
    raw = ["get", "--raw", "/metrics"]
    assert "Forbidden" in api.served.kubectl(*raw, "--as=nobody", fails=True).err
    deadline = time.monotonic() + 10
    while (said := api.served.kubectl(*raw, "--as=prom", "--as-group=system:monitoring", fails=None)).code:
        assert time.monotonic() < deadline, said.err
    assert said.out.startswith("# HELP process_cpu_seconds_total")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_it_is_only_read(api: Api, method: str) -> None:
    assert api.ask(method, "/metrics").code == 405
