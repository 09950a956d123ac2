"""get, explain, history: objects of any kind as they are and as they were, why, and who changed them."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from enum import StrEnum
from typing import IO, Annotated, Any

import msgspec
import typer
import yaml

from raypod.cli.output import Format, Output, print_json, print_table
from raypod.errors import RaypodError

Namespace = Annotated[str, typer.Option("-n", "--namespace", help="an API namespace; else the kubeconfig's")]
_VALUE_CHARS_MAX = 60


class ObjectFormat(StrEnum):
    """`-o` of what shows objects."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def get(
    kind: Annotated[str, typer.Argument(help="a kind: pods, po, deployments.apps; or KIND/NAME")],
    name: Annotated[str, typer.Argument(help="one object; else all")] = "",
    at: Annotated[str, typer.Option("--at", help="a time: 2026-11-23T10:00, or 10m for ten minutes ago")] = "",
    revision: Annotated[int, typer.Option("--at-revision", help="a revision")] = 0,
    namespace: Namespace = "",
    all_namespaces: Annotated[bool, typer.Option("-A", "--all-namespaces")] = False,
    selector: Annotated[str, typer.Option("-l", "--selector", help="labels")] = "",
    output: Annotated[ObjectFormat, typer.Option("-o", "--output", help="table, json or yaml")] = ObjectFormat.TABLE,
) -> None:
    """Objects as they are or, with --at or --at-revision, as they were."""
    kind, name = _split(kind, name)
    shown = asyncio.run(_get(kind, name, at, revision, namespace, all_namespaces, selector, output))
    if output is ObjectFormat.TABLE:
        _print_table(shown, all_namespaces)
    elif output is ObjectFormat.JSON:
        print_json(shown)
    else:
        sys.stdout.write(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


async def _get(
    kind: str, name: str, at: str, revision: int, namespace: str, everywhere: bool, selector: str, output: ObjectFormat
) -> Any:
    from raypod import past
    from raypod.cluster import AsyncCluster

    params = past.point_in_time(at or None, revision)
    async with AsyncCluster(start=False, namespace=namespace) as cluster:
        api = await cluster.api()
        found = await past.find_kind(api, kind)
        path = found.path("" if everywhere else cluster.namespace, name)
        accept = past.TABLE if output is ObjectFormat.TABLE else ""
        return await api.get(path, accept=accept, labelSelector=selector, **params)


def explain(
    kind: Annotated[str, typer.Argument(help="a kind: pod, po, deployments.apps; or KIND/NAME")],
    name: Annotated[str, typer.Argument(help="the object")] = "",
    at: Annotated[str, typer.Option("--at", help="a time: 2026-11-23T10:00, or 10m for ten minutes ago")] = "",
    revision: Annotated[int, typer.Option("--at-revision", help="a revision")] = 0,
    namespace: Namespace = "",
    output: Output = Format.TABLE,
) -> None:
    """Why an object is as it is or, with --at or --at-revision, why it was as it was.

    Its conditions, containers and events, what it belongs to, and what of its own is in trouble.
    """
    kind, name = _split(kind, name)
    if not name:
        raise ValueError(f"{kind!r}: write KIND/NAME")
    asyncio.run(_explain(kind, name, at, revision, namespace, output))


async def _explain(kind: str, name: str, at: str, revision: int, namespace: str, output: Format) -> None:
    from raypod import past
    from raypod.cluster import AsyncCluster
    from raypod.explain import format_story, read_story, seen_at

    when = past.point_in_time(at or None, revision)
    async with AsyncCluster(start=False, namespace=namespace) as cluster:
        story = await read_story(await cluster.api(), kind, cluster.namespace, name, when)
    if output is Format.JSON:
        print_json(msgspec.to_builtins(story))
        return
    for line in format_story(story, seen_at(when)):
        sys.stdout.write(f"{line}\n")


def _split(kind: str, name: str) -> tuple[str, str]:
    """`pods web-0`, `pods/web-0`. Raises ValueError."""
    word, slash, rest = kind.partition("/")
    if slash and (name or not rest):
        raise ValueError(f"{kind!r}: write KIND NAME or KIND/NAME")
    return word, rest or name


def _print_table(table: Any, everywhere: bool) -> None:
    """The server's own columns; those of low priority are left to `-o json`."""
    if not table.get("rows"):
        sys.stderr.write("raypod: no such objects\n")
        return
    wanted = [at for at, column in enumerate(table["columnDefinitions"]) if not column.get("priority")]
    columns = [table["columnDefinitions"][at]["name"].upper() for at in wanted]
    rows = [[row["cells"][at] for at in wanted] for row in table["rows"]]
    if everywhere:
        columns.insert(0, "NAMESPACE")
        rows = [
            [row["object"]["metadata"].get("namespace", ""), *cells]
            for row, cells in zip(table["rows"], rows, strict=True)
        ]
    print_table(columns, rows)


def history(
    what: Annotated[str, typer.Argument(help="KIND/NAME")] = "",
    namespace: Namespace = "",
    export: Annotated[str, typer.Option("--export", help="write the log as JSON lines to this file, or - ")] = "",
    since: Annotated[str, typer.Option("--since", help="after this revision or time")] = "",
    until: Annotated[str, typer.Option("--until", help="up to this revision or time")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Who changed which field of an object when; with --export the whole log."""
    if bool(what) == bool(export):
        raise ValueError("name one object as KIND/NAME, or --export FILE for the whole log")
    if export:
        _export(export, since, until)
        return
    if since or until:
        raise ValueError("--since and --until go with --export")
    kind, name = _split(what, "")
    if not name:
        raise ValueError(f"{what!r}: write KIND/NAME")
    from raypod.sync import Cluster

    with Cluster(start=False, namespace=namespace) as cluster:
        found = cluster.history(kind, name)
    if output is Format.JSON:
        print_json(found)
    else:
        print_table(("REVISION", "TIME", "WHO", "CHANGE"), (row for item in found for row in format_item(item)))


def format_item(item: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """A line for each field of a change; revision, time and who on the first only."""
    who = " via ".join(filter(None, (item["user"], item["manager"])))
    verb = {"ADDED": f"created, uid {item['uid']}", "DELETED": f"deleted, uid {item['uid']}"}.get(item["type"])
    lines = [verb] if verb else [_format_change(change) for change in item.get("changes") or ()]
    head = (item["revision"], item["time"][:23] + "Z", who)
    return [(*(head if at == 0 else ("", "", "")), line) for at, line in enumerate(lines or ["no field of its own"])]


def _format_change(change: dict[str, Any]) -> str:
    if "from" not in change:
        return f"{change['field']}: set to {_short(change['to'])}"
    if "to" not in change:
        return f"{change['field']}: removed, was {_short(change['from'])}"
    return f"{change['field']}: {_short(change['from'])} -> {_short(change['to'])}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}..."


def _export(place: str, since: str, until: str) -> None:
    if place == "-":
        asyncio.run(_write_log(sys.stdout, since, until))
        return
    try:
        with open(place, "w", encoding="utf-8") as file:
            count = asyncio.run(_write_log(file, since, until))
    except OSError as error:
        raise RaypodError(f"cannot write {place}: {error.strerror or error}") from error
    sys.stderr.write(f"raypod: {count} changes written to {place}\n")


async def _write_log(file: IO[str], since: str, until: str) -> int:
    from raypod.cluster import AsyncCluster

    count = 0
    async with AsyncCluster(start=False) as cluster, aclosing(cluster.log(since or None, until or None)) as changes:
        async for change in changes:
            file.write(json.dumps(change, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count
