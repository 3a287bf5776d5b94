"""The way without ``requests`` finds in each answer what ``requests`` finds, sends what it sends, and leaves
to it what it alone can."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, suppress

import pytest
from device.test_tls import server, tls_server
from hypothesis import given, settings
from hypothesis import strategies as st

from hem_provider.errors import HemConnectionError, HemError, HemTimeout
from hem_provider.records import replace
from hem_provider.rest.adapter import RequestsHttp
from hem_provider.rest.directhttp import DirectHttp
from hem_provider.rest.http import HttpTransport
from hem_provider.rest.tls import client_context
from hem_provider.rest.wire import Limit, Request

__all__ = ["tls_server"]  # a fixture

MUCH = 20.0


def transport(url, way, context=None):
    """A transport that goes this way."""
    made = HttpTransport(url, context, connect_timeout=MUCH)
    assert isinstance(made._host, DirectHttp)
    made._host = way
    return made


def both(url, context=None):
    yield transport(url, DirectHttp(url, context))
    yield transport(url, RequestsHttp(url, context, None))


def asked(body=None, **values):
    method = "GET" if body is None else "POST"
    return Request(method, "/api/system/status?a=b%20c", {"User-Agent": "x"}, body, Limit(MUCH), **values)


def outcome(way, request):
    """The reply, or the class of the error that is told."""
    with closing(way):
        try:
            reply = way.send(request)
        except HemError as error:
            return type(error)
        return reply.status, dict(reply.headers), reply.body


LENGTHS = st.sampled_from(
    [
        "",
        "Content-Length: {n}",
        "content-length:{n}",
        "Content-Length: {n}\r\nContent-Length: {n}",
        "Content-Length: {n}\r\nContent-Length: 9",
        "Content-Length: 9",
        "Content-Length: x",
    ]
)
FIELDS = st.sampled_from(
    [
        "",
        "X-Field: a",
        "X-Field: a\r\nX-Field: b",
        "Connection: keep-alive",
        "X: ä",
        "Set-Cookie: a=b",
        "X-Empty:",
        "Content-Encoding: gzip",
        "No field",
        " : x",
    ]
)
STATUS = st.sampled_from(
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 418 ",
        "HTTP/1.1 795 x",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No",
        "HTTP/1.1 0 x",
        "HTTP/2 200 OK",
        "nothing",
    ]
)


@st.composite
def answers(draw):
    """Bytes of which most are an answer."""
    body = draw(st.sampled_from([b"", b"{}", b'{"a": "b"}', bytes(range(256)) * 40]))
    lines = [draw(STATUS), draw(FIELDS), draw(LENGTHS).format(n=len(body))]
    if "204" not in lines[0] and draw(st.booleans()):  # which is nothing that anybody would know how to read
        lines = [*lines, "Transfer-Encoding: chunked"]
        sizes = draw(st.sampled_from([[len(body)], [1, len(body) - 1]])) if len(body) > 1 else [len(body)]
        pieces, place = [], 0
        for size in filter(None, sizes):
            pieces.append(b"%x\r\n%b\r\n" % (size, body[place : place + size]))
            place += size
        body = b"".join(pieces) + b"0\r\n" + draw(st.sampled_from([b"\r\n", b"Trailer: x\r\n\r\n"]))
    end = draw(st.sampled_from(["\r\n", "\r\n", "\n"]))
    data = end.join([*filter(None, lines), "", ""]).encode("latin-1") + body
    return data[: draw(st.sampled_from([len(data), len(data), len(data) - 1, 20, 5]))]


@settings(max_examples=150, deadline=None)
@given(answers())
def test_it_reads_as_requests_does(data):
    def answer(stream):
        stream.recv(10_000)
        for start in range(0, len(data), 4000):
            stream.sendall(data[start : start + 4000])

    with server(answer) as address:
        direct, other = (outcome(way, asked()) for way in both(f"http://{address}"))
    assert direct == other, data


@pytest.mark.parametrize("body", [None, b"", b'{"a":"b"}'])
def test_it_sends_what_requests_sends(body):
    seen = []

    def answer(stream):
        came = b""
        while b"\r\n\r\n" not in came or not came.endswith(body or b""):
            came += stream.recv(10_000)
        seen.append(came)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with server(answer) as address:
        for way in both(f"http://{address}/prefix"):
            assert outcome(way, asked(body))[0] == 200
    direct, other = (each.split(b"\r\n\r\n") for each in seen)
    assert direct[1] == other[1] == (body or b"")
    first, *lines = direct[0].split(b"\r\n")
    other_first, *other_lines = other[0].split(b"\r\n")
    assert first == other_first
    assert sorted(map(bytes.lower, lines)) == sorted(map(bytes.lower, other_lines))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "connections"),
    [
        (CHUNKED, 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n{}", 3),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more", 3),
        (CHUNKED + b"more", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 3),
    ],
    ids=["chunked", "whole", "told to close", "with a rest", "chunked with a rest", "of an older server"],
)
def test_a_connection_is_kept_where_the_answer_was_whole_and_the_last(data, connections, tls_server):
    served, pin = tls_server
    seen = []

    def answer(stream):
        seen.append(stream)
        while stream.recv(10_000):
            stream.sendall(data)

    with server(answer, tls=served) as address:
        url = f"https://{address}"
        with closing(HttpTransport(url, client_context(pin_sha256=pin), connect_timeout=MUCH)) as way:
            assert [way.send(asked(repeatable=True)).body for _ in range(3)] == [b"{}"] * 3
    assert len(seen) == connections


def test_what_a_peer_says_before_it_has_heard_all_is_read():
    def answer(stream):
        stream.sendall(b"HTTP/1.1 413 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        stream.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while stream.recv(1 << 20):
                pass

    with server(answer) as address:
        for way in both(f"http://{address}"):
            assert outcome(way, asked(bytes(8 << 20)))[0] == 413


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_long_body_arrives_whole_at_a_peer_that_takes_its_time(secure, tls_server):
    served, pin = tls_server if secure else (None, None)
    body, seen = bytes(range(256)) * (4 << 12), []

    def answer(stream):
        came = b""
        while not came.endswith(b"\r\n\r\n"):
            came += stream.recv(1)
        came = b""
        while len(came) < len(body):
            time.sleep(0.01)
            came += stream.recv(1 << 18)
        seen.append(came)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with server(answer, tls=served) as address:
        context = client_context(pin_sha256=pin) if secure else None
        way = HttpTransport(f"{'https' if secure else 'http'}://{address}", context, connect_timeout=MUCH)
        assert outcome(way, asked(body))[0] == 200
    assert seen == [body]


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_peer_that_takes_no_more_is_not_waited_for_beyond_the_limit(secure, tls_server):
    served, pin = tls_server if secure else (None, None)
    over = threading.Event()
    with server(lambda _: over.wait(MUCH), tls=served) as address:
        context = client_context(pin_sha256=pin) if secure else None
        way = HttpTransport(f"{'https' if secure else 'http'}://{address}", context, connect_timeout=MUCH)
        began = time.monotonic()
        with pytest.raises(HemTimeout, match=r"no answer within 0\.5 s"):
            way.send(replace(asked(bytes(16 << 20)), limit=Limit(0.5)))
        assert 0.5 <= time.monotonic() - began < MUCH / 2
        over.set()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/a\r\nX: y", {}),
        ("/a b", {}),
        ("a", {}),
        ("/ä", {}),
        ("/a", {"X": "y\r\nZ: z"}),
        ("/a", {"X": "y\n"}),
        ("/a", {"X": "\0"}),
    ],
)
def test_nothing_that_would_be_read_as_more_than_it_is_is_sent(path, fields):
    with server(lambda stream: stream.recv(1)) as address:
        way = HttpTransport(f"http://{address}", None, connect_timeout=MUCH)
        with pytest.raises(ValueError, match="accepted|several lines"):
            way.send(Request("GET", path, fields, None, Limit(MUCH)))


def test_a_name_is_verified_as_it_is_called(monkeypatch):
    """Whatever is needed to connect to it: a dot at the end, an interface, the brackets of an address."""
    seen = []
    context = client_context(insecure=True)
    monkeypatch.setattr("hem_provider.rest.directhttp.open_socket", lambda *_: socket.socket())

    def wrap(_, *, server_hostname):
        seen.append(server_hostname)
        raise ssl.SSLError(1, "enough")

    monkeypatch.setattr(context, "wrap_socket", wrap)
    for host in ("my.ence.do", "my.ence.do.", "[::1]:8443", "[fe80::1%25eth0]", "MY.ence.do"):
        way = HttpTransport(f"https://{host}", context, connect_timeout=MUCH)
        with pytest.raises(HemConnectionError):
            way.send(asked())
    assert seen == ["my.ence.do", "my.ence.do", "::1", "fe80::1", "my.ence.do"]


def test_a_proxy_and_a_name_that_is_not_ascii_are_left_to_requests():
    for url, proxy in (("https://ence.do", "http://127.0.0.1:1"), ("https://straße.example", None)):
        assert isinstance(HttpTransport(url, None, connect_timeout=1, proxy=proxy)._host, RequestsHttp)
    with pytest.raises(HemConnectionError, match="cannot reach the device"):
        HttpTransport("https://xn--strae-oqa.invalid", None, connect_timeout=1).send(asked())


def test_a_program_that_logs_in_and_signs_loads_neither_requests_nor_another_http_library(served):
    ca_file = str(served.ca_file)
    program = f"""
    import sys
    import hem_provider
    hem = hem_provider.connect({served.https!r}, passphrase={served.passphrase!r}, ca_file={ca_file!r})
    key = hem.keys.create("ED25519", label="lean")
    key.private_key().sign(b"message")
    hem.keys.delete(key)
    loaded = {{"requests", "urllib3", "charset_normalizer", "certifi", "idna", "http.client", "email.parser"}}
    print(sorted(loaded & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout.strip()) == ("", "[]")
