"""XSalsa20 (Bernstein, "Extending the Salsa20 nonce"), all blocks of a text at once. Pure.

Only for the provider `secretbox`: no library that is there has it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NONCE_BYTES = 24
_ROUNDS = 20
_CONSTANTS = np.frombuffer(b"expand 32-byte k", "<u4")
#: The quarter-rounds of one double round: columns, then rows.
_QUARTERS = (
    *((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)),
    *((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)),
)
_STEPS = ((1, 0, 3, 7), (2, 1, 0, 9), (3, 2, 1, 13), (0, 3, 2, 18))

Words = npt.NDArray[np.uint32]


def xsalsa20(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """`text` with the key stream of `key` (32 bytes) and `nonce` (24 bytes): the same again undoes it."""
    outer = _rounds(_state(key, np.frombuffer(nonce[:16], "<u4").reshape(4, 1)))
    inner_key = outer[[0, 5, 10, 15, 6, 7, 8, 9], 0].astype("<u4").tobytes()
    count = -(-len(text) // 64)
    places = np.zeros((4, count), np.uint32)
    places[:2] = np.frombuffer(nonce[16:24], "<u4").reshape(2, 1)
    places[2] = np.arange(count, dtype=np.uint32)
    start = _state(inner_key, places)
    stream = (_rounds(start) + start).T.astype("<u4").tobytes()
    return (np.frombuffer(text, np.uint8) ^ np.frombuffer(stream, np.uint8)[: len(text)]).tobytes()


def _state(key: bytes, places: Words) -> Words:
    """16 words by the count of blocks: constants on the diagonal, the key around, nonce and counter in the middle."""
    words = np.frombuffer(key, "<u4")
    state = np.empty((16, places.shape[1]), np.uint32)
    state[[0, 5, 10, 15]] = _CONSTANTS.reshape(4, 1)
    state[1:5] = words[:4].reshape(4, 1)
    state[6:10] = places
    state[11:15] = words[4:].reshape(4, 1)
    return state


def _rounds(start: Words) -> Words:
    state = start.copy()
    for _ in range(_ROUNDS // 2):
        for quarter in _QUARTERS:
            for target, one, other, bits in _STEPS:
                total = state[quarter[one]] + state[quarter[other]]
                state[quarter[target]] ^= (total << np.uint32(bits)) | (total >> np.uint32(32 - bits))
    return state
