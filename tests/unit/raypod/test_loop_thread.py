"""The loop behind the SDK without one: whatever happens on it, its callers are answered."""

import asyncio
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from raypod.errors import RaypodError
from raypod.loop_thread import LoopThread


@pytest.fixture
def thread():
    made = LoopThread()
    yield made
    made.stop()


async def answer(value):
    await asyncio.sleep(0)
    return value


async def fail(error):
    raise error


@pytest.mark.parametrize("error", [SystemExit("enough"), KeyboardInterrupt(), ValueError("no")])
def test_what_is_raised_is_the_callers_and_the_loop_goes_on(thread, error):
    with pytest.raises(type(error)) as caught:
        thread.run(fail(error))
    assert caught.value is error
    assert thread.run(answer(7)) == 7


def test_after_the_end_it_says_so(thread):
    thread.stop()
    thread.stop()
    with pytest.raises(RaypodError, match="closed"):
        thread.run(answer(7))


def test_an_iteration_closes_what_it_iterates(thread):
    closed = []

    async def count():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    numbers = thread.iterate(count())
    assert [next(numbers), next(numbers)] == [1, 1]
    assert not closed
    numbers.close()
    assert closed == [True]


def test_an_iteration_that_outlives_its_loop_ends_in_a_sentence(thread):
    async def count():
        while True:
            yield 1

    numbers = thread.iterate(count())
    next(numbers)
    thread.stop()
    with pytest.raises(RaypodError, match="closed"):
        list(numbers)


def test_many_items_come_in_few_trips_and_in_order(thread, monkeypatch):
    trips = []
    run = thread.run
    monkeypatch.setattr(thread, "run", lambda work: trips.append(1) or run(work))

    async def count():
        for number in range(50_000):
            yield number

    assert list(thread.iterate(count())) == list(range(50_000))
    assert len(trips) < 200


def test_what_an_iterator_raises_comes_after_its_items(thread):
    async def count():
        yield 1
        yield 2
        raise ValueError("the third")

    numbers = thread.iterate(count())
    assert [next(numbers), next(numbers)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(numbers)


def test_an_item_is_there_before_the_next_one_is(thread):
    async def slowly():
        yield 1
        await asyncio.sleep(60)
        yield 2

    numbers = thread.iterate(slowly())
    assert next(numbers) == 1
    numbers.close()


def test_who_waits_at_the_end_does_not_wait_for_ever(thread):
    waiting = ThreadPoolExecutor().submit(thread.run, asyncio.sleep(600))
    thread.run(answer(1))
    thread.stop()
    with pytest.raises(CancelledError):
        waiting.result(10)
