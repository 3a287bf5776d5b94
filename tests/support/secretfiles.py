"""Contents of a file that holds a passphrase or PIN, and what every reader of ours makes of each."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["READINGS", "REFUSED"]

#: Content → the secret in it.
READINGS: Mapping[bytes, str] = {
    b"one line": "one line",
    b"one line\n": "one line",
    b"one line\r\n": "one line",
    b"one line\r": "one line",
    b" kept blanks \n": " kept blanks ",
    "pässword\n".encode(): "pässword",
    b"x" * 255 + b"\r\n": "x" * 255,
}
#: Content → what each reader says of it, a pattern.
REFUSED: Mapping[bytes, str] = {
    b"first\nsecond\n": r"(2 lines|more than one line); accepted: the (passphrase|PIN) alone, on one line",
    b"first\n\n": r"(2 lines|more than one line); accepted",
    b"first\r\n\r\n": r"(2 lines|more than one line); accepted",
    b"a\rb": r"(2 lines|more than one line); accepted",
    b"\n\nthird\n": r"(3 lines|more than one line); accepted",
    b"\xef\xbb\xbfpass\n": "byte order mark.*save it as UTF-8 without one",
    b"\xff\xfe": "not UTF-8 text",
    b"caf\xe9\n": "not UTF-8 text",
    b"\xed\xa0\x80": "not UTF-8 text",
    b"\xc0\x80": "not UTF-8 text",
    b"\xf8\x88\x80\x80\x80": "not UTF-8 text",
    b"": "empty|1 to 255 bytes",
    b"\n": "empty|1 to 255 bytes",
    b"\r\n": "empty|1 to 255 bytes",
}
