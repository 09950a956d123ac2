"""Where the API is and who asks: the current context of a kubeconfig. Certificates stay in memory, never on disk."""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any

import msgspec

from raypod.errors import ClusterUnreachable


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """PEM texts as in the kubeconfig; `token` for clusters that use one."""

    server: str
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    namespace: str = "default"


def raypod_home() -> Path:
    """`$RAYPOD_HOME`, else `~/.raypod`."""
    return Path(os.environ.get("RAYPOD_HOME") or Path.home() / ".raypod").expanduser().absolute()


def kubeconfig_path(path: str | os.PathLike[str] | None = None) -> Path:
    """`path`, else `$RAYPOD_HOME/kubeconfig` when it is there, else `$KUBECONFIG`."""
    if path:
        return Path(path).expanduser()
    own, given = raypod_home() / "kubeconfig", os.environ.get("KUBECONFIG")
    return own if own.exists() or not given else Path(given.partition(os.pathsep)[0]).expanduser()


def read_endpoint(path: Path) -> Endpoint:
    """Raises ClusterUnreachable when there is no such file or it is no kubeconfig."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ClusterUnreachable(
            f"no kubeconfig at {path} ({error.strerror}): start a control plane with `raypod up`"
        ) from error
    try:
        import yaml

        config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _endpoint_of(config, path)
    except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ClusterUnreachable(f"{path} is not a usable kubeconfig: {_why(error)}; `raypod up` writes one") from error


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no `{error.args[0]}`"
    if isinstance(error, TypeError | AttributeError):
        return "a field is missing or of another type than it should be"
    return " ".join(str(error).split())


def _endpoint_of(config: dict[str, Any], path: Path) -> Endpoint:
    context = _named(config, "contexts", config["current-context"])["context"]
    cluster = _named(config, "clusters", context["cluster"])["cluster"]
    user = _named(config, "users", context["user"])["user"]
    return Endpoint(
        server=cluster["server"].rstrip("/"),
        ca=_pem(cluster, "certificate-authority", path),
        certificate=_pem(user, "client-certificate", path),
        key=_pem(user, "client-key", path),
        token=user.get("token", ""),
        namespace=context.get("namespace") or "default",
    )


def _named(config: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config[section]:
        if entry["name"] == name:
            found: dict[str, Any] = entry
            return found
    raise LookupError(f"{section} has no {name!r}")


def _pem(section: dict[str, Any], field: str, path: Path) -> bytes:
    if encoded := section.get(f"{field}-data"):
        return base64.b64decode(encoded)
    return (path.parent / section[field]).read_bytes() if section.get(field) else b""


def ssl_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Trusts the kubeconfig's CA only, and shows its client certificate."""
    context = ssl.create_default_context(cadata=endpoint.ca.decode() if endpoint.ca else None)
    if endpoint.certificate:
        _load_chain(context, endpoint.certificate + b"\n" + endpoint.key)
    return context


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads a chain from a path only: an anonymous file in memory has one."""
    descriptor = os.memfd_create("raypod-client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
