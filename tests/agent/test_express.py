"""The quick way through the agent: what our own programs send, read at a glance, and a device's turn without
tasks. It says what the long way says."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.passphrases import PASSPHRASE

from hem_provider.agent.door import Door
from hem_provider.agent.http import HttpStream, own_answer
from hem_provider.agent.options import Options
from hem_provider.agent.plainrequest import encode_answer, read_request
from hem_provider.agent.service import Service
from hem_provider.agent.turn import Errand, Turn
from hem_provider.config import DeviceConfig, device_from_url
from hem_provider.device.relay import credential_seed
from hem_provider.rest.agentlink import Agent, _Place
from hem_provider.rest.unixsocket import _encoded
from hem_provider.rest.wire import Limit
from hem_provider.secret import hold_in

#: Bytes of head and body.
HEAD, BODY = 16 * 1024, 256 * 1024
SIGN = "/api/crypto/exdsa/sign"
KID = "00112233445566778899aabbccddeeff"


def sent(method="POST", path=SIGN, body=b'{"msg":"AA"}', **fields):
    """A request as a program of ours sends it through an agent."""
    config = device_from_url("https://my.ence.do", name="k")
    agent = Agent(config, _Place(lambda: None, "k", config.url), must=True)
    return _encoded(agent._request(method, path, body, fields, Limit(3.0), True))


USUAL = sent(**{"Hem-Within": "29.750", "Hem-Scope": f"keymgmt:use:{KID}", "Hem-Repeatable": "1"})


def read_by_h11(data):
    """Method, path, fields and body of one whole request without anything after it, or ``None``."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    body = b""
    try:
        head = connection.next_event()
        if not isinstance(head, h11.Request):
            return None
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.EndOfMessage) or connection.trailing_data[0]:
        return None
    fields = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return head.method.decode(), head.target.decode(), fields, body


@pytest.mark.parametrize(
    "data",
    [
        USUAL,
        sent(**{"Cache-Control": "no-cache"}),
        sent("GET", "/api/keymgmt/list/0/15", None, **{"Hem-Watching": "1"}),
        sent("DELETE", f"/api/keymgmt/delete/{KID}", None),
    ],
)
def test_what_our_programs_send_is_read_at_a_glance(data):
    method, path, fields, body = read_request(data, HEAD, BODY)
    assert (method, path, dict(fields), body) == read_by_h11(data)


PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"\xff", b"-", b"1", b"x", b"Host: a\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0",
    b"Content-Length: 12\r\n", b"content-length: 0\r\n", b"Hem-Scope: a\r\n", b" folded\r\n", b"\r\n\r\n",
    b"Upgrade: h2c\r\n", b"+1", b"0",
]  # fmt: skip


@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)),
        max_size=4,
    )
)
@settings(max_examples=1500, deadline=None)
def test_what_is_read_at_a_glance_is_what_h11_reads(changes):
    data = USUAL
    for place, gone, new in changes:
        at = int(place * len(data))
        data = data[:at] + new + data[at + gone :]
    found = read_request(data, HEAD, BODY)
    if found is not None:
        method, path, fields, body = found
        assert (method, path, dict(fields), body) == read_by_h11(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Host: agent\r\n", b""),
        (b"Host: agent", b"Host: agent\r\nHost: agent"),
        (b"Host: agent", b"Host: agent\r\nConnection: close"),
        (b"Host: agent", b"Host: agent\r\nTransfer-Encoding: chunked"),
        (b"Content-Length: 12", b"Content-Length: 13"),
        (b"Content-Length: 12", b"Content-Length: 11"),
        (b"Content-Length: 12", b"Content-Length: 012"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"POST ", b"HEAD "),
        (b"\r\n", b"\n"),
    ],
)
def test_what_is_anything_else_is_left_to_h11(old, new):
    assert old in USUAL
    assert read_request(USUAL.replace(old, new, 1), HEAD, BODY) is None


def test_what_is_too_large_is_left_to_h11():
    assert read_request(USUAL, USUAL.index(b"\r\n\r\n"), 12) is not None
    assert read_request(USUAL, USUAL.index(b"\r\n\r\n") - 1, 12) is None
    assert read_request(USUAL, HEAD, 11) is None


