"""The door: who a request is from, whether that user may do what it asks. One for all requests of a gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from actors.api.errors import ApiError, Unauthorized
from actors.api.rbac import Attributes
from actors.gateway.auth.authorize import attributes_of, check, is_open
from actors.gateway.auth.bootstrap import ensure_defaults
from actors.gateway.auth.feed import PolicyFeed
from actors.gateway.auth.impersonate import Headers, impersonated, read_wish
from actors.gateway.auth.policy import Decision, Policy
from actors.gateway.auth.user import NOBODY, User, user_of
from actors.gateway.target import Target
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


class Access:
    """Used within one event loop. Not started, it reads the rules anew for every question."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self.feed = PolicyFeed(store)
        self._bootstrap: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.feed.start()
        self._bootstrap = asyncio.create_task(self._ensure_defaults(), name="rbac-bootstrap")

    async def stop(self) -> None:
        if self._bootstrap is not None:
            self._bootstrap.cancel()
            await asyncio.gather(self._bootstrap, return_exceptions=True)
        await self.feed.stop()

    async def admit(self, certificate: Mapping[str, Any] | None, headers: Headers, target: Target) -> User:
        """Who it is from, once it is known that they may. Raises Unauthorized, Forbidden, BadRequest."""
        user = user_of(certificate) or NOBODY
        wish = read_wish(headers)
        if user.is_anonymous:
            if is_open(target) and wish is None:
                return user
            raise Unauthorized("Unauthorized")
        if wish is not None:
            user = impersonated(await self.policy_for(user), user, wish)
        check(await self.policy_for(user), user, attributes_of(target))
        return user

    async def policy_for(self, user: User) -> Policy:
        return await self.feed.policy_for(user)

    async def decide(self, user: User, asked: Attributes) -> Decision:
        return (await self.policy_for(user)).decide(user, asked)

    async def _ensure_defaults(self) -> None:
        while True:
            try:
                await ensure_defaults(self._store)
                return
            except (ApiError, OSError) as error:
                _LOG.warning("the default roles wait for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
