"""Running CTR, CBC and ECB operations: ``cryptography``'s ``CipherContext`` over device calls.

Each ``update`` is all or nothing: when a call fails, the context is as before and the same update
may be repeated. What is returned, and when, is as in ``cryptography``; feed large pieces, since
every ``update`` with whole blocks makes its own calls (CTR alone buffers keystream).
"""

from __future__ import annotations

from abc import abstractmethod

from cryptography.exceptions import AlreadyFinalized, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import CipherContext

from hem_provider.arguments import Buffer, as_bytes, size_of
from hem_provider.symmetric.blocks import BLOCK, AesKey, in_calls, progress, xor
from hem_provider.symmetric.inputs import check_room, write_into
from hem_provider.symmetric.keystream import Keystream
from hem_provider.symmetric.limits import Calls, call_size

__all__ = ["CbcDecryption", "CbcEncryption", "CtrContext", "EcbDecryption", "EcbEncryption", "RunningCipher"]


class RunningCipher(CipherContext):
    """What all contexts share: bytes-like input, ``update_into``, one end."""

    #: Bytes that ``update_into`` wants beyond the input's size, as ``cryptography`` does.
    _slack = 0

    def __init__(self) -> None:
        self._finalized = False

    @abstractmethod
    def _process(self, data: bytes) -> bytes:
        """The output for ``data``; the context changes only when this succeeds."""

    def _finish(self) -> bytes:
        return b""

    def update(self, data: Buffer) -> bytes:
        """Process bytes; ``AlreadyFinalized`` after the end, ``HemError`` when a call fails."""
        self._check_running()
        return self._process(as_bytes("data", data))

    def update_into(self, data: Buffer, buf: Buffer) -> int:
        """``update`` into ``buf``, written only when all calls have succeeded; bytes written.
        ``ValueError`` for a ``buf`` that could be too small, before any call."""
        self._check_running()
        check_room(buf, size_of("data", data) + self._slack)
        return write_into(buf, self.update(data))

    def finalize(self) -> bytes:
        """End the operation. ``ValueError`` when blocks are incomplete; ``AlreadyFinalized`` after the
        end."""
        self._check_running()
        self._finalized = True
        return self._finish()

    def reset_nonce(self, nonce: Buffer) -> None:  # noqa: ARG002
        """``UnsupportedAlgorithm``, except for CTR."""
        raise UnsupportedAlgorithm("This algorithm or mode does not support resetting the nonce.")

    def _check_running(self) -> None:
        if self._finalized:
            raise AlreadyFinalized("Context was already finalized.")


class CtrContext(RunningCipher):
    """CTR, both directions. One call for each 2 KiB begun, however it is cut into updates."""

    def __init__(self, key: AesKey, nonce: bytes) -> None:
        super().__init__()
        self._key = key
        self._start(nonce)

    def reset_nonce(self, nonce: Buffer) -> None:
        """Start again at a new 16-byte counter block. ``ValueError`` for another size,
        ``AlreadyFinalized`` after the end."""
        self._check_running()
        counter = as_bytes("nonce", nonce)
        if len(counter) != BLOCK:
            raise ValueError(f"Nonce must be {BLOCK} bytes long; it has {len(counter)}")
        self._start(counter)

    def _start(self, counter: bytes) -> None:
        self._keystream = Keystream(self._key, counter, bits=128, ahead=True, what="AES-CTR")

    def _process(self, data: bytes) -> bytes:
        return xor(data, self._keystream.take(len(data)))

    def _finish(self) -> bytes:
        self._keystream.discard()
        return b""


class BlockContext(RunningCipher):
    """Modes over whole blocks: an incomplete one waits for the next update."""

    _slack = BLOCK - 1
    #: How messages call the operation.
    _what = ""
    #: Whether each block's input is the block before it, so that one call serves one block.
    _chained = False

    def __init__(self, key: AesKey) -> None:
        super().__init__()
        self._key = key
        self._waiting = b""
        self._each = BLOCK if self._chained else call_size(key)
        self._calls = Calls(key, self._what, self._each)

    @abstractmethod
    def _blocks(self, data: bytes) -> bytes:
        """Output for one or more whole blocks."""

    def _process(self, data: bytes) -> bytes:
        data = self._waiting + data
        whole = len(data) - len(data) % BLOCK
        calls = self._calls.check(whole)
        output = self._blocks(data[:whole]) if whole else b""
        self._calls.made(calls)
        self._waiting = data[whole:]
        return output

    def _finish(self) -> bytes:
        if self._waiting:
            raise ValueError(
                "The length of the provided data is not a multiple of the block length: "
                f"{len(self._waiting)} bytes are left over"
            )
        return b""


class EcbEncryption(BlockContext):
    """One call per 2 KiB of each update."""

    _what = "AES-ECB encryption"

    def _blocks(self, data: bytes) -> bytes:
        return in_calls(self._key.ecb_encrypt, data, self._each, what=self._what)


class EcbDecryption(BlockContext):
    """One call per 2 KiB of each update."""

    _what = "AES-ECB decryption"

    def _blocks(self, data: bytes) -> bytes:
        return in_calls(self._key.ecb_decrypt, data, self._each, what=self._what)


class CbcEncryption(BlockContext):
    """One call for every 16 bytes: each block's input is the block before it. Slow."""

    _what = "AES-CBC encryption"
    _chained = True

    def __init__(self, key: AesKey, iv: bytes) -> None:
        super().__init__(key)
        self._last = iv

    def _blocks(self, data: bytes) -> bytes:
        output, last = [], self._last
        with progress(self._what, len(data)) as state:
            for start in range(0, len(data), BLOCK):
                last = self._key.ecb_encrypt(xor(last, data[start : start + BLOCK]))
                output.append(last)
                state.done = start + BLOCK
        self._last = last
        return b"".join(output)


class CbcDecryption(BlockContext):
    """One call per 2 KiB of each update."""

    _what = "AES-CBC decryption"

    def __init__(self, key: AesKey, iv: bytes) -> None:
        super().__init__(key)
        self._last = iv

    def _blocks(self, data: bytes) -> bytes:
        clear = in_calls(self._key.ecb_decrypt, data, self._each, what=self._what)
        previous = self._last + data[:-BLOCK]
        self._last = data[-BLOCK:]
        return xor(clear, previous)
