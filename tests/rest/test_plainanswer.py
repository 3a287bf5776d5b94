"""The reader of an agent's answers finds in each what ``http.client`` finds."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from hem_provider.rest.plainanswer import NotAnAnswerError, read_answer
from hem_provider.rest.sockets import TimedSocket

_NAMES = st.sampled_from(["Server", "X-Field", "Age", "Hem-Agent", "Connection"])
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


def read(data):
    """What is read of these bytes, which come in pieces and end."""
    ours, theirs = socket.socketpair()

    def feed():
        with theirs, suppress(OSError):  # nobody reads on after what is no answer
            for start in range(0, len(data), 7):
                theirs.sendall(data[start : start + 7])

    feeding = threading.Thread(target=feed)
    feeding.start()
    with TimedSocket(fileno=ours.detach()) as connection:
        try:
            return read_answer(connection, "here")
        finally:
            connection.close()
            feeding.join()


@given(st.sampled_from([200, 204, 401, 503]), st.dictionaries(_NAMES, _VALUES), st.binary(max_size=64))
def test_it_reads_as_http_client_does(status, fields, body):
    lines = [f"HTTP/1.1 {status} Some reason", *(f"{name}: {value}" for name, value in fields.items())]
    body = b"" if status == 204 else body
    data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    reply, keep = read(data)

    class Whole:
        def makefile(self, _):
            import io

            return io.BytesIO(data)

    reference = http.client.HTTPResponse(Whole())
    reference.begin()
    assert reply.status == reference.status
    assert dict(reply.headers) == {name.lower(): value for name, value in reference.getheaders()}
    assert reply.body == reference.read() == body
    assert keep is (fields.get("Connection", "").lower() != "close")


@given(st.binary(max_size=200))
def test_anything_else_is_no_answer(data):
    try:
        reply, _ = read(data)
    except NotAnAnswerError:
        return
    assert data.startswith(b"HTTP/1.1 ")
    assert reply.body in data


@given(st.integers(0, 60))
def test_no_part_of_an_answer_is_one(kept):
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nmore than it"
    part = data[: min(kept, len(data) - 1)]
    try:
        read(part)
    except NotAnAnswerError:
        return
    raise AssertionError(part)
