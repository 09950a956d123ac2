"""What is counted of admission webhooks that the gateway calls (apiserver pkg/admission/metrics). `type` is `admit` for
those that may change the object."""

from __future__ import annotations

from collections.abc import Iterator

from actors.admission.webhooks.call import Asked
from actors.gateway.telemetry.series import Counter, Histogram

_PREFIX = "apiserver_admission_webhook"
_WHICH = ("name", "type", "operation")
_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)


class WebhookMeter:
    def __init__(self) -> None:
        self.seconds = Histogram(
            f"{_PREFIX}_admission_duration_seconds", "How long webhooks took.", (*_WHICH, "rejected"), _SECONDS
        )
        self.total = Counter(
            f"{_PREFIX}_request_total", "Calls of webhooks.", ("name", "type", "code", "operation", "rejected")
        )
        self.rejections = Counter(
            f"{_PREFIX}_rejection_count", "Requests that webhooks refused, or did not let be judged.",
            (*_WHICH, "error_type", "rejection_code"),
        )  # fmt: skip
        self.fails_open = Counter(
            f"{_PREFIX}_fail_open_count", "Calls that failed, and the request went on.", ("name", "type")
        )

    def told(self, asked: Asked) -> None:
        kind = "admit" if asked.is_mutating else "validating"
        rejected = "false" if asked.passed else "true"
        self.seconds.observe((asked.name, kind, asked.operation, rejected), asked.seconds)
        self.total.add((asked.name, kind, str(asked.code or 200), asked.operation, rejected))
        if not asked.passed:
            why, code = ("calling_webhook_error", 0) if asked.failed else ("no_error", asked.code)
            self.rejections.add((asked.name, kind, asked.operation, why, str(code)))
        elif asked.failed:
            self.fails_open.add((asked.name, kind))

    def series(self) -> Iterator[Counter | Histogram]:
        yield from (self.seconds, self.total, self.rejections, self.fails_open)
