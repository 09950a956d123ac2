"""ApiPort without a gateway, for the simulator and for tests of what uses it: tokens that tell what they are of."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.clock import Millis
from actors.api.tokens import ApiAddress, PodToken, PodTokenRequest


class FakeApi:
    """`issued`: every token that was asked for. `life_seconds_max` shortens what is asked for, as an operator may."""

    def __init__(self, clock: Callable[[], Millis], life_seconds_max: int = 1 << 32) -> None:
        self._clock, self._life_seconds_max = clock, life_seconds_max
        self.issued: list[PodTokenRequest] = []

    async def pod_token(self, request: PodTokenRequest) -> PodToken:
        self.issued.append(request)
        life = min(request.expiration_seconds, self._life_seconds_max)
        text = f"{request.audience}/{request.namespace}/{request.account}/{request.pod}/{len(self.issued)}"
        return PodToken(text=text, expires_ms=self._clock() + 1_000 * life, life_seconds=life)

    async def api_address(self) -> ApiAddress:
        return ApiAddress("127.0.0.1", 6443)
