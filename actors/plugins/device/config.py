"""Configuration of a node's devices."""

from __future__ import annotations

import msgspec


class DevicesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`nvml`: look for NVIDIA GPUs. `fake_gpus`: offer that many GPUs that are none, to try things out without one.

    `library_dirs` and `binary_dirs` come before the places where drivers usually lie. `check_interval_ms`: how often
    the health that no event tells is read.
    """

    nvml: bool = True
    fake_gpus: int = 0
    library_dirs: tuple[str, ...] = ()
    binary_dirs: tuple[str, ...] = ()
    check_interval_ms: int = 30_000

    def __post_init__(self) -> None:
        if self.fake_gpus < 0 or self.fake_gpus > 256:
            raise ValueError(f"fake_gpus {self.fake_gpus}: between 0 and 256")
        if self.check_interval_ms < 100:
            raise ValueError(f"check_interval_ms {self.check_interval_ms}: at least 100")
