"""One AES-GCM message (NIST SP 800-38D) over a key that offers ECB alone.

The hash subkey E(0), the tag's mask E(J0) and the keystream are all ECB of blocks known in
advance, so with a 12-byte nonce one call brings both and keystream: of 128 blocks on firmware
1.2.2, so 2016 bytes of it.
For other nonces J0 is itself a GHASH, so the subkey must come first, by a call of its own.
"""

from __future__ import annotations

from hem_provider.symmetric.blocks import BLOCK, AesKey, progress, whole_blocks, xor
from hem_provider.symmetric.ghash import Ghash
from hem_provider.symmetric.keystream import Keystream, counter_after, counter_blocks
from hem_provider.symmetric.limits import Calls, call_size

__all__ = ["MAX_AAD", "MAX_DATA", "TAG", "GcmMessage", "check_calls"]

#: Bytes of a full tag.
TAG = 16
#: Most data and additional data of one message, in bytes (SP 800-38D §5.2.1.1).
MAX_DATA = 2**36 - 32
MAX_AAD = 2**61 - 1

_COUNTER_BITS = 32
_WHAT = "AES-GCM"
_STANDARD_NONCE = 12


class GcmMessage:
    """Subkey, mask and keystream of one message; they live as long as this object.

    ``size``: bytes of data, when known in advance: then exactly as much keystream is fetched as
    they need; ``None`` fetches whole calls ahead. The constructor makes the first call: one for a
    12-byte nonce, two for any other length (1 byte or more).
    """

    def __init__(self, key: AesKey, nonce: bytes, size: int | None) -> None:
        each = call_size(key)
        calls = Calls(key, _WHAT, each)
        if size is not None:
            calls.check(_fetched(nonce, size, each))
        wanted = each // BLOCK if size is None else whole_blocks(size)
        with progress(_WHAT, 0 if size is None else size):
            if len(nonce) == _STANDARD_NONCE:
                first = nonce + b"\0\0\0\1"
                count = min(wanted + 1, each // BLOCK - 1)
                answer = key.ecb_encrypt(bytes(BLOCK) + self._counters(first, count))
                calls.made()
                subkey, ready = answer[:BLOCK], answer[BLOCK:]
                self._ghash = Ghash(subkey)
            else:
                subkey = key.ecb_encrypt(bytes(BLOCK))
                first = _hashed_nonce(Ghash(subkey), nonce)
                count = min(wanted + 1, each // BLOCK)
                ready = key.ecb_encrypt(self._counters(first, count))
                calls.made(2)
                self._ghash = Ghash(subkey)
        self._mask = ready[:BLOCK]
        self._keystream = Keystream(
            key,
            counter_after(first, count, bits=_COUNTER_BITS),
            bits=_COUNTER_BITS,
            ahead=size is None,
            what=_WHAT,
            ready=ready[BLOCK:],
            calls=calls,
        )
        self._aad = 0
        self._data = 0

    def authenticate(self, aad: bytes) -> None:
        """Absorb additional data; before any ciphertext."""
        self._aad += len(aad)
        self._ghash.update(aad)

    def absorb(self, ciphertext: bytes) -> None:
        """Absorb ciphertext into the tag."""
        if ciphertext and not self._data:
            self._ghash.pad()
        self._data += len(ciphertext)
        self._ghash.update(ciphertext)

    def crypt(self, data: bytes) -> bytes:
        """Data XOR keystream, in order; one call per 2 KiB that is not at hand."""
        return xor(data, self._keystream.take(len(data)))

    def tag(self) -> bytes:
        """The full 16-byte tag of all that was absorbed."""
        return xor(self._ghash.finish(self._aad, self._data), self._mask)

    def discard(self) -> None:
        """Overwrite and forget the keystream at hand; ends the message."""
        self._keystream.discard()

    @staticmethod
    def _counters(first: bytes, count: int) -> bytes:
        return counter_blocks(first, count, bits=_COUNTER_BITS)


def check_calls(key: AesKey, nonce: bytes, size: int) -> None:
    """Raise ``MessageTooLong`` for a message of ``size`` bytes that is too many calls; none is made."""
    each = call_size(key)
    Calls(key, _WHAT, each).check(_fetched(nonce, size, each))


def _fetched(nonce: bytes, size: int, each: int) -> int:
    """Bytes of ECB for a message: subkey, mask, keystream. Where the nonce is hashed with the subkey,
    that is a call of its own."""
    return size + 2 * BLOCK if len(nonce) == _STANDARD_NONCE else each + BLOCK + size


def _hashed_nonce(ghash: Ghash, nonce: bytes) -> bytes:
    ghash.update(nonce)
    return ghash.finish(0, len(nonce))
