"""Counters, gauges and histograms by their labels, and Prometheus' text form of them (exposition 0.0.4). Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

Labels = tuple[str, ...]


class Counter:
    """`values`: by the labels' values, in the order of `labels`. May go down where it is a `gauge`."""

    def __init__(self, name: str, told: str, labels: Labels = (), kind: str = "counter") -> None:
        self.name, self.told, self.labels, self.kind = name, told, labels, kind
        self.values: dict[Labels, float] = {}

    def add(self, at: Labels, value: float = 1) -> None:
        self.values[at] = self.values.get(at, 0) + value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.told, self.kind)
        yield from (_line(self.name, zip(self.labels, at, strict=True), value) for at, value in self.values.items())


class Histogram:
    """`bounds`: the upper ones of the buckets, in order."""

    def __init__(self, name: str, told: str, labels: Labels, bounds: Sequence[float]) -> None:
        self.name, self.told, self.labels, self.bounds = name, told, labels, tuple(bounds)
        self._buckets: dict[Labels, list[float]] = {}

    def observe(self, at: Labels, value: float) -> None:
        """The last of a row is the sum of the values."""
        row = self._buckets.get(at)
        if row is None:
            row = self._buckets[at] = [0.0] * (len(self.bounds) + 2)
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.told, "histogram")
        for at, row in self._buckets.items():
            named, count = list(zip(self.labels, at, strict=True)), 0.0
            for bound, held in zip((*map(_number, self.bounds), "+Inf"), row, strict=False):
                count += held
                yield _line(f"{self.name}_bucket", (*named, ("le", bound)), count)
            yield _line(f"{self.name}_sum", named, row[-1])
            yield _line(f"{self.name}_count", named, count)


def gauge(name: str, told: str, values: Mapping[Labels, float], labels: Labels = ()) -> Counter:
    """What is so now."""
    made = Counter(name, told, labels, "gauge")
    made.values = dict(values)
    return made


def text_of(series: Iterable[Counter | Histogram]) -> str:
    """Those that have no value yet are left out."""
    lines = (list(one.lines()) for one in series)
    return "".join(f"{line}\n" for group in lines if len(group) > 2 for line in group)


def _head(name: str, told: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
