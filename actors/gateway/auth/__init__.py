"""Who asks, and whether they may. Reading order: user, authenticate (and its ways in), policy, authorize, nodes/,
escalation.

The scheduler, the controllers and the nodelets are not users: they hold the store's actor and never pass here.
"""

from actors.gateway.auth.user import MASTERS, NOBODY, User

__all__ = ["MASTERS", "NOBODY", "User"]
