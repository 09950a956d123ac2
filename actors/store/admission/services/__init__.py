"""Services and what they hold: cluster addresses and node ports, given by the one writer, in the commit of the Service.

    linked     what a client meant by the fields that hang together (before validation)
    families   which IP families a Service is of
    ranges     the addresses that there are: ServiceCIDR objects
    addresses  the addresses that are held: one IPAddress object each (KEP-1880)
    ports      the node ports that are held, read from the Services themselves
    settle     all of it for one write; the only one that the rest of admission calls, beside `linked`

Nothing is kept beside the objects, so no two Services can come to hold the same and nothing can leak.
"""

from actors.store.admission.services.linked import linked
from actors.store.admission.services.settle import settle_address, settle_range, settle_service

__all__ = ["linked", "settle_address", "settle_range", "settle_service"]
