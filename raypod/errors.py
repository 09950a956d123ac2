"""What can go wrong for a user, in sentences that say what to do.

RaypodError
  ClusterUnreachable   no control plane, a wrong kubeconfig, or it does not answer
  ControlPlaneError    `raypod up` or `down` failed
  ApiError             the API refused; carries Kubernetes' Status
    NotFound, NameTaken
  SomeRefused          of many things some were refused; carries what became of each
  WaitTimeout          also a TimeoutError; says what is being waited for
  CallError            a function could not be run or its result not be brought back
  CommandNotStarted    exec: there is no such command in the container, or it cannot be run
  CopyError            files could not be copied into or out of a container
"""

from __future__ import annotations

from typing import Any


class RaypodError(Exception):
    """Of which all others are."""


class ClusterUnreachable(RaypodError):
    """No answer from an API: the sentence says which and what to do."""


class ControlPlaneError(RaypodError):
    """`raypod up` or `raypod down` did not succeed."""


class WaitTimeout(RaypodError, TimeoutError):
    """The time given is over; the run goes on."""


class CallError(RaypodError):
    """Not the function's own exception: that one is raised as it is."""


class CommandNotStarted(RaypodError):
    """`exit_code`: what a shell would answer: 127 where there is no such command, 126 where it cannot be executed."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CopyError(RaypodError):
    """What was copied until then stays; a file bears its name only when all of it is there."""


class ApiError(RaypodError):
    """A refusal. `code` and `reason` as in Kubernetes' Status; `causes`: (field, message) of each bad field."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(str(status.get("message") or f"the API answered {status.get('code')}"))
        self.code = int(status.get("code") or 0)
        self.reason = str(status.get("reason") or "")
        details = status.get("details") or {}
        self.causes = [(cause.get("field", ""), cause.get("message", "")) for cause in details.get("causes") or ()]


class NotFound(ApiError):
    """No such object."""


class NameTaken(ApiError):
    """An object of that name exists."""


class SomeRefused(RaypodError):
    """`results`: in order, what was made or the ApiError that refused it."""

    def __init__(self, what: str, results: list[Any]) -> None:
        refusals = [result for result in results if isinstance(result, ApiError)]
        super().__init__(f"{len(refusals)} of {len(results)} {what} were refused; the first because {refusals[0]}")
        self.results = results


def error_from_status(status: dict[str, Any]) -> ApiError:
    """The subclass that fits."""
    by_reason = {"NotFound": NotFound, "AlreadyExists": NameTaken}
    return by_reason.get(str(status.get("reason")), ApiError)(status)
