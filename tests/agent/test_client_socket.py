"""The Unix socket itself: whose it is, how long it may take, and what may come out of it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from hem_provider import trust
from hem_provider.config.agentplace import SOCKET_VARIABLE
from hem_provider.device import connect
from hem_provider.errors import (
    HemConfigError,
    HemLoginRequired,
    HemProtocolError,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.rest import agentlink, unixsocket
from hem_provider.rest.unixsocket import LONGEST_PATH, UnixTransport
from hem_provider.rest.wire import MAX_ANSWER, ConnectionLostError, Limit, Request

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\n\r\n{}"


@pytest.fixture
def agent(fake_agent):
    return fake_agent


@pytest.fixture
def place(_runtime_folder, request):
    folder = Path(_runtime_folder, f"s{os.getpid()}-{abs(hash(request.node.name)) % 10**6}")
    folder.mkdir(mode=0o700)
    yield folder / "agent.sock"
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()


@contextmanager
def listening(place, serve=None, backlog=8):
    """A socket at ``place``; ``serve`` is called with each connection and its number, in one thread."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        place.chmod(0o600)
        listener.listen(backlog)
        ended = threading.Event()

        def run():
            number = 0
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    number += 1
                    try:
                        serve(connection, number)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True) if serve else None
        if thread:
            thread.start()
        try:
            yield listener
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            if thread:
                thread.join(10)


def transport(place, connect_timeout=2.0):
    return UnixTransport(place, connect_timeout=connect_timeout)


def ask(seconds=5.0, method="GET", body=None, repeatable=True, path="/x"):
    return Request(method, path, {}, body, Limit(seconds), repeatable)


