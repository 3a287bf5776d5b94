"""What ends in the middle: the agent, its clients, the device, the folder of its sockets; and who is served
meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException

import pytest
from support.agent import RunningAgent, sign_body
from support.emulator import ServedEmulator, client_of

from hem_provider.config.agentplace import Word
from hem_provider.emulator import EmulatedDevice, control, lifecycle, tls

LIST = "/devices/k/api/keymgmt/list/0/15"
SIGN = "/devices/k/api/crypto/exdsa/sign"
STATUS = "/devices/k/api/system/status"
VERSION = "/devices/k/api/system/version"
CREATE = "/devices/k/api/keymgmt/create"
ENDPOINT = "POST /api/crypto/exdsa/sign"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """A device that these tests give faults and take them away again."""
    with ServedEmulator(tmp_path_factory.mktemp("crash-device")) as served:
        yield served


@pytest.fixture(scope="module")
def kids(emulator):
    with client_of(emulator) as hem:
        return [hem.keys.create("ED25519", label=f"key {number}").kid for number in range(3)]


@pytest.fixture
def running(emulator, kids):
    """An agent for one test."""
    with RunningAgent(emulator) as started:
        yield started.unlock()


@pytest.fixture(scope="module")
def steady(emulator, kids):
    """An agent that lives through all that its device and its clients do."""
    with RunningAgent(emulator, "--allow=make", "--allow=delete") as started:
        yield started.unlock()
        assert "Traceback" not in started.log.read_text()


def order(emulator, command, **parameters):
    with EmulatedDevice(emulator.state) as device:
        return control.run(device, command, parameters)


@contextmanager
def fault(emulator, name, endpoint=ENDPOINT, **parameters):
    order(emulator, "fault", name=name, endpoint=endpoint, **parameters)
    try:
        yield
    finally:
        order(emulator, "clear")


def sign(ask, kid, **fields):
    return ask("POST", SIGN, sign_body(kid), scope=f"keymgmt:use:{kid}", **fields)


def signs(emulator, since=0):
    return sum(each["path"] == "/api/crypto/exdsa/sign" for each in emulator.calls(since))


class Asking(threading.Thread):
    """A client in a thread: ``result`` is what it got, or the error that it met."""

    def __init__(self, work, *arguments, **fields):
        super().__init__()
        self._work = lambda: work(*arguments, **fields)
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self._work()
        except (OSError, HTTPException) as error:
            self.result = error

    def get(self):
        self.join(60)
        assert not self.is_alive()
        return self.result


def in_progress(running, calls):
    """Until the device has been sent one request more than so many."""
    running.wait_until(lambda: running.device["calls"] > calls)


def test_killed_in_the_middle_of_a_call_it_starts_again_and_nothing_is_repeated(running, emulator, kids):
    assert sign(running.client(), kids[0])[0] == 200
    idle = running.client()
    assert idle("GET", STATUS)[0] == 200
    calls = len(emulator.calls())
    with fault(emulator, "stall", seconds=1.0):
        before = running.device["calls"]
        asking = Asking(sign, running.client(), kids[0])
        in_progress(running, before)
        waiting = [Asking(sign, running.client(), kids[0]) for _ in range(3)]
        running.wait_until(lambda: running.device["waiting"] == 3)
        running.signal(signal.SIGKILL)
        running.process.wait()
        for each in (asking, *waiting):
            assert isinstance(each.get(), (OSError, HTTPException))  # at once, not after a time limit
        assert isinstance(Asking(idle, "GET", STATUS).get(), (OSError, HTTPException))
    running.start().unlock()
    assert sign(running.client(), kids[0])[0] == 200
    time.sleep(1.2)  # for what is still under way in the device
    assert 1 <= signs(emulator, calls) <= 2  # perhaps the first, and this one: none that waited, none again


@pytest.mark.parametrize(
    ("name", "parameters", "fields", "status", "error"),
    [
        ("reset-before", {}, {}, 502, "ConnectionLostError"),
        ("reset-after", {}, {}, 502, "ConnectionLostError"),
        ("truncate", {}, {}, 502, "ConnectionLostError"),
        ("hang", {"seconds": 3.0}, {"within": "0.5"}, 502, "HemTimeout"),
        ("slow", {"seconds": 3.0}, {"within": "0.5"}, 502, "HemTimeout"),
        ("hang-after", {"seconds": 3.0}, {"within": "0.5"}, 502, "HemTimeout"),
        ("status", {"status": 500}, {}, 500, None),
        ("status-after", {"status": 504}, {}, 504, None),
        ("status", {"status": 204}, {}, 204, None),
        ("empty", {}, {}, 200, None),
        ("fieldless", {}, {}, 200, None),
    ],
)
def test_a_device_that_fails_is_told_by_name_and_the_queue_goes_on(
    steady, emulator, kids, name, parameters, fields, status, error
):
    ask = steady.client()
    assert sign(ask, kids[0])[0] == 200
    others = [steady.client() for _ in range(3)]
    with fault(emulator, name, **parameters):
        failing = Asking(sign, ask, kids[0], **fields)
        told = [Asking(each, "GET", VERSION, fresh="") for each in others]
        assert [each.get()[0] for each in told] == [200, 200, 200]
        found, headers, content = failing.get()
    assert found == status
    if error is None:
        assert "hem-agent" not in headers  # the device's own answer, as it is
    else:
        assert headers["hem-agent"] == Word.ERROR
        assert content["error"] == error
        assert content["message"]
    # The same connection and the same key go on.
    assert sign(ask, kids[0])[0] == 200
    assert steady.device["waiting"] == 0
    assert steady.device["state"] == "unlocked"


def test_a_repeatable_call_survives_one_reset(steady, emulator, kids):
    ask = steady.client()
    assert ask("GET", LIST, scope="keymgmt:list", repeatable="1")[0] == 200
    with fault(emulator, "reset-before", "GET /api/keymgmt/list", count=1):
        assert ask("GET", LIST, scope="keymgmt:list", repeatable="1", fresh="")[0] == 200
        assert order(emulator, "faults") == []  # it struck
    assert ask("GET", LIST, scope="keymgmt:list", fresh="")[0] == 200


def present(emulator, *, key=None):
    """Have the device show a certificate that is good, for its key or for a new one."""
    with EmulatedDevice(emulator.state) as device, device.model.transaction():
        model = device.model
        material = tls.issue(model.state.knobs.ca, tls.certificate_names(model.state.tls.chain), key=key)
        lifecycle.install_tls(model, material)
        model.change_boot(tls=material)
        return material


def test_the_certificate_expires_and_is_renewed_meanwhile(steady, emulator, kids):
    ask = steady.client()
    assert sign(ask, kids[0])[0] == 200
    logins = emulator.logins()
    order(emulator, "fault", name="expired-certificate")
    try:
        for each in (ask, steady.client()):
            status, headers, content = sign(each, kids[0])
            assert (status, headers["hem-agent"], content["error"]) == (502, Word.ERROR, "HemTLSError")
            assert "expired" in content["message"]
    finally:
        present(emulator)
    assert sign(ask, kids[0])[0] == 200
    assert emulator.logins() == logins


def test_another_key_than_the_pinned_one_gets_nothing(emulator, kids):
    import ssl

    from hem_provider.rest.tls import spki_sha256

    host, port = emulator.https.removeprefix("https://").split(":")
    pin = spki_sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)))))
    with RunningAgent(emulator, settings=f'pin_sha256 = "{pin}"') as running:
        ask = running.unlock().client()
        assert sign(ask, kids[0])[0] == 200
        present(emulator)
        calls = len(emulator.calls())
        status, headers, content = sign(ask, kids[0])
        assert (status, headers["hem-agent"], content["error"]) == (502, Word.ERROR, "HemTLSError")
        assert "pinned" in content["message"]
        assert len(emulator.calls()) == calls


def crowd(running, kids, number=16):
    """So many clients at once, each with one of the keys; what they get."""
    start = threading.Barrier(number)

    def ask_at_once(client, kid):
        start.wait()
        return sign(client, kid)

    clients = [running.client() for _ in range(number)]
    asking = [Asking(ask_at_once, each, kids[at % len(kids)]) for at, each in enumerate(clients)]
    return [each.get()[0] for each in asking]


def counted(emulator, since):
    calls = [f"{each['method']} {each['path']}" for each in emulator.calls(since) if each["port"] != "cloud"]
    return calls.count("POST /api/auth/token"), calls.count("POST /api/system/checkin")


def test_a_restart_of_the_device_is_one_login_for_each_scope_whoever_asks(steady, emulator, kids):
    assert set(crowd(steady, kids)) == {200}
    since = len(emulator.calls())
    order(emulator, "reset", how="reboot")
    assert set(crowd(steady, kids)) == {200}
    assert counted(emulator, since) == (len(kids), 1)  # it loses its clock too: one check-in for all


def test_a_clock_that_is_not_set_is_set_once_for_all(emulator, kids):
    """Also where nobody is logged in yet: unlocking needs to know who the device is."""
    order(emulator, "fault", name="clock-unset")
    since = len(emulator.calls())
    with RunningAgent(emulator) as running:
        assert set(crowd(running, kids)) == {200}
    logins, check_ins = counted(emulator, since)
    assert check_ins == 1
    assert logins == 1 + len(kids)  # to unlock, and one for each scope


def test_a_long_key_generation_lets_others_have_what_is_remembered(steady, emulator, kids):
    ask, other = steady.client(), steady.client()
    assert other("GET", LIST, scope="keymgmt:list")[0] == 200
    with fault(emulator, "stall", "POST /api/keymgmt/create", seconds=2.0):
        before = steady.device["calls"]
        body = {"label": "slow", "type": "SECP521R1"}
        making = Asking(ask, "POST", CREATE, body, scope="keymgmt:gen")
        in_progress(steady, before)
        for _ in range(10):
            begun = time.monotonic()
            status, headers, _ = other("GET", LIST, scope="keymgmt:list")
            assert (status, "age" in headers) == (200, True)
            assert time.monotonic() - begun < 1.0
        assert making.is_alive()
        status, _, made = making.get()
    assert status == 200
    listed = other("GET", LIST, scope="keymgmt:list")
    assert "age" not in listed[1]
    assert made["kid"] in json.dumps(listed[2])
    assert ask("DELETE", f"/devices/k/api/keymgmt/delete/{made['kid']}", scope="keymgmt:del")[0] == 200


def test_it_stops_in_time_while_the_device_hangs(running, emulator, kids):
    assert sign(running.client(), kids[0])[0] == 200
    with fault(emulator, "hang", seconds=40.0):
        before = running.device["calls"]
        asking = Asking(sign, running.client(), kids[0])
        in_progress(running, before)
        begun = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert time.monotonic() - begun < 12
        assert isinstance(asking.get(), (OSError, HTTPException))
        assert not running.socket.exists()


def test_with_few_open_files_it_goes_on(emulator, kids):
    """More connections than it may have files: who comes waits, and silent ones make room."""
    few = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    with RunningAgent(emulator, within=few) as running:
        ask = running.unlock().client()
        assert sign(ask, kids[0])[0] == 200
        silent = [socket.socket(socket.AF_UNIX) for _ in range(120)]
        try:
            for each in silent:
                each.settimeout(20)
                each.connect(str(running.socket))
            assert sign(running.client(), kids[0])[0] == 200
            with fault(emulator, "stall", seconds=0.05):
                clients = [running.client() for _ in range(40)]
                asking = [Asking(sign, each, kids[0]) for each in clients]
                assert [each.get()[0] for each in asking] == [200] * 40
            assert running.open_files <= 64
            ticks = running.ticks
            time.sleep(1)
            assert running.ticks - ticks < 20
        finally:
            for each in silent:
                each.close()
        log = running.log.read_text()
        assert log.count("cannot be accepted") < 50
        assert "Traceback" not in log


def test_its_folder_is_removed_while_it_runs(emulator, kids):
    """Who is connected is served; another agent takes the place, and what is its is left to it."""
    with RunningAgent(emulator) as running:
        ask = running.unlock().client()
        shutil.rmtree(running.socket.parent)
        assert sign(ask, kids[0])[0] == 200
        other = RunningAgent.__new__(RunningAgent)
        other.__dict__.update(vars(running), process=None, log=running.home / "log2")
        try:
            other.start().unlock()
            running.stop()
            assert sign(other.client(), kids[0])[0] == 200
            assert other.ssh_socket.exists()
        finally:
            other.stop()
        assert not running.socket.exists()
        running.start()


def test_stopped_and_continued_it_goes_on(running, kids):
    asks = [running.client() for _ in range(4)]
    assert sign(asks[0], kids[0])[0] == 200
    running.signal(signal.SIGSTOP)
    try:
        asking = [Asking(sign, each, kids[0]) for each in asks]
        gone = running.client()
        gone.connection.request("GET", STATUS)
        gone.connection.sock.close()
        time.sleep(0.5)
        assert all(each.is_alive() for each in asking)
    finally:
        running.signal(signal.SIGCONT)
    assert [each.get()[0] for each in asking] == [200] * 4


def test_a_client_that_is_stopped_keeps_nobody_waiting(steady, kids):
    script = f"""
