"""tests/e2e/registry.py for the tests of this folder: `from registry_fixture import start_registry`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from registry import Registry, digest_of, free_port, host_programs, make_layer, running_registry, start_registry

__all__ = ["Registry", "digest_of", "free_port", "host_programs", "make_layer", "running_registry", "start_registry"]
