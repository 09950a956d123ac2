"""`kubectl get jobs`."""

from __future__ import annotations

from actors.api.clock import Millis, parse_time
from actors.api.meta import LabelSelector, Lens, Resource
from actors.api.workloads import JobStatus
from actors.gateway.tables.table import (
    AGE,
    NAME,
    Cell,
    Column,
    Printer,
    Template,
    age,
    containers_and_images,
    format_duration,
    format_selector,
    wide,
)

_CONDITION_WORDS = {
    "Complete": "Complete",
    "Failed": "Failed",
    "Suspended": "Suspended",
    "FailureTarget": "FailureTarget",
    "SuccessCriteriaMet": "SuccessCriteriaMet",
}


class ShownSpec(Lens, frozen=True):
    completions: int | None = None
    parallelism: int | None = None
    selector: LabelSelector | None = None
    template: Template = Template()


class ShownJob(Resource, frozen=True):
    spec: ShownSpec = ShownSpec()
    status: JobStatus = JobStatus()


def status_word(job: ShownJob) -> str:
    met = {c.type for c in job.status.conditions or () if c.status == "True"}
    for name in ("Complete", "Failed"):
        if name in met:
            return name
    if job.metadata.is_deleting:
        return "Terminating"
    return next((word for name, word in _CONDITION_WORDS.items() if name in met), "Running")


def _completions(job: ShownJob) -> str:
    spec, done = job.spec, job.status.succeeded
    if spec.completions is not None:
        return f"{done}/{spec.completions}"
    return f"{done}/1 of {spec.parallelism}" if (spec.parallelism or 0) > 1 else f"{done}/1"


def _duration(job: ShownJob, now: Millis) -> str:
    if not job.status.start_time:
        return ""
    end = parse_time(job.status.completion_time) if job.status.completion_time else now
    return format_duration(end - parse_time(job.status.start_time))


def cells(job: ShownJob, now: Millis) -> tuple[Cell, ...]:
    return (
        job.metadata.name,
        status_word(job),
        _completions(job),
        _duration(job, now),
        age(job, now),
        *containers_and_images(job.spec.template),
        format_selector(job.spec.selector),
    )


COLUMNS = (
    NAME,
    Column("Status", description="Status of the job."),
    Column("Completions", description="How many pods have succeeded, of how many that must."),
    Column("Duration", description="Time from start to completion, or to now."),
    AGE,
    *wide("Containers", "Images", "Selector"),
)
PRINTER = Printer(COLUMNS, ShownJob, cells)
