"""A small client of the Kubernetes API: what the SDK needs of it, over one connection pool.

A control plane that is restarting is not an error: reads, and writes that the server never saw, are tried again for
`patience_seconds`. Made within an event loop and closed there.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
from yarl import URL

from raypod.errors import ApiError, ClusterUnreachable, RaypodError, error_from_status
from raypod.kubeconfig import Endpoint, ssl_context
from raypod.refusal import is_hang_up, is_refused

Object = dict[str, Any]

_RETRY_SECONDS = 0.1
_WATCH_SECONDS = 300
_CHUNK_BYTES = 64 * 1024
_MESSAGE_BYTES_MAX = 16 << 20


class ApiClient:
    def __init__(self, endpoint: Endpoint, patience_seconds: float = 15.0) -> None:
        self.endpoint, self._patience_seconds = endpoint, patience_seconds
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        tls: ssl.SSLContext | bool = ssl_context(endpoint) if endpoint.server.startswith("https") else True
        self._session = aiohttp.ClientSession(
            headers={"Accept": "application/json", **headers},
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5),
        )

    async def close(self) -> None:
        await self._session.close()

    # --- requests -------------------------------------------------------------------------------------------------

    async def get(self, path: str, accept: str = "", **params: object) -> Object:
        """`accept`: the form of the answer, where it is not the object as it is."""
        return await self.request("GET", path, params=params, accept=accept)

    async def create(self, path: str, obj: Object) -> Object:
        return await self.request("POST", path, body=obj, params={"fieldManager": "raypod"})

    async def patch(self, path: str, patch: Object) -> Object:
        params = {"fieldManager": "raypod"}
        return await self.request("PATCH", path, body=patch, params=params, kind="application/merge-patch+json")

    async def delete(self, path: str, propagation: str = "Background", **params: object) -> Object:
        return await self.request("DELETE", path, body={"propagationPolicy": propagation}, params=params)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, object] | None = None,
        kind: str = "application/json",
        accept: str = "",
        repeat_key: str = "",
        timeout_seconds: float = 60,
        patient: bool = True,
    ) -> Object:
        """The answer's object. Raises ApiError for a refusal, ClusterUnreachable when nobody answers.

        `repeat_key`: with it the server does a repeated write once, so it is repeated whenever the answer is lost.
        Not `patient`: that something behind the API is away is an answer, too, and told at once.
        """
        data = body if isinstance(body, bytes) else _encode(body) if body is not None else None
        headers = {"Content-Type": kind} if data is not None else {}
        if accept:
            headers["Accept"] = accept
        if repeat_key:
            headers["Idempotency-Key"] = repeat_key
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                async with self._session.request(
                    method,
                    self.endpoint.server + path,
                    data=data,
                    headers=headers,
                    params=_texts(params),
                    timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=5),
                ) as response:
                    return await _read_object(response)
            except _Restarting as error:
                if not patient or time.monotonic() > deadline:
                    raise error.told from None
                failure: Exception = error
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                failure = error
                await self._check_refused(error)
                if not repeat_key and not _may_repeat(method, error):
                    raise self._unreachable(error) from error
            if time.monotonic() > deadline:
                raise self._unreachable(failure) from failure
            await asyncio.sleep(_RETRY_SECONDS)

    async def websocket(
        self, path: str, params: Sequence[tuple[str, str]], protocol: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Raises ApiError for a refusal, ClusterUnreachable when nobody answers."""
        url = URL(self.endpoint.server + path).with_query(params)
        try:
            return await self._session.ws_connect(url, protocols=(protocol,), max_msg_size=_MESSAGE_BYTES_MAX)
        except aiohttp.WSServerHandshakeError as error:
            raise await self._refusal(url, error) from error
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            await self._check_refused(error)
            raise self._unreachable(error) from error

    async def _refusal(self, url: URL, error: aiohttp.WSServerHandshakeError) -> RaypodError:
        """A failed handshake does not show the answer's body: it is asked for again, in a way that starts nothing."""
        async with self._session.post(url) as response:
            text = await response.read()
        try:
            status: Object = json.loads(text)
        except ValueError:
            return self._unreachable(error)
        if "Upgrade request required" not in str(status.get("message")):
            return error_from_status(status)
        told = "its container does not run: it has not started, or has ended"
        return error_from_status({"reason": "NotFound", "code": 404, "message": told})

    # --- streams --------------------------------------------------------------------------------------------------

    async def lines(self, path: str, **params: object) -> AsyncIterator[bytes]:
        """Lines of a text answer as they come, without their line feed. Ends when the server ends it or goes away."""
        async with self._open(path, params) as response:
            pending = b""
            try:
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    *whole, pending = (pending + chunk).split(b"\n")
                    for line in whole:
                        yield line
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ConnectionResetError(str(error)) from error
            if pending:
                yield pending

    def _open(self, path: str, params: Mapping[str, object]) -> _Stream:
        return _Stream(self, path, params)

    async def snapshots(self, path: str, selector: str, timeout_seconds: float) -> AsyncIterator[list[Object]]:
        """All matching objects, and all of them again after each change. Ends after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            page = await self.get(path, labelSelector=selector)
            found = {item["metadata"]["uid"]: item for item in page.get("items") or ()}
            yield list(found.values())
            revision = page["metadata"]["resourceVersion"]
            seconds = max(1, min(_WATCH_SECONDS, int(left) + 1))
            try:
                async for line in self.lines(
                    path, watch="true", labelSelector=selector, resourceVersion=revision, timeoutSeconds=seconds
                ):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    obj = event["object"]
                    found[obj["metadata"]["uid"]] = obj
                    if event["type"] == "DELETED":
                        del found[obj["metadata"]["uid"]]
                    yield list(found.values())
            except ConnectionError:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _check_refused(self, error: Exception) -> None:
        """Raises ClusterUnreachable at once for what no patience cures."""
        if self.endpoint.server.startswith("https") and await is_refused(self.endpoint, error):
            raise ClusterUnreachable(
                f"the API at {self.endpoint.server} refuses this kubeconfig's client certificate: it is of another "
                "cluster, of an earlier one, or has expired; `raypod kubeconfig` prints the path of the current one"
            ) from error

    def _unreachable(self, error: Exception) -> ClusterUnreachable:
        server = self.endpoint.server
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError) or "CERTIFICATE" in str(error):
            return ClusterUnreachable(
                f"the API at {server} shows a certificate that this kubeconfig does not trust: the kubeconfig is of "
                "another cluster, or of an earlier one; `raypod kubeconfig` prints the path of the current one"
            )
        if is_hang_up(error):
            return ClusterUnreachable(f"the API at {server} hangs up: it is being started; try again in a moment")
        reason = str(error) or type(error).__name__
        return ClusterUnreachable(f"the API at {server} does not answer ({reason}): is it up? try `raypod up`")


class _Stream:
    """`async with` over a streaming GET, with the same patience as a request has until the headers are there."""

    def __init__(self, client: ApiClient, path: str, params: Mapping[str, object]) -> None:
        self._client, self._path, self._params = client, path, params

    async def __aenter__(self) -> aiohttp.ClientResponse:
        client, deadline = self._client, time.monotonic() + self._client._patience_seconds
        while True:
            try:
                url = client.endpoint.server + self._path
                response = await client._session.get(url, params=_texts(self._params))
                if response.status < 400:
                    self._response = response
                    return response
                async with response:
                    await _read_object(response)
            except _Restarting as error:
                if time.monotonic() > deadline:
                    raise error.told from None
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                await client._check_refused(error)
                if time.monotonic() > deadline:
                    raise client._unreachable(error) from error
            await asyncio.sleep(_RETRY_SECONDS)

    async def __aexit__(self, *_: object) -> None:
        self._response.close()


class _Restarting(RaypodError):
    """503 or 429: nothing was done, the same request may be sent again. `told`: what to raise when it is not."""

    def __init__(self, told: ApiError) -> None:
        super().__init__(str(told))
        self.told = told


async def _read_object(response: aiohttp.ClientResponse) -> Object:
    text = await response.read()
    try:
        obj: Object = json.loads(text)
    except ValueError as error:
        obj = {"kind": "Status", "code": response.status, "message": text.decode(errors="replace")[:500]}
        if response.status < 400:
            raise RaypodError(f"the API answered no JSON: {obj['message']!r}") from error
    if response.status in (503, 429):
        raise _Restarting(error_from_status({"message": "the control plane is restarting", **obj}))
    if response.status >= 400:
        raise error_from_status(obj)
    return obj


def _encode(body: object) -> bytes:
    """Raises ValueError for text that came from bytes which are not UTF-8, such as a word of a command line."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        near = error.object[max(0, error.start - 20) : error.end + 20]
        raise ValueError(f"not text in UTF-8: {near!r}") from error


def _may_repeat(method: str, error: Exception) -> bool:
    """A write is sent again only when it cannot have arrived."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return False
    return method in ("GET", "DELETE", "PATCH") or isinstance(error, aiohttp.ClientConnectorError)


def _texts(params: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (params or {}).items() if value not in (None, "")}
