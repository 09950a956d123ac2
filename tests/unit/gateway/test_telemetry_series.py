"""Prometheus' text form: escapes, cumulative buckets, and nothing of a series that has no value."""

from __future__ import annotations

from actors.gateway.flow.meter import CANCELLED, FlowMeter
from actors.gateway.flow.queues import Level, Pool
from actors.gateway.flow.schemas import Limited, LimitResponse, Queuing
from actors.gateway.telemetry.series import Counter, Histogram, gauge, text_of


def test_counters_and_gauges() -> None:
    counter = Counter("c_total", "Told.", ("a", "b"))
    counter.add(("x", 'q"u\\o\nte'))
    counter.add(("x", 'q"u\\o\nte'), 2)
    none = Counter("none_total", "Nothing.", ("a",))
    assert text_of([counter, none, gauge("g", "Now.", {(): 0.5})]) == (
        "# HELP c_total Told.\n# TYPE c_total counter\n"
        'c_total{a="x",b="q\\"u\\\\o\\nte"} 3\n'
        "# HELP g Now.\n# TYPE g gauge\ng 0.5\n"
    )


def test_buckets_are_cumulative_and_a_value_on_a_bound_is_within_it() -> None:
    seconds = Histogram("s", "Time.", ("verb",), (0.1, 1, 5))
    for value in (0.1, 0.5, 1, 30):
        seconds.observe(("GET",), value)
    assert text_of([seconds]).splitlines()[2:] == [
        's_bucket{verb="GET",le="0.1"} 1',
        's_bucket{verb="GET",le="1"} 3',
        's_bucket{verb="GET",le="5"} 3',
        's_bucket{verb="GET",le="+Inf"} 4',
        's_sum{verb="GET"} 31.6',
        's_count{verb="GET"} 4',
    ]


def test_what_waits_and_runs_comes_back_to_nothing() -> None:
    meter, who = FlowMeter(), ("workload-low", "service-accounts")
    pool = Pool(10)
    limited = Limited(lendable_percent=50, limit_response=LimitResponse("Queue", Queuing(4, 2, 5)))
    level = Level("workload-low", pool, limited)
    level.configure(limited, 4)
    pool.levels["workload-low"] = level
    meter.queued(who, 1)
    meter.began(("exempt", "exempt"), 1, 0)
    text = text_of(meter.series([level]))
    labels = 'priority_level="workload-low",flow_schema="service-accounts"'
    assert f"apiserver_flowcontrol_current_inqueue_requests{{{labels}}} 1\n" in text
    for name, seats in (("nominal", 4), ("lower", 2), ("upper", 14), ("current", 10)):
        assert f'apiserver_flowcontrol_{name}_limit_seats{{priority_level="workload-low"}} {seats}\n' in text
    meter.queued(who, -1)
    meter.refused(who, CANCELLED, 0.3)
    meter.ended(("exempt", "exempt"), 1, 0.2, is_watch=False)
    text = text_of(meter.series([level]))
    assert f"apiserver_flowcontrol_current_inqueue_requests{{{labels}}} 0\n" in text
    assert f'apiserver_flowcontrol_rejected_requests_total{{{labels},reason="cancelled"}} 1\n' in text
    assert 'apiserver_flowcontrol_current_executing_seats{priority_level="exempt",flow_schema="exempt"} 0\n' in text
