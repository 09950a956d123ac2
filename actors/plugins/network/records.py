"""Leases on disk: one file each, written as a whole by rename, so that a crash leaves the old lease or the new one.

No fsync: when the machine stops, the interfaces that the leases speak of are gone with it. A file that cannot be read
(a disk that lied) is set aside and costs one sandbox its address, not the node its network.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import msgspec

from actors.plugins.network.leases import Lease, is_ipv4

_log = logging.getLogger(__name__)


class LeaseFiles:
    """`last` is the address handed out last: where the search for a free one goes on after a restart."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._leases = root / "leases"
        self._last = root / "last"

    def load(self) -> tuple[dict[str, Lease], str]:
        """All leases by sandbox id, and `last`."""
        self._leases.mkdir(parents=True, exist_ok=True)
        found = (self._read(path) for path in sorted(self._leases.glob("*.json")))
        leases = {lease.sandbox_id: lease for lease in found if lease is not None}
        last = self._last.read_text().strip() if self._last.exists() else ""
        return leases, last if is_ipv4(last) else ""

    def save(self, lease: Lease) -> None:
        path = self._path(lease)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(lease))
        os.replace(fresh, path)
        with open(self._last, "r+b" if self._last.exists() else "w+b", buffering=0) as last:
            last.write(lease.address.ljust(15).encode())

    def remove(self, lease: Lease) -> None:
        for path in (self._path(lease), self._path(lease).with_suffix(".new")):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def _path(self, lease: Lease) -> Path:
        return self._leases / f"{lease.interface}.json"

    def _read(self, path: Path) -> Lease | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Lease)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("the network lease %s cannot be read (%s): set aside", path, error)
            path.rename(path.with_suffix(".bad"))
            return None
