"""What is counted of each request, with kube-apiserver's names and labels (apiserver pkg/endpoints/metrics).

`verb` is the method, but LIST, WATCH, DELETECOLLECTION and APPLY where it is one. Paths and resources that are not
there share the labels of none, so that nobody fills the memory by asking for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ssl import cert_time_to_seconds
from time import perf_counter, time

from aiohttp import web

from actors.api.kinds import Kind
from actors.gateway.call import Call
from actors.gateway.options import flag_of, parse_query
from actors.gateway.served import STATIC
from actors.gateway.target import Target
from actors.gateway.telemetry.series import Counter, Histogram, Labels, gauge
from actors.gateway.telemetry.webhooks import WebhookMeter

_PLACE = ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component")
_SECONDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3),
    *(4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)
_LIFE_SECONDS = (
    *(0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800),
    *(2592000, 7776000, 15552000, 31104000),
)
_VERBS = {"get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH"} | {
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "apply": "APPLY",
}
_APPLIED = "application/apply-patch"
_CHANGES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
#: What lasts as long as its client likes; log and watch are requests of their own verb, the others CONNECT.
_CONNECTED = frozenset({"attach", "exec", "portforward", "proxy"})
_KNOWN_PATHS = frozenset({"api", "apis", "healthz", "livez", "metrics", "openapi", "readyz", "version", "raypod"})
_NONE = Target(verb="", path="")


class _Measured:
    """One request on its way. `place`: its labels, once its client is known to be one who may ask."""

    __slots__ = ("began", "call", "place", "target")

    def __init__(self) -> None:
        self.began = perf_counter()
        self.target = _NONE
        self.call: Call | None = None
        self.place: Labels | None = None


_MEASURED = web.RequestKey("measured", _Measured)


class RequestMeter:
    """One for a gateway. `begin` when a request has come, `end` with its code: what it is, is told meanwhile."""

    def __init__(self) -> None:
        self.total = Counter("apiserver_request_total", "Requests by what was asked and the code.", (*_PLACE, "code"))
        self.seconds = Histogram(
            "apiserver_request_duration_seconds", "How long requests took until their end.", _PLACE, _SECONDS
        )
        self.sli_seconds = Histogram(
            "apiserver_request_sli_duration_seconds", "The same, without the time that they waited for seats.",
            _PLACE, _SECONDS,
        )  # fmt: skip
        self.terminations = Counter(
            "apiserver_request_terminations_total", "Requests that were turned away to protect the server.",
            ("verb", "group", "version", "resource", "subresource", "scope", "component", "code"),
        )  # fmt: skip
        self.lives = Histogram(
            "apiserver_client_certificate_expiration_seconds", "How long clients' certificates are still good.",
            (), _LIFE_SECONDS,
        )  # fmt: skip
        self.webhooks = WebhookMeter()
        self._now: dict[Labels, int] = {}

    def begin(self, request: web.BaseRequest) -> None:
        request[_MEASURED] = _Measured()

    def asks(self, request: web.BaseRequest, target: Target) -> None:
        request[_MEASURED].target = target

    def may(self, call: Call) -> None:
        """It is under way from here on."""
        measured = call.request[_MEASURED]
        measured.call, measured.place = call, place_of(call.request, call.target)
        self._now[measured.place] = self._now.get(measured.place, 0) + 1

    def end(self, request: web.BaseRequest, code: int) -> None:
        """`code` 0: its client was gone before there was an answer."""
        measured = request[_MEASURED]
        call, place = measured.call, measured.place
        if place is not None:
            self._now[place] -= 1
        kind = call.kind if call is not None else None
        if place is None or (kind is not None and kind.is_custom):
            place = place_of(request, measured.target, kind)
        taken = perf_counter() - measured.began
        waited = call.granted.waited if call is not None and call.granted else 0.0
        self.total.add((*place, str(code)))
        self.seconds.observe(place, taken)
        self.sli_seconds.observe(place, taken - waited)
        if code == 429:
            self.terminations.add((place[0], *place[2:], str(code)))
        if (ends := _end_of(request)) is not None:
            self.lives.observe((), ends - time())

    def series(self) -> Iterator[Counter | Histogram]:
        yield from (self.total, self.seconds, self.sli_seconds, self.terminations, self.lives)
        yield from self.webhooks.series()
        kinds: dict[Labels, float] = {("mutating",): 0, ("readOnly",): 0}
        long: dict[Labels, float] = {}
        for place, count in self._now.items():
            if place[0] in ("WATCH", "CONNECT") or place[5] == "log":
                long[(place[0], *place[2:])] = count
            else:
                kinds[("readOnly",) if place[0] in ("GET", "LIST") else ("mutating",)] += count
        told = "Requests under way, but for those that last as long as their clients like."
        yield gauge("apiserver_current_inflight_requests", told, kinds, ("request_kind",))
        told, labels = "Watches, logs and streams that are open.", (_PLACE[0], *_PLACE[2:])
        yield gauge("apiserver_longrunning_requests", told, long, labels)


def place_of(request: web.BaseRequest, target: Target, kind: Kind | None = None) -> Labels:
    """`kind`: of custom resources, which the table does not know."""
    verb, dry_run = target.verb, ""
    if verb in _CHANGES:
        if verb == "patch" and request.headers.get("Content-Type", "").startswith(_APPLIED):
            verb = "apply"
        if "dryRun" in request.path_qs and flag_of(parse_query(request.query_string), "dryRun"):
            dry_run = "All"
    if not target.plural:
        head = target.segments[0] if target.segments else ""
        return _place(verb, dry_run, "", "", "", f"/{head}" if head in _KNOWN_PATHS else "", "")
    scope = "resource" if target.name else "namespace" if target.namespace else "cluster"
    found = kind or STATIC.find(target.group, target.version, target.plural)
    if found is None or target.subresource not in ("", "history", *found.subresources):
        return _place(verb, dry_run, "", "", "", "", "")
    return _place(verb, dry_run, target.group, target.version, target.plural, target.subresource, scope)


@lru_cache(maxsize=4096)
def _place(verb: str, dry_run: str, group: str, version: str, plural: str, subresource: str, scope: str) -> Labels:
    shown = "CONNECT" if subresource in _CONNECTED else _VERBS.get(verb, "other")
    return (shown, dry_run, group, version, plural, subresource, scope, "apiserver")


def _end_of(request: web.BaseRequest) -> float | None:
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    return _seconds(certificate["notAfter"]) if certificate else None


@lru_cache(maxsize=256)
def _seconds(text: str) -> float:
    return float(cert_time_to_seconds(text))
