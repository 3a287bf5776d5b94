"""GHASH, the universal hash of GCM (NIST SP 800-38D §6.4), for a known subkey.

No library offers GHASH for a given subkey, so it is computed here with one table of 256 multiples
for each of the 16 bytes of a block: 16 look-ups a block after a set-up that costs a fraction of a
millisecond. Look-ups depend on secret values; the subkey is known to this process anyhow.
"""

from __future__ import annotations

from hem_provider.symmetric.blocks import BLOCK

__all__ = ["Ghash"]

_REDUCTION = 0xE1 << 120


def _tables(subkey: int) -> list[list[int]]:
    """``tables[i][b]``: the product of the subkey and the block whose byte ``i`` is ``b``."""
    multiples = []  # subkey · x^k; GCM counts coefficients from the most significant bit
    for _ in range(128):
        multiples.append(subkey)
        subkey = subkey >> 1 ^ (_REDUCTION if subkey & 1 else 0)
    tables = []
    for first in range(0, 128, 8):
        table = [0]
        for multiple in reversed(multiples[first : first + 8]):
            table += [each ^ multiple for each in table]
        tables.append(table)
    return tables


class Ghash:
    """A running GHASH under a ``subkey`` of 16 bytes. ``update`` any sizes, ``pad`` between additional
    data and ciphertext."""

    def __init__(self, subkey: bytes) -> None:
        self._tables = _tables(int.from_bytes(subkey))
        self._state = 0
        self._partial = b""

    def update(self, data: bytes) -> None:
        """Absorb bytes; an incomplete block waits for more, or for ``pad``."""
        data = self._partial + data if self._partial else data
        whole = len(data) - len(data) % BLOCK
        self._partial = data[whole:]
        if not whole:
            return
        t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15 = self._tables
        state, read = self._state, int.from_bytes
        for start in range(0, whole, BLOCK):
            b = (state ^ read(data[start : start + BLOCK], "big")).to_bytes(BLOCK, "big")
            state = (
                t0[b[0]] ^ t1[b[1]] ^ t2[b[2]] ^ t3[b[3]] ^ t4[b[4]] ^ t5[b[5]] ^ t6[b[6]] ^ t7[b[7]]
                ^ t8[b[8]] ^ t9[b[9]] ^ t10[b[10]] ^ t11[b[11]] ^ t12[b[12]] ^ t13[b[13]] ^ t14[b[14]]
                ^ t15[b[15]]
            )  # fmt: skip
        self._state = state

    def pad(self) -> None:
        """Fill an incomplete block with zeros."""
        if self._partial:
            self.update(bytes(BLOCK - len(self._partial)))

    def finish(self, left: int, right: int) -> bytes:
        """Pad, absorb the two lengths (bytes; hashed as 64-bit counts of bits), give the 16-byte value."""
        self.pad()
        self.update((8 * left).to_bytes(8) + (8 * right).to_bytes(8))
        return self._state.to_bytes(BLOCK)
