"""Seeds in, outcomes out: one in this process, or many side by side in forked ones."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Iterable, Iterator

import msgspec

from actors.sim.laws import Breach
from actors.sim.trace import Trace
from actors.sim.world import World

#: How to see what happened.
REPLAY = "python -m actors.sim --seed {} --trace"


class Outcome(msgspec.Struct, frozen=True):
    """`digest` is over all that happened, `faults` counts what struck, `problem` says what is wrong ("": nothing)."""

    seed: int
    digest: str
    faults: dict[str, int]
    problem: str = ""

    def __str__(self) -> str:
        if not self.problem:
            return f"seed {self.seed} passed, digest {self.digest}"
        return f"seed {self.seed} FAILED: {self.problem}\n  replay: {REPLAY.format(self.seed)}"


def run_seed(seed: int, trace: Trace | None = None) -> Outcome:
    """Whatever a core raises is a failure of the seed, with its story."""
    world, problem = World(seed, trace=trace), ""
    try:
        world.run()
    except Breach as breach:
        problem = str(breach)
    except Exception:
        problem = traceback.format_exc()
    finally:
        world.close()
    return Outcome(seed, world.trace.digest, world.faults.counts, problem)


def run_seeds(seeds: Iterable[int]) -> Iterator[Outcome]:
    """As they are done, on all processors."""
    with multiprocessing.get_context("fork").Pool(os.cpu_count() or 1) as pool:
        yield from pool.imap_unordered(run_seed, seeds)
