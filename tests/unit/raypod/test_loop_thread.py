"""The loop behind the SDK without one: whatever happens on it, its callers are answered."""

import asyncio

import pytest

from raypod.errors import RaypodError
from raypod.sync import LoopThread


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
            for number in range(10):
                yield number
        finally:
            closed.append(True)

    numbers = thread.iterate(count())
    assert [next(numbers), next(numbers)] == [0, 1]
    assert not closed
    numbers.close()
    assert closed
    assert list(thread.iterate(count())) == list(range(10))


def test_an_iteration_that_outlives_its_loop_ends_in_a_sentence(thread):
    async def count():
        while True:
            yield 1

    numbers = thread.iterate(count())
    next(numbers)
    thread.stop()
    with pytest.raises(RaypodError, match="closed"):
        next(numbers)
