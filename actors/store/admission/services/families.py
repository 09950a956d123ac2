"""Which IP families a Service is of (KEP-563): told, inferred from its addresses, or the cluster's own first.

Runs on Services that are valid in themselves; what the cluster cannot give is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from actors.api.codec import Object
from actors.api.validation import invalid
from actors.api.validation.causes import Causes, wrong

IPV4, IPV6 = "IPv4", "IPv6"
SINGLE, REQUIRE = "SingleStack", "RequireDualStack"


def family_of(address: str) -> str:
    return IPV4 if ip_address(address).version == 4 else IPV6


def with_families(service: Object, old: Object | None, configured: Sequence[str]) -> Object:
    """`ipFamilyPolicy` and `ipFamilies` of a Service that has addresses or is headless; `configured` is the cluster's.

    Raises Invalid.
    """
    spec = dict(service.get("spec") or {})
    before: Object = (old or {}).get("spec") or {}
    if _stays_preferred(spec, before):
        return service
    is_bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = str(spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy") or (REQUIRE if is_bare else SINGLE))
    spec["ipFamilyPolicy"] = policy
    if old is not None and policy == SINGLE:
        _downgrade(spec, before)
    causes = [*_contradictions(spec, before, policy)]
    addresses = [address for address in spec.get("clusterIPs") or () if address != "None"]
    families = list(spec.get("ipFamilies") or ())
    for position, address in enumerate(addresses[len(families) :], len(families)):
        if family_of(address) in configured:
            families.append(family_of(address))
        else:
            told = f"{family_of(address)} is not configured on this cluster"
            causes.append(wrong(f"spec.clusterIPs[{position}]", addresses, told))
    if not causes and not is_bare:
        causes += _unconfigured(families, policy, configured)
    if causes:
        raise invalid(service, causes)
    families = families or [configured[0]]
    if policy != SINGLE and len(families) == 1 and (is_bare or len(configured) == 2):
        families.append(IPV6 if families[0] == IPV4 else IPV4)
    return {**service, "spec": {**spec, "ipFamilies": families}}


def _stays_preferred(spec: Object, before: Object) -> bool:
    """A PreferDualStack Service is as it was made until its client says otherwise, whatever the cluster becomes."""
    names = ("ipFamilyPolicy", "ipFamilies", "clusterIPs")
    return before.get("ipFamilyPolicy") == "PreferDualStack" and all(spec.get(n) == before.get(n) for n in names)


def _downgrade(spec: Object, before: Object) -> None:
    """A Service that is to be of one family lets its second go, where the client did not touch the lists."""
    for name in ("clusterIPs", "ipFamilies"):
        if spec.get(name) == before.get(name) and len(spec.get(name) or ()) > 1:
            spec[name] = spec[name][:1]


def _contradictions(spec: Object, before: Object, policy: str) -> Causes:
    at = "spec.ipFamilyPolicy"
    for name, what, single in (
        ("clusterIPs", "cluster IPs", "cluster IP"),
        ("ipFamilies", "IP families", "IP family"),
    ):
        count, was = len(spec.get(name) or ()), len(before.get(name) or ())
        if policy == SINGLE and count == 2:
            told = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            yield wrong(at, policy, told)
        if policy != SINGLE and was == 2 and count == 1:
            yield wrong(at, policy, f"must be 'SingleStack' to release the secondary {single}")


def _unconfigured(families: Sequence[str], policy: str, configured: Sequence[str]) -> Causes:
    if policy == REQUIRE and len(configured) < 2:
        yield wrong("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")
    for position, family in enumerate(families):
        if family not in configured:
            yield wrong(f"spec.ipFamilies[{position}]", family, "not configured on this cluster")
