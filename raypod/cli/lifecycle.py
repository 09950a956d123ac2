"""up, down, status, kubeconfig: the control plane itself."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from raypod import control
from raypod.cli.output import Format, Output, Progress, format_bytes, print_json, print_table
from raypod.errors import ClusterUnreachable
from raypod.kubeconfig import kubeconfig_path

#: So many reasons for waiting are told by `status`.
_REASONS_MAX = 12
_STEPS = {
    "ray": "Ray is up",
    "attached": "attached to Ray",
    "actors": "the control plane's actors are started",
    "api": "the API answers",
    "nodes": "the nodes are Ready",
    "containers": "the containers are stopped",
    "processes": "the processes are ended",
    "done": "nothing is left",
}

Address = Annotated[str, typer.Option(help="a running Ray cluster, host:port or auto; else an embedded one is started")]


def up(
    address: Address = "",
    config: Annotated[str, typer.Option(help="a raypod configuration (YAML)")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Start the control plane and wait until the API answers and the nodes are Ready."""
    progress = Progress(output is Format.TABLE)
    try:
        result = control.bring_up(config, address, lambda step: progress.show(_STEPS.get(step, step)))
    finally:
        progress.clear()
    if output is Format.JSON:
        print_json(result)
        return
    seconds = sum(result.get("seconds", {}).values())
    nodes = ", ".join(result.get("nodes", ()))
    verb = "was up already" if result.get("already") else f"is up after {seconds:.1f} s"
    sys.stdout.write(
        f"raypod {verb}: {result.get('url')}, nodes {nodes}\n"
        f"kubectl: export KUBECONFIG={result.get('kubeconfig')}\n"
        "try: raypod run host -- echo hello\n"
    )


def down(address: Address = "", output: Output = Format.TABLE) -> None:
    """Stop all containers and the control plane. Configuration, certificates, logs and images stay."""
    progress = Progress(output is Format.TABLE)
    try:
        result = control.take_down(address, lambda step: progress.show(_STEPS.get(step, step)))
    finally:
        progress.clear()
    if output is Format.JSON:
        print_json(result)
    else:
        for sentence in result.get("swept", ()):
            sys.stderr.write(f"raypod: {sentence}\n")
        sys.stdout.write("raypod is down\n")


def kubeconfig(output: Output = Format.TABLE) -> None:
    """Print the path of the kubeconfig."""
    path = kubeconfig_path()
    if not path.exists():
        raise ClusterUnreachable(f"no kubeconfig at {path}: start a control plane with `raypod up`")
    if output is Format.JSON:
        print_json({"path": str(path)})
    else:
        sys.stdout.write(f"{path}\n")


def status(output: Output = Format.TABLE) -> None:
    """Nodes, GPUs, pods and the control plane's actors on one screen."""
    from raypod.sync import Cluster

    with Cluster(start=False) as cluster:
        found = cluster.status()
    if output is Format.JSON:
        print_json(found)
        return
    _print_nodes(found["nodes"])
    _print_gpus(found["nodes"])
    _print_actors(found["actors"])
    counts = ", ".join(f"{count} {phase}" for phase, count in found["pods"].items()) or "none"
    sys.stdout.write(f"\npods: {counts}\n")
    sys.stdout.writelines(f"  {line}\n" for line in format_pending(found["pending"]))
    sys.stdout.write("healthy\n" if found["healthy"] else "NOT healthy\n")


def format_pending(pods: list[dict[str, Any]]) -> list[str]:
    """A line for each reason, on one screen: pods that wait for the same are counted."""
    by_reason: dict[str, list[str]] = {}
    for pod in pods:
        by_reason.setdefault(pod["message"], []).append(f"{pod['namespace']}/{pod['name']}")
    lines = [
        f"pending {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {reason}"
        for reason, names in by_reason.items()
    ]
    rest = lines[_REASONS_MAX:]
    return lines[:_REASONS_MAX] + ([f"and {len(rest)} more reasons: kubectl get pods"] if rest else [])


def _print_nodes(nodes: list[dict[str, Any]]) -> None:
    rows = []
    for node in nodes:
        asked, free = node["requested"], node["allocatable"]
        rows.append(
            (
                node["name"],
                node["status"],
                node["address"],
                node["pods"],
                f"{asked['cpu'] / 1000:g}/{free['cpu'] / 1000:g}",
                f"{format_bytes(asked['memory'])}/{format_bytes(free['memory'])}",
                f"{asked['nvidia.com/gpu']}/{free['nvidia.com/gpu']}",
            )
        )
    print_table(("NODE", "STATUS", "ADDRESS", "PODS", "CPUS", "MEMORY", "GPUS"), rows)


def _print_gpus(nodes: list[dict[str, Any]]) -> None:
    rows = []
    for node in nodes:
        for resource, devices in node["devices"].items():
            for device in devices:
                attributes = device.get("attributes") or {}
                model = attributes.get("model", resource)
                memory = format_bytes(attributes["memoryBytes"]) if "memoryBytes" in attributes else "-"
                state = "healthy" if device.get("healthy", True) else device.get("reason", "unhealthy")
                rows.append((device["id"], node["name"], model, memory, state))
    if rows:
        sys.stdout.write("\n")
        print_table(("GPU", "NODE", "MODEL", "MEMORY", "HEALTH"), rows)


def _print_actors(actors: list[dict[str, Any]]) -> None:
    sys.stdout.write("\n")
    rows = (
        (
            actor["name"],
            actor.get("node", ""),
            "alive" if actor["alive"] else f"away: {actor.get('message', '')}",
            actor.get("restarts", 0),
        )
        for actor in actors
    )
    print_table(("ACTOR", "NODE", "STATE", "RESTARTS"), rows)
