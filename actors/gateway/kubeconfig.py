"""The administrator's kubeconfig: everything embedded, so that the one file is all a client needs. Mode 0600."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from actors.gateway.pki import Pki, write_private


def server_url(address: str, port: int) -> str:
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"


def format_kubeconfig(pki: Pki, server: str) -> bytes:
    """Names carry the CA's fingerprint: files of two clusters can be merged, and are told apart."""
    cluster = f"raypod-{pki.fingerprint}"
    user = f"raypod-admin-{pki.fingerprint}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": _cluster(pki, server)}],
        "users": [{"name": user, "user": _user(pki)}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": "default"}}],
        "current-context": cluster,
        "preferences": {},
    }
    return yaml.safe_dump(content, sort_keys=False, width=1 << 20).encode()


def write_kubeconfig(home: Path, pki: Pki, server: str) -> Path:
    """`<home>/kubeconfig`, replaced only when it differs."""
    path, content = home / "kubeconfig", format_kubeconfig(pki, server)
    if not path.exists() or path.read_bytes() != content:
        write_private(path, content)
    return path


def _cluster(pki: Pki, server: str) -> dict[str, str]:
    return {"certificate-authority-data": _embed(pki.ca.certificate), "server": server}


def _user(pki: Pki) -> dict[str, str]:
    return {
        "client-certificate-data": _embed(pki.admin.certificate),
        "client-key-data": _embed(pki.admin.key),
    }


def _embed(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
