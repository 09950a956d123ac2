"""What the runtime reads from and writes to its host by itself: facts about the node, a sandbox's files, the trash."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

from actors.plugins.network.port import NetworkResult
from actors.plugins.runtime.planning import Node, format_hosts
from actors.plugins.runtime.port import SandboxSpec

_NO_DEVICES = ("pts", "shm", "mqueue", "fd")


def read_node(hidden_paths: tuple[str, ...]) -> Node:
    return Node(
        machine=os.uname().machine,
        hostname=socket.gethostname(),
        hidden_paths=hidden_paths,
        shown_path=sys.prefix,
        devices=tuple(_list_devices("/dev")),
    )


def _list_devices(directory: str) -> list[tuple[str, str, int, int]]:
    """What a privileged container finds in its /dev: the host's nodes without its terminals."""
    found: list[tuple[str, str, int, int]] = []
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.path):
        if entry.is_dir(follow_symlinks=False):
            found += _list_devices(entry.path) if entry.name not in _NO_DEVICES else []
            continue
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
            if kind and not entry.name.startswith("tty"):
                found.append((entry.path, kind, os.major(status.st_rdev), os.minor(status.st_rdev)))
    return found


def write_etc(directory: str, spec: SandboxSpec, hostname: str, network: NetworkResult) -> None:
    """The sandbox's resolv.conf, hosts and hostname: the spec's text, else the network's, else the host's."""
    nameservers = "".join(f"nameserver {server}\n" for server in network.nameservers)
    shared = _read_text("/etc/hosts") + spec.etc_hosts if spec.host_network else ""
    texts = {
        "resolv.conf": spec.resolv_conf or nameservers or _read_text("/etc/resolv.conf"),
        "hosts": shared or format_hosts(spec, hostname, network.ips),
        "hostname": f"{hostname}\n",
    }
    for name, text in texts.items():
        with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def delete_all(directory: str) -> None:
    """Everything in a directory; what cannot be deleted waits for the next time."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            shutil.rmtree(entry.path, ignore_errors=True)
