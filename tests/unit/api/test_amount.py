"""Quantities in their canonical form (apimachinery pkg/api/resource, quantity_test.go), sums and the needs of pods."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.amount import Amount, format_amounts, most, parse_amount, parse_amounts, total
from actors.api.pod_resources import pod_limits, pod_requests
from actors.api.quantity import parse_nanos


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("100000", "100k"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1023Ki", "1023Ki"),
        ("0.5Ki", "512"),
        ("1025", "1025"),
        ("0.1Gi", "107374182400m"),
        ("12E", "12E"),
        ("1e3", "1e3"),
        ("2E2", "200"),
        ("-2Gi", "-2Gi"),
        ("1n", "1n"),
    ],
)
def test_canonical_form(written: str, shown: str) -> None:
    assert str(parse_amount(written)) == shown


@given(st.integers(-(10**30), 10**30), st.sampled_from(["binary", "decimal", "exponent"]))
def test_what_is_shown_is_worth_what_it_was(nanos: int, form: str) -> None:
    assert parse_nanos(str(Amount(nanos, form))) == nanos


def test_a_sum_is_written_as_its_first_term_that_is_not_zero() -> None:
    assert str(parse_amount("0").plus(parse_amount("2Gi"))) == "2Gi"
    assert str(parse_amount("1Gi").plus(parse_amount("1073741824"))) == "2Gi"
    assert str(parse_amount("1").minus(parse_amount("100m"))) == "900m"
    parts = (parse_amounts({"a": "1", "b": "2"}), parse_amounts({"a": "500m"}))
    assert format_amounts(total(parts)) == {"a": "1500m", "b": "2"}
    assert format_amounts(most(*parts)) == {"a": "1", "b": "2"}


def test_init_containers_run_one_by_one_beside_the_restartable_ones_before_them() -> None:
    def container(cpu: str, **more: str) -> dict[str, object]:
        return {"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("1"), container("1")],
        "initContainers": [container("3"), container("1", restartPolicy="Always"), container("2500m")],
        "overhead": {"cpu": "100m", "memory": "1Mi"},
    }
    assert format_amounts(pod_requests(spec)) == {"cpu": "3600m", "memory": "1Mi"}
    assert format_amounts(pod_limits(spec)) == {"cpu": "3600m"}
    assert format_amounts(pod_requests(spec, overhead=False)) == {"cpu": "3500m"}
    whole = {**spec, "resources": {"requests": {"cpu": "8"}}}
    assert format_amounts(pod_requests(whole)) == {"cpu": "8100m", "memory": "1Mi"}
