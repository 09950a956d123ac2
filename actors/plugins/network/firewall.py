"""Hosts that drop forwarded packets by default, as Docker leaves them: pods are let through by rules of our own.

An accept in our nftables table cannot undo a drop in another, so the rules go where the policy is, through the host's
own `iptables`, which knows whether that is the kernel's old or new tables. Without a dropping policy nothing is done.
"""

from __future__ import annotations

import shutil
import subprocess

from actors.plugins.network.config import NetworkConfig

_TIMEOUT_S = 15


class ForwardPolicy:
    """`ensure_open` and `remove` may be repeated."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._iptables = shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin:/bin")

    def ensure_open(self) -> str:
        """A warning in a sentence when pods stay shut in, else ""."""
        if not self._drops():
            return ""
        for rule in self._rules():
            if self._run("-C", *rule) is None and self._run("-I", *rule) is None:
                return "the host's FORWARD policy is DROP and iptables refused our rules: pods reach only this node"
        return ""

    def remove(self) -> None:
        if self._config.bridge in (self._run("-S", "FORWARD") or ""):
            for rule in self._rules():
                self._run("-D", *rule)

    def _drops(self) -> bool:
        return (self._run("-S", "FORWARD") or "").startswith("-P FORWARD DROP")

    def _rules(self) -> list[list[str]]:
        """Out of pods; back to them, and to their host ports; and from pods of other nodes."""
        bridge, comment = self._config.bridge, ["-m", "comment", "--comment", "raypod"]
        return [
            ["FORWARD", "-i", bridge, *comment, "-j", "ACCEPT"],
            ["FORWARD", "-o", bridge, "-s", self._config.cluster_cidr, *comment, "-j", "ACCEPT"],
            [
                *("FORWARD", "-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT"),
                *(*comment, "-j", "ACCEPT"),
            ],
        ]

    def _run(self, *words: str) -> str | None:
        """Its output; None when it failed or is not there."""
        if self._iptables is None:
            return None
        try:
            command = [self._iptables, "-w", "5", *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None
