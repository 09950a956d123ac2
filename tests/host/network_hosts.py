"""Hosts on one machine for network tests: Linux network namespaces on one switch, and programs that talk in them.

Everything is made under names of this process and gone after `Lab.close`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.port import Attachment, PortMapping

_numbers = itertools.count()
_DRIVER = Path(__file__).with_name("network_driver.py")

#: Answers every request with the address that it came from.
SERVER = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((address, port))
kind == "TCP" and s.listen()
print("ready", flush=True)
while True:
    if kind == "TCP":
        c, peer = s.accept(); c.sendall(peer[0].encode()); c.close()
    else:
        _, peer = s.recvfrom(99); s.sendto(peer[0].encode(), peer)
"""
CLIENT = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "TCP" else socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[4]))
s.connect((address, port))
kind == "TCP" or s.send(b"?")
print(s.recv(99).decode())
"""


class Netns:
    """A Linux network namespace, by a path that it is bound to."""

    def __init__(self, home: Path) -> None:
        self.path = home / f"{os.getpid()}-{next(_numbers)}"
        self.path.touch()
        subprocess.run(["unshare", f"--net={self.path}", "true"], check=True, timeout=30)
        self._servers: list[subprocess.Popen[str]] = []

    def command(self, *words: str) -> list[str]:
        return ["nsenter", f"--net={self.path}", *words]

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=30, check=False)
        assert not check or done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def ip(self, words: str, *, check: bool = True) -> str:
        return self.run("ip", *words.split(), check=check)

    def serve(self, port: int, kind: str = "TCP", address: str = "0.0.0.0") -> subprocess.Popen[str]:
        """Until the test ends."""
        command = self.command(sys.executable, "-ISEc", SERVER, kind, address, str(port))
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout and server.stdout.readline() == "ready\n", server.communicate(timeout=10)
        return server

    def ask(self, address: str, port: int, kind: str = "TCP", timeout_s: float = 5) -> str:
        """What the server saw as our address; "" when nobody answered."""
        words = (sys.executable, "-ISEc", CLIENT, kind, address, str(port), str(timeout_s))
        return self.run(*words, check=False)

    def close(self) -> None:
        for server in self._servers:
            server.kill()
            server.communicate(timeout=10)
        subprocess.run(["umount", str(self.path)], check=True, timeout=30)
        self.path.unlink()


class Refused(Exception):
    """The driver's PluginError."""

    def __init__(self, reason: str, message: str, retryable: bool) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message, self.retryable = reason, message, retryable


class Host:
    """A host with a nodelet's network in a process of its own."""

    def __init__(self, lab: Lab, netns: Netns, address: str, root: Path, config: NetworkConfig) -> None:
        self.lab, self.netns, self.address, self.root, self.config = lab, netns, address, root, config
        self.prelude: list[str] = []
        self._driver: subprocess.Popen[str] | None = None

    def call(self, verb: str, argument: Any = None) -> Any:
        driver = self._driver or self.start()
        assert driver.stdin and driver.stdout
        driver.stdin.write(json.dumps([verb, msgspec.to_builtins(argument)]) + "\n")
        driver.stdin.flush()
        line = driver.stdout.readline()
        assert line, "the driver ended"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(**answer["error"])
        return answer["result"]

    def start(self) -> subprocess.Popen[str]:
        config = msgspec.json.encode(self.config).decode()
        command = self.netns.command(*self.prelude, sys.executable, str(_DRIVER), str(self.root), config)
        self._driver = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_DRIVER.parents[2],
            env=_environment(),
        )
        return self._driver

    def kill(self) -> None:
        if self._driver:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._driver.pid, signal.SIGKILL)
            self._driver.communicate(timeout=10)
            self._driver = None

    def pod(self, *ports: PortMapping, name: str = "", netns: Netns | None = None) -> Pod:
        """A pod with an address."""
        netns = netns or self.lab.netns()
        name = name or f"pod-{next(_numbers)}"
        attachment = Attachment(
            sandbox_id=f"sandbox-{name}",
            netns_path=str(netns.path),
            pod_namespace="default",
            pod_name=name,
            ports=ports,
        )
        (address,) = self.call("add", attachment)["ips"]
        return Pod(netns, attachment, address)

    def links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.netns.ip("-j link"))}


class Pod:
    def __init__(self, netns: Netns, attachment: Attachment, address: str) -> None:
        self.netns, self.attachment, self.address = netns, attachment, address


class Lab:
    """A switch with hosts `172.31.255.x`; `outside` is on it too and knows nothing of pods."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._namespaces: list[Netns] = []
        self._hosts: list[Host] = []
        self._switch = self.netns()
        self._switch.ip("link add sw type bridge")
        self._switch.ip("link set sw up")
        self.outside = self.plugged("172.31.255.254")

    def netns(self) -> Netns:
        netns = Netns(self.home)
        self._namespaces.append(netns)
        return netns

    def plugged(self, address: str) -> Netns:
        netns = self.netns()
        port = f"p{next(_numbers)}"
        self._switch.ip(f"link add {port} type veth peer name eth0 netns {netns.path}")
        self._switch.ip(f"link set {port} master sw up")
        netns.ip("link set lo up")
        netns.ip(f"addr add {address}/24 dev eth0")
        netns.ip("link set eth0 up")
        return netns

    def host(self, number: int, **config: Any) -> Host:
        """Set up with pod CIDR 10.160.<number>.0/24."""
        address = f"172.31.255.{number}"
        netns = self.plugged(address)
        netns.ip("route add default via 172.31.255.254")
        host = Host(self, netns, address, self.home / f"root{number}", NetworkConfig(**config))
        self._hosts.append(host)
        return host

    def close(self) -> None:
        for host in self._hosts:
            host.kill()
        for netns in self._namespaces:
            netns.close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_DRIVER.parents[2])}
