"""One connection for thousands of hostile requests: every answer is a success or a Status, none is a 5xx, none hangs.

What a request costs is counted in CPU seconds of this process, in which the gateway runs too: a machine that is busy with
something else is none of its business.

Two 5xx are right: a revision that has not come yet, and a proxy to what nobody serves.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping

from gateway_server import RunningGateway

#: What takes more grows faster than its input: the largest bodies here take a fifth of it.
CPU_SECONDS_MAX = 20.0
#: Of silence, which is then a hang.
SILENCE_SECONDS_MAX = 100.0
_SHOWN_BYTES = 2000


class Line:
    """One kept connection: thousands of requests are not thousands of handshakes."""

    def __init__(self, served: RunningGateway, certificate: str = "admin") -> None:
        self._served, self._certificate = served, certificate
        self._connection: http.client.HTTPSConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """The code of the answer."""
        for attempt in (0, 1):
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    "127.0.0.1",
                    self._served.gateway.port,
                    context=self._served.ssl_context(self._certificate),
                    timeout=SILENCE_SECONDS_MAX,
                )
            begun = time.process_time()
            try:
                self._connection.request(method, path, body=body, headers=headers or {"Content-Type": content_type})
                reply = self._connection.getresponse()
                text = reply.read()
            except (http.client.HTTPException, ConnectionError):
                self._connection = None
                assert attempt == 0, "the gateway hung up twice"
                continue
            asked = (method, path, (body or b"")[:_SHOWN_BYTES], text[:_SHOWN_BYTES])
            assert time.process_time() - begun < CPU_SECONDS_MAX, asked
            waits = reply.status == 504 and b"Too large resource version" in text
            unserved = reply.status == 503 and "/proxy" in path and b"no endpoints available" in text
            assert reply.status < 500 or waits or unserved, asked
            if reply.status >= 400 and method != "HEAD":
                status = json.loads(text)
                assert (status["kind"], status["code"]) == ("Status", reply.status), asked
            return reply.status
        raise AssertionError("unreachable")
