"""What goes wrong with a volume: always reason FailedMount; retryable when the node could change so that it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.plugins.errors import PluginError


class VolumeFault(Exception):
    """The message is for users: it names the volume's field and what to do."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


def refused(message: str) -> VolumeFault:
    """The request itself is wrong: it will never work."""
    return VolumeFault(message, retryable=False)


def unmet(message: str) -> VolumeFault:
    """The node is not as the volume needs it, for now."""
    return VolumeFault(message, retryable=True)


@contextmanager
def as_plugin_error(verb: str, what: str) -> Iterator[None]:
    """Faults and the system's errors leave the block as PluginError("storage", verb); `what` names the volume."""
    try:
        yield
    except VolumeFault as fault:
        message = f"{what}: {fault}"
        raise PluginError("storage", verb, "FailedMount", message, retryable=fault.retryable) from fault
    except OSError as error:
        raise PluginError("storage", verb, "FailedMount", f"{what}: {error}") from error