def heard(connection):
    """One request: its head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < size:
        body += connection.recv(65536)
    return head, body


def answering(*answers):
    """Each connection is answered these, one for each request, and closed."""

    def serve(connection, _):
        for each in answers:
            heard(connection)
            connection.sendall(each)

    return serve


def test_head_and_body_arrive_whole_and_so_does_the_answer(place):
    seen = []

    def serve(connection, _):
        seen.append(heard(connection))
        connection.sendall(
            b"HTTP/1.1 404 Gone\r\nX-Field: a\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000
        )

    body = bytes(range(256)) * 4000
    with listening(place, serve):
        reply = transport(place).send(ask(method="POST", body=body))
    assert (reply.status, reply.headers["x-field"], reply.body) == (404, "a", b"y" * 100_000)
    ((head, arrived),) = seen
    assert head.splitlines()[:2] == [b"POST /x HTTP/1.1", b"Host: agent"]
    assert arrived == body


def test_a_connection_is_used_again_and_a_dead_one_is_noticed_before_anything_is_sent(place):
    connections = []

    def serve(connection, number):
        for _ in range(2):
            heard(connection)
            connections.append(number)
            connection.sendall(GOOD)

    with listening(place, serve):
        way = transport(place)
        for _ in range(4):
            way.send(ask(method="POST", body=b"{}", repeatable=False))
            time.sleep(0.02)
        way.close()
    assert connections == [1, 1, 2, 2]


def test_an_agent_may_close_after_each_answer(place):
    closing = GOOD.replace(b"Server: x", b"Connection: close")
    with listening(place, answering(closing)):
        way = transport(place)
        for _ in range(3):
            assert way.send(ask(repeatable=False)).status == 200


def test_what_nobody_asked_for_is_no_answer_to_the_next(place):
    def serve(connection, number):
        heard(connection)
        connection.sendall(GOOD)
        time.sleep(0.02)
        if number == 1:
            connection.sendall(GOOD.replace(b"200 OK", b"201 No"))
            time.sleep(0.1)

    with listening(place, serve):
        way = transport(place)
        assert way.send(ask()).status == 200
        time.sleep(0.06)
        assert way.send(ask()).status == 200


def test_two_answers_at_once_are_never_taken_for_those_of_two_requests(place):
    def serve(connection, number):
        heard(connection)
        connection.sendall(GOOD + (GOOD.replace(b"200 OK", b"201 No") if number == 1 else b""))

    with listening(place, serve):
        way = transport(place)
        assert way.send(ask()).status == 200
        with contextlib.suppress(ConnectionLostError):
            assert way.send(ask()).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",  # of no known length
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD,
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x00\x00\x05\x0c\x00\x00\x00\x00",
        bytes(each * 7919 % 251 for each in range(5000)),
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_what_is_no_answer_is_a_lost_one(place, answer):
    with listening(place, answering(answer)):
        with pytest.raises(HemProtocolError):
            transport(place).send(ask())


def test_an_answer_that_is_too_large_is_not_read(place):
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_ANSWER + 1)
    with listening(place, answering(large)):
        with pytest.raises(HemProtocolError, match="larger than"):
            transport(place).send(ask())


def test_an_answer_without_end_ends(place):
    def serve(connection, _):
        heard(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"x" * 4096 + b"\r\n")

    with listening(place, serve):
        with pytest.raises(HemProtocolError, match="does not end"):
            transport(place).send(ask())


@pytest.mark.parametrize("drip", [None, b"HTTP/1.1 200 OK\r\nX: ", GOOD[:-1]], ids=["silent", "head", "body"])
def test_whoever_answers_never_or_by_the_byte_gets_no_more_than_the_time_that_there_is(place, drip):
    ended = threading.Event()

    def serve(connection, _):
        heard(connection)
        connection.sendall(drip[:-1] if drip else b"")
        while not ended.wait(0.05):
            if drip == GOOD[:-1]:
                continue
            if drip:
                connection.sendall(b"y")

    with listening(place, serve):
        begun = time.monotonic()
        with pytest.raises(HemTimeout, match=r"no answer within 0\.4 s \(timeout\)"):
            transport(place).send(ask(0.4))
        assert time.monotonic() - begun < 5
        ended.set()


def test_whoever_takes_no_connections_is_waited_for_as_long_as_one_may_take(place):
    with listening(place, backlog=0):
        waiting = []
        try:
            for _ in range(8):  # until the queue is full
                each = socket.socket(socket.AF_UNIX)
                each.setblocking(False)
                waiting.append(each)
                try:
                    each.connect(str(place))
                except BlockingIOError:
                    break
            else:
                raise AssertionError("the queue is never full")
            begun = time.monotonic()
            with pytest.raises(HemUnreachable, match=r"no connection within 0\.3 s \(connect_timeout\)"):
                transport(place, 0.3).send(ask())
            assert 0.25 < time.monotonic() - begun < 5
        finally:
            for each in waiting:
                each.close()


def test_a_connection_waits_while_others_are_served(place):
    with listening(place, backlog=0) as listener:
        held = [socket.socket(socket.AF_UNIX) for _ in range(1)]
        held[0].connect(str(place))

        def late():
            time.sleep(0.3)
            listener.accept()[0].close()
            connection, _ = listener.accept()
            with connection:
                heard(connection)
                connection.sendall(GOOD)

        thread = threading.Thread(target=late)
        thread.start()
        assert transport(place).send(ask()).status == 200
        thread.join()
        held[0].close()


def test_what_could_not_be_sent_whole_was_not_processed(place):
    def serve(connection, _):
        connection.recv(10)

    with listening(place, serve):
        with pytest.raises(HemUnreachable, match="takes no request"):
            transport(place).send(ask(method="POST", body=bytes(8_000_000), repeatable=False))


def test_what_was_sent_and_not_answered_is_lost(place):
    def serve(connection, _):
        heard(connection)

    with listening(place, serve):
        with pytest.raises(ConnectionLostError):
            transport(place).send(ask(method="POST", body=b"{}", repeatable=False))


def test_a_path_has_at_most_107_bytes(tmp_path):
    path = Path("/tmp") / ("ä" * 60)
    assert len(os.fsencode(path)) > LONGEST_PATH
    with pytest.raises(
        HemConfigError, match=r"ä: the path of a Unix socket, 125 bytes; accepted: at most 107"
    ):
        transport(path)


@pytest.mark.parametrize("end", ["folder", "socket"])
@pytest.mark.parametrize("what", ["mode", "owner"])
def test_a_place_of_others_is_refused(place, end, what, monkeypatch):
    with listening(place, answering(GOOD)):
        path = place if end == "socket" else place.parent
        if what == "mode":
            path.chmod(0o720)
            told = f"others may write the {end}.*0720"
        else:
            real = Path.stat

            def stat(self, **options):
                found = real(self, **options)
                fields = list(found)
                fields[4] = 12345 if self == path else fields[4]
                return os.stat_result(fields)

            monkeypatch.setattr(Path, "stat", stat)
            told = f"{end}.* belongs to user id 12345; accepted: {os.geteuid()}"
        with pytest.raises(HemConfigError, match=told):
            transport(place).send(ask())
        path.chmod(0o700)


def test_a_process_of_another_user_is_refused(place, monkeypatch):
    """What the kernel says of who listens, in the place of another user's process."""
    with listening(place, answering(GOOD)):
        monkeypatch.setattr(unixsocket.UnixTransport, "_check_place", lambda _: None)
        monkeypatch.setattr(unixsocket.os, "geteuid", lambda: 54321)
        with pytest.raises(HemConfigError, match=f"user id {os.getuid()} listens there, not 54321"):
            transport(place).send(ask())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a process of another user")
