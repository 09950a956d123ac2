"""Lenses over PersistentVolume and PersistentVolumeClaim (core/v1): what their controllers read."""

from __future__ import annotations

from actors.api.meta import Lens, Resource


class PersistentVolumeStatus(Lens, frozen=True):
    phase: str = ""


class PersistentVolume(Resource, frozen=True):
    status: PersistentVolumeStatus = PersistentVolumeStatus()


class PersistentVolumeClaim(Resource, frozen=True):
    """Its metadata is all that is read so far."""
