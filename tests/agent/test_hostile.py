"""The agent's socket under hostile input: garbage, cuts, smuggling, floods, silence; and a campaign of it."""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import termios
import tracemalloc
from collections import deque
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile import TARGETS, body, cut, http_stream, ssh_stream
from support.passphrases import PASSPHRASE

from hem_provider.agent import http as http_module
from hem_provider.agent.answers import Answers
from hem_provider.agent.door import Door
from hem_provider.agent.http import Answer, HttpStream, own_answer
from hem_provider.agent.memory import SecretPage
from hem_provider.agent.options import Options
from hem_provider.agent.service import Service
from hem_provider.config import DeviceConfig
from hem_provider.config.agentplace import Word
from hem_provider.device.relay import Reply, credential_seed
from hem_provider.secret import hold_in

#: Streams of bytes, made by hypothesis so that what fails is made small.
RANDOMS = st.randoms(use_true_random=False, note_method_calls=False)
OK = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n"


def handles():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one descriptor of its own, as always


class Conversation:
    """One client and one stream in an event loop, which must have nothing to complain about."""

    def __init__(self, loop, serve):
        self.loop, self.serve = loop, serve
        self.complaints = []
        self.questions = []
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))

    async def _answer(self, question):
        self.questions.append(question)
        return await self.serve(question)

    async def _talk(self, pieces, brought, reads):
        gone = []
        theirs, client = socket.socketpair()
        client.setblocking(False)
        stream = HttpStream(theirs, os.getpid(), gone.append, self._answer)
        told = bytearray()
        try:
            async with asyncio.timeout(30):
                for piece in pieces:
                    if gone:
                        break
                    with suppress(BrokenPipeError, ConnectionResetError):
                        if brought:
                            rights = array.array("i", [brought.pop()] * 1)
                            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                            piece = piece[client.sendmsg([piece], ancillary) :]
                        await self.loop.sock_sendall(client, piece)
                    await asyncio.sleep(0)
                quiet = 0
                while quiet < 4:
                    await asyncio.sleep(0)
                    quiet = quiet + 1 if not stream.busy and self._unread(client) == 0 else 0
                    if reads:
                        with suppress(BlockingIOError, ConnectionResetError):
                            while more := client.recv(1 << 20):
                                told += more
                                quiet = 0
                over = bool(gone)
        finally:
            client.close()
        for _ in range(8):
            await asyncio.sleep(0)
        assert gone == [stream]
        return bytes(told), over

    @staticmethod
    def _unread(client):
        with suppress(OSError):
            return struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)))[0]
        return 0

    def talk(self, *pieces, brought=(), reads=True):
        """What the agent answers to these pieces, and whether it has closed the connection. ``brought``:
        descriptors, each with one of the first pieces."""
        before = handles()
        told = self.loop.run_until_complete(self._talk(pieces, list(brought), reads))
        assert self.complaints == []
        assert handles() == before
        return told


async def echo(question):
    await asyncio.sleep(0)
    return own_answer(200, path=question.path[:50], size=len(question.body), handles=len(question.handles))


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def conversation(loop):
    return Conversation(loop, echo)


def answers(told):
    """Statuses and bodies of what an agent has said, which is whole answers and nothing else."""
    found = []
    while told:
        head, blank, told = told.partition(b"\r\n\r\n")
        assert blank, head
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, *_ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(fields.get("content-length", 0))
        assert len(told) >= size
        found.append((int(status), told[:size]))
        told = told[size:]
    return found


@given(RANDOMS)
@settings(max_examples=400)
def test_any_bytes_in_any_pieces_get_whole_answers_or_the_end(random):
    loop = asyncio.new_event_loop()
    try:
        conversation = Conversation(loop, echo)
        stream = http_stream(random)
        told, over = conversation.talk(*cut(random, stream))
        if " HEAD " not in f" {stream.decode('latin-1')}".replace("\n", " "):
            statuses = [status for status, _ in answers(told) if status != 100]
            assert set(statuses) <= {200, 400, 413, 431, 501}
            # Each request has one answer; a refusal is one more, and the end.
            refused = [each for each in statuses if each != 200]
            assert len(statuses) - len(refused) == len(conversation.questions)
            assert len(refused) <= 1
            assert over or not refused
    finally:
        loop.close()


