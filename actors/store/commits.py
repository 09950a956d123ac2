"""The commits of many callers in one blob, each with its own answer, told in one blob when the last one is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from actors.api.errors import ApiError
from actors.reconcile.actions import Reply
from actors.store import wire
from actors.store.draft import Request
from actors.store.server import StoreServer


def submit_blob(server: StoreServer, blob: bytes, answer: Callable[[bytes], None]) -> None:
    """tuple[Request, ...] -> tuple[Committed, ...], for `answer`, which raises nothing."""
    try:
        requests = wire.split_requests(blob)
    except ApiError as error:
        answer(wire.encode_error(error))
        return
    if not requests:
        answer(wire.encode_result(()))
        return
    collected = _Collected(len(requests), answer)
    for position, request in enumerate(requests):
        collected.submit(server, position, request)


class _Collected:
    """`left`: those that are still to be told."""

    def __init__(self, count: int, answer: Callable[[bytes], None]) -> None:
        self._told: list[wire.Committed | None] = [None] * count
        self._left, self._answer = count, answer

    def submit(self, server: StoreServer, position: int, blob: bytes) -> None:
        try:
            request = wire.decode_call(blob, Request)
        except ApiError as error:
            self._tell(position, error)
        else:
            server.submit(request, partial(self._tell, position))

    def _tell(self, position: int, outcome: list[Reply] | ApiError) -> None:
        if isinstance(outcome, ApiError):
            self._told[position] = wire.Committed(error=outcome.to_status())
        else:
            self._told[position] = wire.Committed(tuple(outcome))
        self._left -= 1
        if self._left == 0:
            self._answer(wire.encode_result(self._told))
