"""One error tree, 1:1 with Kubernetes' `Status.reason` and HTTP code (apimachinery, pkg/api/errors).

ApiError
  BadRequest 400        Unauthorized 401      Forbidden 403       NotFound 404
  MethodNotAllowed 405  NotAcceptable 406     AlreadyExists 409   Conflict 409
  Expired 410           TooLarge 413          UnsupportedMediaType 415
  Invalid 422           TooManyRequests 429   InternalError 500   Unavailable 503   Timeout 504
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One offending field of a request: `field` is its path, `reason` a CamelCase constant."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def to_status(self) -> dict[str, str]:
        """A StatusCause, without what is empty."""
        told = {"field": self.field, "message": self.message, "reason": self.reason}
        return {name: _short(text, _CAUSE_CHARS_MAX) for name, text in told.items() if text}


#: Answers show what was wrong, as long as the client has made it, some of it many times over.
_CAUSE_CHARS_MAX, _CAUSES_CHARS_MAX, _MESSAGE_CHARS_MAX = 4 << 10, 256 << 10, 32 << 10


def _short(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else f"{text[:chars_max]}..."


def _told(causes: Sequence[Cause]) -> Iterator[dict[str, str]]:
    """As many as there is room for."""
    room = _CAUSES_CHARS_MAX
    for cause in causes:
        told = cause.to_status()
        room -= sum(map(len, told.values()))
        if room < 0:
            return
        yield told


class ApiError(Exception):
    """A request refused, with Kubernetes' own answer. `causes`: every offending field; `cursor`: of a list."""

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after_seconds: int = 0,
        cursor: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.name, self.group, self.kind, self.uid = name, group, kind, uid
        self.causes = tuple(causes)
        self.retry_after_seconds = retry_after_seconds
        self.cursor = cursor

    def to_status(self) -> dict[str, Any]:
        """The `Status` object that goes to the client."""
        details: dict[str, Any] = {
            key: value
            for key, value in (
                ("name", _short(self.name, _CAUSE_CHARS_MAX)),
                ("group", self.group),
                ("kind", self.kind),
                ("uid", self.uid),
                ("causes", [*_told(self.causes)]),
                ("retryAfterSeconds", self.retry_after_seconds),
            )
            if value
        }
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.cursor} if self.cursor else {},
            "status": "Failure",
            "message": _short(self.message, _MESSAGE_CHARS_MAX),
            "reason": self.reason,
            "code": self.code,
        }
        if not self.reason:
            del status["reason"]
        if details:
            status["details"] = details
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    """The revision asked for is no longer retained: list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    """The part that must answer is restarting: nothing was done, or the idempotency key makes a repeat safe."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {cls.reason: cls for cls in ApiError.__subclasses__()}


_CAUSE = ("field", "message", "reason")


def from_status(status: dict[str, Any]) -> ApiError:
    """The exception that `to_status` came from. A reason of somebody else's is an InternalError that tells that reason
    and its code."""
    details = status.get("details") or {}
    cls = _BY_REASON.get(str(status.get("reason")), InternalError)
    error = cls(
        str(status.get("message", "")),
        name=details.get("name", ""),
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        uid=details.get("uid", ""),
        causes=[Cause(*(str(row.get(name, "")) for name in _CAUSE)) for row in details.get("causes") or ()],
        retry_after_seconds=details.get("retryAfterSeconds", 0),
        cursor=(status.get("metadata") or {}).get("continue", ""),
    )
    error.code, error.reason = int(status.get("code") or cls.code), str(status.get("reason", ""))
    return error
