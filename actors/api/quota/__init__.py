"""ResourceQuotas: what an object uses of what a quota counts (apiserver pkg/quota/v1, pkg/quota/v1/evaluator). Pure."""

from __future__ import annotations

from actors.api.quota.quota import Quota, ResourceQuota, exceeded, missing_requirements, read_quota
from actors.api.quota.scopes import ScopeTerm, matches_scope
from actors.api.quota.usage import IGNORED, counted_by, resources_counted, usage_of

__all__ = [
    "IGNORED",
    "Quota",
    "ResourceQuota",
    "ScopeTerm",
    "counted_by",
    "exceeded",
    "matches_scope",
    "missing_requirements",
    "read_quota",
    "resources_counted",
    "usage_of",
]
