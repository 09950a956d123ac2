"""Does a server that hangs up refuse our client certificate, or does it restart? The two look the same on a connection.

A server may say so by a TLS alert, which in TLS 1.3 comes after the handshake; many only close the connection. Then
fresh connections tell: one without the certificate is answered, those with it, before and after, are not.
"""

from __future__ import annotations

import errno

import aiohttp
import msgspec

from raypod.kubeconfig import Endpoint, ssl_context

_ALERTS = (
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "ACCESS_DENIED",
)
_ANSWER_SECONDS = 2.0


def is_alert(error: BaseException) -> bool:
    """The server says that it does not take our certificate."""
    return any(f"ALERT_{name}" in str(error) for name in _ALERTS)


def is_hang_up(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return True
    if getattr(error, "errno", 0) in (errno.ECONNRESET, errno.EPIPE):
        return True
    return isinstance(error, aiohttp.ClientConnectorError) and is_hang_up(error.os_error)


async def is_refused(endpoint: Endpoint, error: BaseException) -> bool:
    """After `error`: is it the client certificate? Takes as long as three answers do; False without a certificate."""
    if not endpoint.certificate:
        return False
    if is_alert(error):
        return True
    if not is_hang_up(error):
        return False
    bare = msgspec.structs.replace(endpoint, certificate=b"", key=b"")
    return not await _answers(endpoint) and await _answers(bare) and not await _answers(endpoint)


async def _answers(endpoint: Endpoint) -> bool:
    """On a connection of its own; any answer of HTTP is one."""
    connector = aiohttp.TCPConnector(ssl=ssl_context(endpoint), force_close=True)
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(f"{endpoint.server}/version"),
        ):
            return True
    except (TimeoutError, aiohttp.ClientError, OSError):
        return False
