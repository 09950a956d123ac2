"""The door: who a request is from, whether that user may do what it asks. One for all requests of a gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.api.cel.functions.authorizer import Answer, Ask
from actors.api.clock import Millis
from actors.api.errors import ApiError, Unauthorized
from actors.api.rbac import Attributes
from actors.gateway.audit import Entry
from actors.gateway.auth.authenticate import Authenticator
from actors.gateway.auth.authorize import attributes_of, check, is_open
from actors.gateway.auth.bootstrap import ensure_defaults
from actors.gateway.auth.feed import PolicyFeed
from actors.gateway.auth.impersonate import Headers, impersonated, read_wish
from actors.gateway.auth.keys import KeyRing
from actors.gateway.auth.oidc import OidcIssuer
from actors.gateway.auth.policy import Decision, Policy
from actors.gateway.auth.service_accounts import ServiceAccountTokens
from actors.gateway.auth.tokens import StaticTokens
from actors.gateway.auth.user import NOBODY, User, account_user, user_of_info
from actors.gateway.config import AuthenticationConfig
from actors.gateway.target import Target
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


class Access:
    """Used within one event loop. Not started, it reads the rules anew for every question."""

    def __init__(self, store: StorePort, config: AuthenticationConfig, keys: KeyRing) -> None:
        """Raises TokenFileError."""
        self._store = store
        self._config = config
        self.audiences = config.audiences
        self.accounts = ServiceAccountTokens(store, config.service_account_issuer, keys)
        self.authenticator = Authenticator(
            store,
            self.accounts,
            config.audiences,
            StaticTokens.read(Path(config.token_file)) if config.token_file else None,
            [OidcIssuer(issuer) for issuer in config.oidc],
            bootstrap_tokens=config.bootstrap_tokens,
        )
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

    async def admit(
        self,
        certificate: Mapping[str, Any] | None,
        headers: Headers,
        target: Target,
        now: Millis,
        entry: Entry | None = None,
    ) -> User:
        """Who it is from, once it is known that they may. Raises Unauthorized, Forbidden, BadRequest."""
        asked, asking, user = attributes_of(target), User(""), None
        try:
            asking = await self.authenticator.authenticate(certificate, headers, now)
            user = await self._act_as(asking, headers, target)
        finally:
            if entry is not None:
                entry.identify(asking, user or asking, target, asked)
        if user is not NOBODY or self._config.anonymous:
            check(await self.policy_for(user), user, asked)
        return user

    async def _act_as(self, asking: User, headers: Headers, target: Target) -> User:
        """Who the request is to be taken for."""
        wish = read_wish(headers)
        if asking is NOBODY and not self._config.anonymous and (wish is not None or not is_open(target)):
            raise Unauthorized("Unauthorized")
        return asking if wish is None else impersonated(await self.policy_for(asking), asking, wish)

    async def check(self, user: User, target: Target) -> None:
        """Raises Forbidden."""
        check(await self.policy_for(user), user, attributes_of(target))

    async def policy_for(self, user: User) -> Policy:
        return await self.feed.policy_for(user)

    async def decide(self, user: User, asked: Attributes) -> Decision:
        return (await self.policy_for(user)).decide(user, asked)

    async def authority(self, info: dict[str, Any]) -> Ask:
        """What RBAC says of a user, or of a service account, to the policies of admission."""
        user = user_of_info(info)
        policy = await self.policy_for(user)

        def ask(account: tuple[str, str] | None, asked: Attributes) -> Answer:
            decision = policy.decide(user if account is None else account_user(*account), asked)
            return Answer(decision.allowed, decision.reason)

        return ask

    async def _ensure_defaults(self) -> None:
        while True:
            try:
                await ensure_defaults(self._store)
                return
            except (ApiError, OSError) as error:
                _LOG.warning("the default roles wait for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
