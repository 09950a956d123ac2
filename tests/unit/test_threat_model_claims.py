"""Every claim of docs/threat-model.md names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_claim_has_its_test() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert named - there == set()
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    claims = [
        row for row in rows if not row.startswith(("| cannot", "| secret", "| key", "| the log", "| audit", "| key"))
    ]
    assert len(claims) > 15
    assert all("`test_" in row for row in claims)