@given(RANDOMS, st.integers(0, 40))
@settings(max_examples=40)
def test_descriptors_that_come_along_are_closed_whatever_comes_with_them(random, number):
    loop = asyncio.new_event_loop()
    try:
        conversation = Conversation(loop, echo)
        with open(os.devnull) as null:  # noqa: PTH123
            pieces = cut(random, http_stream(random)) + [b"x"] * number
            conversation.talk(*pieces, brought=[null.fileno()] * number)
    finally:
        loop.close()


@pytest.mark.parametrize("place", range(1, 130, 7))
def test_a_request_cut_anywhere_is_one_request(conversation, place):
    request = (
        b"POST /x HTTP/1.1\r\nHost: a\r\nHem-Scope: keymgmt:list\r\nContent-Length: 40\r\n\r\n" + b"y" * 40
    )
    assert len(request) > 110
    told, over = conversation.talk(request[:place], request[place:])
    assert [(status, json.loads(text)["size"]) for status, text in answers(told)] == [(200, 40)]
    assert not over


def test_a_request_byte_by_byte_is_one_request(conversation):
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    told, _ = conversation.talk(*(request[at : at + 1] for at in range(len(request))))
    assert json.loads(answers(told)[0][1])["size"] == 3


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"GET /" + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"ffff\r\n" + b"x" * 65535 + b"\r\n") * 5,
            413,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 40_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 9000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rHem-Scope: keymgmt:del\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHem-Scope : keymgmt:del\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),  # HTTP/0.9
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
        (OK.replace(b"\r\n", b"\n"), 200),
        (OK.replace(b"1.1", b"1.0"), 200),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(conversation, stream, status):
    told, over = conversation.talk(stream)
    ((found, text),) = [each for each in answers(told) if each[0] != 100]
    assert found == status
    if status != 200:
        assert json.loads(text)["message"]
        assert over
        assert conversation.questions == []


def test_a_length_beside_chunks_smuggles_nothing(conversation):
    """The agent makes requests of its own out of what it has read: only its own reading counts."""
    stream = (
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + OK
    )
    told, _ = conversation.talk(stream)
    assert [each.path for each in conversation.questions] == ["/a", "/status"]
    assert [status for status, _ in answers(told)] == [200, 200]


