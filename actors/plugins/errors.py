"""A plugin's failure, in full: which port and verb, why, and whether trying again can help.

The nodelet turns it into an Event and a waiting reason on the pod; `message` must say what to do about it.
"""

from __future__ import annotations


class PluginError(Exception):
    """`reason` is a CamelCase constant users meet in pod statuses (`ErrImagePull`, `CreateContainerError`).

    `exit_code`: of a command that could not be started, what a shell would say (127, 126); else 0.
    """

    def __init__(
        self, port: str, verb: str, reason: str, message: str, *, retryable: bool = True, exit_code: int = 0
    ) -> None:
        super().__init__(f"{port}.{verb}: {reason}: {message}")
        self.port, self.verb, self.reason, self.message = port, verb, reason, message
        self.retryable, self.exit_code = retryable, exit_code
