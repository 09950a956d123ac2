"""A plugin's failure, in full: which port and verb, why, and whether trying again can help.

The nodelet turns it into an Event and a waiting reason on the pod; `message` must say what to do about it.
"""

from __future__ import annotations


class PluginError(Exception):
    """`reason` is a CamelCase constant users meet in pod statuses (`ErrImagePull`, `CreateContainerError`)."""

    def __init__(self, port: str, verb: str, reason: str, message: str, *, retryable: bool = True) -> None:
        super().__init__(f"{port}.{verb}: {reason}: {message}")
        self.port, self.verb, self.reason, self.message, self.retryable = (
            port,
            verb,
            reason,
            message,
            retryable,
        )
