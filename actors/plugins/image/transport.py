"""GET and POST to registries and their token services over aiohttp: which hosts get plain HTTP, which CA, which proxy.

Redirects are followed here, at most five, never from TLS to plain HTTP, and the Authorization header goes to nobody
but the host it was made for. Whatever the network does wrong leaves as an ImageFault.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from yarl import URL

from actors.plugins.image.config import ImagesConfig, RegistryConfig
from actors.plugins.image.faults import NotPullable, Unreachable
from actors.plugins.image.reference import is_loopback

_REDIRECTS_MAX = 5
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


class Transport:
    """One aiohttp session. `async with`; not shared between event loops."""

    def __init__(self, config: ImagesConfig) -> None:
        self._config = config
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def __aenter__(self) -> Transport:
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._config.connect_timeout_ms / 1000,
            sock_read=self._config.stall_timeout_ms / 1000,
        )
        self._session = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, headers={"User-Agent": "raypod"}, read_bufsize=1 << 18
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def settings(self, host: str) -> RegistryConfig:
        return self._config.registries.get(host, RegistryConfig())

    def allows_http(self, host: str) -> bool:
        """Loopback is safe without TLS, unless a CA says that TLS is spoken there."""
        settings = self.settings(host)
        return settings.insecure_http or (is_loopback(host) and not settings.ca_file)

    @asynccontextmanager
    async def open(
        self, method: str, url: URL, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The final answer, its body unread. Raises Unreachable, NotPullable (scheme, TLS, redirects)."""
        with network_faults(url):
            for _ in range(_REDIRECTS_MAX + 1):
                self._check_scheme(url)
                async with self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=form,
                    allow_redirects=False,
                    ssl=self._context(host_port(url)) if url.scheme == "https" else True,
                    proxy=_proxy(url),
                ) as response:
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    url, headers = _redirected(url, response.headers.get("Location", ""), headers)
        raise NotPullable(f"{url.host} answers with more than {_REDIRECTS_MAX} redirects")

    def _check_scheme(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise NotPullable(f"the registry sends to {url}, which is no HTTP address")
        if url.scheme == "http" and not self.allows_http(host_port(url)):
            raise NotPullable(f"the registry sends to {url.origin()}, over plain HTTP: {_how_to_allow(host_port(url))}")

    def _context(self, host: str) -> ssl.SSLContext:
        context = self._contexts.get(host)
        if context is None:
            context = self._contexts[host] = ssl.create_default_context()
            ca_file = self.settings(host).ca_file
            if ca_file:
                _load_ca(context, host, ca_file)
        return context


def host_port(url: URL) -> str:
    """As references write it: the port only where it is not the scheme's own."""
    host = f"[{url.host}]" if url.host and ":" in url.host else str(url.host)
    return host if url.is_default_port() else f"{host}:{url.port}"


@contextmanager
def network_faults(url: URL) -> Iterator[None]:
    """What aiohttp raises, in words for users."""
    host = host_port(url)
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise NotPullable(
            f"the certificate of {host} is not trusted ({error.certificate_error}): name its CA in"
            f" images.registries.{host!r}.ca_file"
        ) from error
    except aiohttp.ClientSSLError as error:
        raise NotPullable(f"{host} does not speak TLS ({error.os_error}); {_how_to_allow(host)}") from error
    except TimeoutError as error:
        raise Unreachable(f"{host} does not answer") from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(f"{host} cannot be reached: {_reason(error.os_error)}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"{host} cannot be reached: {error or type(error).__name__}") from error


def _reason(error: OSError) -> str:
    """`connection refused`; the resolver's own words for a name, whose numbers are below zero."""
    number = error.errno or 0
    return (os.strerror(number) if number > 0 else error.strerror or str(error)).lower()


def _how_to_allow(host: str) -> str:
    return f"to allow plain HTTP, set images.registries.{host!r}.insecure_http: true in the configuration"


def _redirected(url: URL, location: str, headers: Mapping[str, str]) -> tuple[URL, dict[str, str]]:
    target = url.join(parse_url(location))
    if url.scheme == "https" and target.scheme == "http":
        raise NotPullable(f"{host_port(url)} redirects to {target}, without TLS: refused")
    same = (target.scheme, target.host, target.port) == (url.scheme, url.host, url.port)
    return target, {key: value for key, value in headers.items() if same or key != "Authorization"}


def parse_url(text: str) -> URL:
    """An address that a stranger wrote; a user and password in it are dropped. Raises NotPullable."""
    try:
        url = URL(text)
        return url.with_user(None) if url.user or url.password else url
    except ValueError as error:
        raise NotPullable(f"the registry sends to {text!r}, which is no address: {error}") from error


def _proxy(url: URL) -> str | None:
    """The environment's proxy for this address, never for loopback."""
    host = str(url.host)
    if is_loopback(host_port(url)) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(url.scheme)


def _load_ca(context: ssl.SSLContext, host: str, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise NotPullable(f"images.registries.{host!r}.ca_file: {ca_file} cannot be used: {error}") from error
