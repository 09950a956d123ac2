"""Keeps aggregation current: which groups and versions are another server's, whether it answers, what it serves.

APIServices are watched; each server is asked when its APIService changes and every half minute, a silent one more
often. Any number of gateways do so beside each other and write the same conditions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import msgspec
from aiohttp import web

from actors.admission.feed import ConfigurationFeed
from actors.api.clock import Millis
from actors.api.errors import ApiError, NotFound
from actors.api.key import Key, Stored
from actors.gateway.aggregation.probing import Prober, Verdict
from actors.gateway.aggregation.proxying import pass_on
from actors.gateway.aggregation.registration import (
    plan_condition,
    plan_registration,
    plan_trust,
    read_service,
    trust_keys,
)
from actors.gateway.aggregation.services import RESOURCE, ApiService, GroupVersion
from actors.gateway.call import Call
from actors.gateway.custom import CustomKinds
from actors.gateway.pki import Pki
from actors.gateway.served import STATIC, RemoteVersion, Served
from actors.gateway.telemetry.series import Counter, Labels, gauge
from actors.reconcile.actions import StoreWrite
from actors.remote.client import RemoteClient
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_EVERY_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_REGISTER_SECONDS = 1.0
Clock = Callable[[], Millis]
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Aggregator:
    """Used within one event loop. Not started, nothing is another server's."""

    resources = (RESOURCE, _DEFINITIONS)

    def __init__(self, store: StorePort, client: RemoteClient, custom: CustomKinds, pki: Pki, clock: Clock) -> None:
        self._store, self._client, self._custom, self._pki = store, client, custom, pki
        self._clock = clock
        self._feed = ConfigurationFeed(store, (self,))
        self._prober = Prober(store, client, pki.proxy)
        self._services: dict[Key, ApiService] = {}
        self._remote: dict[GroupVersion, ApiService] = {}
        self._found: dict[GroupVersion, RemoteVersion] = {}
        self._merged: tuple[Served, Served] | None = None
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._away: dict[str, bool] = {}
        told = "How often an APIService has ceased to be available."
        self._lost = Counter("aggregator_unavailable_apiservice_total", told, ("name", "reason"))
        self._probes: dict[Key, tuple[object, asyncio.Task[None]]] = {}

    def start(self) -> None:
        self._feed.start()
        self._tasks = [asyncio.create_task(self._keep(), name="aggregator")]

    async def stop(self) -> None:
        await self._feed.stop()
        tasks = [*self._tasks, *(task for _, task in self._probes.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what requests ask --------------------------------------------------------------------------------------

    def find(self, group: str, version: str) -> ApiService | None:
        """Whose server serves this; None: we do."""
        return self._remote.get((group, version)) if self._remote else None

    async def pass_on(self, call: Call, service: ApiService) -> web.StreamResponse:
        return await pass_on(call, service, self._client, self._pki.proxy)

    def merged(self, served: Served) -> Served:
        """What is served here and elsewhere."""
        if not self._remote:
            return served
        if self._merged is None or self._merged[0] is not served:
            self._merged = served, served.with_remote(self._versions())
        return self._merged[1]

    def _versions(self) -> tuple[RemoteVersion, ...]:
        """Of every remote APIService; without resources where its server has not told them yet."""
        return tuple(
            self._found.get(at)
            or RemoteVersion(*at, service.spec.group_priority_minimum, service.spec.version_priority)
            for at, service in self._remote.items()
        )

    def series(self) -> Iterator[Counter]:
        """Which APIServices do not answer, and how often each has ceased to."""
        values: dict[Labels, float] = {(name,): is_away for name, is_away in self._away.items()}
        told = "Whether an APIService is not available."
        yield gauge("aggregator_unavailable_apiservice", told, values, ("name",))
        yield self._lost

    # --- keeping it current -------------------------------------------------------------------------------------

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        """Of all APIServices (and definitions, which only matter by what they serve)."""
        services = {}
        for key, stored in objects.items():
            if key.resource == RESOURCE:
                try:
                    services[key] = read_service(stored)
                except msgspec.ValidationError as error:
                    _LOG.warning("%s is passed over: %s", key, error)
        self._services = services
        self._remote = {one.group_version: one for one in services.values() if _is_remote(one)}
        self._found = {at: found for at, found in self._found.items() if at in self._remote}
        self._merged = None
        self._changed.set()

    async def _keep(self) -> None:
        trusted = False
        await self._feed.wait_ready()
        while True:
            self._changed.clear()
            try:
                if not trusted:
                    await self._publish_trust()
                    trusted = True
                await self._register()
                self._follow_services()
            except (ApiError, OSError) as error:
                _LOG.warning("aggregation waits for the store: %s", error)
                self._changed.set()
            await asyncio.sleep(_REGISTER_SECONDS)
            await self._changed.wait()

    async def _publish_trust(self) -> None:
        config, reader = trust_keys()
        client_ca = self._pki.ca.certificate.read_text()
        proxy_ca = self._pki.proxy_ca.certificate.read_text()
        has_reader = await self._find(reader) is not None
        await self._commit(list(plan_trust(client_ca, proxy_ca, await self._find(config), has_reader)))

    async def _find(self, key: Key) -> Stored | None:
        try:
            return await self._store.get(key)
        except NotFound:
            return None

    async def _register(self) -> None:
        served = await self._custom.served()
        custom = [at for at in served.groups if at not in STATIC.groups]
        await self._commit(list(plan_registration(STATIC.groups, custom, self._services)))

    def _follow_services(self) -> None:
        """One task for each APIService, begun anew when what it says of its server has changed."""
        for key in [key for key in self._probes if key not in self._services]:
            self._probes.pop(key)[1].cancel()
            self._away.pop(key.name, None)
        for key, service in self._services.items():
            about = (service.metadata.uid, service.spec)
            known = self._probes.get(key)
            if known is None or known[0] != about:
                if known is not None:
                    known[1].cancel()
                self._probes[key] = about, asyncio.create_task(self._probe_forever(key), name=f"probe-{key.name}")

    async def _probe_forever(self, key: Key) -> None:
        while (service := self._services.get(key)) is not None:
            try:
                verdict = await self._prober.probe(service, self._found.get(service.group_version))
                self._take(service, verdict)
                write = plan_condition(key, self._services.get(key, service), verdict, self._now())
                if write is not None:
                    await self._commit([write])
            except (ApiError, OSError) as error:
                _LOG.warning("%s is asked again: %s", key, error)
                verdict = None
            if service.spec.service is None and verdict is not None:
                return
            await asyncio.sleep(_EVERY_SECONDS if verdict is not None and verdict.found else _RETRY_SECONDS)

    def _take(self, service: ApiService, verdict: Verdict) -> None:
        name, is_away = service.metadata.name, verdict.status != "True"
        if is_away and not self._away.get(name):
            self._lost.add((name, verdict.reason))
        self._away[name] = is_away
        at = service.group_version
        before = self._found.get(at)
        found = verdict.found or (before._replace(fresh=False) if before is not None else None)
        if found != before and found is not None and at in self._remote:
            self._found[at] = found
            self._merged = None

    async def _commit(self, writes: list[StoreWrite]) -> None:
        if writes:
            await self._store.commit(writes)

    def _now(self) -> Millis:
        return self._clock()


def _is_remote(service: ApiService) -> bool:
    """The core group and the group of APIServices themselves are nobody else's."""
    return service.spec.service is not None and service.spec.group not in ("", "apiregistration.k8s.io")
