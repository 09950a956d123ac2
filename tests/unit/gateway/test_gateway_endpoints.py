"""Where the API is served is told in the store, anew when it has moved, and never as a loopback address."""

from __future__ import annotations

import pytest

from actors.api.codec import decode
from actors.api.errors import NotFound
from actors.api.key import Key
from actors.api.kinds import ENDPOINT_SLICE, ENDPOINTS
from actors.gateway.endpoints import outer_address, tell_endpoints
from actors.store.local import LocalStore


async def told(store: LocalStore) -> tuple[dict, dict]:  # type: ignore[type-arg]
    found = [await store.get(Key(kind.resource, "default", "kubernetes")) for kind in (ENDPOINTS, ENDPOINT_SLICE)]
    return decode(found[0]), decode(found[1])


async def test_told_and_told_anew() -> None:
    store = LocalStore()
    for address, port in (("192.0.2.7", 6443), ("192.0.2.8", 7443)):
        await tell_endpoints(store, address, port)
        endpoints, endpoint_slice = await told(store)
        assert endpoints["subsets"] == [
            {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
        ]
        assert endpoint_slice["addressType"] == "IPv4"
        assert [row["addresses"] for row in endpoint_slice["endpoints"]] == [[address]]
        assert endpoint_slice["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    revision = store.revision
    await tell_endpoints(store, "192.0.2.8", 7443)
    assert store.revision == revision


async def test_a_loopback_address_is_nobody_elses() -> None:
    store = LocalStore()
    await tell_endpoints(store, "127.0.0.1", 6443)
    with pytest.raises(NotFound):
        await told(store)


def test_an_address_that_others_reach_stays() -> None:
    assert outer_address("192.0.2.7") == "192.0.2.7"
