"""GHASH by its definition, and fast enough to cost little beside a device call."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.ciphers import aead
from hypothesis import given
from hypothesis import strategies as st
from symmetric.double import LocalAesKey

from hem_provider.symmetric import AESGCM
from hem_provider.symmetric.ghash import Ghash

blocks16 = st.binary(min_size=16, max_size=16)


def multiplied(x: int, y: int) -> int:
    """SP 800-38D §6.3, algorithm 1, as written there."""
    z, v = 0, y
    for place in range(127, -1, -1):
        if x >> place & 1:
            z ^= v
        v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return z


@given(blocks16, st.lists(st.binary(max_size=40), max_size=6))
def test_it_is_the_polynomial_of_the_standard_in_any_pieces(subkey, pieces):
    ghash, h, y = Ghash(subkey), int.from_bytes(subkey), 0
    for piece in pieces:
        ghash.update(piece)
    data = b"".join(pieces)
    padded = data + bytes(-len(data) % 16) + (8 * 3).to_bytes(8) + (8 * len(data)).to_bytes(8)
    for start in range(0, len(padded), 16):
        y = multiplied(y ^ int.from_bytes(padded[start : start + 16]), h)
    assert ghash.finish(3, len(data)) == y.to_bytes(16)


def test_our_own_part_of_gcm_runs_at_more_than_a_megabyte_per_second():
    raw, nonce, data = bytes(32), bytes(12), bytes(1 << 20)
    started = time.process_time()  # of this process alone: a busy machine is not a slow program
    sealed = AESGCM(LocalAesKey(raw)).encrypt(nonce, data, None)
    assert time.process_time() - started < 1.0
    assert sealed == aead.AESGCM(raw).encrypt(nonce, data, None)
