"""What a pod is called, and where it looks names up: host name, /etc/hosts, resolv.conf. Pure.

Rules: kubelet's GeneratePodHostNameAndDomain and dns.Configurer (pkg/kubelet/kubelet_pods.go, network/dns/dns.go).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.api.pod import Pod
from actors.nodelet.configuration import ConfigMissing

#: Kubernetes' limit for a host name (RFC 1123 label), and the kernel's.
HOSTNAME_LENGTH_MAX, KERNEL_LENGTH_MAX = 63, 64
_HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


class Names(msgspec.Struct, frozen=True):
    """`kernel`: what `hostname` says; `hosts`: what /etc/hosts calls the pod's own address, () for the same."""

    kernel: str
    hosts: tuple[str, ...] = ()


def derive_names(pod: Pod, cluster_domain: str) -> Names:
    """Of a pod with a network of its own. Raises ConfigMissing."""
    spec = pod.spec
    if spec.hostname_override:
        return Names(spec.hostname_override)
    name = (spec.hostname or pod.metadata.name)[:HOSTNAME_LENGTH_MAX].rstrip("-.")
    if not spec.subdomain:
        return Names(name)
    full = f"{name}.{spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"
    if not spec.set_hostname_as_fqdn:
        return Names(name, (full, name))
    if len(full) > KERNEL_LENGTH_MAX:
        raise ConfigMissing(
            f"failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({KERNEL_LENGTH_MAX} characters is the max, {len(full)} characters requested)"
        )
    return Names(full, (full, name))


def derive_hosts(pod: Pod) -> str:
    """The whole file, without the pod's own address; of a pod on the host's network, what comes after the host's."""
    aliases = ["\t".join([str(a.get("ip")), *(a.get("hostnames") or ())]) for a in pod.spec.host_aliases or ()]
    added = "\n# Entries added by HostAliases.\n" + "\n".join(aliases) + "\n" if aliases else ""
    return added if pod.spec.host_network else _HOSTS + added


def derive_resolv_conf(pod: Pod, host: str) -> str:
    """The host's for every policy but None: there is no cluster DNS yet. `dnsConfig` is added to it."""
    extra = pod.spec.dns_config or {}
    if not extra and pod.spec.dns_policy != "None":
        return host
    lines = [] if pod.spec.dns_policy == "None" else [line.split() for line in host.splitlines()]
    servers = _distinct([*_words(lines, "nameserver"), *(extra.get("nameservers") or ())])
    searches = _distinct([*_last(lines, "search"), *(extra.get("searches") or ())])
    options = {word.partition(":")[0]: word for word in _words(lines, "options")}
    for option in extra.get("options") or ():
        options[option["name"]] = f"{option['name']}:{option['value']}" if option.get("value") else option["name"]
    text = f"search {' '.join(searches)}\n" if searches else ""
    text += "".join(f"nameserver {server}\n" for server in servers)
    return text + (f"options {' '.join(options.values())}\n" if options else "")


def _words(lines: list[list[str]], key: str) -> list[str]:
    return [word for line in lines if line[:1] == [key] for word in line[1:]]


def _last(lines: list[list[str]], key: str) -> list[str]:
    """A later line replaces an earlier one (resolv.conf(5))."""
    return next((line[1:] for line in reversed(lines) if line[:1] == [key]), [])


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
