"""Byte streams that a broken or hostile program may send to an agent, made from a ``random.Random``."""

from __future__ import annotations

import json
from random import Random

__all__ = ["TARGETS", "body", "cut", "http_stream", "ssh_stream"]

#: Of the agent's own paths those that end or lock it are left out.
TARGETS = (
    "/status",
    "/",
    "*",
    "/devices/",
    "/devices/k",
    "/devices/k/",
    "/devices/k/pin",
    "/devices/%6b/api/auth/token",
    "/devices/k%00/api/system/status",
    "/devices/k/api/../../../etc/passwd",
    "/devices/k/api/keymgmt/list/0/15",
    "/devices/k/api/keymgmt/list/%00/15?x=1#y",
    "/devices/\u00e9%ff/api/",
    "http://127.0.0.1/status",
    "//status",
    "/" + "a" * 5000,
)
_METHODS = (
    "GET",
    "POST",
    "DELETE",
    "PUT",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PATCH",
    "get",
    "G\x00T",
    "",
)
_VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "http/1.1", "", "\x00")
_FIELDS = (
    ("Hem-Scope", "keymgmt:list"),
    ("Hem-Scope", "a " * 3000),
    ("Hem-Scope", "keymgmt:use:" + "0" * 32 + " keymgmt:list"),
    ("Hem-Scope", "\u00fc \u00ff\u0080"),
    ("Hem-Within", "nan"),
    ("Hem-Within", "1e-9"),
    ("Hem-Within", "9" * 400),
    ("Hem-Within", "0x10"),
    ("Hem-Device", "https://else\r\nHem-Scope: keymgmt:del"),
    ("Hem-Device", "https://\u00e9\u0000"),
    ("Hem-Repeatable", "1"),
    ("Cache-Control", "no-cache"),
    ("Expect", "100-continue"),
    ("Connection", "close"),
    ("Connection", "Upgrade, keep-alive"),
    ("Upgrade", "h2c"),
    ("X", "a\x00b"),
    ("X", "a\rb"),
    ("X", "a\n folded"),
    ("X ", "space before the colon"),
    ("", "no name"),
    ("X", "y" * 20_000),
)
_OPENINGS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"GET /\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"SSH-2.0-OpenSSH_9.9\r\n",
    b"\x00\x00\x00\x01\x0b",
    b"\xff\xff\xff\xff\x0d",
    b"\r\n\r\n\r\n",
    b"GET /status HTTP/1.1\n\n",
    b"\x00" * 300,
)
_ALTERED = (b"\r", b"\n", b"\r\n", b"\x00", b":", b" ", b"\t", b"\xff", b"0", b"HTTP/1.1", b"\r\n\r\n", b",")


