"""The keystream of counter modes: ECB of successive counter blocks, as many a call as the device takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.symmetric.blocks import BLOCK, AesKey, progress, whole_blocks
from hem_provider.symmetric.limits import Calls, call_size

__all__ = ["Keystream", "counter_after", "counter_blocks"]


def counter_blocks(first: bytes, count: int, *, bits: int) -> bytes:
    """``count`` blocks from ``first`` on, the last ``bits`` of each counting up modulo 2^bits.

    128 bits: CTR (SP 800-38A §B.1, whole block). 32 bits: GCM's inc32 (SP 800-38D §6.2).
    """
    size = bits // 8
    fixed, start, mask = first[: BLOCK - size], int.from_bytes(first[BLOCK - size :]), (1 << bits) - 1
    return b"".join([fixed + (number & mask).to_bytes(size) for number in range(start, start + count)])


def counter_after(first: bytes, count: int, *, bits: int) -> bytes:
    """The counter block ``count`` steps after ``first``."""
    size = bits // 8
    number = int.from_bytes(first[BLOCK - size :]) + count
    return first[: BLOCK - size] + (number & ((1 << bits) - 1)).to_bytes(size)


class Keystream:
    """Keystream bytes in order, fetched when needed.

    ``ahead``: fetch whole calls, of 2 KiB on firmware 1.2.2, so that many small pieces cost no more
    calls than one large piece; otherwise only what is asked for. ``ready``: keystream already at hand, for
    counters before ``counter``; ``calls``: counts the calls that brought them. More calls than the
    key permits are refused before the first. A failed fetch loses nothing: what was fetched is kept
    and the same bytes can be asked for again. For one thread at a time, since two would get the same
    bytes: the second gets ``RuntimeError``, as from contexts of ``cryptography``.
    """

    def __init__(
        self,
        key: AesKey,
        counter: bytes,
        *,
        bits: int,
        ahead: bool,
        what: str,
        ready: bytes = b"",
        calls: Calls | None = None,
    ) -> None:
        self._key = key
        self._counter = counter
        self._bits = bits
        self._ahead = ahead
        self._what = what
        self._ready = bytearray(ready)
        self._each = call_size(key)
        self._calls = Calls(key, what, self._each) if calls is None else calls
        self._used = threading.Lock()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._used.acquire(blocking=False):
            raise RuntimeError(f"{self._what}: two threads use the same context at once")
        try:
            yield
        finally:
            self._used.release()

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes: one call for each part of a call's size that is not at hand."""
        with self._alone():
            return self._take(size)

    def _take(self, size: int) -> bytes:
        missing = whole_blocks(size - len(self._ready))
        if missing > 0:
            self._calls.check(missing * BLOCK)
            with progress(self._what, size) as state:
                state.done = len(self._ready)
                while missing > 0:
                    most = self._each // BLOCK
                    count = most if self._ahead else min(missing, most)
                    self._ready += self._key.ecb_encrypt(
                        counter_blocks(self._counter, count, bits=self._bits)
                    )
                    self._counter = counter_after(self._counter, count, bits=self._bits)
                    missing -= count
                    self._calls.made()
                    state.done = min(len(self._ready), size)
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def discard(self) -> None:
        """Overwrite and forget what is at hand (best effort: Python may have copies)."""
        with self._alone():
            self._ready[:] = bytes(len(self._ready))
            self._ready.clear()
