"""Asks a fresh GCS for its cluster id and writes what drivers look up there. Run once by the keeper, prints the id."""

from __future__ import annotations

import os
import sys

from ray._common.usage.usage_lib import put_cluster_metadata
from ray._raylet import GcsClient  # type: ignore[attr-defined]

from actors.cluster.ray_commands import SESSION


def shake_hands(address: str) -> str:
    """The cluster id in hex. Waits for the GCS."""
    client = GcsClient(address)
    put_cluster_metadata(client, ray_init_cluster=False)
    client.internal_kv_put(b"session_name", SESSION.encode(), True, b"session")
    return str(client.cluster_id.hex())


if __name__ == "__main__":
    sys.stdout.write(shake_hands(os.environ["RAY_ADDRESS"]))
