"""Lenses over CronJob (batch/v1)."""

from __future__ import annotations

from actors.api.meta import Lens, Resource
from actors.api.workloads.template import PodTemplate


class JobReference(Lens, frozen=True):
    name: str = ""
    uid: str = ""


class CronJobSpec(Lens, frozen=True):
    schedule: str = ""
    job_template: PodTemplate = PodTemplate()
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    successful_jobs_history_limit: int | None = 3
    failed_jobs_history_limit: int | None = 1


class CronJobStatus(Lens, frozen=True):
    active: tuple[JobReference, ...] | None = None
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(Resource, frozen=True):
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()
