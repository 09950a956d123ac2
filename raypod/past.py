"""Objects of any kind, now and as they were, and who changed them: what `raypod get` and `raypod history` show.

A kind is named as kubectl takes it: `pods`, `pod`, `po`, `Pod`, `deployments.apps`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from raypod.api import ApiClient

Object = dict[str, Any]
#: A time: an aware or local datetime, ISO 8601 text (local without a zone), or how long ago: 90s, 10m, 2h, 1d.
When = str | datetime

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_AGO = re.compile(r"(\d{1,6})([smhd])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOG = "/apis/raypod.io/v1/log"


class Kind(NamedTuple):
    """As discovery tells it. `prefix`: of its paths, `/apis/apps/v1`."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """`namespace` "": of all of them."""
        place = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{self.prefix}{place}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


def format_when(when: When, now: datetime) -> str:
    """RFC 3339 in UTC. Raises ValueError for a text that is no time."""
    if isinstance(when, str):
        ago = _AGO.match(when.strip())
        try:
            when = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(when.strip())
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{when!r} is not a time: write 2026-11-23T10:00, or 10m for ten minutes ago") from error
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def point_in_time(at: When | None, revision: int) -> dict[str, Any]:
    """The parameters of a read. Raises ValueError."""
    if at is not None and revision:
        raise ValueError("at and revision: name one of them")
    if revision < 0:
        raise ValueError(f"revision: a positive number, not {revision}")
    if at is not None:
        return {"at": format_when(at, datetime.now(UTC))}
    return {"resourceVersion": revision, "resourceVersionMatch": "Exact"} if revision else {}


async def find_kind(api: ApiClient, word: str) -> Kind:
    """Raises ValueError for a kind that is not served."""
    plain, _, group = word.lower().partition(".")
    for root in ("/api", "/apis"):
        found = await api.get(root, accept=_AGGREGATED)
        for served in found.get("items") or ():
            name = (served.get("metadata") or {}).get("name", "")
            if group and group != name:
                continue
            version = served["versions"][0]
            for resource in version["resources"]:
                if plain in _words(resource):
                    prefix = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                    return Kind(prefix, resource["resource"], resource["scope"] == "Namespaced")
    raise ValueError(f"the cluster has no kind {word!r}: `kubectl api-resources` lists what there is")


def _words(resource: Object) -> set[str]:
    kind = (resource.get("responseKind") or {}).get("kind", "")
    return {resource["resource"], kind.lower(), resource.get("singularResource", ""), *resource.get("shortNames", ())}


async def read_history(api: ApiClient, kind: Kind, namespace: str, name: str) -> Object:
    return await api.get(kind.path(namespace, name) + "/history")


def format_bound(bound: When | int | None) -> object:
    """An end of a range of the log: a revision, or a time."""
    if bound is None or isinstance(bound, int) or (isinstance(bound, str) and bound.isdigit()):
        return bound
    return format_when(bound, datetime.now(UTC))


async def read_log(api: ApiClient, since: When | int | None, until: When | int | None) -> AsyncIterator[Object]:
    """A dict for each change, oldest first. Raises ConnectionResetError when what comes next is no longer retained."""
    async for line in api.lines(_LOG, since=format_bound(since), until=format_bound(until)):
        yield json.loads(line)
