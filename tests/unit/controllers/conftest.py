"""A store with all controllers and a scheduler against it."""

from __future__ import annotations

import pytest
from corerig import Rig

from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.scheduler.core import SchedulerCore


@pytest.fixture
def rig() -> Rig:
    rig = Rig(ControllersCore(all_controllers(ControllersConfig(ca_pem="PEM"))), SchedulerCore())
    rig.settle()
    return rig
