"""Ranges for nodes and addresses for pods."""

from __future__ import annotations

import pytest

from actors.plugins.network.cidr import derive_gateway, derive_mac, select_address, select_pod_cidr


def test_nodes_get_the_lowest_free_range() -> None:
    taken: list[str] = []
    for _ in range(4):
        taken.append(select_pod_cidr("10.160.0.0/22", taken, 24))
    assert taken == ["10.160.0.0/24", "10.160.1.0/24", "10.160.2.0/24", "10.160.3.0/24"]
    with pytest.raises(ValueError, match=r"no /24 is left in 10.160.0.0/22: choose a larger cluster CIDR"):
        select_pod_cidr("10.160.0.0/22", taken, 24)
    taken.remove("10.160.1.0/24")
    assert select_pod_cidr("10.160.0.0/22", taken, 24) == "10.160.1.0/24"


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (["10.160.0.0/23"], "10.160.2.0/24"),
        (["10.160.0.128/25"], "10.160.1.0/24"),
        (["10.160.1.0/26", "10.160.0.0/30"], "10.160.2.0/24"),
        (["192.168.0.0/16", "9.0.0.0/8"], "10.160.0.0/24"),
        (["10.160.0.0/24", "10.160.0.0/24", "10.160.0.0/23"], "10.160.2.0/24"),
        (["10.160.1.0/24"], "10.160.0.0/24"),
    ],
)
def test_ranges_of_any_size_are_kept_clear_of(taken: list[str], expected: str) -> None:
    assert select_pod_cidr("10.160.0.0/16", taken, 24) == expected


def test_a_cluster_that_is_taken_whole_has_nothing_left() -> None:
    with pytest.raises(ValueError, match="is left"):
        select_pod_cidr("10.160.0.0/16", ["10.0.0.0/8"], 24)


def test_pods_get_the_next_free_address_round_and_round() -> None:
    taken: set[str] = set()
    last, given = "", []
    for _ in range(5):
        last = select_address("10.160.1.0/29", taken, last)
        given.append(last)
        taken.add(last)
    assert given == ["10.160.1.2", "10.160.1.3", "10.160.1.4", "10.160.1.5", "10.160.1.6"]
    with pytest.raises(ValueError, match="all 5 addresses"):
        select_address("10.160.1.0/29", taken, last)
    taken -= {"10.160.1.3", "10.160.1.5"}
    assert select_address("10.160.1.0/29", taken, "10.160.1.3") == "10.160.1.5"
    assert select_address("10.160.1.0/29", taken, "10.160.1.6") == "10.160.1.3"


def test_a_last_address_of_a_former_range_is_no_obstacle() -> None:
    assert select_address("10.160.1.0/24", set(), "10.190.7.9").startswith("10.160.1.")


def test_gateway_and_hardware_address_follow_from_the_range() -> None:
    assert derive_gateway("10.160.7.0/24") == "10.160.7.1"
    assert derive_mac("10.160.7.1") == "0a:58:0a:a0:07:01"
