"""When to look at which pod again. Two agendas are kept: one for what to do, one for what to write. Pure."""

from __future__ import annotations

from actors.api.clock import Millis

NEVER_MS: Millis = 1 << 62


class Agenda:
    """Due times by pod uid, in the order in which the pods came. A clock that is set back makes all of them due."""

    def __init__(self) -> None:
        self._due: dict[str, Millis] = {}
        self._now_ms: Millis = 0

    def at(self, uid: str, due_ms: Millis) -> None:
        self._due[uid] = due_ms

    def no_later(self, uid: str, due_ms: Millis) -> None:
        self._due[uid] = min(due_ms, self._due.get(uid, NEVER_MS))

    def forget(self, uid: str) -> None:
        self._due.pop(uid, None)

    def due(self, now: Millis) -> list[str]:
        if now < self._now_ms:
            self._due = {uid: min(due_ms, now) if due_ms < NEVER_MS else due_ms for uid, due_ms in self._due.items()}
        self._now_ms = now
        return [uid for uid, due_ms in self._due.items() if due_ms <= now]

    def first_ms(self) -> Millis | None:
        first = min(self._due.values(), default=NEVER_MS)
        return first if first < NEVER_MS else None