def by_h11(status, fields, body):
    """The same answer as h11 writes it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(USUAL)
    while not isinstance(connection.next_event(), h11.EndOfMessage):
        pass
    bodiless = status in (204, 304)
    fields = [*fields.items(), *([] if bodiless else [("Content-Length", str(len(body)))])]
    told = connection.send(h11.Response(status_code=status, headers=fields))
    if body and not bodiless:
        told += connection.send(h11.Data(data=body))
    return told + connection.send(h11.EndOfMessage())


@given(
    status=st.integers(190, 1010) | st.sampled_from([200, 204, 304]),
    name=st.sampled_from(["Server", "Hem-Agent", "Content-Type", "a b", "", "\u00e4", "x:"]),
    value=st.text(st.sampled_from("ab \t\r\n\0\x01\x7f\u00e9"), max_size=6),
    body=st.binary(max_size=9),
)
@settings(max_examples=1500, deadline=None)
def test_answers_are_written_as_h11_writes_them(status, name, value, body):
    try:
        expected = by_h11(status, {name: value}, body)
    except (h11.LocalProtocolError, ValueError):
        with pytest.raises(ValueError):
            encode_answer(status, {name: value}, body)
    else:
        assert encode_answer(status, {name: value}, body) == expected


# --- a device's turn ------------------------------------------------------------------------


class Course:
    """Errands of one turn, and what happened in which order."""

    def __init__(self):
        self.turn = Turn("k")
        self.happened = []
        self.go = threading.Event()

    def errand(self, name, *, settles=True, **given):
        def work():
            self.happened.append(f"{name} runs")
            assert self.go.wait(20)
            return name

        def tell(result):
            self.happened.append((name, result))

        def settle(_):
            self.happened.append(f"{name} settled")

        made = Errand(work, tell, settle=settle if settles else None, **given)
        self.turn.take(made)
        return made

    def until_it_runs(self, name):
        """While the event loop does nothing else."""
        ends = time.monotonic() + 20
        while f"{name} runs" not in self.happened:
            assert time.monotonic() < ends, self.happened
            time.sleep(0.001)

    async def until(self, what):
        async with asyncio.timeout(20):
            while what not in self.happened:
                await asyncio.sleep(0.001)


@pytest.fixture
def course():
    made = Course()
    yield made
    made.turn.close()


def test_first_come_first_served_and_who_is_taken_back_loses_the_place(course):
    async def run():
        first, second = course.errand("a"), course.errand("b")
        course.errand("c")
        await course.until("a runs")
        assert course.turn.waiting == 2
        course.turn.cancel(second)
        course.turn.cancel(first)  # the device has begun it, and ends it
        assert course.turn.waiting == 1
        course.go.set()
        await course.until(("c", "c"))

    asyncio.run(run())
    assert course.happened == ["a runs", "a settled", "c runs", "c settled", ("c", "c")]


def test_whose_turn_does_not_come_in_time_is_told_and_never_runs(course):
    async def run():
        course.errand("a")
        course.errand("b", ends=time.monotonic() + 0.05)
        async with asyncio.timeout(20):
            while len(course.happened) < 2:
                await asyncio.sleep(0.001)
        course.go.set()
        await course.until(("a", "a"))

    asyncio.run(run())
    ((_, late),) = [each for each in course.happened if isinstance(each, tuple) and each[0] == "b"]
    assert isinstance(late, TimeoutError)
    assert "b runs" not in course.happened


def test_an_error_is_told_and_the_next_one_has_its_turn(course):
    course.go.set()

    def fails():
        raise OSError("gone")

    async def run():
        with pytest.raises(OSError, match="gone"):
            await course.turn.run(fails)
        return await course.turn.run(lambda: threading.current_thread().name)

    assert asyncio.run(run()) == "hem k"


def test_whoever_waits_for_a_turn_and_is_cancelled_has_left_the_line(course):
    async def run():
        course.errand("a")
        waits = asyncio.create_task(course.turn.run(lambda: course.happened.append("never")))
        await course.until("a runs")
        assert course.turn.waiting == 1
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert course.turn.waiting == 0
        course.go.set()
        await course.until(("a", "a"))

    asyncio.run(run())
    assert "never" not in course.happened


def test_the_device_does_not_wait_for_the_event_loop_where_nothing_is_to_be_settled(course):
    course.go.set()

    async def run():
        course.errand("a", settles=False)
        course.errand("b", settles=False, ends=time.monotonic() + 0.05)
        course.errand("c")
        course.errand("d", settles=False)
        course.until_it_runs("c")
        time.sleep(0.1)  # "b" has run: that its time is over by now means nothing
        assert "d runs" not in course.happened
        assert course.turn.waiting == 1
        await course.until(("d", "d"))

    asyncio.run(run())
    assert course.happened[:3] == ["a runs", "b runs", "c runs"]
    after = course.happened[3:]
    assert [each for each in after if isinstance(each, tuple)] == [(each, each) for each in "abcd"]
    assert after.index("c settled") < after.index("d runs")


def test_every_errand_has_its_turn_once_however_they_come(course):
    course.go.set()

    async def run():
        for number in range(500):
            course.errand(number, settles=number % 7 == 0)
            if number % 3 == 0:
                await asyncio.sleep(0)
        await course.until((499, 499))
        assert course.turn.waiting == 0
        course.errand("last")
        await course.until(("last", "last"))

    asyncio.run(run())
    told = [each[0] for each in course.happened if isinstance(each, tuple)]
    ran = [each for each in course.happened if str(each).endswith(" runs")]
    assert told == [*range(500), "last"]
    assert ran == [f"{each} runs" for each in told]


# --- the stream -----------------------------------------------------------------------------


class Client:
    """A connection to a stream in the running event loop."""

    def __init__(self, serve, express):
        theirs, self.socket = socket.socketpair()
        self.gone = []
        self.socket.setblocking(False)
        self.stream = HttpStream(theirs, os.getpid(), self.gone.append, serve, express)
        self._left = b""

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def answer(self):
        """Status and body of the next answer."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while True:
                head, end, rest = self._left.partition(b"\r\n\r\n")
                if end:
                    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                    if len(rest) >= size:
                        self._left = rest[size:]
                        return int(head.split()[1]), rest[:size]
                more = await loop.sock_recv(self.socket, 65536)
                assert more, "the end of the connection"
                self._left += more

    def close(self):
        self.socket.close()
        self.stream.close()


