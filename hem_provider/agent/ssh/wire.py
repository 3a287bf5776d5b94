"""The frames of the ssh-agent's byte stream (RFC 9987)."""

from __future__ import annotations

from collections.abc import Iterator

from hem_provider.sshwire import WireError, string

__all__ = ["LARGEST_FRAME", "FrameSplitter", "frame"]

#: Bytes of a frame without its length, as OpenSSH has it. A larger one ends the connection.
LARGEST_FRAME = 256 * 1024
_LENGTH = 4


def frame(message: bytes) -> bytes:
    """A message as it goes over the socket."""
    return string(message)


class FrameSplitter:
    """Cuts a byte stream into messages. After ``WireError`` the connection is to be ended."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are whole now. ``WireError`` for a frame of no byte or of more than
        ``LARGEST_FRAME``, as soon as its length is there; what came before is given first."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH:
            size = int.from_bytes(self._buffer[:_LENGTH], "big")
            if not 0 < size <= LARGEST_FRAME:
                raise WireError(f"a frame of {size} bytes; accepted: 1 to {LARGEST_FRAME}")
            if len(self._buffer) < _LENGTH + size:
                return
            message = bytes(self._buffer[_LENGTH : _LENGTH + size])
            del self._buffer[: _LENGTH + size]
            yield message
