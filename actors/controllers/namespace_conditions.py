"""What a terminating namespace tells of its end: five conditions, each always there (k8s
pkg/controller/namespace/deletion/status_condition_utils.go). True is trouble, or something left. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from actors.api.clock import Millis
from actors.reconcile.conditions import condition

#: What each says while all is well: (type, reason, message). What there is to find and to parse is in the log: those
#: two never fail here.
_WELL = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


class Remaining(NamedTuple):
    """How many objects there are of each resource (one of the core group is told with a dot behind it, as `pods.`), and
    how many wait for each finalizer."""

    resources: Counter[str]
    finalizers: Counter[str]


def told(remaining: Remaining, refusals: Sequence[str], now: Millis) -> list[dict[str, Any]]:
    """`refusals`: why deletions were refused."""
    troubles = dict(_troubles(remaining, refusals))
    rows = ((kind, *troubles.get(kind, (reason, message))) for kind, reason, message in _WELL)
    return [condition(kind, kind in troubles, reason, message, now) for kind, reason, message in rows]


def _troubles(remaining: Remaining, refusals: Sequence[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    if refusals:
        text = f"Failed to delete all resource types, {len(refusals)} remaining: {', '.join(sorted(refusals))}"
        yield "NamespaceDeletionContentFailure", ("ContentDeletionFailed", text)
    if remaining.resources:
        dotted = {name if "." in name else f"{name}.": count for name, count in remaining.resources.items()}
        text = f"Some resources are remaining: {_listed(dotted, 'has')}"
        yield "NamespaceContentRemaining", ("SomeResourcesRemain", text)
    if remaining.finalizers:
        text = f"Some content in the namespace has finalizers remaining: {_listed(remaining.finalizers, 'in')}"
        yield "NamespaceFinalizersRemaining", ("SomeFinalizersRemain", text)


def _listed(counts: Mapping[str, int], word: str) -> str:
    return ", ".join(f"{name} {word} {count} resource instances" for name, count in sorted(counts.items()))
