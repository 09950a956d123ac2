"""Which steps there are, in kube-apiserver's order. A way of admission is its file and its line here."""

from __future__ import annotations

from actors.admission.chain import Chain
from actors.store.port import StorePort


def make_chain(store: StorePort) -> Chain:
    """The chain over `store`; `start` it."""
    return Chain(store, mutating=(), validating=())
