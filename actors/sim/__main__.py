"""`python -m actors.sim --seeds N`: run seeds of the simulated cluster; a failing one says how to replay it."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from actors.sim.runner import run_seed, run_seeds
from actors.sim.trace import Trace


def run_one(seed: int, lines_max: int | None) -> int:
    """Prints the end of its trace (None: all of it)."""
    trace = Trace(lines_max)
    outcome = run_seed(seed, trace)
    sys.stdout.write("".join(f"{line}\n" for line in trace.lines) + f"{outcome}\n")
    return 1 if outcome.problem else 0


def run_many(first: int, count: int) -> int:
    """Prints what fails, and in the end how often each fault has struck."""
    started, failed, faults = time.monotonic(), 0, Counter[str]()
    for done, outcome in enumerate(run_seeds(range(first, first + count)), 1):
        faults.update(outcome.faults)
        if outcome.problem:
            failed += 1
            sys.stdout.write(f"{outcome}\n")
        if done % 25 == 0 or done == count:
            sys.stderr.write(f"\r{done}/{count} seeds, {failed} failed, {time.monotonic() - started:.0f} s")
    struck = ", ".join(f"{name} {times}" for name, times in sorted(faults.items()))
    sys.stderr.write("\n")
    sys.stdout.write(f"{count - failed} passed, {failed} failed; faults: {struck}\n")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m actors.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one seed only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happened")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds: 1 or more, not {options.seeds}")
    if options.seed is None:
        return run_many(options.first, options.seeds)
    return run_one(options.seed, None if options.trace else 0)


if __name__ == "__main__":
    sys.exit(main())