def test_a_process_of_another_user_is_refused_by_the_kernels_word(place):
    reader, writer = os.pipe()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    place.chmod(0o600)
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            listener.listen(1)
            os.write(writer, b"x")
            time.sleep(30)
        finally:
            os._exit(0)
    try:
        os.read(reader, 1)
        with pytest.raises(HemConfigError, match="user id 65534 listens there, not 0"):
            transport(place).send(ask())
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        listener.close()
        os.close(reader)
        os.close(writer)


def test_a_file_that_is_no_socket_is_refused(place):
    place.touch(mode=0o600)
    with pytest.raises(HemConfigError, match="no socket"):
        transport(place).send(ask())


# --- the place, as clients find it ----------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_an_unsafe_socket_is_told_loudly(agent, mode, caplog):
    agent.path.chmod(0o666)
    with connect(agent.url, name="office", agent=mode) as hem:
        if mode == "always":
            with pytest.raises(HemConfigError, match=r"others may write the socket \(mode 0666\)"):
                hem.status()
            return
        assert hem.status().initialized
        assert hem.status().initialized
    assert [each.levelname for each in caplog.records if each.name == "hem_provider.agent"] == ["WARNING"]


def test_another_socket_is_named_by_the_environment(agent, place, monkeypatch):
    agent.path.rename(place)
    monkeypatch.setenv(SOCKET_VARIABLE, str(place))
    with connect(agent.url, name="office", agent="always") as hem:
        assert hem.status().initialized
        assert hem.agent_ready
    place.rename(agent.path)


def test_a_path_that_is_too_long_is_told(agent, monkeypatch, tmp_path):
    place = tmp_path / ("x" * 120)
    place.touch()
    monkeypatch.setattr(agentlink, "agent_socket", lambda: place)
    with connect(agent.url, name="office", agent="always") as hem:
        with pytest.raises(HemConfigError, match=f"{len(str(place))} bytes; accepted: at most 107"):
            hem.status()


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_a_process_with_raised_privileges_asks_no_agent(agent, monkeypatch, mode):
    for module in (trust, agentlink):
        monkeypatch.setattr(module, "privileges_raised", lambda: True)
    with connect(agent.url, name="office", agent=mode) as hem:
        if mode == "always":
            with pytest.raises(HemConfigError, match="no agent is asked by a process with raised privileges"):
                hem.status()
        else:
            with pytest.raises(HemLoginRequired, match=r"auth = \"mobile\"$"):
                hem.sign("ab" * 16, b"m", "Ed25519")
    assert agent.lines == []


def test_a_missing_runtime_folder_is_told(agent, monkeypatch):
    monkeypatch.setattr(agentlink, "agent_socket", lambda: None)
    with connect(agent.url, name="office", agent="always") as hem:
        with pytest.raises(HemUnreachable, match="no safe folder"):
            hem.status()


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_an_agent_that_hangs_takes_the_time_of_a_call_and_no_more(agent, mode):
    ended = threading.Event()
    agent.before = lambda *_: bool(ended.wait(30)) and False
    with connect(agent.url, name="office", agent=mode, timeout=1, connect_timeout=0.2) as hem:
        begun = time.monotonic()
        with pytest.raises(HemTimeout, match="within 1 s"):
            hem.status()
        assert not hem.agent_ready
        assert time.monotonic() - begun < 10
    ended.set()


# --- a device that is named by its agent ----------------------------------------------------


@pytest.mark.parametrize("name", ["office", "the door/#1"])
def test_a_url_names_the_agent_and_its_device(agent, name):
    agent.name = name
    kid = agent.hem.keys.create("ED25519", label="k").kid
    with connect(f"unix:{agent.path}#{'office' if name == 'office' else 'the%20door%2F%231'}") as hem:
        hem.sign(kid, b"m", "Ed25519")
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)
        assert "hem-device" not in agent.asked[-1][2]
        assert hem.keys.find(label="k").kid == kid


def test_its_name_is_the_settings_where_the_url_has_none(agent):
    with connect(f"unix:{agent.path}", name="office") as hem:
        assert hem.status().initialized


def test_such_a_device_has_no_other_way(agent):
    with connect(f"unix:{agent.path}#office") as hem:
        agent.word = "locked"
        with pytest.raises(HemLoginRequired, match="hem agent unlock"):
            hem.status()
        agent.word = ""
        with pytest.raises(HemConfigError, match="an agent carries no logins"):
            hem.login("another")
        with pytest.raises(HemConfigError, match="an agent carries no logins"):
            hem.check_in()


@pytest.mark.parametrize("url", ["unix:", "unix:relative", "unix:/run/x#" + "y" * 33, "unix:/run/x#a\tb"])
def test_a_url_without_a_place_is_refused(url):
    with pytest.raises(HemConfigError, match="unix:SOCKET#NAME"):
        connect(url)
