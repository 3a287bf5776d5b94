"""HSalsa20: what NaCl makes of an X25519 secret before it is used as a key.

D. J. Bernstein, "Extending the Salsa20 nonce", §2; the key of ``crypto_box`` is HSalsa20 of the
X25519 secret and sixteen zero bytes ("Cryptography in NaCl", §5 and §8). libsodium has it, PyNaCl
does not offer it. About 0.1 ms; additions, rotations and XORs only, no table and no branch on
data, though Python's integers promise no constant time.
"""

from __future__ import annotations

import struct

__all__ = ["hsalsa20"]

_SIGMA = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)  # "expand 32-byte k"
_DOUBLE_ROUNDS = 10
_MASK = 0xFFFFFFFF

#: The quarter-rounds of a double round: columns, then rows (Salsa20 specification, §5 and §4).
_QUARTERS = (
    (0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
    (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14),
)  # fmt: skip
#: Words of the final state that are the result.
_RESULT = (0, 5, 10, 15, 6, 7, 8, 9)


def hsalsa20(key: bytes, nonce: bytes = bytes(16)) -> bytes:
    """32 bytes from a key of 32 and a nonce of 16 bytes; ``ValueError`` for other sizes."""
    if len(key) != 32 or len(nonce) != 16:
        raise ValueError(f"HSalsa20: a key of {len(key)} and a nonce of {len(nonce)} bytes; accepted: 32, 16")
    k, n = struct.unpack("<8I", key), struct.unpack("<4I", nonce)
    x = [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]
    for _ in range(_DOUBLE_ROUNDS):
        for a, b, c, d in _QUARTERS:
            x[b] ^= _rotated(x[a] + x[d], 7)
            x[c] ^= _rotated(x[b] + x[a], 9)
            x[d] ^= _rotated(x[c] + x[b], 13)
            x[a] ^= _rotated(x[d] + x[c], 18)
    return struct.pack("<8I", *(x[place] for place in _RESULT))


def _rotated(value: int, bits: int) -> int:
    value &= _MASK
    return (value << bits | value >> (32 - bits)) & _MASK
