"""`/livez`, `/readyz`, `/healthz`: `ok`, or with `?verbose` every check by name (apiserver pkg/server/healthz).

A check may be asked alone (`/readyz/etcd`) or left out (`?exclude=etcd`). livez asks nobody else: a gateway whose store
is away is to be waited for, not started again. `etcd` is the store, by the name that probes know it by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from actors.api.errors import ApiError, NotFound
from actors.gateway.call import TEXT_TYPE, Call
from actors.reconcile.watch import Selection

ENDPOINTS = ("healthz", "livez", "readyz")
_CHECK_SECONDS = 3


async def read_health(call: Call, endpoint: str, rest: list[str]) -> web.StreamResponse:
    """500 when a check fails. Raises NotFound for a check that there is not."""
    checks = _OF[endpoint]
    if rest:
        if len(rest) > 1 or rest[0] not in checks:
            raise NotFound("the server could not find the requested resource")
        checks = {rest[0]: checks[rest[0]]}
    excluded = {name for name in call.query.get("exclude", ()) if name}
    asked = {name: ask for name, ask in checks.items() if name not in excluded}
    failures = {name: why for name, ask in asked.items() if (why := await ask(call))}
    if not failures and "verbose" not in call.query:
        return call.answer(b"ok", content_type=TEXT_TYPE)
    lines = [_line(name, failures.get(name, ""), excluded=name in excluded) for name in checks]
    if unknown := sorted(excluded - set(checks)):
        quoted = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    lines.append(f"{endpoint} check {'failed' if failures else 'passed'}")
    return call.answer("\n".join(lines).encode() + b"\n", 500 if failures else 200, TEXT_TYPE)


def _line(name: str, why: str, *, excluded: bool) -> str:
    if excluded:
        return f"[+]{name} excluded: ok"
    return f"[-]{name} failed: {why}" if why else f"[+]{name} ok"


async def _ping(call: Call) -> str:
    return ""


async def _log(call: Call) -> str:
    """That this line of execution is reached is the check, as in kube-apiserver; nothing here can block a log."""
    return ""


async def _ask_store(call: Call) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await call.store.list(Selection(("namespaces",)), limit=1)
    except TimeoutError:
        return "the store does not answer"
    except ApiError as error:
        return error.message
    return ""


_LIVE: dict[str, Callable[[Call], Awaitable[str]]] = {"ping": _ping, "log": _log}
_READY = {**_LIVE, "etcd": _ask_store}
_OF = {"livez": _LIVE, "readyz": _READY, "healthz": _READY}
