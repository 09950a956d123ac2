"""What a client is told of what was wrong is bounded, however much of it the client has sent."""

from __future__ import annotations

import msgspec
import pytest

from actors.api.errors import Cause, Invalid

LONG = "x" * 1_400_000


@pytest.mark.parametrize(
    "error",
    [
        Invalid(LONG, name=LONG),
        Invalid("short", causes=[Cause(f"metadata.labels[{LONG}]", f'Invalid value: "{LONG}"')] * 16),
        Invalid("short", causes=[Cause("metadata", "x" * 1_000)] * 1_000),
    ],
    ids=["message", "few causes", "many causes"],
)
def test_answers_are_bounded(error: Invalid) -> None:
    """A resource's name of a megabyte was told sixteen times."""
    status = error.to_status()
    assert len(msgspec.json.encode(status)) < 300_000
    assert all(cause["message"].startswith(("Invalid", "x")) for cause in status.get("details", {}).get("causes", ()))


def test_what_is_not_long_is_told_whole() -> None:
    causes = [Cause(f"spec.containers[{n}].name", "Required value", "FieldValueRequired") for n in range(1_000)]
    status = Invalid("m" * 32_000, causes=causes).to_status()
    assert (len(status["message"]), len(status["details"]["causes"])) == (32_000, 1_000)
