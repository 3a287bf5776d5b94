"""The small web server, whatever is sent to it."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from hem_provider.errors import HemConfigError
from hem_provider.exporter.serving import Address, Server, parse_address


@pytest.fixture
def asked():
    """(seconds, accepted) of each page that was made."""
    return []


@pytest.fixture
def server(asked):
    def page(within, accepted):
        asked.append((within, accepted))
        return "text/plain; charset=utf-8", "hém 1\n".encode()

    made = Server(parse_address("127.0.0.1:0", network=False), page)
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made.stop()
    thread.join(30)
    assert not thread.is_alive()


def get(server, path="/metrics", method="GET", **headers):
    connection = http.client.HTTPConnection(server.address.host, server.address.port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): each for name, each in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict(answer.headers.items()), answer.read()


def send(server, data, wait=True):
    with socket.create_connection((server.address.host, server.address.port), 30) as raw:
        raw.settimeout(30)
        raw.sendall(data)
        if not wait:
            return b""
        raw.shutdown(socket.SHUT_WR)
        found = b""
        while more := raw.recv(65536):
            found += more
        return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9797", Address("127.0.0.1", 9797)),
        ("127.8.9.1:0", Address("127.8.9.1", 0)),
        ("localhost:80", Address("127.0.0.1", 80)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_addresses_of_this_machine_are_taken(text, found):
    assert parse_address(text, network=False) == found


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "9797", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:65536",
        "1.2.3:80", "::1:80", "[::1]", "[::1]80", "[127.0.0.1]:80", "host.example:80",
        "127.0.0.1:\uff18\uff10", "127.0.0.1:999999999", "[::1:80", "http://127.0.0.1:80",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_is_accepted(text):
    with pytest.raises(
        ValueError, match=r"is no address to listen at; accepted: 127\.0\.0\.1:PORT"
    ) as caught:
        parse_address(text, network=True)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0.0.0.0:9797", "[::]:9797", "192.0.2.1:9797"])
def test_addresses_that_others_reach_are_taken_when_that_is_asked_for_alone(text):
    with pytest.raises(ValueError, match="others would reach it, without a login and without TLS.*--network"):
        parse_address(text, network=False)
    assert str(parse_address(text, network=True)) == text


def test_a_port_that_is_taken_is_an_error(server):
    with pytest.raises(
        HemConfigError, match=r"127\.0\.0\.1:\d+: it cannot listen there: Address already in use"
    ):
        Server(server.address, lambda *_: ("", b""))


def test_the_page_is_given_with_its_type(server):
    status, headers, body = get(server)
    assert (status, body) == (200, "hém 1\n".encode())
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Server"].strip() == "hem-exporter"
    assert get(server, method="HEAD")[::2] == (200, b"")
    assert get(server, "/metrics?name[]=hem_up")[0] == 200
    assert b"/metrics" in get(server, "/")[2]


@pytest.mark.parametrize(
    ("told", "within"),
    [
        (None, 8.0), ("10", 8.0), ("0.5", 0.4), ("0", 0.2), ("-3", 0.2), ("1e9", 60.0), ("inf", 60.0),
        ("nan", 8.0), ("soon", 8.0),
    ],
)  # fmt: skip
def test_it_answers_within_what_prometheus_waits(server, asked, told, within):
    get(server, **({} if told is None else {"X-Prometheus-Scrape-Timeout-Seconds": told}))
    assert asked[-1][0] == pytest.approx(within)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /secret-path HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../x HTTP/1.0\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 501),
        (b"<script>x</script>\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\n\r\n", 505),
        (b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (bytes(range(256)) * 10 + b"\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused_without_a_word_of_it(server, asked, data, status):
    answer = send(server, data)
    assert str(status).encode() in answer.splitlines()[0]
    assert b"script" not in answer
    assert b"secret" not in answer
    assert asked == []
    assert get(server)[0] == 200


def test_clients_that_say_nothing_or_go_away_keep_nobody_waiting(server, capfd):
    silent = [socket.create_connection((server.address.host, server.address.port), 30) for _ in range(100)]
    for _ in range(20):
        send(server, b"GET /metrics HTTP/1.1\r\n\r\n", wait=False)
    began = time.monotonic()
    assert get(server)[0] == 200
    assert time.monotonic() - began < 8
    for each in silent:
        each.close()
    assert "Traceback" not in "".join(capfd.readouterr())