def test_pipelined_requests_are_answered_one_after_another(conversation):
    told, over = conversation.talk(b"".join(OK.replace(b"status", b"%d" % each) for each in range(200)))
    assert [json.loads(text)["path"] for _, text in answers(told)] == [f"/{each}" for each in range(200)]
    assert not over


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "OPTIONS", "TRACE"])
def test_methods_that_are_special_in_http_are_answered_by_its_rules(conversation, method):
    target = "a:1" if method == "CONNECT" else "/status"

    async def refuse(_):
        return own_answer(405, Word.REFUSED, message="no")

    conversation.serve = refuse
    told, _ = conversation.talk(f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert told.startswith(b"HTTP/1.1 405 ")
    assert told.endswith(b"\r\n\r\n") == (method == "HEAD")


def test_an_upgrade_is_not_taken_up_and_the_connection_goes_on(conversation):
    told, over = conversation.talk(OK.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHost") + OK)
    assert [status for status, _ in answers(told)] == [200, 200]
    assert not over


def test_who_waits_for_leave_to_send_the_body_gets_it(conversation):
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    told, _ = conversation.talk(head, b"", b"a", b"bc")
    assert [status for status, _ in answers(told)] == [100, 200]


@pytest.mark.parametrize("status", [204, 304, 200, 599, 999])
def test_any_status_of_a_device_is_handed_on(conversation, status):
    async def serve(_):
        return Answer(status, {"Content-Type": "x"}, b"body")

    conversation.serve = serve
    told, over = conversation.talk(OK + OK)
    assert [each for each, _ in answers(told)] == [status, status]
    assert (b"body" in told) == (status not in (204, 304))
    assert not over


@pytest.mark.parametrize(
    "answer",
    [Answer(101), Answer(42), Answer(200, {"Server": "a\r\nB: c"}), Answer(200, {"Server": "\u20ac"}), None],
)
def test_what_cannot_be_handed_on_is_a_lost_answer(conversation, caplog, answer):
    async def serve(_):
        if answer is None:
            raise LookupError("not to be told: s3cret")
        return answer

    conversation.serve = serve
    told, over = conversation.talk(OK + OK)
    for status, text in answers(told):
        assert status == 502
        assert json.loads(text)["error"] == "ConnectionLostError"
    assert len(answers(told)) == 2
    assert not over
    assert "GET /status" in caplog.text
    assert "s3cret" not in caplog.text + told.decode()


def test_a_request_that_does_not_come_to_its_end_is_waited_for_so_long(conversation, monkeypatch):
    monkeypatch.setattr(http_module, "_WHOLE", 0.2)

    async def talk(pieces, seconds):
        gone = []
        theirs, client = socket.socketpair()
        stream = HttpStream(theirs, 0, gone.append, echo)
        try:
            for piece in pieces:
                with suppress(BrokenPipeError):
                    client.send(piece)
                await asyncio.sleep(0.02)
            await asyncio.sleep(seconds)
            return bool(gone)
        finally:
            client.close()
            stream.close()

    def over(*pieces, seconds=0.4):
        return conversation.loop.run_until_complete(talk(pieces, seconds))

    assert over(b"GET / HT")
    assert over(*(OK[at : at + 1] for at in range(20)))  # it trickles
    assert over(OK + b"GET / HT")  # also behind one that was answered
    assert over(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
    assert not over(OK)
    assert not over()


def test_who_takes_no_answers_gets_no_more_served_and_the_rest_when_it_does(loop):
    """Pipelined requests whose answers nobody reads: neither a lost connection nor memory without end."""
    served = []

    async def serve(question):
        served.append(question.path)
        return Answer(200, {}, b"x" * 50_000)

    async def talk():
        theirs, client = socket.socketpair()
        client.setblocking(False)
        gone = []
        stream = HttpStream(theirs, 0, gone.append, serve)
        await loop.sock_sendall(client, OK * 300)
        for _ in range(400):
            await asyncio.sleep(0)
        unread = len(served)
        assert unread < 30
        assert len(stream._out) <= 60_000
        told = bytearray()
        async with asyncio.timeout(60):
            while len(told) < 300 * 50_000 or len(served) < 300:
                told += await loop.sock_recv(client, 1 << 20)
        client.close()
        for _ in range(8):
            await asyncio.sleep(0)
        assert gone
        return bytes(told)

    assert len(answers(loop.run_until_complete(talk()))) == 300


def test_small_answers_that_fill_the_way_to_the_last_byte_lose_nothing(loop):
    async def serve(_):
        return Answer(200, {}, b"x")

    async def talk():
        theirs, client = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.setblocking(False)
        gone = []
        HttpStream(theirs, 0, gone.append, serve)
        await loop.sock_sendall(client, OK * 500)
        for _ in range(1200):
            await asyncio.sleep(0)
        assert not gone
        told = bytearray()
        async with asyncio.timeout(60):
            while told.count(b"HTTP/1.1 200") < 500:
                told += await loop.sock_recv(client, 1 << 16)
        client.close()
        for _ in range(8):
            await asyncio.sleep(0)

    loop.run_until_complete(talk())


def test_a_memory_file_that_is_cut_meanwhile_ends_nobody():
    """Whoever hands it over has it too."""
    script = """
import os, signal
from hem_provider.agent.memory import SecretPage
handle = os.memfd_create("x")
parent, child = os.getpid(), os.fork()
if not child:
    while os.getppid() == parent:
        os.ftruncate(handle, 0)
        os.ftruncate(handle, 32)
    os._exit(0)
page = SecretPage(32)
try:
    for _ in range(20_000):
        try:
            page.take(handle)
        except ValueError:
            pass
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("what", ["/dev/zero", "/dev/null", "/", "read-only", "pipe"])
def test_what_is_no_memory_file_is_refused(tmp_path, what):
    other = None
    if what == "read-only":
        (tmp_path / "x").write_bytes(bytes(32))
        handle = os.open(tmp_path / "x", os.O_RDONLY)
    elif what == "pipe":
        handle, other = os.pipe()
    else:
        handle = os.open(what, os.O_RDONLY)
    try:
        with pytest.raises((ValueError, OSError)):
            SecretPage(32).take(handle)
    finally:
        os.close(handle)
        if other is not None:
            os.close(other)


@pytest.fixture
def service(loop, rig):
    """A conversation with an agent's service over an emulated device in this process, unlocked."""
    config = DeviceConfig(url=f"emulator:{rig.path}", name="k")
    door = Door(config, Options())
    odd = Door(DeviceConfig(url=f"emulator:{rig.path}-other", name="\u00e4 /%"), Options())
    eid = door.relay.identity().eid
    assert door.relay.unlock(hold_in(bytearray(credential_seed(PASSPHRASE, eid))), eid, None)
    done = []
    made = Service(
        {"k": door, odd.name: odd},
        status=lambda: {"devices": [door.state()]},
        lock=done.append,
        stop=lambda: done.append("stop"),
        touched=lambda: None,
    )
    conversation = Conversation(loop, made.answer)
    conversation.door = door
    yield conversation
    door.close()
    odd.close()


def request(method, path, content=b"", **fields):
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


SEARCH = "/devices/k/api/keymgmt/search"
PATHS = [
    *(each for each in TARGETS if each.isascii()),
    SEARCH,
    "/devices/k/api/crypto/exdsa/sign",
    "/devices/k/api/keymgmt/get/" + "0" * 32,
    "/devices/k/api/auth/token",
    "/devices/k/unlock",
]
SCOPES = [
    "",
    "keymgmt:list",
    "keymgmt:use:" + "0" * 32,
    "\u00fc:\u00ff",
    "x " * 2000,
    "keymgmt:list keymgmt:del",
]
WITHIN = [
    "1",
    "20",
    "3600",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "0",
    "-0.0",
    "1_0",
    "0x1",
    "",
    "\u00b2",
    "1" * 300,
]


def test_every_proper_request_gets_one_proper_answer(service):
    @given(
        random=RANDOMS,
        method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "PATCH"]),
        path=st.sampled_from(PATHS),
        scopes=st.sampled_from(SCOPES),
        within=st.sampled_from(WITHIN),
        fresh=st.booleans(),
    )
    @settings(max_examples=250)
    def asked(random, method, path, scopes, within, fresh):
        fields = {"Hem_Scope": scopes} if scopes else {}
        fields |= {"Cache_Control": "no-cache"} if fresh else {"Hem_Within": within}
        content = body(random) if method != "GET" else b""
        told, over = service.talk(request(method, path, content, **fields))
        if method == "HEAD":
            assert told.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 413 "))
            return
        ((status, text),) = answers(told)
        if status == 413:
            assert len(content) > 256 * 1024
            return
        assert not over
        assert b"the agent failed" not in told
        if b"Hem-Agent: " in told:
            assert json.loads(text)["message"]
            assert status in (400, 401, 403, 404, 405, 502)

    asked()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"a":' + b"[" * 15 + b"]" * 15 + b"}", 406),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"a":' + b"[" * 100_000, 400),
        (b'{"a": NaN}', 400),
        (b'{"a": -Infinity}', 400),
        (b'{"a": 1e999}', 400),
        (b'{"a": ' + b"9" * 5000 + b"}", 400),
        (b'{"a": "\\ud800"}', 400),
        (b'{"\\udc00": 1}', 400),
        (b'{"a": "\xff"}', 400),
        (b"[{}]", 400),
        (b"null", 400),
    ],
)
def test_only_what_can_be_sent_on_is_a_body(service, content, status):
    ((found, text),) = answers(service.talk(request("POST", SEARCH, content))[0])
    if status == 400:
        assert (found, b"a JSON object in UTF-8" in text) == (400, True)
    else:
        assert b"a JSON object in UTF-8" not in text  # the device's own judgement


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("k", 200),
        ("%6b", 200),
        ("%6B", 200),
        ("K", 404),
        ("%C3%A4%20%2F%25", 200),
        ("%c3%a4 ", 400),
        ("k%00", 404),
        ("k%2Fapi", 404),
        ("%", 404),
        ("%zz", 404),
        ("%C3%28", 404),
        ("%F0%9F%94%91" * 400, 404),
        ("", 404),
        ("..", 404),
    ],
)
def test_names_are_percent_encoded(service, name, status):
    ((found, _),) = answers(service.talk(request("GET", f"/devices/{name}/api/system/version"))[0])
    assert found == status


