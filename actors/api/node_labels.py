"""Labels that a node may not give itself: a compromised one would draw to it what is meant for others. Pure.

Of `kubernetes.io` and `k8s.io` a node sets only those that tell what it is (k8s.io/kubelet pkg/apis), and never one of
`node-restriction.kubernetes.io`, by which administrators keep nodes apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_RESTRICTED = "node-restriction.kubernetes.io"
_RESERVED = ("kubernetes.io", "k8s.io")
_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_OWN = frozenset(
    {
        *("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch"),
        *("beta.kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type"),
        *("topology.kubernetes.io/zone", "topology.kubernetes.io/region"),
        *("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"),
        *("node.kubernetes.io/instance-type", "node.kubernetes.io/windows-build"),
    }
)


def forbidden_labels(names: Iterable[str]) -> list[str]:
    """Those that a node may neither add, change nor take away, in order."""
    return sorted(name for name in names if _is_forbidden(name))


def modified_labels(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    before, after = old or {}, new or {}
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _is_forbidden(name: str) -> bool:
    domain = name.partition("/")[0] if "/" in name else ""
    if _within(domain, _RESTRICTED):
        return True
    if not any(_within(domain, reserved) for reserved in _RESERVED):
        return False
    return name not in _OWN and not any(_within(domain, own) for own in _OWN_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
