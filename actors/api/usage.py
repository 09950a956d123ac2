"""What a node and its containers use now: the gateway asks, the node's nodelet answers (metrics.k8s.io's figures)."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu_nanos`: billionths of a CPU, on average over the `window_ms` that end at `at_ms`; `memory_bytes`: at the
    end of it, without what the kernel may take back at once."""

    at_ms: Millis
    window_ms: Millis
    cpu_nanos: int
    memory_bytes: int


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    pod_uid: str
    name: str
    usage: Usage


class NodeUsage(msgspec.Struct, frozen=True, kw_only=True):
    """`node` is of the whole machine, as far as it is the node's."""

    node: Usage
    containers: tuple[ContainerUsage, ...] = ()
