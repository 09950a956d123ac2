"""NodeAffinity: `nodeSelector` and required node affinity must match; preferred terms add up to a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from actors.api.selector import Requirement
from actors.scheduler.framework import Change, Plugin, Rejection, normalized
from actors.scheduler.nodes import Bools, Floats, Ints, Nodes
from actors.scheduler.shape import Shape, Term


class NodeAffinity(Plugin, frozen=True):
    weight: int = 2
    wakes_on: ClassVar[Change] = Change.NODE_ADDED | Change.NODE_LABEL

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        if not shape.node_selector and shape.required is None:
            return []
        matching = _all_of(shape.node_selector, nodes)
        if shape.required is not None:
            matching &= _any_of(shape.required, nodes)
        return [Rejection("node(s) didn't match Pod's node affinity/selector", ~matching)]

    def score(self, shape: Shape, nodes: Nodes, rows: Ints) -> Floats | None:
        if not shape.preferred:
            return None
        total = np.zeros(len(rows))
        for weight, term in shape.preferred:
            total += weight * _matches(term, nodes)[rows]
        return normalized(total)


def _any_of(terms: tuple[Term, ...], nodes: Nodes) -> Bools:
    matching = np.zeros_like(nodes.valid)
    for term in terms:
        matching |= _matches(term, nodes)
    return matching


def _matches(term: Term, nodes: Nodes) -> Bools:
    """A term without requirements matches nothing (core/v1 NodeSelectorTerm)."""
    if not term.labels and not term.fields:
        return np.zeros_like(nodes.valid)
    matching = _all_of(term.labels, nodes)
    for field in term.fields:
        matching &= np.array([field.key == "metadata.name" and field.matches({field.key: n}) for n in nodes.names])
    return matching


def _all_of(requirements: tuple[Requirement, ...], nodes: Nodes) -> Bools:
    matching = np.ones_like(nodes.valid)
    for requirement in requirements:
        matching &= nodes.select_labels(requirement.key, _tester(requirement))
    return matching


def _tester(requirement: Requirement) -> Callable[[str | None], bool]:
    """The requirement as a test of one label's value."""
    return lambda value: requirement.matches(None if value is None else {requirement.key: value})
