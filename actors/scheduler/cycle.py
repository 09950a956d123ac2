"""One pure scheduling pass: `schedule(nodes, pending, profile, seed) -> placements + reasons`.

Equal pods are placed together. Placing k of them one by one would visit at most k nodes, and these are among the k
best at the start: so filters and scores run once over all nodes, and a heap over the k best does the rest, with the
outcome of one at a time. Nothing given is changed; the same input gives the same answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from actors.scheduler.devices import Assignment, select_devices, taken_by
from actors.scheduler.explain import count_reasons, format_reasons
from actors.scheduler.framework import Change, Plugin
from actors.scheduler.nodes import Bools, Floats, Ints, Load, Nodes
from actors.scheduler.shape import Pending, Shape

#: Reasons of the condition PodScheduled=False.
UNSCHEDULABLE, GATED = "Unschedulable", "SchedulingGated"
_CHUNK = 256  # pods placed per evaluation: bounds the matrix of (node, pods on it) scores


class Placement(msgspec.Struct, frozen=True):
    pod: Pending
    node: str
    load: Load
    assignment: Assignment


class Failure(msgspec.Struct, frozen=True):
    """Why these pods, all of one shape, found no node; `wakes_on` is what may help."""

    shape: Shape
    pods: tuple[Pending, ...]
    reason: str
    message: str
    wakes_on: Change = Change(0)


class Outcome(msgspec.Struct, frozen=True):
    """`nodes` is what was given, with all placements charged."""

    nodes: Nodes
    placements: tuple[Placement, ...]
    failures: tuple[Failure, ...]


def schedule(nodes: Nodes, pending: Iterable[Pending], profile: Sequence[Plugin], seed: int = 0) -> Outcome:
    """Higher priority first; within one priority groups of equal pods in the order of their oldest pod."""
    work = nodes.fork()
    groups: dict[tuple[int, bytes], list[Pending]] = {}
    for pod in sorted(pending, key=lambda pod: pod.order):
        groups.setdefault((-pod.shape.priority, pod.shape.fingerprint), []).append(pod)
    placements: list[Placement] = []
    failures: list[Failure] = []
    for group in groups.values():
        barred = _why_barred(group, profile)
        placed = [] if barred else _place(work, group, profile, seed)
        placements += placed
        if len(placed) < len(group):
            failures.append(barred or _explain(work, group[len(placed) :], profile))
    return Outcome(work, tuple(placements), tuple(failures))


def _why_barred(group: Sequence[Pending], profile: Sequence[Plugin]) -> Failure | None:
    """For pods that no node could take as they are: nothing but a change of themselves helps."""
    shape = group[0].shape
    if shape.error:
        return Failure(shape, tuple(group), UNSCHEDULABLE, f"the pod's requirements cannot be read: {shape.error}")
    gates = filter(None, (plugin.pre_enqueue(shape) for plugin in profile))
    return next((Failure(shape, tuple(group), GATED, gate) for gate in gates), None)


def _place(work: Nodes, group: Sequence[Pending], profile: Sequence[Plugin], seed: int) -> list[Placement]:
    """As many of the group as fit, in its order. Charges `work` with them."""
    placements: list[Placement] = []
    while len(placements) < len(group):
        chunk = group[len(placements) : len(placements) + _CHUNK]
        rows = _pick_rows(work, chunk[0].shape, len(chunk), profile, seed)
        placements += [_settle(work, pod, row) for pod, row in zip(chunk, rows, strict=False)]
        if len(rows) < len(chunk):
            break
    return placements


def _settle(work: Nodes, pod: Pending, row: int) -> Placement:
    assignment = select_devices(pod.shape, work, row)
    load = Load(pod.shape, taken_by(assignment))
    work.charge(row, load)
    return Placement(pod, work.names[row], load, assignment)


def _pick_rows(work: Nodes, shape: Shape, count: int, profile: Sequence[Plugin], seed: int) -> list[int]:
    """The rows that `count` equal pods go to, one after the other; fewer when no more fit."""
    rows = np.flatnonzero(_feasible(work, shape, profile))
    room = np.full(len(rows), count, np.int64)
    for plugin in profile:
        bound = plugin.room(shape, work, rows)
        if bound is not None:
            np.minimum(room, bound, out=room)
    rows, room = rows[room > 0], room[room > 0]
    if not len(rows):
        return []
    fixed = _fixed_scores(work, shape, rows, profile)
    first = fixed + _scores_after(work, shape, rows, np.ones(1, np.int64), profile)[:, 0]
    ties = work.ties[rows] ^ np.uint64(seed & (2**64 - 1))
    best = _best(first, ties, count)
    steps = np.arange(1, int(room[best].max()) + 1, dtype=np.int64)
    scores = fixed[best][:, None] + _scores_after(work, shape, rows[best], steps, profile)
    return [int(rows[best[index]]) for index in _greedy(scores, room[best], count)]


def _feasible(work: Nodes, shape: Shape, profile: Sequence[Plugin]) -> Bools:
    feasible = work.valid.copy()
    for plugin in profile:
        for rejection in plugin.filter(shape, work):
            feasible &= ~rejection.nodes
    return feasible


def _fixed_scores(work: Nodes, shape: Shape, rows: Ints, profile: Sequence[Plugin]) -> Floats:
    total = np.zeros(len(rows))
    for plugin in profile:
        score = plugin.score(shape, work, rows)
        if score is not None:
            total += plugin.weight * score
    return total


def _scores_after(work: Nodes, shape: Shape, rows: Ints, counts: Ints, profile: Sequence[Plugin]) -> Floats:
    total = np.zeros((len(rows), len(counts)))
    for plugin in profile:
        score = plugin.score_after(shape, work, rows, counts)
        if score is not None:
            total += plugin.weight * score
    return total


def _best(scores: Floats, ties: np.ndarray[tuple[int], np.dtype[np.uint64]], count: int) -> Ints:
    """Indexes of the `count` highest scores, best first; equal scores by `ties`."""
    candidates = np.arange(len(scores))
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        candidates = np.flatnonzero(scores >= threshold)
    order = np.lexsort((ties[candidates], -scores[candidates]))
    best: Ints = candidates[order][:count]
    return best


def _greedy(scores: Floats, room: Ints, count: int) -> list[int]:
    """Indexes of `scores` rows, one per pod: always the row whose next score is highest, ties to the earlier row."""
    table, left = scores.tolist(), room.tolist()
    heap = [(-row[0], index) for index, row in enumerate(table)]
    heapq.heapify(heap)
    picked: list[int] = []
    used = [0] * len(table)
    while heap and len(picked) < count:
        index = heap[0][1]
        picked.append(index)
        used[index] += 1
        if used[index] < left[index]:
            heapq.heapreplace(heap, (-table[index][used[index]], index))
        else:
            heapq.heappop(heap)
    return picked


def _explain(work: Nodes, group: Sequence[Pending], profile: Sequence[Plugin]) -> Failure:
    shape = group[0].shape
    counts, refusing = count_reasons(shape, work, profile)
    wakes_on = Change.NODE_ADDED
    for plugin in refusing:
        wakes_on |= plugin.wakes_on
    return Failure(shape, tuple(group), UNSCHEDULABLE, format_reasons(counts, len(work)), wakes_on)
