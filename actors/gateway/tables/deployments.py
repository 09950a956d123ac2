"""`kubectl get deployments`."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.meta import LabelSelector, Lens, Resource
from actors.api.workloads import DeploymentStatus
from actors.gateway.tables.table import (
    AGE,
    NAME,
    Cell,
    Column,
    Printer,
    Template,
    age,
    containers_and_images,
    format_selector,
    wide,
)


class ShownSpec(Lens, frozen=True):
    replicas: int = 0
    selector: LabelSelector | None = None
    template: Template = Template()


class ShownDeployment(Resource, frozen=True):
    spec: ShownSpec = ShownSpec()
    status: DeploymentStatus = DeploymentStatus()


def cells(deployment: ShownDeployment, now: Millis) -> tuple[Cell, ...]:
    spec, status = deployment.spec, deployment.status
    return (
        deployment.metadata.name,
        f"{status.ready_replicas}/{spec.replicas}",
        status.updated_replicas,
        status.available_replicas,
        age(deployment, now),
        *containers_and_images(spec.template),
        format_selector(spec.selector),
    )


COLUMNS = (
    NAME,
    Column("Ready", description="Number of pods that are ready, of those desired."),
    Column("Up-to-date", description="Number of pods that have the desired template."),
    Column("Available", description="Number of pods that have been ready for minReadySeconds."),
    AGE,
    *wide("Containers", "Images", "Selector"),
)
PRINTER = Printer(COLUMNS, ShownDeployment, cells)
