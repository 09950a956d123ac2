"""How far a pull is, told to everybody who waits for it. A listener that fails loses its seat, not the pull."""

from __future__ import annotations

from actors.plugins.image.port import Progress, ProgressSink

_STEP_BYTES = 1 << 20


class Meter:
    """Counts on the event loop; tells its listeners at every layer, phase and mebibyte."""

    def __init__(self) -> None:
        self._sinks: list[ProgressSink] = []
        self._now = Progress("resolving")
        self._untold_bytes = 0

    def join(self, sink: ProgressSink | None) -> None:
        """From now on; the first call comes at once."""
        if sink is not None:
            self._sinks.append(sink)
            self._tell(sink)

    def leave(self, sink: ProgressSink | None) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)

    def begin(self, phase: str, layers_total: int, layers_done: int, bytes_total: int) -> None:
        self._set(Progress(phase, layers_total, layers_done, bytes_total, 0))

    def add_bytes(self, count: int) -> None:
        """Bytes of blobs, as they arrive."""
        self._untold_bytes += count
        if self._untold_bytes >= _STEP_BYTES:
            self._flush(self._now.phase, 0)

    def add_layer(self) -> None:
        self._flush(self._now.phase, 1)

    def enter(self, phase: str) -> None:
        """`unpacking` when all bytes are here, `done` at the end."""
        self._flush(phase, 0)

    def _flush(self, phase: str, layers: int) -> None:
        count, self._untold_bytes = self._untold_bytes, 0
        now = self._now
        self._set(Progress(phase, now.layers_total, now.layers_done + layers, now.bytes_total, now.bytes_done + count))

    def _set(self, progress: Progress) -> None:
        self._now = progress
        for sink in tuple(self._sinks):
            self._tell(sink)

    def _tell(self, sink: ProgressSink) -> None:
        try:
            sink(self._now)
        except Exception:
            self.leave(sink)