def body(random: Random) -> bytes:
    """Of a request: JSON of many kinds, and what is none."""
    kind = random.randrange(8)
    if kind == 0:
        return random.randbytes(random.randrange(60))
    if kind == 1:
        deep = random.choice((10, 31, 33, 500, 990, 20_000))
        return b'{"a":' + b"[" * deep + b"]" * random.choice((deep, deep - 1)) + b"}"
    if kind == 2:
        number = random.choice(
            ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "9" * 4000, "-0.0", "1E400")
        )
        return ('{"a": ' + number + "}").encode()
    if kind == 3:
        return random.choice((b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": "\\u0000"}', b"\xef\xbb\xbf{}"))
    if kind == 4:
        return random.choice((b"[]", b"null", b'"x"', b"1", b"{}", b"{", b"", b" {} ", b"{} {}", b"{'a': 1}"))
    if kind == 5:
        return '{"a": 1}'.encode(random.choice(("utf-16", "utf-32", "utf-8-sig")))
    if kind == 6:
        return json.dumps({"mac": "A" * random.randrange(80), "by": None, "eid": [], "doubt": 1}).encode()
    return b'{"a": "' + b"x" * random.choice((1, 7000, 70_000, 300_000)) + b'"}'


def http_stream(random: Random) -> bytes:
    """What one client sends, whole: one request or several, proper, altered, or nothing of the kind."""
    kind = random.randrange(10)
    if kind == 0:
        return random.randbytes(random.randrange(400))
    if kind == 1:
        return random.choice(_OPENINGS) + random.randbytes(random.randrange(50))
    stream = b"".join(_request(random) for _ in range(random.choice((1, 1, 2, 3, 8))))
    return _altered(random, stream) if kind < 6 else stream


def ssh_stream(random: Random) -> bytes:
    """What one client of an ssh-agent sends: messages of every number (draft-ietf-sshm-ssh-agent §6.1) with
    proper, altered and senseless content, in frames of a right or a wrong length."""
    if random.random() < 0.1:
        return random.choice(_OPENINGS) + random.randbytes(random.randrange(50))
    stream = b"".join(_ssh_frame(random) for _ in range(random.choice((1, 1, 2, 3, 20))))
    return _altered(random, stream) if random.random() < 0.4 else stream


def _ssh_frame(random: Random) -> bytes:
    # ssh-add -x (22) is left out: all that comes after it would be refused.
    number = random.choice(
        (1, 11, 11, 13, 13, 17, 18, 19, 20, 21, 23, 25, 26, 27, 27, random.randrange(28, 256))
    )
    content = bytes([number]) + b"".join(_ssh_field(random) for _ in range(random.randrange(6)))
    size = random.choice((len(content),) * 8 + (0, len(content) + 3, 256 * 1024, 256 * 1024 + 1, 2**32 - 1))
    return size.to_bytes(4, "big") + content


def _ssh_field(random: Random) -> bytes:
    content = random.choice(
        (
            b"ssh-ed25519",
            b"ecdsa-sha2-nistp256",
            b"session-bind@openssh.com",
            b"query",
            b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(32),
            b"\x00\x00\x00\x13ecdsa-sha2-nistp256\x00\x00\x00\x08nistp256\x00\x00\x00\x41\x04" + bytes(64),
            b"",
            bytes(5000),
            random.randbytes(random.randrange(80)),
        )
    )
    size = random.choice((len(content),) * 6 + (len(content) + 1, 0, 2**31, 2**32 - 1))
    return random.choice((size.to_bytes(4, "big") + content,) * 5 + (bytes([random.randrange(256)]), content))


def cut(random: Random, stream: bytes) -> list[bytes]:
    """The stream in the pieces that it comes in."""
    if len(stream) < 600 and random.random() < 0.2:
        return [stream[at : at + 1] for at in range(len(stream))]
    places = sorted(random.randrange(len(stream) + 1) for _ in range(random.randrange(4)))
    pieces = (stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True))
    return [each for each in pieces if each]


def _request(random: Random) -> bytes:
    proper = random.random() < 0.5
    method = random.choice(("GET", "POST") if proper else _METHODS)
    version = "HTTP/1.1" if proper else random.choice(_VERSIONS)
    lines = [f"{method} {random.choice(TARGETS)} {version}"]
    if proper or random.random() < 0.9:
        lines.append("Host: agent")
    lines += [": ".join(random.choice(_FIELDS)) for _ in range(random.randrange(1 if proper else 4))]
    content = body(random) if method == "POST" or random.random() < 0.3 else b""
    framing, content = _framed(random, content)
    return "\r\n".join([*lines, *framing, "", ""]).encode("latin-1", "replace") + content


def _framed(random: Random, content: bytes) -> tuple[list[str], bytes]:
    """Header lines and content, which need not agree."""
    size = len(content)
    chunked = b"%x\r\n" % size + content + b"\r\n0\r\n\r\n" if content else b"0\r\n\r\n"
    return random.choice(
        (
            ([f"Content-Length: {size}"], content),
            ([f"Content-Length: {size}"], content),
            (["Transfer-Encoding: chunked"], chunked),
            (["Transfer-Encoding: chunked", f"Content-Length: {size}"], chunked),
            (["Transfer-Encoding: chunked"], b"ffffffffffffffffffff\r\n" + content),
            (["Transfer-Encoding: chunked"], b"-5\r\n" + content),
            (["Transfer-Encoding: chunked"], b"1;" + b"x" * 300 + b"\r\na\r\n0\r\nA: b\r\n\r\n"),
            (["Transfer-Encoding: gzip, chunked"], chunked),
            ([f"Content-Length: {size + 7}"], content),
            ([f"Content-Length: {max(size - 3, 0)}"], content),
            ([f"Content-Length: {size}", f"Content-Length: {size + 1}"], content),
            (["Content-Length: -1"], content),
            (["Content-Length: 999999999999"], content),
            (["Content-Length: " + "9" * 400], content),
            ([], content),
        )
    )


def _altered(random: Random, stream: bytes) -> bytes:
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(stream) + 1)
        gone = random.choice((0, 0, 1, 1, 5, 100))
        new = random.choice(_ALTERED) if random.random() < 0.7 else random.randbytes(random.randrange(6))
        stream = stream[:at] + new + stream[at + gone :]
    return stream[: random.randrange(len(stream) + 1)] if random.random() < 0.2 else stream
