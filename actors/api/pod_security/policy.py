"""Which standard is enforced, told to the client, written to the audit log: an API namespace's labels over defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from actors.api.errors import Cause

PREFIX = "pod-security.kubernetes.io/"
LATEST = 1 << 16
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)$", re.ASCII)


class Level(IntEnum):
    """Each forbids what the one before it does, and more."""

    PRIVILEGED = 0
    BASELINE = 1
    RESTRICTED = 2


_LEVELS = {level.name.lower(): level for level in Level}


class Standard(NamedTuple):
    """`minor`: of the version whose checks count, LATEST for the newest."""

    level: Level = Level.PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level.name.lower()}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"


class Policy(NamedTuple):
    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()

    @property
    def is_idle(self) -> bool:
        return not (self.enforce.level or self.audit.level or self.warn.level)


def parse_standard(level: str, version: str) -> Standard:
    """Raises ValueError that says what there is."""
    if level not in _LEVELS:
        raise ValueError("must be one of privileged, baseline, restricted")
    return Standard(_LEVELS[level], _parse_version(version))


def _parse_version(version: str) -> int:
    if version == "latest":
        return LATEST
    match = _VERSION.match(version)
    if match is None:
        raise ValueError('must be "latest" or "v1.x"')
    return int(match[1])


def read_policy(labels: Mapping[str, str] | None, defaults: Policy) -> tuple[Policy, list[Cause]]:
    """There is always a policy. What is wrong counts as the strictest when it is enforced, as nothing otherwise."""
    causes: list[Cause] = []
    if not labels or not any(name.startswith(PREFIX) for name in labels):
        return defaults, causes
    enforce = _standard(labels, "enforce", defaults.enforce, Level.RESTRICTED, causes)
    audit = _standard(labels, "audit", defaults.audit, Level.PRIVILEGED, causes)
    warn = _standard(labels, "warn", defaults.warn, Level.PRIVILEGED, causes)
    return Policy(enforce, audit, warn), causes


def _standard(
    labels: Mapping[str, str], mode: str, default: Standard, in_doubt: Level, causes: list[Cause]
) -> Standard:
    level, minor = default
    if (text := labels.get(PREFIX + mode)) is not None:
        level = _LEVELS.get(text, in_doubt)
        if text not in _LEVELS:
            causes.append(_cause(mode, text, "must be one of privileged, baseline, restricted"))
    if (text := labels.get(f"{PREFIX}{mode}-version")) is not None:
        try:
            minor = _parse_version(text)
        except ValueError as error:
            minor = LATEST
            causes.append(_cause(f"{mode}-version", text, str(error)))
    return Standard(level, minor)


def _cause(label: str, value: str, why: str) -> Cause:
    return Cause(f"metadata.labels[{PREFIX}{label}]", f"Invalid value: {json.dumps(value)}: {why}")
