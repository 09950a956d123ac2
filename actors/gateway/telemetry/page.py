"""GET /metrics: the text that Prometheus reads."""

from __future__ import annotations

from aiohttp import web

from actors.gateway.call import Call
from actors.gateway.telemetry.machine import machine_series
from actors.gateway.telemetry.series import text_of

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def read_page(call: Call) -> web.Response:
    """Of the gateway that is asked; of several each has its own."""
    backend = call.backend
    series = [*machine_series(), *(backend.meter.series() if backend.meter is not None else ())]
    for part in (backend.flow, backend.aggregator):
        if part is not None:
            series += part.series()
    return call.answer(text_of(series).encode(), content_type=_TYPE)
