"""Where things lie under $RAYPOD_HOME. Paths only: nothing here touches the disk.

Unix sockets allow 107 bytes of path, so Ray's own folder moves to /tmp when the home is too deep for it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

#: Ray appends `/session/sockets/raylet` and the like; with this much in front the longest still fits.
RAY_FOLDER_BYTES_MAX = 64


class Home(msgspec.Struct, frozen=True):
    """`root` is absolute. What `raypod down` leaves: config, certificates, the store's log, images, logs."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def store(self) -> Path:
        return self.root / "store" / "log.db"

    @property
    def store_line(self) -> Path:
        """The store's Unix socket, for the parts of the control plane on its machine."""
        return self.root / "store" / "line.sock"

    @property
    def nodes(self) -> Path:
        return self.root / "nodes"

    @property
    def run(self) -> Path:
        """What belongs to one boot: the keeper's lock, state and logs."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Held (flock) by the keeper as long as it lives: the kernel lets go of it, so no pid file can be stale."""
        return self.run / "keeper.lock"

    @property
    def attached(self) -> Path:
        """The address of the Ray cluster that `raypod up --address` used; there only then."""
        return self.run / "attached"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def network(self) -> Path:
        """The bridge and the range that were selected for this home; there while it is up."""
        return self.run / "network.json"

    @property
    def keeper_log(self) -> Path:
        return self.run / "keeper.log"

    @property
    def boot_log(self) -> Path:
        return self.run / "boot.log"

    @property
    def token(self) -> Path:
        return self.run / "ray-token"

    @property
    def ray(self) -> Path:
        """Ray's temp dir: session, sockets, logs, and the GCS's own storage."""
        folder = self.run / "ray"
        if len(os.fsencode(folder)) <= RAY_FOLDER_BYTES_MAX:
            return folder
        return Path("/tmp") / f"raypod-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]}"


def home_of(path: str | os.PathLike[str] | None = None) -> Home:
    """`path`, else $RAYPOD_HOME, else ~/.raypod."""
    chosen = path or os.environ.get("RAYPOD_HOME") or Path.home() / ".raypod"
    return Home(Path(os.path.abspath(Path(chosen).expanduser())))
