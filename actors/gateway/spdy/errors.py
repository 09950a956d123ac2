"""What ends a SPDY connection."""

from __future__ import annotations


class SpdyError(Exception):
    """The other side does not keep to the protocol."""
