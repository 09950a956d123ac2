"""The gateway as a server: certificates, the TLS listener, its limits, and the renewal of what expires.

`start` returns when requests are answered; `stop` lets those under way finish for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from cryptography import x509

from actors.admission.profile import make_chain
from actors.gateway import pki
from actors.gateway.aggregation.aggregator import Aggregator
from actors.gateway.app import App
from actors.gateway.audit import DEFAULT, Trail, read_policy
from actors.gateway.audit_log import RotatingLog
from actors.gateway.auth.access import Access
from actors.gateway.auth.keys import KeyRing, ensure_keys
from actors.gateway.auth.signing import SigningController
from actors.gateway.auth.token_secrets import TokenSecrets
from actors.gateway.call import Backend
from actors.gateway.config import GatewayConfig
from actors.gateway.custom import CustomKinds
from actors.gateway.flow.control import FlowControl
from actors.gateway.kubeconfig import server_url, write_kubeconfig
from actors.gateway.pki import pki_at
from actors.gateway.port import ClusterPort, NodesPort
from actors.gateway.sharing import is_free_or_ours, locked
from actors.gateway.telemetry.requests import RequestMeter
from actors.remote.client import RemoteClient
from actors.store.fanout import WatchFanout
from actors.store.port import StorePort

log = logging.getLogger(__name__)
_RENEW_EVERY_SECONDS = 6 * 3600
_STOP_SECONDS = 2.0
_HEAD_BYTES_MAX = 128 * 1024


class GatewayError(Exception):
    """The gateway cannot start. The message says what to do."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def make_ids() -> Callable[[], str]:
    """No two alike, in order: the store keeps a commit's answer by it, beside the one before. (Not made when a module
    is loaded: workers are forked off a process that has loaded it.)"""
    prefix, numbers = f"gateway-{secrets.token_hex(16)}", itertools.count()
    return lambda: f"{prefix}-{next(numbers):012}"


def open_trail(config: GatewayConfig, number: int = 0) -> tuple[RotatingLog | None, Trail | None]:
    """Raises GatewayError, AuditPolicyError."""
    audit = config.audit
    if not audit.path:
        return None, None
    policy = read_policy(Path(audit.policy_file)) if audit.policy_file else DEFAULT
    try:
        path = config.home_path / audit.path
        path = path.with_stem(f"{path.stem}-{number}") if number else path
        audit_log = RotatingLog(path, audit.bytes_max, audit.files_max)
    except OSError as error:
        raise GatewayError(
            f"cannot write the audit log {audit.path}: {error.strerror}; see gateway.audit.path"
        ) from error
    return audit_log, Trail(policy, audit_log.write, now_ms)


