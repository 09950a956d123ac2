"""Which steps there are, in kube-apiserver's order. A way of admission is its file and its line here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.admission.chain import Chain
from actors.admission.patience import Patience
from actors.admission.policies.evaluation import Authority, control_plane
from actors.admission.policies.invocations import World
from actors.admission.policies.mutating import MutatingPolicies
from actors.admission.policies.validating import ValidatingPolicies
from actors.admission.shapes import ConvertedShapes
from actors.admission.store import AdmittedStore
from actors.admission.terms import Terms
from actors.admission.webhooks.call import Told
from actors.admission.webhooks.mutating import MutatingWebhooks
from actors.admission.webhooks.validating import ValidatingWebhooks
from actors.remote.client import RemoteClient
from actors.remote.conversion import Converter
from actors.store.port import StorePort


def make_chain(
    store: StorePort,
    client: RemoteClient,
    authority: Authority = control_plane,
    patience: Patience | None = None,
    told: Told | None = None,
) -> Chain:
    """The chain over `store`; `start` it. Webhooks are called through `client`, which is the caller's to close;
    `authority` answers the policies that ask who may do what; `told` hears of every call of a webhook."""
    converter = Converter(client)
    shapes = ConvertedShapes(converter)
    world = World(store, shapes, authority)
    return Chain(
        store,
        mutating=(MutatingPolicies(world), MutatingWebhooks(store, client, shapes, authority, told)),
        validating=(ValidatingPolicies(world), ValidatingWebhooks(store, client, shapes, authority, told)),
        shapes=shapes,
        terms=Terms(store, converter),
        patience=patience,
    )


@asynccontextmanager
async def admitted(store: StorePort, user_name: str, *groups: str) -> AsyncIterator[StorePort]:
    """The store for a part of the control plane whose writes admission sees as it sees users'. A write about which
    somebody is asked who does not answer in a moment is answered Timeout: its outcome is not known yet (`patience`)."""
    client = RemoteClient(store)
    chain = make_chain(store, client, patience=Patience())
    chain.start()
    try:
        yield AdmittedStore(store, chain, {"username": user_name, "groups": [*groups, "system:authenticated"]})
    finally:
        await chain.stop()
        await client.close()
