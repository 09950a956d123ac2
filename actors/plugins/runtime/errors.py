"""The runtime's failures as PluginErrors, each with Kubernetes' reason and whether trying again can help."""

from __future__ import annotations

import re

from actors.plugins.errors import PluginError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
#: Exit codes of a container whose process never ran, as shells and runc word them.
NOT_FOUND_CODE, NOT_EXECUTABLE_CODE, START_ERROR_CODE = 127, 126, 128
#: What Kubernetes says of a container that vanished while nobody watched.
UNKNOWN_CODE, UNKNOWN_REASON = 255, "ContainerStatusUnknown"


def runtime_error(verb: str, reason: str, message: str, *, retryable: bool = True, exit_code: int = 0) -> PluginError:
    return PluginError("runtime", verb, reason, message, retryable=retryable, exit_code=exit_code)


def not_found(verb: str, what: str, name: str) -> PluginError:
    return runtime_error(verb, "NotFound", f"there is no {what} {name!r} on this node", retryable=False)


def check_id(verb: str, name: str) -> None:
    """Ids become directory and cgroup names: refuse any that could leave their folder."""
    if not _ID.fullmatch(name):
        raise runtime_error(verb, "InvalidArgument", f"{name!r} is no id: use letters, digits, . _ -", retryable=False)
