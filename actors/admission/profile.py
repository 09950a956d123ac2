"""Which steps there are, in kube-apiserver's order. A way of admission is its file and its line here."""

from __future__ import annotations

from actors.admission.chain import Chain
from actors.admission.shapes import ConvertedShapes
from actors.admission.terms import Terms
from actors.admission.webhooks.mutating import MutatingWebhooks
from actors.admission.webhooks.validating import ValidatingWebhooks
from actors.remote.client import RemoteClient
from actors.remote.conversion import Converter
from actors.store.port import StorePort


def make_chain(store: StorePort, client: RemoteClient) -> Chain:
    """The chain over `store`; `start` it. Webhooks are called through `client`, which is the caller's to close."""
    converter = Converter(client)
    shapes = ConvertedShapes(converter)
    return Chain(
        store,
        mutating=(MutatingWebhooks(store, client, shapes),),
        validating=(ValidatingWebhooks(store, client, shapes),),
        shapes=shapes,
        terms=Terms(store, converter),
    )
