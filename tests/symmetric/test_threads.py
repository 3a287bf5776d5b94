"""A running cipher that two threads use at once gives nobody keystream that another has, or zeros."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hem_provider.symmetric.keystream import Keystream

WAIT = 60.0


class Slow:
    """A key whose device call takes until it is let go."""

    def __init__(self) -> None:
        self.there, self.go_on = threading.Event(), threading.Event()

    def ecb_encrypt(self, data: bytes) -> bytes:
        self.there.set()
        assert self.go_on.wait(WAIT)
        return bytes(each ^ 0xFF for each in data)


@pytest.mark.parametrize("second", [lambda stream: stream.take(16), Keystream.discard])
def test_keystream_is_for_one_thread_at_a_time(second: Callable[[Keystream], object]) -> None:
    key, made = Slow(), list[bytes]()
    stream = Keystream(key, bytes(16), bits=128, ahead=True, what="AES-CTR")  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: made.append(stream.take(32)))
    thread.start()
    assert key.there.wait(WAIT)
    with pytest.raises(RuntimeError, match="AES-CTR: two threads use the same context"):
        second(stream)
    key.go_on.set()
    thread.join(WAIT)
    assert made == [b"\xff" * 31 + b"\xfe"]
    assert stream.take(16) != made[0][:16]
    stream.discard()
