"""Asks a fresh GCS for its cluster id, which every raylet must bring. Run once by the keeper; prints the id.

One gRPC call with hand-made messages: importing Ray for it would cost half of the time that the head takes to start.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import grpc

_GET_CLUSTER_ID = "/ray.rpc.NodeInfoGcsService/GetClusterId"
#: GetClusterIdReply: field 1 is the status, field 2 the id as bytes.
_ID_FIELD, _LENGTH_DELIMITED = 2, 2
_SECONDS = 20.0


def ask_cluster_id(address: str, token: str) -> str:
    """In hex. Waits for the GCS. Raises grpc.RpcError, ValueError."""
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        ask: Any = channel.unary_unary(_GET_CLUSTER_ID)
        metadata = (("authorization", f"Bearer {token}"),)
        return parse_cluster_id(ask(b"", timeout=_SECONDS, metadata=metadata, wait_for_ready=True)).hex()


def parse_cluster_id(reply: bytes) -> bytes:
    """Field 2 of the message; all its fields are length-delimited and short."""
    at = 0
    while at + 2 <= len(reply):
        tag, length = reply[at], reply[at + 1]
        if tag & 7 != _LENGTH_DELIMITED or length > 127:
            break
        if tag >> 3 == _ID_FIELD:
            return reply[at + 2 : at + 2 + length]
        at += 2 + length
    raise ValueError("the GCS answered without a cluster id: is this another version of Ray?")


if __name__ == "__main__":
    token_file = os.environ["RAY_AUTH_TOKEN_PATH"]
    sys.stdout.write(ask_cluster_id(os.environ["RAY_ADDRESS"], Path(token_file).read_text().strip()))