def test_many_scopes_of_one_request_are_one_token(service, rig):
    scopes = " ".join(["keymgmt:del", "\u00fc", "nonsense", "keymgmt:list", "keymgmt:use:" + "0" * 32])
    rig.requests.clear()
    path = "/devices/k/api/keymgmt/list/0/15"
    ((status, _),) = answers(service.talk(request("GET", path, Hem_Scope=scopes))[0])
    assert status == 200
    assert rig.requests == ["GET /api/keymgmt/list/0/15"]
    ((status, text),) = answers(service.talk(request("GET", path, Hem_Scope="keymgmt:del \u00fc"))[0])
    assert status == 403
    assert "--allow delete" in json.loads(text)["message"]


def test_what_is_remembered_is_bounded_by_what_it_takes():
    """Questions are remembered with their answers, and may be larger."""
    answers_ = Answers()
    reply = Reply(200, {}, b"{}")
    tracemalloc.start()
    try:
        for number in range(4000):
            question = {"descr": f"{number:06}" + "x" * 1700}
            answers_.keep("POST", "/api/keymgmt/search", question, (), reply, answers_.changes)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 8 * 1024 * 1024
    assert answers_.find("POST", "/api/keymgmt/search", question, ()) is not None
    for huge, scopes in (({"descr": "x" * 7000}, ()), ({}, ("x",) * 3000)):
        answers_.keep("POST", "/api/keymgmt/search", huge, scopes, reply, answers_.changes)
        assert answers_.find("POST", "/api/keymgmt/search", huge, scopes) is None