async def never(question):
    raise AssertionError(f"{question.path} went the long way")


def test_an_answer_from_another_thread_is_whole_however_slowly_it_is_taken():
    body = os.urandom(3_000_000)

    def express(_, first, tell):
        loop = asyncio.get_running_loop()
        answer = own_answer(200)
        answer = type(answer)(200, {}, body)

        def work():
            first(answer)
            loop.call_soon_threadsafe(tell, answer)

        threading.Thread(target=work).start()
        return lambda: None

    async def run():
        client = Client(never, express)
        try:
            for _ in range(3):
                await client.send(USUAL)
                await asyncio.sleep(0.05)  # the way is full
                assert await client.answer() == (200, body)
        finally:
            client.close()

    asyncio.run(run())


def test_requests_that_come_meanwhile_are_answered_in_order_whichever_way_they_go():
    other = b"GET /long HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"

    async def serve(question):
        return own_answer(200, way="long", path=question.path)

    def express(question, _, tell):
        asyncio.get_running_loop().call_later(0.01, tell, own_answer(200, way="quick", path=question.path))
        return lambda: None

    async def run():
        client = Client(serve, express)
        try:
            await client.send(USUAL)
            async with asyncio.timeout(20):
                while not client.stream.busy:
                    await asyncio.sleep(0)
            await client.send(other + USUAL)
            told = [await client.answer() for _ in range(3)]
            await client.send(USUAL)
            told.append(await client.answer())
            assert not client.stream.busy
            return told
        finally:
            client.close()

    told = asyncio.run(run())
    # What comes while another one is answered is kept by h11, and goes the long way.
    assert [b'"quick"' in body for _, body in told] == [True, False, False, True]
    assert [b"/long" in body for _, body in told] == [False, True, False, False]


@pytest.mark.parametrize("how", ["raises", "tells", "answers with what is none"])
def test_a_fault_of_the_quick_way_is_told_and_the_connection_goes_on(how, caplog):
    faults = [True, False]

    def express(_, __, tell):
        if not faults.pop(0):
            return own_answer(200)
        if how == "raises":
            raise KeyError("secret")
        wrong = KeyError("secret") if how == "tells" else type(own_answer(200))(200, {"a": "b\nc"}, b"")
        asyncio.get_running_loop().call_soon(tell, wrong)
        return lambda: None

    async def run():
        client = Client(never, express)
        try:
            found = []
            for _ in range(2):
                await client.send(USUAL)
                found.append(await client.answer())
            return found
        finally:
            client.close()

    (status, text), (after, _) = asyncio.run(run())
    assert (status, after) == (502, 200)
    assert b"ConnectionLostError" in text
    assert b"secret" not in text
    assert "secret" not in caplog.text


