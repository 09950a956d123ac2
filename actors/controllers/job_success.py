"""`spec.successPolicy` of an Indexed Job: which indexes, or how many, are enough (KEP-3998)."""

from __future__ import annotations

from collections.abc import Collection

from actors.api.workloads import Job
from actors.controllers.indexes import parse_indexes


def met_rule(job: Job, completed: Collection[int]) -> int | None:
    """The first rule that the completed indexes fulfil."""
    policy = job.spec.success_policy
    if policy is None or job.spec.completion_mode != "Indexed":
        return None
    for index, rule in enumerate(policy.rules):
        every = range(job.spec.completions or 0)
        named = parse_indexes(rule.succeeded_indexes, len(every)) if rule.succeeded_indexes else frozenset(every)
        wanted = rule.succeeded_count if rule.succeeded_count is not None else len(named)
        if len(named.intersection(completed)) >= wanted:
            return index
    return None
