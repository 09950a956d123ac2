"""How far back a user may read in an API namespace: to its making, and beyond it whoever may read in all namespaces.

Rights are those of today. A namespace that was deleted and made again under its name is another one, perhaps of other
tenants, who are shown nothing of the first one's. What is read of the present costs nothing here.
"""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.codec import decode
from actors.api.errors import Expired
from actors.api.key import Key
from actors.api.kinds import NAMESPACE
from actors.gateway.auth.authorize import attributes_of
from actors.gateway.call import Call


class Floor(msgspec.Struct, frozen=True):
    """The revision at which the namespace was made and its creationTimestamp; all zero where nothing bounds."""

    namespace: str = ""
    revision: int = 0
    at: Millis = 0

    def check(self, revision: int) -> None:
        """Of what a client names, 0 is nothing. Raises Expired."""
        if 0 < revision < self.revision:
            raise Expired(
                f'too old resource version: {revision} ({self.revision}): the namespace "{self.namespace}" was made at '
                f"{self.revision}; what was under its name before is for those who may read it in all namespaces"
            )


async def find_floor(call: Call) -> Floor:
    """Of the namespace that the call is about, for its user. Raises NotFound where there is no such namespace."""
    asked = attributes_of(call.target)
    if not asked.namespace:
        return Floor()
    everywhere = msgspec.structs.replace(asked, namespace="")
    if (await call.backend.access.decide(call.user, everywhere)).allowed:
        return Floor()
    stored = await call.store.get(Key(NAMESPACE.resource, "", asked.namespace))
    made = parse_time(decode(stored)["metadata"]["creationTimestamp"])
    return Floor(asked.namespace, stored.created_revision, made)
