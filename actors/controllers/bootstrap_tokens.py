"""Bootstrap tokens that have expired are deleted (pkg/controller/bootstrap/tokencleaner.go)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from actors.api.clock import Millis, parse_time
from actors.api.contents import BootstrapToken
from actors.api.key import Key
from actors.api.kinds import SECRET
from actors.reconcile.actions import Action, Delete, RequeueAfter
from actors.reconcile.controller import controller
from actors.reconcile.view import View

TYPE = "bootstrap.kubernetes.io/token"
_NAMESPACE = "kube-system"


@controller(BootstrapToken)
def reconcile(secret: BootstrapToken, view: View, now: Millis) -> Iterable[Action]:
    """One that cannot be read is left to its owner: it lets nobody in."""
    meta = secret.metadata
    if secret.type != TYPE or meta.namespace != _NAMESPACE or meta.is_deleting or not secret.data.expiration:
        return
    try:
        expires = parse_time(base64.b64decode(secret.data.expiration, validate=True).decode())
    except (binascii.Error, ValueError):
        return
    if expires <= now:
        yield Delete(key=Key(SECRET.resource, meta.namespace, meta.name), uid=meta.uid)
    else:
        yield RequeueAfter(expires - now)
