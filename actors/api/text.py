"""Text that others made, cut to what a status, an event or a screen can take. Pure."""

from __future__ import annotations

#: Of a message in a status or an Event.
MESSAGE_CHARS_MAX = 1024
#: Of a container's last words, as the kubelet keeps them.
TERMINATION_BYTES_MAX = 4096
ELLIPSIS = "..."


def shorten(text: str, chars_max: int = MESSAGE_CHARS_MAX) -> str:
    """At most so many characters; what was cut ends in three dots."""
    return text if len(text) <= chars_max else text[: chars_max - len(ELLIPSIS)] + ELLIPSIS


def shorten_bytes(text: str, bytes_max: int = TERMINATION_BYTES_MAX) -> str:
    """At most so many bytes of UTF-8, whole characters only."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - len(ELLIPSIS)].decode("utf-8", "ignore") + ELLIPSIS