@pytest.mark.parametrize(
    "number", [3000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
@pytest.mark.parametrize("kind", ["rest", "ssh"])
def test_a_campaign_leaves_a_running_agent_as_it_was(agent, kind, number):
    """Neither crash nor hang nor growth, whatever comes; between, everybody else is served."""
    chance = Random(number)  # noqa: S311
    make, path = {"rest": (http_stream, agent.socket), "ssh": (ssh_stream, agent.ssh_socket)}[kind]
    ask = agent.client()
    assert ask("GET", "/devices/k/api/keymgmt/list/0/15", scope="keymgmt:list")[0] == 200
    opened = deque()
    try:
        for done in range(number):
            if done == number // 10:
                settled = agent.resident
            opened.append(hostile_client(path, make(chance)))
            if len(opened) > 50 or chance.random() < 0.5:
                opened.pop().close()
            if len(opened) > 50:
                opened.popleft().close()
            if done % 200 == 0:
                assert ask("GET", "/devices/k/api/auth/token")[0] == 200
                assert kind == "rest" or lists_identities(path)
    finally:
        for each in opened:
            each.close()
    agent.wait_until(lambda: agent.open_files < 40)
    assert agent.threads < 10
    assert agent.resident < settled + 6 * 1024
    assert agent.device["state"] == "unlocked"
    log = agent.log.read_text()
    assert "Traceback" not in log
    assert "the agent failed" not in log
    logging.getLogger("campaign").info("%s: KiB after a tenth and now: %d, %d", kind, settled, agent.resident)


def hostile_client(path, stream):
    """A connection on which all of this was sent, as far as it was taken."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(str(path))
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(stream)
    return client


def lists_identities(path):
    """Whether the ssh-agent answers (SSH_AGENTC_REQUEST_IDENTITIES with SSH_AGENT_IDENTITIES_ANSWER)."""
    with hostile_client(path, b"\x00\x00\x00\x01\x0b") as client, client.makefile("rb") as answer:
        size = int.from_bytes(answer.read(4), "big")
        return answer.read(size)[:1] == b"\x0c"
