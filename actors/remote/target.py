"""Where a user's server is, as webhook configurations, definitions and APIServices say it (WebhookClientConfig)."""

from __future__ import annotations

import base64
import binascii

import msgspec

from actors.api.meta import Lens


class ServiceReference(Lens, frozen=True):
    namespace: str = ""
    name: str = ""
    path: str | None = None
    port: int | None = None

    @property
    def host(self) -> str:
        """The name that its certificate must be for."""
        return f"{self.name}.{self.namespace}.svc"


class ClientConfig(Lens, frozen=True):
    """`ca_bundle`: base64 of PEM, "" is the machine's own roots."""

    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: str | None = msgspec.field(name="caBundle", default=None)

    @property
    def shown_url(self) -> str:
        """As errors name it."""
        if self.service is None:
            return self.url or ""
        path = "/" + (self.service.path or "").lstrip("/") if self.service.path else "/"
        return f"https://{self.service.host}:{self.service.port or 443}{path}"

    @property
    def roots(self) -> bytes:
        """PEM. Raises RemoteError."""
        return decode_bundle(self.ca_bundle)


class RemoteError(Exception):
    """A call that brought no usable answer, in the words of Go's HTTP client where it has some.

    `status` is what the server itself said, when it answered with a failure of its own.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def decode_bundle(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteError(f"the caBundle is not base64: {error}") from error