class Gateway:
    """`port` 0 in the configuration takes a free one; `url` and `kubeconfig` are known after `start`."""

    def __init__(
        self, config: GatewayConfig, store: StorePort, nodes: NodesPort, cluster: ClusterPort, number: int = 0
    ) -> None:
        """`number`: which of several; the first signs certificate requests for all."""
        self.config, self.number = config, number
        self.access = Access(store, config.authentication, self._read_keys())
        self.access.accounts.read_keys = self._read_keys
        fanout = WatchFanout(store)
        self._audit_log, trail = open_trail(config, number)
        self._remote = RemoteClient(store)
        meter = RequestMeter()
        self._admission = make_chain(store, self._remote, self.access.authority, told=meter.webhooks.told)
        self._aggregator = Aggregator(store, self._remote, CustomKinds(store), pki.pki_at(config.home_path), now_ms)
        self._flow = FlowControl(store, config.flow, now_ms)
        backend = Backend(
            config,
            store,
            nodes,
            cluster,
            now_ms,
            make_ids(),
            fanout,
            self.access,
            trail,
            self._admission,
            self._remote,
            self._aggregator,
            self._flow,
            meter,
        )
        self.app = App(backend)
        self.port = config.port
        self.kubeconfig = config.home_path / "kubeconfig"
        self._context: ssl.SSLContext | None = None
        self._web: LimitedServer | None = None
        self._listener: asyncio.Server | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._controllers: list[asyncio.Task[None]] = []
        self._store = store

    @property
    def url(self) -> str:
        return server_url(self.config.advertised_address, self.port)

    async def start(self) -> None:
        """Raises GatewayError, pki.PkiError."""
        certificates = self._ensure_certificates()
        self._context = make_context(certificates)
        self._web = make_web_server(self.app, self.config)
        self.access.start()
        self._admission.start()
        self._aggregator.start()
        self._flow.start()
        if self.number == 0:
            ca_pem = certificates.ca.certificate.read_text()
            tokens = TokenSecrets(self._store, lambda: self.access.accounts.keys, ca_pem)
            signer = SigningController(self._store, self._sign, self.access.decide, now_ms)
            self._controllers = [asyncio.create_task(work.run()) for work in (signer, tokens)]
        self._listener = await self._listen(self._web, self._context)
        self.port = self._listener.sockets[0].getsockname()[1]
        self.kubeconfig = write_kubeconfig(self.config.home_path, certificates, self.url)
        self._renewal = asyncio.create_task(self._renew_forever())

    async def stop(self) -> None:
        for task in (self._renewal, *self._controllers):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._listener is not None:
            self._listener.close()
        if self._web is not None:
            self._web.pre_shutdown()
            await self._web.shutdown(_STOP_SECONDS)
        await self._aggregator.stop()
        await self._flow.stop()
        await self._admission.stop()
        await self._remote.close()
        await self.access.stop()
        if self._audit_log is not None:
            self._audit_log.close()

    async def _listen(self, server: LimitedServer, context: ssl.SSLContext) -> asyncio.Server:
        limits = self.config
        factory = LimitedFactory(server, limits)
        shares = limits.replicas > 1
        try:
            if shares and not await is_free_or_ours(limits.host, limits.port, pki_at(limits.home_path).ca.certificate):
                raise OSError(errno.EADDRINUSE, "another cluster's")
            return await asyncio.get_running_loop().create_server(
                factory,
                limits.host or None,
                limits.port,
                ssl=context,
                ssl_handshake_timeout=limits.request_head_seconds,
                backlog=1024,
                reuse_port=shares or None,
            )
        except OSError as error:
            raise GatewayError(_listen_failure(limits, error)) from error

    def _read_keys(self) -> KeyRing:
        """Of service account tokens. Raises pki.PkiError."""
        with locked(self.config.home_path / "pki"):
            return ensure_keys(self.config.home_path, now_ms())

    def _ensure_certificates(self) -> pki.Pki:
        name = socket.gethostname()
        addresses = (self.config.advertised_address, self.config.host if self.config.host != "0.0.0.0" else "")
        sans = pki.server_sans((name, socket.getfqdn()), addresses, self.config.sans)
        with locked(self.config.home_path / "pki"):
            return pki.ensure(self.config.home_path, sans, datetime.now(UTC))

    def _sign(self, request: x509.CertificateSigningRequest, life: timedelta, is_server: bool) -> bytes:
        return pki.sign_request(self.config.home_path, request, life, datetime.now(UTC), is_server=is_server)

    async def _renew_forever(self) -> None:
        """Certificates that near their end are replaced under the running listener."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_SECONDS)
            try:
                certificates = self._ensure_certificates()
                assert self._context is not None
                self._context.load_cert_chain(certificates.server.certificate, certificates.server.key)
                write_kubeconfig(self.config.home_path, certificates, self.url)
                self.access.accounts.keys = self._read_keys()
            except (pki.PkiError, OSError, ssl.SSLError):
                log.exception("certificates could not be renewed; trying again later")


def _listen_failure(config: GatewayConfig, error: OSError) -> str:
    where = f"{config.host or '*'}:{config.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {config.port} is taken by another program: stop it, or set gateway.port"
    return f"cannot listen on {where}: {error.strerror or error}"


def make_context(certificates: pki.Pki) -> ssl.SSLContext:
    """TLS 1.2 or newer; a client certificate is optional but, when shown, must be of our CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.load_verify_locations(certificates.ca.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def make_web_server(app: App, config: GatewayConfig) -> LimitedServer:
    return LimitedServer(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=config.idle_seconds,
        max_line_size=_HEAD_BYTES_MAX,
        max_field_size=_HEAD_BYTES_MAX,
        lingering_time=2.0,
    )


class LimitedServer(web.Server):
    """Knows `begun`, too: the connections whose TLS is not agreed upon yet. One that fails at it is not told of: it
    counts until its time for that is up."""

    def __init__(self, app: App, **options: Any) -> None:
        super().__init__(app, **options)
        self.begun: set[RequestHandler] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        self.begun.discard(handler)
        super().connection_made(handler, transport)


class LimitedFactory:
    """Protocols for new connections: no more than allowed at once, none that never finishes its first request head."""

    def __init__(self, server: LimitedServer, config: GatewayConfig) -> None:
        self._server, self._config = server, config

    def __call__(self) -> asyncio.Protocol:
        """Raises ConnectionRefusedError, upon which asyncio drops the socket: before TLS, whose state is large."""
        if len(self._server.connections) + len(self._server.begun) >= self._config.connections_max:
            raise ConnectionRefusedError("there are too many connections")
        protocol = self._server()
        self._server.begun.add(protocol)
        asyncio.get_running_loop().call_later(self._config.request_head_seconds, self._check, protocol)
        return protocol

    def _check(self, protocol: RequestHandler) -> None:
        """Closes a connection that has not begun a request by now."""
        self._server.begun.discard(protocol)
        if protocol in self._server.connections and not protocol._request_count:
            protocol.force_close()
