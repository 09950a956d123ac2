"""`python -m actors.sim --seeds N`: run seeds of the simulated cluster; a failing one says how to replay it."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter

from actors.sim.world import World

REPLAY = "python -m actors.sim --seed {} --trace"


def run_seed(seed: int) -> tuple[int, str, dict[str, int], str]:
    """The seed, its digest, the faults that struck, and what went wrong ("": nothing)."""
    world = World(seed)
    try:
        world.run()
    except Exception as error:
        story = error if isinstance(error, AssertionError) else traceback.format_exc()
        return seed, world.trace.digest, world.faults.counts, f"{type(error).__name__}: {story}"
    finally:
        world.close()
    return seed, world.trace.digest, world.faults.counts, ""


def run_one(seed: int) -> int:
    """With the trace's end on standard output."""
    world = World(seed)
    try:
        world.run()
    except Exception as error:
        sys.stdout.write("\n".join(world.trace.lines) + f"\n{type(error).__name__}: {error}\n")
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        return 1
    sys.stdout.write("\n".join(world.trace.lines) + f"\nseed {seed} passed, digest {world.trace.digest}\n")
    return 0


def run_many(first: int, count: int) -> int:
    started, failed, faults = time.monotonic(), 0, Counter[str]()
    with multiprocessing.get_context("fork").Pool(min(count, os.cpu_count() or 1)) as pool:
        for done, (seed, _, struck, problem) in enumerate(
            pool.imap_unordered(run_seed, range(first, first + count)), 1
        ):
            faults.update(struck)
            if problem:
                failed += 1
                sys.stdout.write(f"seed {seed} FAILED: {problem}\n  replay: {REPLAY.format(seed)}\n")
            if done % 25 == 0 or done == count:
                sys.stderr.write(f"\r{done}/{count} seeds, {failed} failed, {time.monotonic() - started:.0f} s")
    sys.stderr.write("\n")
    struck_list = ", ".join(f"{name} {times}" for name, times in sorted(faults.items()))
    sys.stdout.write(f"{count - failed} passed, {failed} failed; faults: {struck_list}\n")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m actors.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happened")
    options = parser.parse_args()
    if options.seed is None:
        return run_many(options.first, options.seeds)
    return run_one(options.seed) if options.trace else run_many(options.seed, 1)


if __name__ == "__main__":
    sys.exit(main())