import http.client, socket, sys
connection = http.client.HTTPConnection("a")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect({str(steady.socket)!r})
body = sys.stdin.readline().strip().encode()
connection.request("POST", {SIGN!r}, body, {{"Hem-Scope": "keymgmt:use:{kids[0]}"}})
print("sent", flush=True)
sys.stdin.readline()
print(connection.getresponse().status, flush=True)
connection.sock.sendall(b"POST /x HTTP/1.1\\r\\n")
sys.stdin.readline()
"""
    client = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        client.stdin.write(json.dumps(sign_body(kids[0])) + "\n")
        client.stdin.flush()
        assert client.stdout.readline() == "sent\n"
        client.send_signal(signal.SIGSTOP)
        assert sign(steady.client(), kids[0])[0] == 200
        client.send_signal(signal.SIGCONT)
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "200\n"
        client.send_signal(signal.SIGSTOP)  # in the middle of its second request
        assert sign(steady.client(), kids[0])[0] == 200
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()


def test_a_client_that_reads_no_answers_keeps_nobody_waiting(steady, kids):
    ask = steady.client()
    assert ask("GET", LIST, scope="keymgmt:list")[0] == 200
    request = f"GET {LIST} HTTP/1.1\r\nHost: a\r\nHem-Scope: keymgmt:list\r\n\r\n".encode()
    before = steady.resident
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(steady.socket))
        deaf.settimeout(1.0)
        with suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            for _ in range(5000):
                deaf.sendall(request)
        assert sign(ask, kids[0])[0] == 200
        assert steady.resident < before + 8 * 1024
        ticks = steady.ticks
        time.sleep(0.5)
        assert steady.ticks - ticks < 10  # it waits, and does not look again and again
        deaf.settimeout(20)
        assert deaf.recv(12) == b"HTTP/1.1 200"
