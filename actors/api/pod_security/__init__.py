"""The Pod Security Standards: what a pod of a level and version may not be (KEP-2579, pod-security-admission/policy).

`find_violations` asks every check of a level; `read_policy` reads the labels of an API namespace. Pure.
"""

from __future__ import annotations

from actors.api.pod_security.checks import Violation, describe, find_violations
from actors.api.pod_security.policy import Level, Policy, Standard, parse_standard, read_policy

__all__ = ["Level", "Policy", "Standard", "Violation", "describe", "find_violations", "parse_standard", "read_policy"]
