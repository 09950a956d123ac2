"""Priority and fairness: who is classified as what, who goes first, who lends to whom, who is told to come later."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.test_utils import make_mocked_request

from actors.api.key import Key
from actors.api.rbac import Attributes
from actors.gateway.app import seats_of_body
from actors.gateway.auth.user import NOBODY, User, authenticated, service_account_groups, service_account_name
from actors.gateway.flow.objects import default_levels, default_schemas, plan_defaults
from actors.gateway.flow.queues import Pool, Ticket, deal
from actors.gateway.flow.rate import RateLimits
from actors.gateway.flow.schemas import LEVELS, SCHEMA_HEADER, SCHEMAS, Classifier, FlowSchema, PriorityLevel
from actors.reconcile.actions import Create, Patch
from actors.store.local import LocalStore

PODS = Attributes(verb="list", resource="pods", namespace="default")
MASTER = authenticated(User("admin", ("system:masters",)))
ALICE = authenticated(User("alice"))


def levels(*rows: dict[str, Any]) -> dict[str, PriorityLevel]:
    objects = rows or tuple(default_levels())
    return {row["metadata"]["name"]: msgspec.convert(row, PriorityLevel) for row in objects}


def level(name: str, shares: int, lendable: int = 0, **queuing: int) -> dict[str, Any]:
    response: dict[str, Any] = {"type": "Reject"}
    if queuing:
        response = {"type": "Queue", "queuing": {"queues": 8, "handSize": 1, "queueLengthLimit": 5, **queuing}}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def schemas(*more: dict[str, Any]) -> list[FlowSchema]:
    return [msgspec.convert(row, FlowSchema) for row in (*default_schemas(), *more)]


def account(namespace: str, name: str) -> User:
    return authenticated(User(service_account_name(namespace, name), service_account_groups(namespace)))


@pytest.mark.parametrize(
    ("user", "asked", "schema", "wanted"),
    [
        (MASTER, PODS, "exempt", "exempt"),
        (ALICE, PODS, "global-default", "global-default"),
        (NOBODY, Attributes(verb="get", path="/livez"), "probes", "exempt"),
        (NOBODY, Attributes(verb="get", path="/version"), "global-default", "global-default"),
        (account("team", "robot"), PODS, "service-accounts", "workload-low"),
        (account("kube-system", "robot"), PODS, "kube-system-service-accounts", "workload-high"),
        (
            account("kube-system", "robot"),
            Attributes(verb="update", group="coordination.k8s.io", resource="leases", namespace="x"),
            "system-leader-election",
            "leader-election",
        ),
        (
            authenticated(User("system:node:n", ("system:nodes",))),
            Attributes(verb="update", resource="nodes", subresource="status", name="n"),
            "system-node-high",
            "node-high",
        ),
        (authenticated(User("system:node:n", ("system:nodes",))), PODS, "system-nodes", "system"),
        (authenticated(User("system:kube-scheduler")), PODS, "kube-scheduler", "workload-high"),
    ],
)
def test_the_default_schemas_classify_as_kubernetes_does(
    user: User, asked: Attributes, schema: str, wanted: str
) -> None:
    flow = Classifier(schemas(), levels()).classify(user, asked)
    assert (flow.key.split("/")[0], flow.level) == (schema, wanted)


def test_the_lowest_precedence_counts_and_one_without_its_level_does_not() -> None:
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "alice"}}],
        "resourceRules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["default"]}],
    }

    def schema(name: str, precedence: int, level: str) -> dict[str, Any]:
        spec = {
            "priorityLevelConfiguration": {"name": level},
            "matchingPrecedence": precedence,
            "rules": [rule],
            "distinguisherMethod": {"type": "ByNamespace"},
        }
        return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec}

    own = [schema("b", 700, "system"), schema("a", 700, "system"), schema("lost", 1, "nowhere")]
    classifier = Classifier(schemas(*own), levels())
    flow = classifier.classify(ALICE, PODS)
    assert (flow.key, flow.level, flow.headers[SCHEMA_HEADER]) == ("a/default", "system", "uid-a")
    for other in (
        msgspec.structs.replace(PODS, namespace="other"),
        msgspec.structs.replace(PODS, namespace=""),
        msgspec.structs.replace(PODS, verb="get"),
        msgspec.structs.replace(PODS, subresource="status"),
    ):
        assert classifier.classify(ALICE, other).level == "global-default"


def arrive(pool: Pool, name: str, flow: str, seats: int = 1) -> Ticket:
    ticket = pool.levels[name].arrive(flow, seats)
    assert ticket is not None
    return ticket


def test_a_flow_that_floods_does_not_keep_another_waiting_behind_it() -> None:
    pool = Pool(2)
    pool.configure(levels(level("only", 10, queues=64, handSize=2, queueLengthLimit=50)))
    running = [arrive(pool, "only", "flood") for _ in range(2)]
    flood = [arrive(pool, "only", "flood") for _ in range(60)]
    quiet = arrive(pool, "only", "quiet")
    assert all(ticket.is_running for ticket in running) and not quiet.is_running
    pool.finish(running[0])
    pool.finish(running[1])
    pool.finish(next(ticket for ticket in flood if ticket.is_running))
    assert quiet.is_running, "it goes before the sixty that came before it"


def test_a_flow_fills_its_own_hand_and_is_refused_then() -> None:
    pool = Pool(1)
    pool.configure(levels(level("only", 10, queues=64, handSize=2, queueLengthLimit=3)))
    arrive(pool, "only", "flood")
    for _ in range(6):
        arrive(pool, "only", "flood")
    assert pool.levels["only"].arrive("flood", 1) is None
    arrive(pool, "only", "quiet")


def test_a_level_that_does_not_queue_refuses_at_once() -> None:
    pool = Pool(2)
    pool.configure(levels(level("only", 10)))
    first = [arrive(pool, "only", "f") for _ in range(2)]
    assert pool.levels["only"].arrive("f", 1) is None
    pool.finish(first[0])
    pool.finish(first[0])
    arrive(pool, "only", "f")
    assert pool.levels["only"].arrive("f", 1) is None, "a ticket gives its seat back once"


def test_idle_seats_are_lent_as_far_as_they_may_and_come_back() -> None:
    pool = Pool(10)
    pool.configure(levels(level("giving", 50, lendable=60, queues=8), level("taking", 50, queues=8)))
    taken = [arrive(pool, "taking", "f") for _ in range(10)]
    assert sum(ticket.is_running for ticket in taken) == 8
    given = [arrive(pool, "giving", "g") for _ in range(5)]
    assert all(ticket.is_running for ticket in given), "its own seats are its own"
    for ticket in taken[:3]:
        pool.finish(ticket)
    assert sum(ticket.is_running and not ticket.is_over for ticket in taken) == 5, "what was lent is not lent again"
    for ticket in given:
        pool.finish(ticket)
    assert all(ticket.is_running for ticket in taken)


def test_wide_requests_take_several_seats_but_never_more_than_there_are() -> None:
    pool = Pool(4)
    pool.configure(levels(level("only", 10, queues=8)))
    wide = arrive(pool, "only", "f", seats=10)
    assert (wide.is_running, wide.seats) == (True, 4)
    narrow = arrive(pool, "only", "g")
    assert not narrow.is_running
    assert pool.finish(wide) == [narrow] and narrow.is_running


def test_one_wide_request_begins_a_turn_and_narrow_ones_go_between() -> None:
    pool = Pool(100)
    pool.configure(levels(level("only", 10, queues=64, handSize=6), level("refusing", 10)))
    first, second, third = (arrive(pool, "only", "f", seats=2) for _ in range(3))
    assert [ticket.is_running for ticket in (first, second, third)] == [True, False, False]
    narrow = arrive(pool, "only", "g")
    assert list(pool.levels["only"].next_runs()) == [narrow]
    assert arrive(pool, "refusing", "f").is_running and arrive(pool, "refusing", "f", seats=2).is_running, (
        "who cannot wait is not made to"
    )
    assert pool.next_turn() == [second]
    assert pool.finish(first) == [] and pool.next_turn() == [third]


def test_who_gives_up_waiting_leaves_the_queue() -> None:
    pool = Pool(1)
    pool.configure(levels(level("only", 10, queues=8)))
    first, second, third = (arrive(pool, "only", "f") for _ in range(3))
    pool.finish(second)
    assert pool.finish(first) == [third]


def test_who_waits_keeps_waiting_when_the_level_changes() -> None:
    pool = Pool(1)
    pool.configure(levels(level("only", 10, queues=8)))
    first, second = (arrive(pool, "only", "f") for _ in range(2))
    assert pool.configure(levels(level("only", 10, queues=3))) == []
    assert pool.finish(first) == [second]
    assert pool.configure({}) == [] and "only" in pool.levels
    pool.finish(second)
    pool.configure({})
    assert not pool.levels


def test_exempt_requests_take_no_seats() -> None:
    pool = Pool(1)
    pool.configure(levels())
    assert all(arrive(pool, "exempt", "f").is_running for _ in range(1000))
    assert arrive(pool, "catch-all", "f").is_running


def test_hands_are_different_cards_and_the_same_for_the_same_flow() -> None:
    hands = [deal(f"flow-{n}", 64, 6) for n in range(200)]
    assert all(len(set(hand)) == 6 and all(0 <= card < 64 for card in hand) for hand in hands)
    assert deal("flow-7", 64, 6) == hands[7]
    assert len({frozenset(hand) for hand in hands}) > 190
    assert {card for hand in hands for card in hand} == set(range(64))


def test_a_client_that_sends_too_much_is_told_how_long_to_wait() -> None:
    rates = RateLimits(10, 5)
    assert [rates.take("a", 0) for _ in range(6)] == [0, 0, 0, 0, 0, 100]
    assert rates.take("b", 0) == 0, "each has its own"
    assert rates.take("a", 100) == 0 and rates.take("a", 100) == 100
    assert rates.take("a", 10_000) == 0
    assert not any(RateLimits(0).take("a", 0) for _ in range(1000))


async def test_the_defaults_are_valid_made_once_and_given_back() -> None:
    store = LocalStore()

    async def there() -> dict[Key, Any]:
        found = [await store.list(selection) for selection in (_of(SCHEMAS), _of(LEVELS))]
        return {stored.key: stored for page in found for stored in page.items}

    replies = await store.commit(list(plan_defaults({})))
    assert [reply.error for reply in replies] == [None] * 21
    assert list(plan_defaults(await there())) == [], "what is stored is what is wanted, to the last default"
    key = Key(LEVELS, "", "workload-low")
    shares = {"spec": {"limited": {"nominalConcurrencyShares": 1}}}
    await store.commit([Patch(key=key, patch=shares)])
    (repair,) = plan_defaults(await there())
    assert isinstance(repair, Patch) and repair.key == key
    await store.commit(
        [Patch(key=key, patch={"metadata": {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}})]
    )
    assert list(plan_defaults(await there())) == []
    left = {key: stored for key, stored in (await there()).items() if key.name != "catch-all"}
    assert all(isinstance(write, Create) for write in plan_defaults(left))


def _of(resource: str) -> Any:
    from actors.reconcile.watch import Selection

    return Selection((resource,))


@pytest.mark.parametrize(
    ("headers", "seats"),
    [
        ({}, 1),
        ({"Content-Length": "1000"}, 1),
        ({"Content-Length": str(300 << 10)}, 3),
        ({"Content-Length": str(3 << 20)}, 10),
        ({"Transfer-Encoding": "chunked"}, 10),
    ],
)
def test_large_bodies_take_several_seats(headers: dict[str, str], seats: int) -> None:
    """Of one whose length is not told the worst is taken."""
    request = make_mocked_request("POST", "/", headers, payload=Mock() if headers else EMPTY_PAYLOAD)
    assert seats_of_body(request) == seats
