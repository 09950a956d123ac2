"""Address translation: one nftables table of our own, named for the bridge, replaced as a whole or by elements.

It masquerades what leaves the cluster, sends host ports to pods also when the host itself or the pod asks, and what
pods say to services (the API's address) to where they are. With
route_localnet on, the guard keeps pods from the host's loopback (CVE-2020-8558). Text is made by pure functions and
handed to libnftables in this process (0.5-4 ms), or else to the `nft` command.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping

from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.leases import Lease
from actors.plugins.network.port import Endpoint, PortMapping

#: Runs nftables commands as one transaction. OSError with nft's own words.
Nft = Callable[[str], None]

_WILDCARD = ("", "0.0.0.0", "::")


def format_table(config: NetworkConfig, pod_cidr: str, leases: Iterable[Lease]) -> str:
    """The whole table: applying it again replaces it atomically."""
    name = config.bridge
    outbound = f"ip saddr {pod_cidr} ip daddr != {config.cluster_cidr} masquerade" if config.masquerade else ""
    elements = "\n".join(format_elements(config, "add", lease) for lease in leases)
    return f"""
add table ip {name}
delete table ip {name}
table ip {name} {{
  map tcp_any {{ type inet_service : ipv4_addr . inet_service; }}
  map udp_any {{ type inet_service : ipv4_addr . inet_service; }}
  map tcp_one {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  map udp_one {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  map services {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}
  chain host_ports {{
    dnat ip to ip daddr . tcp dport map @tcp_one
    dnat ip to tcp dport map @tcp_any
    dnat ip to ip daddr . udp dport map @udp_one
    dnat ip to udp dport map @udp_any
  }}
  chain prerouting {{
    type nat hook prerouting priority -100;
    iifname "{name}" dnat ip to ip daddr . tcp dport map @services
    fib daddr type local jump host_ports
  }}
  chain output {{ type nat hook output priority -100; fib daddr type local jump host_ports; }}
  chain postrouting {{
    type nat hook postrouting priority 100;
    oifname "{name}" ct status dnat ip saddr {{ 127.0.0.0/8, {pod_cidr} }} masquerade
    {outbound}
  }}
  chain guard {{ type filter hook prerouting priority -300; iifname "{name}" ip daddr 127.0.0.0/8 drop; }}
}}
{elements}
"""


def format_elements(config: NetworkConfig, verb: str, lease: Lease) -> str:
    """`add` or `delete` of the map entries of one sandbox's host ports."""
    return "\n".join(
        f"{verb} element ip {config.bridge} {_map_of(mapping)} {{ {_key_of(mapping)}"
        + (f" : {lease.address} . {mapping.container_port} }}" if verb == "add" else " }")
        for mapping in lease.ports
    )


def format_services(config: NetworkConfig, targets: Mapping[Endpoint, Endpoint]) -> str:
    """Exactly these, in place of those before."""
    rows = (f"{s.address} . {s.port} : {t.address} . {t.port}" for s, t in sorted(targets.items()))
    added = f"add element ip {config.bridge} services {{ {', '.join(rows)} }}" if targets else ""
    return f"flush map ip {config.bridge} services\n{added}\n"


def format_removal(config: NetworkConfig) -> str:
    return f"add table ip {config.bridge}\ndelete table ip {config.bridge}\n"


def open_nft() -> tuple[Nft | None, str]:
    """A way to run nftables commands, or None and why there is none."""
    for soname in ("libnftables.so.1", "libnftables.so"):
        try:
            return _Library(ctypes.CDLL(soname)), ""
        except OSError:
            continue
    if path := shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        return _Command(path), ""
    return None, "neither libnftables.so.1 nor the nft command is installed (Debian: apt-get install nftables)"


class _Library:
    """libnftables(3). Its context talks to the Linux network namespace of the thread that made it."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(library.nft_ctx_new(0))
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def __call__(self, commands: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, commands.encode()):
            raw = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise OSError(errno.EINVAL, _summary(raw.decode(errors="replace")))


class _Command:
    """The `nft` command: the same, at 16-27 ms a call."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, commands: str) -> None:
        done = subprocess.run(
            [self._path, "-f", "-"], input=commands, capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            raise OSError(errno.EINVAL, _summary(done.stderr))


def _summary(text: str) -> str:
    """nft's first line, without the excerpt and the carets."""
    return "nftables: " + (text.strip().splitlines() or ["it failed without a word"])[0]


def _map_of(mapping: PortMapping) -> str:
    return f"{mapping.protocol.lower()}_{'any' if mapping.host_ip in _WILDCARD else 'one'}"


def _key_of(mapping: PortMapping) -> str:
    return f"{mapping.host_port}" if mapping.host_ip in _WILDCARD else f"{mapping.host_ip} . {mapping.host_port}"
