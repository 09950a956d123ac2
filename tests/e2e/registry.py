"""A real registry for tests: Debian's docker-registry on a free loopback port, and images made of a dict of files.

    with start_registry(tmp_path) as registry:
        image = registry.push("train", files=host_programs("sh", "cat"), cmd=["cat", "/etc/motd"])

`push` speaks the distribution spec's upload API with urllib, so nothing but docker-registry is needed. The registry
process is killed by its pid when the `with` block ends.
"""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

#: A file's contents, its contents and mode, or a file of the host's (contents, mode and, for a link, its target).
Content = bytes | tuple[bytes, int] | Path
Files = Mapping[str, Content]

OCI = "application/vnd.oci.image"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest_of(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def make_layer(files: Files) -> bytes:
    """A plain tar of the files, with an entry for every parent directory. Plain contents get mode 0755."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        seen: set[str] = set()
        for path in sorted(files):
            for parent in reversed(Path(path).parents[:-1]):
                if str(parent) not in seen:
                    seen.add(str(parent))
                    tar.addfile(_entry(str(parent), tarfile.DIRTYPE, 0o1777 if str(parent) == "tmp" else 0o755))
            _add(tar, path, files[path])
    return raw.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _add(tar: tarfile.TarFile, path: str, content: Content) -> None:
    if isinstance(content, Path):
        content = (content.read_bytes(), content.stat().st_mode & 0o7777)
    blob, mode = content if isinstance(content, tuple) else (content, 0o755)
    entry = _entry(path, tarfile.REGTYPE, mode)
    entry.size = len(blob)
    tar.addfile(entry, io.BytesIO(blob))


def host_programs(*names: str) -> dict[str, Content]:
    """The host's own programs with the shared libraries they load, as `files` for an image.

    A program is put at its usual path without `usr/` (`bin/cat`), each library where the program looks for it.
    """
    files: dict[str, Content] = {}
    for name in names:
        found = shutil.which(name)
        if found is None:
            raise FileNotFoundError(f"the host has no program {name!r}")
        program = Path(found).resolve()
        files[f"bin/{name}"] = program
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, timeout=10, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = Path(library).resolve()
    return files


@dataclass
class Registry:
    """A running registry. `host_port` is the host part of references; its access log is the file `log`."""

    host_port: str
    root: Path
    log: Path
    auth: tuple[str, str] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def push(
        self,
        name: str,
        files: Files | None = None,
        *,
        layers: Sequence[Files | bytes] = (),
        entrypoint: Sequence[str] = (),
        cmd: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        working_dir: str = "",
        user: str = "",
        architecture: str = MACHINE,
        compress: bool = True,
    ) -> str:
        """Push an image and answer its reference (`127.0.0.1:PORT/name:tag`; `name` may carry a tag).

        `files` is the first layer, `layers` follow it; a layer given as bytes is a tar (plain, gzip or zstd).
        """
        repository, _, tag = name.partition(":")
        tars = [make_layer(layer) if isinstance(layer, Mapping) else layer for layer in layers]
        tars = [make_layer(files), *tars] if files is not None else tars
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint),
                "Cmd": list(cmd),
                "Env": [f"{key}={value}" for key, value in (env or {"PATH": "/bin:/usr/bin"}).items()],
                "WorkingDir": working_dir,
                "User": user,
            },
            "rootfs": {"type": "layers", "diff_ids": [digest_of(_inflate(tar)) for tar in tars]},
        }
        blobs = [gzip.compress(tar, 1) if compress and not _is_compressed(tar) else tar for tar in tars]
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self._push_blob(repository, json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": [self._push_blob(repository, blob, _media_type(blob)) for blob in blobs],
        }
        self.put_manifest(repository, tag or "latest", manifest)
        return f"{self.host_port}/{repository}:{tag or 'latest'}"

    def push_index(self, name: str, members: Mapping[str, str]) -> str:
        """Push a multi-platform index: `os/arch[/variant]` -> tag or digest of the same repository."""
        repository, _, tag = name.partition(":")
        manifests = []
        for target, member in members.items():
            body, media_type = self.get_manifest(repository, member)
            os_name, arch, *variant = target.split("/")
            spec = {"os": os_name, "architecture": arch} | ({"variant": variant[0]} if variant else {})
            manifests.append({"mediaType": media_type, "digest": digest_of(body), "size": len(body), "platform": spec})
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests}
        self.put_manifest(repository, tag or "latest", index)
        return f"{self.host_port}/{repository}:{tag or 'latest'}"

    def put_manifest(self, repository: str, tag: str, manifest: Mapping[str, object]) -> str:
        body = json.dumps(manifest).encode()
        self.request("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": str(manifest["mediaType"])})
        return digest_of(body)

    def get_manifest(self, repository: str, tag: str) -> tuple[bytes, str]:
        accept = f"{OCI}.manifest.v1+json, {OCI}.index.v1+json, application/vnd.docker.distribution.manifest.v2+json"
        body, headers = self.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": accept})
        return body, headers["Content-Type"]

    def _push_blob(self, repository: str, blob: bytes, media_type: str) -> dict[str, object]:
        digest = digest_of(blob)
        _, headers = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        where = headers["Location"].replace(f"http://{self.host_port}", "")
        self.request("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", blob)
        return {"mediaType": media_type, "digest": digest, "size": len(blob)}

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        request = urllib.request.Request(f"http://{self.host_port}{path}", data=body, method=method)
        for key, value in ({"Content-Type": "application/octet-stream"} | dict(headers or {})).items():
            request.add_header(key, value)
        if self.auth:
            request.add_header("Authorization", "Basic " + b64encode(":".join(self.auth).encode()).decode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read(), answer.headers

    def blob_path(self, digest: str) -> Path:
        """Where the registry keeps a blob, for tests that corrupt it."""
        hexed = digest.removeprefix("sha256:")
        return self.root / "docker/registry/v2/blobs/sha256" / hexed[:2] / hexed / "data"

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=10)
            self.process = None

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is_compressed(blob: bytes) -> bool:
    return blob[:2] == b"\x1f\x8b" or blob[:4] == b"\x28\xb5\x2f\xfd"


def _inflate(blob: bytes) -> bytes:
    if blob[:2] == b"\x1f\x8b":
        return gzip.decompress(blob)
    if blob[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dc"], input=blob, stdout=subprocess.PIPE, timeout=60, check=True).stdout
    return blob


def _media_type(blob: bytes) -> str:
    suffix = {b"\x1f\x8b": "+gzip", b"\x28\xb5": "+zstd"}.get(blob[:2], "")
    return f"{OCI}.layer.v1.tar{suffix}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_registry(tmp: Path, *, auth: tuple[str, str] | None = None, tls: tuple[Path, Path] | None = None) -> Registry:
    """Start docker-registry with its state under `tmp`. `auth`: user and password; `tls`: certificate and key."""
    port, root = free_port(), tmp / "registry"
    root.mkdir(parents=True, exist_ok=True)
    config: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"}
        | ({"tls": {"certificate": str(tls[0]), "key": str(tls[1])}} if tls else {}),
        "log": {"level": "info", "accesslog": {"disabled": False}},
    }
    if auth:
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(_write_htpasswd(tmp, *auth))}}
    (tmp / "registry.yaml").write_text(json.dumps(config))
    log = tmp / "registry.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(tmp / "registry.yaml")],
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    registry = Registry(f"127.0.0.1:{port}", root, log, auth, process)
    _wait_listening(registry, port)
    return registry


def _wait_listening(registry: Registry, port: int, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert registry.process is not None
        if registry.process.poll() is not None:
            raise RuntimeError(f"docker-registry did not start: {registry.log.read_text()[-2000:]}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    registry.stop()
    raise TimeoutError(f"docker-registry does not listen after {timeout_s} s: {registry.log.read_text()[-2000:]}")


def _write_htpasswd(tmp: Path, user: str, password: str) -> Path:
    """The registry reads bcrypt only; libcrypt is in every glibc system (Python 3.13 has no crypt module)."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    path = tmp / "htpasswd"
    path.write_text(f"{user}:{crypt(password.encode(), b'$2b$05$' + b'raypodraypodraypodrayp').decode()}\n")
    return path


@contextmanager
def running_registry(tmp: Path, **options: object) -> Iterator[Registry]:
    """`start_registry` for fixtures: stopped when the block ends, whatever happens in it."""
    registry = start_registry(tmp, **options)  # type: ignore[arg-type]
    try:
        yield registry
    finally:
        registry.stop()
