"""image ls, pull, load, rm: on one node or on all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from raypod.cli.output import Format, Output, Progress, format_age, format_bytes, print_json, print_table
from raypod.errors import ApiError

Node = Annotated[str, typer.Option("--node", help="one node; else all")]


def ls(node: Node = "", output: Output = Format.TABLE) -> None:
    """Images on the nodes."""
    found = _on_nodes(node, lambda cluster, name: cluster.image(name, "list")["images"])
    if output is Format.JSON:
        print_json(found)
        return
    rows = [
        (", ".join(image.get("tags") or ()) or "<none>", image["id"].removeprefix("sha256:")[:12], name,
         format_bytes(image.get("sizeBytes", 0)),
         format_age(image["pulledAtMs"] / 1000) if image.get("pulledAtMs") else "")
        for name, images in found.items()
        for image in images
    ]  # fmt: skip
    print_table(("IMAGE", "ID", "NODE", "SIZE", "AGE"), rows)


def pull(
    reference: Annotated[str, typer.Argument(help="an image reference")],
    node: Node = "",
    username: Annotated[str, typer.Option(help="for the registry")] = "",
    password: Annotated[str, typer.Option(envvar="RAYPOD_REGISTRY_PASSWORD", help="for the registry")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Fetch an image onto the nodes."""
    check_reference(reference)
    _until_done(node, output, "pull", reference=reference, username=username, password=password)


def load(
    archive: Annotated[str, typer.Argument(help="an OCI archive or a docker save tar, on the node")],
    node: Node = "",
    output: Output = Format.TABLE,
) -> None:
    """Load an image from an archive that the nodes can read."""
    if not archive:
        raise ValueError("name an archive: the path of a file that `docker save` or the like has written")
    _until_done(node, output, "load", path=os.path.abspath(archive))


def rm(
    reference: Annotated[str, typer.Argument(help="an image reference")], node: Node = "", output: Output = Format.TABLE
) -> None:
    """Remove an image from the nodes; layers that no other image uses go with it."""
    _until_done(node, output, "remove", reference=reference)


def check_reference(reference: str) -> None:
    """Raises ValueError for a URL: a reference has no scheme."""
    scheme, found, rest = reference.partition("://")
    if found:
        raise ValueError(
            f"{reference!r}: an image reference has no scheme: write {rest!r}; plain HTTP is used for registries on "
            f"loopback, and for others where the configuration says so"
            if scheme == "http"
            else f"{reference!r}: an image reference has no scheme: write {rest!r}"
        )


def _on_nodes(node: str, ask: Callable[[Any, str], Any]) -> dict[str, Any]:
    from raypod.sync import Cluster

    with Cluster(start=False) as cluster:
        return {name: _ask(ask, cluster, name) for name in ([node] if node else cluster.nodes())}


def _ask(ask: Callable[[Any, str], Any], cluster: Any, node: str) -> Any:
    """Raises ApiError that names the node."""
    try:
        return ask(cluster, node)
    except ApiError as error:
        error.args = (f"{node}: {error}",)
        raise


def _until_done(node: str, output: Format, verb: str, **request: Any) -> None:
    """Ask again until it is done; each answer brings how far it is."""
    progress = Progress(output is Format.TABLE)

    def ask(cluster: Any, name: str) -> Any:
        while True:
            reply = cluster.image(name, verb, **{key: value for key, value in request.items() if value})
            if reply.get("done", True):
                return reply.get("images", [])
            progress.show(f"{name}: {_describe(reply.get('progress') or {})}")

    found = _on_nodes(node, ask)
    progress.clear()
    if output is Format.JSON:
        print_json(found)
        return
    for name, images in found.items():
        tags = ", ".join(tag for image in images for tag in image.get("tags") or [image["id"]])
        sys.stdout.write(f"{name}: {verb} {tags or request.get('reference', '')} done\n")


def _describe(progress: dict[str, Any]) -> str:
    layers = f"{progress.get('layersDone', 0)}/{progress.get('layersTotal', 0)} layers"
    amount = f"{format_bytes(progress.get('bytesDone', 0))} of {format_bytes(progress.get('bytesTotal', 0))}"
    return f"{progress.get('phase', 'working')}, {layers}, {amount}"
