"""One deadline for a whole request: devices that trickle, flood or say nothing, in each state of the
exchange, TLS handshake included. Limits are short; that a test is over at all is what counts.
"""

from __future__ import annotations

import itertools
import resource
import socket
import threading
import time

import pytest
from device.test_tls import server, tls_server
from support.calls import send

from hem_provider import threads
from hem_provider.device import connect
from hem_provider.errors import HemConnectionError, HemProtocolError, HemTimeout, HemUnreachable
from hem_provider.rest.http import HttpTransport
from hem_provider.rest.tls import client_context
from hem_provider.rest.wire import Limit, Request

__all__ = ["tls_server"]  # a fixture

#: Seconds: the limits of the tests, the pause of who trickles, and what no test may come near.
WHOLE, PAUSE, MUCH = 0.3, 0.02, 20.0
#: Where a TLS handshake must succeed first, on a machine that may be busy.
WITH_TLS = 1.0
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def trickle(head, forever):
    """A peer that sends ``head`` at once, then ``forever``, byte by byte, without end."""

    def answer(stream):
        stream.recv(100_000)
        stream.sendall(head)
        for byte in itertools.cycle(forever):
            stream.sendall(bytes([byte]))
            time.sleep(PAUSE)

    return answer


def flood(head, forever):
    """A peer that sends ``forever`` as fast as it is taken."""

    def answer(stream):
        stream.recv(100_000)
        stream.sendall(head)
        while True:
            stream.sendall(forever)

    return answer


def stop(head):
    """A peer that sends ``head`` and then nothing."""

    def answer(stream):
        stream.recv(100_000)
        stream.sendall(head)
        stream.recv(1)  # until the client goes

    return answer


