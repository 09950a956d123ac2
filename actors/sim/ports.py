"""Any port of a node, made unreliable: its verbs fail by chance, before they were carried out or after."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from actors.plugins.errors import PluginError
from actors.sim.faults import Faults


class FaultyPort:
    """Stands for `port`. What is not an async verb passes untouched."""

    def __init__(self, name: str, port: object, faults: Faults) -> None:
        self._name, self._port, self._faults = name, port, faults

    def __getattr__(self, verb: str) -> Any:
        member = getattr(self._port, verb)
        return self._unreliable(verb, member) if inspect.iscoroutinefunction(member) else member

    def _unreliable(self, verb: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def attempt(*args: Any, **options: Any) -> Any:
            if not self._faults.strikes("plugin_failure"):
                return await call(*args, **options)
            if self._faults.strikes("plugin_late_failure"):
                await call(*args, **options)
            raise PluginError(self._name, verb, "SimulatedFailure", f"{verb} failed, as simulated")

        return attempt