def test_a_client_that_goes_away_takes_its_question_back():
    taken_back = []

    async def run():
        client = Client(never, lambda *_: lambda: taken_back.append(True))
        await client.send(USUAL)
        await asyncio.sleep(0.01)
        assert client.stream.busy
        client.socket.close()
        async with asyncio.timeout(20):
            while not client.gone:
                await asyncio.sleep(0.001)

    asyncio.run(run())
    assert taken_back == [True]


# --- the service ----------------------------------------------------------------------------

ASKED = [
    ("POST", SIGN, b'{"msg":"AA","alg":"SHA256WithECDSA","kid":"%s"}' % KID.encode(), f"keymgmt:use:{KID}"),
    ("GET", "/api/keymgmt/list/0/15", b"", "keymgmt:list"),
    ("GET", "/api/keymgmt/list/0/15", b"", "keymgmt:list"),
    ("GET", "/api/system/version", b"", ""),
    ("GET", "/api/auth/token", b"", ""),
    ("POST", "/api/keymgmt/create", b"{}", "keymgmt:gen"),
    ("POST", "/api/keymgmt/search", b"[]", ""),
    ("POST", "/api/keymgmt/search", b'{"a": NaN}', ""),
    ("GET", "/api/k%20", b"", ""),
    ("GET", "/elsewhere", b"", ""),
    ("GET", "/pin", b"", ""),
]


@pytest.fixture
def services(rig):
    """An unlocked agent's service for an emulated device in this process, and its door."""
    door = Door(DeviceConfig(url=f"emulator:{rig.path}", name="k"), Options())
    eid = door.relay.identity().eid
    assert door.relay.unlock(hold_in(bytearray(credential_seed(PASSPHRASE, eid))), eid, None)
    yield (
        Service({"k": door}, status=dict, lock=lambda _: None, stop=lambda: None, touched=lambda: None),
        door,
    )
    door.close()


def question(method, path, body, scope, within="20"):
    lines = [f"{method} /devices/k{path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}"]
    lines += [f"Hem-Within: {within}", *([f"Hem-Scope: {scope}"] if scope else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def told(serve, express, data):
    async def run():
        client = Client(serve, express)
        try:
            await client.send(data)
            return await client.answer()
        finally:
            client.close()

    return asyncio.run(run())


@pytest.mark.parametrize(("method", "path", "body", "scope"), ASKED)
def test_both_ways_say_the_same(services, method, path, body, scope):
    service, door = services
    data = question(method, path, body, scope)
    long = told(service.answer, None, data)
    door.answers.forget()
    quick = told(service.answer, service.answer_now, data)
    assert quick[0] == long[0]
    if path != "/api/auth/token":  # a challenge is another one each time
        assert quick[1] == long[1]


def test_a_token_at_hand_is_all_that_the_quick_way_needs(services):
    service, _ = services
    listed = question("GET", "/api/keymgmt/list/0/15", b"", "keymgmt:list")
    status, text = told(service.answer, service.answer_now, listed)  # logs in for it
    assert status == 200
    assert told(never, service.answer_now, listed) == (200, text)


def test_locked_nothing_is_had_by_the_quick_way(services):
    service, door = services
    listed = question("GET", "/api/keymgmt/list/0/15", b"", "keymgmt:list")
    assert told(service.answer, service.answer_now, listed)[0] == 200
    door.lock("for a test")
    status, text = told(service.answer, service.answer_now, listed)
    assert (status, b"for a test" in text) == (401, True)


def test_only_keys_that_it_was_started_for_by_the_quick_way(services, rig):
    _, door = services
    named = Door(door.config, Options(keys=("web*",)))
    try:
        eid = named.relay.identity().eid
        assert named.relay.unlock(hold_in(bytearray(credential_seed(PASSPHRASE, eid))), eid, None)
        made = door.hem
        made.login(PASSPHRASE)
        web, mail = (
            made.keys.create("SECP256R1", label=each, usage={"sign"}).kid for each in ("web", "mail")
        )
        service = Service(
            {"k": named}, status=dict, lock=lambda _: None, stop=lambda: None, touched=lambda: None
        )

        def sign(kid, serve):
            body = b'{"msg":"AA==","alg":"SHA256WithECDSA","kid":"%s"}' % kid.encode()
            return told(serve, service.answer_now, question("POST", SIGN, body, f"keymgmt:use:{kid}"))[0]

        assert [sign(web, service.answer), sign(web, never)] == [200, 200]
        assert [sign(mail, service.answer), sign(mail, never)] == [403, 403]
    finally:
        named.close()