TRICKLING = {
    "nothing": stop(b""),
    "the status line": trickle(b"HTTP/1.1 200 ", b"O"),
    "a header's name": trickle(OK, b"X"),
    "headers": trickle(OK, b"X: y\r\n"),
    "interim answers": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "an interim answer's headers": trickle(b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n"),
    "the body": trickle(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body without length": trickle(OK + b"\r\n", b" "),
    "a chunk's size": trickle(CHUNKED, b"0"),
    "a chunk's extension": trickle(CHUNKED + b"2;", b"x"),
    "a chunk": trickle(CHUNKED + b"ffff\r\n", b" "),
    "a chunk's end": stop(CHUNKED + b"2\r\n{}"),
    "trailers": trickle(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "a missing end": stop(CHUNKED + b"2\r\n{}\r\n"),
}


def transport(address, tls=None, *, connecting=MUCH, proxy=None):
    context = None if tls is None else client_context(pin_sha256=tls[1])
    scheme = "http" if tls is None else "https"
    return HttpTransport(f"{scheme}://{address}", context, connect_timeout=connecting, proxy=proxy)


def request(body=None, *, seconds=WHOLE, name="timeout"):
    return Request("POST" if body else "GET", "/api/system/status", {}, body, Limit(seconds, name))


def outcome(way, asked, expected, text):
    before = time.monotonic()
    with pytest.raises(expected, match=text):
        way.send(asked)
    assert time.monotonic() - before < MUCH / 2
    way.close()


TOLD = r"(no answer within|not complete in time, which is) {:g} s \(timeout\)"


@pytest.mark.parametrize("state", TRICKLING)
def test_a_device_that_trickles_is_over_at_the_deadline(state):
    with server(TRICKLING[state]) as address:
        outcome(transport(address), request(), HemTimeout, TOLD.format(WHOLE))


@pytest.mark.parametrize("state", ["nothing", "headers", "trailers"])
def test_a_device_that_trickles_over_tls_is_over_at_the_deadline(state, tls_server):
    with server(TRICKLING[state], tls=tls_server[0]) as address:
        asked = request(seconds=WITH_TLS)
        outcome(transport(address, tls_server), asked, HemTimeout, TOLD.format(WITH_TLS))


def tunnel_and_trickle(stream):
    """A proxy that lets the client through to a peer whose TLS handshake does not end."""
    stream.recv(10_000)
    stream.sendall(OK + b"\r\n")
    trickle(b"\x16\x03\x03\x40\x00", b"\x02")(stream)


HELLOS = {
    "nothing": stop(b""),
    "a record": trickle(b"\x16\x03\x03\x40\x00", b"\x02"),
    "a hello": trickle(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", b"\x02"),
}


@pytest.mark.parametrize("state", HELLOS)
def test_a_tls_handshake_that_trickles_is_over_when_connecting_must_be(state, tls_server):
    with server(HELLOS[state]) as address:
        way = transport(address, tls_server, connecting=WHOLE)
        told = r"cannot reach the device: no TLS handshake within 0\.3 s \(connect_timeout\)"
        outcome(way, request(seconds=MUCH), HemUnreachable, told)


def test_where_the_whole_request_has_less_time_it_is_that_limit_which_is_named(tls_server):
    with server(stop(b"")) as address:
        told = r"no TLS handshake within 0\.3 s \(timeout\)"
        outcome(transport(address, tls_server), request(), HemUnreachable, told)


@pytest.mark.parametrize("answer", [stop(b""), TRICKLING["the status line"], TRICKLING["headers"]])
def test_a_proxy_that_trickles_is_over_when_connecting_must_be(answer, tls_server):
    with server(answer) as address:
        way = transport("cloud.example", tls_server, connecting=WHOLE, proxy=f"http://{address}")
        told = r"no answer of the proxy within 0\.3 s \(connect_timeout\)"
        outcome(way, request(seconds=MUCH), HemUnreachable, told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (TRICKLING["headers"], r"no answer of the proxy within 1 s \(connect_timeout\)"),
        (tunnel_and_trickle, r"no answer of the proxy within 1 s \(connect_timeout\)"),
    ],
    ids=["headers", "the handshake within"],
)
def test_a_proxy_behind_tls_keeps_the_deadline_too(answer, told, tls_server, monkeypatch):
    context, pin = tls_server
    monkeypatch.setattr("hem_provider.rest.adapter.proxy_context", lambda: client_context(pin_sha256=pin))
    with server(answer, tls=context) as address:
        way = transport("cloud.example", tls_server, connecting=WITH_TLS, proxy=f"https://{address}")
        outcome(way, request(seconds=MUCH), HemUnreachable, told)


def test_a_device_that_does_not_read_is_over_at_the_deadline(tls_server):
    with server(lambda _: time.sleep(2 * WHOLE)) as address:
        outcome(transport(address), request(bytes(64 << 20)), HemTimeout, r"within 0\.3 s \(timeout\)")
    with server(lambda _: time.sleep(2 * WITH_TLS), tls=tls_server[0]) as address:
        asked = request(bytes(64 << 20), seconds=WITH_TLS)
        outcome(transport(address, tls_server), asked, HemTimeout, r"within 1 s \(timeout\)")


def test_a_kept_connection_has_the_deadline_of_each_request(tls_server):
    context, pin = tls_server

    def answer(stream):
        stream.recv(10_000)
        stream.sendall(OK + b"Content-Length: 2\r\n\r\n{}")
        trickle(b"HTTP/1.1 200 ", b"O")(stream)

    with server(answer, tls=context) as address:
        way = transport(address, (context, pin))
        status = Request("GET", "/api/system/status", {}, None, Limit(MUCH), repeatable=True)
        assert way.send(status).body == b"{}"
        late = Request("GET", "/api/system/status", {}, None, Limit(WHOLE), repeatable=True)
        outcome(way, late, HemTimeout, r"within 0\.3 s \(timeout\)")
        assert way._context.handshakes == 1


def test_what_is_sent_again_is_within_the_same_deadline(tls_server):
    context, pin = tls_server

    def answer(stream):
        stream.recv(10_000)
        time.sleep(0.7)  # and then the connection is lost, each time

    with server(answer, tls=context) as address:
        with connect(f"https://{address}", pin_sha256=pin, timeout=1) as hem:
            with pytest.raises(HemConnectionError, match=r"within 1 s \(timeout\)"):
                send(hem, "GET", "/api/system/status")
            assert hem.statistics.calls == 2


@pytest.mark.parametrize(
    ("head", "forever"),
    [
        (OK, b"X: " + b"a" * 60_000 + b"\r\n"),
        (OK + b"X: ", b"a" * 60_000),
        (b"HTTP/1.1 200 ", b"a" * 60_000),
        (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"a" * 60_000 + b"\r\n\r\n"),
        (CHUNKED, b"0" * 60_000),
        (CHUNKED + b"2;", b"a" * 60_000),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: " + b"a" * 60_000 + b"\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a" * 60_000),
    ],
    ids=["headers", "a header", "status line", "interim", "size", "extension", "trailers", "a trailer"],
)
def test_a_flood_takes_bounded_memory_and_ends(head, forever, monkeypatch):
    monkeypatch.setattr("hem_provider.rest.deadline.MOST_RECEIVED", 8 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with server(flood(head, forever)) as address:
        outcome(transport(address), request(seconds=MUCH), HemProtocolError, "answer")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_the_new_keys_limit_is_named_when_it_is_met():
    with server(TRICKLING["the status line"]) as address:
        asked = request(b"{}", name="keygen_timeout")
        outcome(transport(address), asked, HemTimeout, r"no answer within 0\.3 s \(keygen_timeout\)")


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    over = threading.Event()

    def ask(host, *arguments):
        if host == "device.example" and socket.AI_NUMERICHOST not in arguments:
            over.wait(MUCH)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    told = r"cannot reach the device: no address for its name within 0\.3 s \(connect_timeout\)"
    outcome(transport("device.example:1", connecting=WHOLE), request(seconds=MUCH), HemUnreachable, told)
    over.set()


@pytest.mark.parametrize("why", ["none is to be had", "the program forbids it"])
def test_a_name_is_looked_up_without_a_thread_when(why, monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread") if threads.threads_allowed() else AssertionError

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(threads, "_allowed", why != "the program forbids it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome(transport(f"localhost:{port}"), request(), HemUnreachable, "refused")


def test_an_address_that_swallows_everything_leaves_time_for_the_next(monkeypatch):
    connected = []

    def through(self, address):
        connected.append((address, self.gettimeout()))
        if address[0] == "192.0.2.1":
            raise TimeoutError("timed out")
        return original(self, address)

    original = socket.socket.connect
    monkeypatch.setattr("hem_provider.rest.sockets.TimedSocket.connect", through, raising=False)
    with server(lambda s: (s.recv(1000), s.sendall(OK + b"Content-Length: 2\r\n\r\n{}"))) as address:
        port = int(address.split(":")[1])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (each, port)) for each in ("192.0.2.1", "127.0.0.1")
        ]
        monkeypatch.setattr("hem_provider.rest.sockets.look_up", lambda *_: found)
        assert transport(f"both.example:{port}", connecting=8).send(request(seconds=MUCH)).body == b"{}"
    (_, first), (_, second) = connected
    assert first <= 4 < second <= 8


def test_a_look_for_a_phone_takes_no_longer_than_the_wait_for_it(tls_server, monkeypatch):
    context, pin = tls_server
    monkeypatch.setattr("hem_provider.device.mobile._WITHDRAWING", 0.1)
    with server(TRICKLING["the body"], tls=context) as address:
        with connect("https://device.example", cloud_url=f"https://{address}", timeout=30) as hem:
            hem.rest.channel._carriers.get()._cloud = transport(address, (context, pin))
            hem.session.mobile.wait = 0.5
            before = time.monotonic()
            with pytest.raises(HemTimeout, match=r"within 1 s \(what was left of the wait\)|which is 1 s"):
                hem.session.mobile._decision("event")
            assert time.monotonic() - before < MUCH / 2
