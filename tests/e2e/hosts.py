"""Hosts made on one machine: each a network namespace (an Ethernet port on a common switch) and a PID namespace.

The switch is a bridge in a namespace of its own, so nothing of the machine's network is touched. `Host.kill` is what
pulling the plug is: every process on it is gone at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Pid 1 of a host: reaps orphans, ignores everything else.
_INIT = "import signal,time; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: time.sleep(3600)"


class Host:
    """`address` is the host's in the network `10.N.0.0/24`."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name, self.address, self._namespace = name, address, namespace
        # Not `ip netns exec`: it mounts a new /sys, without the cgroups.
        enter = ["nsenter", f"--net=/run/netns/{namespace}"]
        command = [*enter, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
        self._outer = subprocess.Popen([*command, sys.executable, "-I", "-c", _INIT], stderr=subprocess.DEVNULL)
        self._init = self._wait_init()

    def _wait_init(self) -> int:
        """The pid, as seen from here, of the host's pid 1."""
        for _ in range(500):
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.01)
        raise TimeoutError(f"the host {self.name} did not start")

    def command(self, words: Sequence[str]) -> list[str]:
        return ["nsenter", "--target", str(self._init), "--net", "--pid", "--mount", "--", *words]

    def run(
        self, *words: str, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """A command on the host, to its end."""
        return subprocess.run(
            self.command(words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})}
        )

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._init, signal.SIGKILL)
        self._outer.wait(10)


@contextlib.contextmanager
def made_hosts(count: int) -> Iterator[list[Host]]:
    """`count` hosts that reach one another, and nothing else. All is gone afterwards."""
    mark = secrets.token_hex(2)
    switch, network = f"rpsw{mark}", f"10.{64 + secrets.randbelow(60)}.7"
    hosts: list[Host] = []
    spaces = [switch]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for n in range(1, count + 1):
            space = f"rph{mark}{n}"
            _ip("netns", "add", space)
            spaces.append(space)
            _ip("-n", switch, "link", "add", f"p{n}", "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", switch, "link", "set", f"p{n}", "master", "br0", "up")
            _ip("-n", space, "addr", "add", f"{network}.{n}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")
            hosts.append(Host(f"h{n}", space, f"{network}.{n}"))
        yield hosts
    finally:
        for host in hosts:
            host.kill()
        for space in spaces:
            _ip("netns", "del", space, check=False)


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, timeout=20)
