"""ConfigMaps and Secrets (core/v1) as those read them who look after a few: of other contents nothing is kept."""

from __future__ import annotations

import msgspec

from actors.api.meta import Lens, Resource


class RootCaData(Lens, frozen=True):
    ca_crt: str = msgspec.field(name="ca.crt", default="")


class RootCaMap(Resource, frozen=True):
    """A ConfigMap as who looks after `kube-root-ca.crt` reads it: of others' contents nothing is kept."""

    data: RootCaData = RootCaData()


class BootstrapTokenData(Lens, frozen=True):
    expiration: str = ""


class BootstrapToken(Resource, frozen=True):
    """A Secret as who looks for expired tokens reads it: of contents nothing else is kept."""

    type: str = ""
    data: BootstrapTokenData = BootstrapTokenData()
