"""``CMAC`` as in ``cryptography.hazmat.primitives.cmac``, with a HEM key (NIST SP 800-38B, RFC 4493)."""

from __future__ import annotations

import hmac
from copy import copy

from cryptography.exceptions import AlreadyFinalized, InvalidSignature

from hem_provider.arguments import Buffer, as_bytes
from hem_provider.symmetric.blocks import BLOCK, AesKey, progress, xor
from hem_provider.symmetric.family import check_use
from hem_provider.symmetric.limits import Calls
from hem_provider.symmetric.resolve import AnyAesKey, aes_key

__all__ = ["CMAC"]

_REDUCTION = 0x87


def _doubled(block: bytes) -> bytes:
    """Multiplication by x in GF(2^128), the most significant bit first."""
    number = int.from_bytes(block) << 1
    if number >> 128:
        number ^= 1 << 128 | _REDUCTION
    return number.to_bytes(BLOCK)


class CMAC:
    """A MAC over any number of bytes, with an AES key of family ``mac``.

    Device calls: one for each 16 bytes, at least two (a single block needs one for the subkeys
    and one for itself). Slow; for up to ``MAX_MESSAGE`` bytes an HMAC key costs one call.

    Calls are made as data come in; ``update`` is all or nothing and may be repeated after an error.
    """

    def __init__(self, key: AnyAesKey) -> None:
        """``WrongKeyType``, ``WrongKeyFamily``; no call."""
        self._key: AesKey = aes_key(key, "mac")
        check_use(self._key, "", "cmac")
        self._chain = bytes(BLOCK)
        self._subkey: bytes | None = None  # E(0), fetched along with the first block
        self._waiting = b""  # the last block, perhaps incomplete, is treated differently: held back
        self._calls = Calls(self._key, "CMAC", BLOCK)
        self._finalized = False

    def __repr__(self) -> str:
        return f"<CMAC {self._key!r}>"

    def update(self, data: Buffer) -> None:
        """Absorb bytes. ``AlreadyFinalized``; ``MessageTooLong`` when they are more calls than the
        device's ``max_calls``; ``HemError`` when a call fails."""
        self._check_running()
        fresh = as_bytes("data", data)
        data = self._waiting + fresh
        whole = max(0, (len(data) - 1) // BLOCK * BLOCK)
        calls = self._calls.check(whole)
        chain, subkey = self._chain, self._subkey
        with progress("CMAC", len(fresh)) as state:
            for start in range(0, whole, BLOCK):
                block = xor(chain, data[start : start + BLOCK])
                if subkey is None:
                    answer = self._key.ecb_encrypt(bytes(BLOCK) + block)
                    subkey, chain = answer[:BLOCK], answer[BLOCK:]
                else:
                    chain = self._key.ecb_encrypt(block)
                state.done = max(0, start + BLOCK - len(self._waiting))
        self._calls.made(calls)
        self._chain, self._subkey, self._waiting = chain, subkey, data[whole:]

    def finalize(self) -> bytes:
        """The 16-byte MAC. ``AlreadyFinalized`` after the end."""
        self._check_running()
        mac = self._mac()
        self._finalized = True
        return mac

    def verify(self, signature: bytes) -> None:
        """``InvalidSignature`` unless ``signature`` is the whole 16-byte MAC; ``AlreadyFinalized`` after
        the end."""
        self._check_running()
        given = as_bytes("signature", signature)
        if not hmac.compare_digest(self.finalize(), given):
            raise InvalidSignature("Signature did not match digest.")

    def copy(self) -> CMAC:
        """A CMAC that goes on from here by itself. ``AlreadyFinalized`` after the end."""
        self._check_running()
        twin = CMAC.__new__(CMAC)
        twin.__dict__.update(self.__dict__)
        twin._calls = copy(self._calls)
        return twin

    def _mac(self) -> bytes:
        if self._subkey is None:
            self._subkey = self._key.ecb_encrypt(bytes(BLOCK))
        mask = _doubled(self._subkey)
        last = self._waiting
        if len(last) < BLOCK:
            mask = _doubled(mask)
            last += b"\x80" + bytes(BLOCK - 1 - len(last))
        return self._key.ecb_encrypt(xor(xor(last, mask), self._chain))

    def _check_running(self) -> None:
        if self._finalized:
            raise AlreadyFinalized("Context was already finalized.")
