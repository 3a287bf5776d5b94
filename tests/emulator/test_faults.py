"""Ordered faults, latency, the control socket and the command line."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.passphrases import ADMIN
from support.rig import Rig

from hem_provider.cli import main as cli
from hem_provider.emulator import EmulatedDevice, control, lifecycle
from hem_provider.emulator.faults import FAULTS, FaultKind
from hem_provider.emulator.latency import KINDS, PROFILES, delay_of, load_profile


def order(rig, name, **parameters):
    return control.run(rig.device, "fault", {"name": name, **parameters})


def status(rig):
    return rig.call("GET", "/api/system/status")


def keys(rig):
    with rig.device.model.transaction():
        return len(rig.device.model.repository.slots())


def create(rig, token):
    return rig.call("POST", "/api/keymgmt/create", {"label": "x", "type": "AES128"}, token=token)


def test_reset_before_leaves_the_request_undone_and_reset_after_does_it(rig):
    token = rig.token("keymgmt:gen")
    before = keys(rig)
    order(rig, "reset-before", count=1)
    with pytest.raises(ConnectionResetError):
        create(rig, token)
    assert keys(rig) == before
    order(rig, "reset-after", count=1)
    with pytest.raises(ConnectionResetError):
        create(rig, token)
    assert keys(rig) == before + 1
    assert create(rig, token).status == 200


def test_counts_run_down_and_endpoints_select(rig):
    order(rig, "status", status=503, count=2, endpoint="GET /api/system")
    assert rig.call("GET", "/api/auth/token").status == 200
    assert rig.call("POST", "/api/system/checkin", {}).status == 400
    assert [status(rig).status for _ in range(3)] == [503, 503, 200]
    assert control.run(rig.device, "faults") == []


def test_probability_is_honoured_and_clearing_ends_a_fault(rig):
    order(rig, "status", probability=0.5)
    found = {status(rig).status for _ in range(64)}
    assert found == {200, 500}
    control.run(rig.device, "clear", {"name": "status"})
    assert {status(rig).status for _ in range(10)} == {200}
    order(rig, "status", probability=0.0)
    assert {status(rig).status for _ in range(10)} == {200}


def test_a_truncated_body_is_shorter_than_it_says(rig):
    order(rig, "truncate")
    answer = status(rig)
    assert len(answer.body) < int(answer.headers["content-length"])
    assert answer.headers["connection"] == "close"
    empty = rig.call("GET", "/api/nowhere")
    assert (empty.body, empty.headers["content-length"]) == (b"", "10")


@pytest.mark.parametrize(("name", "raises"), [("stall", False), ("slow", False), ("hang", True)])
def test_waiting_faults_wait(rig, monkeypatch, name, raises):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    order(rig, name, seconds=7.0)
    if raises:
        with pytest.raises(ConnectionResetError):
            status(rig)
    else:
        assert status(rig).json()["fls_state"] == 0
    assert sum(slept) == pytest.approx(7.0)


def test_conditions_hold_until_cleared(rig):
    token = rig.token("keymgmt:gen")
    order(rig, "repository-full")
    assert create(rig, token).status == 406
    tested = rig.call("GET", "/api/system/selftest", token=rig.token("system:config"))
    assert tested.json()["repo_stats"]["freeslots"] == 0
    order(rig, "cloud-down")
    with pytest.raises(ConnectionRefusedError):
        rig.cloud("GET", "/notify/session")
    control.run(rig.device, "clear", {})
    assert create(rig, token).status == 200
    assert rig.cloud("GET", "/notify/session").status == 200


def test_the_clock_can_be_wrong_or_unset(rig):
    order(rig, "clock-error", seconds=-500.0)
    assert status(rig).json()["time"] == rig.clock.now - 500
    order(rig, "clock-unset")
    assert "time" not in status(rig).json()
    rig.check_in()
    assert status(rig).json()["time"] == rig.clock.now


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": "nonsense"}, "no fault 'nonsense'"),
        ({"name": "status", "colour": 1}, "no parameter 'colour'"),
        ({"name": "status", "probability": 2.0}, "probability is from 0 to 1"),
        ({"name": "status", "count": "many"}, "count of a fault is int"),
        ({"name": "status", "count": True}, "count of a fault is int"),
    ],
)
def test_a_faulty_order_says_what_is_wrong(rig, parameters, message):
    with pytest.raises(control.ControlError, match=message):
        control.run(rig.device, "fault", parameters)
    assert control.run(rig.device, "faults") == []


def test_every_fault_of_the_issue_is_there():
    assert {row.kind for row in FAULTS.values()} == set(FaultKind)
    assert set(FAULTS) >= {
        "reset-before", "reset-after", "truncate", "slow", "stall", "status", "hang", "expired-certificate",
        "clock-error", "cloud-down", "fls", "install-busy", "repository-full",
    }  # fmt: skip


def test_profiles_say_how_long_each_kind_of_call_takes():
    ppa = load_profile("ppa")
    assert set(ppa) == set(KINDS)
    assert delay_of(ppa, "POST", "/api/crypto/ecdh", b"") == 0.238
    assert delay_of(ppa, "POST", "/api/auth/token", b"") > delay_of(ppa, "GET", "/api/auth/token", b"")
    slow = delay_of(ppa, "POST", "/api/keymgmt/create", b'{"type":"SECP521R1"}')
    assert slow > delay_of(ppa, "POST", "/api/keymgmt/create", b'{"type":"AES128"}')
    assert delay_of(PROFILES["none"], "POST", "/api/crypto/ecdh", b"") == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"x": 1}', "unknown kind 'x'"),
        ('{"call": -1}', "call is a number"),
    ],
)
def test_a_faulty_profile_says_what_is_accepted(tmp_path, text, message):
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_profile(str(path))
    with pytest.raises(ValueError, match="there is no file"):
        load_profile(str(tmp_path / "missing"))


def test_latency_delays_answers_of_the_device(rig, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    control.run(rig.device, "latency", {"profile": "ppa"})
    status(rig)
    assert 0.15 < sum(slept) <= 0.2


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator with a control socket, which keeps connections and has a name of its own."""
    folder = tmp_path_factory.mktemp("served")
    arguments = ("--control", str(folder / "control"), "--keep-alive", "--names", "hem.test")
    with ServedEmulator(folder, arguments=arguments) as emulator:
        yield emulator


class Steering:
    """A client of the control socket."""

    def __init__(self, own_served: ServedEmulator) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(own_served.folder / "control"))
        self.stream = self.socket.makefile("rw")

    def __call__(self, **command):
        self.stream.write(json.dumps(command) + "\n")
        self.stream.flush()
        return json.loads(self.stream.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()


@pytest.fixture
def steer(own_served):
    with Steering(own_served) as steering:
        yield steering
        steering(command="clear")


def fetch(own_served, path="/api/system/status"):
    context = ssl.create_default_context(cafile=str(own_served.ca_file))
    with urllib.request.urlopen(own_served.https + path, context=context, timeout=10) as answer:
        return json.loads(answer.read())


def test_the_control_socket_steers_a_running_emulator(own_served, steer):
    assert steer(command="state")["ok"]["initialised"] is True
    assert steer(command="quirk", name="Q42", value="on")["ok"]["Q42"] is True
    assert fetch(own_served)["https"] is False
    assert steer(command="quirk", name="Q42", value="off")["ok"]["Q42"] is False
    assert "no command 'dance'" in steer(command="dance")["error"]
    assert "quirk needs 'value'" in steer(command="quirk", name="Q1")["error"]
    steer.stream.write("nonsense\n")
    steer.stream.flush()
    assert "error" in json.loads(steer.stream.readline())


def test_the_control_socket_is_for_the_owner_only(own_served):
    assert (own_served.folder / "control").stat().st_mode & 0o077 == 0


def test_faults_show_on_the_wire(own_served, steer):
    steer(command="fault", name="reset-before", count=1)
    with pytest.raises((ConnectionResetError, urllib.error.URLError)):
        fetch(own_served)
    steer(command="fault", name="truncate", count=1)
    with pytest.raises(http.client.IncompleteRead):
        fetch(own_served)
    steer(command="fault", name="slow", seconds=0.2, count=1)
    started = time.monotonic()
    assert fetch(own_served)["fls_state"] == 0
    assert time.monotonic() - started >= 0.2


def test_an_expired_certificate_shows_on_the_wire_and_is_renewed_by_a_new_start(own_served):
    with Steering(own_served) as steer:
        steer(command="fault", name="expired-certificate")
    with pytest.raises(urllib.error.URLError, match="expired"):
        fetch(own_served)
    own_served.stop()
    own_served.start()
    assert fetch(own_served)["fls_state"] == 0


@pytest.fixture
def restored_certificate(own_served):
    """Puts the device's certificate back after the test."""
    with EmulatedDevice(own_served.state) as device:
        model = device.model
        with model.transaction():
            material = model.state.tls
        yield
        with model.transaction():
            model.state = replace(model.state, tls=material)
            model.change_boot(tls=material)


@pytest.mark.usefixtures("restored_certificate")
def test_a_lost_certificate_silences_https_only(own_served, steer):
    steer(command="fault", name="lost-certificate")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        fetch(own_served)
    with urllib.request.urlopen(own_served.http + "/api/system/status", timeout=10) as answer:
        assert answer.status == 200


def test_kept_connections_serve_several_requests(own_served):
    connection = http.client.HTTPConnection(own_served.http.removeprefix("http://"), timeout=5)
    for _ in range(3):
        connection.request("GET", "/api/system/status")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, None)
        answer.read()
    connection.close()


def test_slow_clients_do_not_hinder_others(own_served):
    host, port = own_served.http.removeprefix("http://").split(":")
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(20)]
    for connection in idle:
        connection.sendall(b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nContent-Le")
    with urllib.request.urlopen(own_served.http + "/api/system/status", timeout=5) as answer:
        assert answer.status == 200
    for connection in idle:
        connection.close()


def test_the_devices_own_limit_for_a_request_is_kept(own_served):
    with EmulatedDevice(own_served.state) as device:
        model = device.model

        def limit(units):
            with model.transaction():
                model.state = replace(model.state, config=replace(model.config, dosprot=units))

        limit(1)
        try:
            host, port = own_served.http.removeprefix("http://").split(":")
            started = time.monotonic()
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"GET /api/system/status HTTP/1.1\r\n")
                assert connection.recv(100) == b""
            assert 0.4 < time.monotonic() - started < 3
        finally:
            limit(0)


def test_a_device_that_is_shut_down_accepts_no_request_until_it_is_plugged_in_again(own_served, steer):
    with EmulatedDevice(own_served.state) as device:
        with device.model.transaction():
            lifecycle.power_off(device.model)
        for url in (own_served.http, own_served.https):
            with pytest.raises((ConnectionError, urllib.error.URLError)):
                fetch(own_served) if url == own_served.https else urllib.request.urlopen(url, timeout=5)
        steer(command="reset", how="power-cycle")
        assert fetch(own_served)["fls_state"] == 0


def test_the_cloud_has_its_names_in_the_certificate(own_served):
    host, port = own_served.cloud.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(own_served.ca_file))
    for name in ("api.encedo.com", "my.ence.do", "localhost", "127.0.0.1", "hem.test"):
        with socket.create_connection((host, int(port)), timeout=5) as plain:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                assert secure.version() == "TLSv1.3"


def hem(*arguments):
    return cli.main(["emulator", *map(str, arguments)])


def test_init_makes_a_usable_state_and_never_twice(tmp_path, capsys):
    (tmp_path / "user").write_text("user passphrase\n")
    (tmp_path / "admin").write_text(f"{ADMIN}\n")
    for name in ("user", "admin"):
        (tmp_path / name).chmod(0o600)
    given = ["--passphrase-file", tmp_path / "user", "--admin-passphrase-file", tmp_path / "admin"]
    assert hem("init", "--state", tmp_path / "state", *given, "--model", "epa") == 0
    assert "protects nothing" in capsys.readouterr().err
    rig = Rig(tmp_path / "state", init=False, clock=time.time)
    assert rig.call("GET", "/api/keymgmt/list", token=rig.token("keymgmt:list", passphrase="user passphrase"))
    rig.close()
    assert hem("init", "--state", tmp_path / "state", *given) == 1
    assert "initialised already" in capsys.readouterr().err


def test_quirks_lists_and_sets(rig, capsys):
    assert hem("quirks") == 0
    listing = capsys.readouterr().out
    assert all(f" Q{number} " in listing for number in range(1, 43))
    path = rig.device.store.path
    assert hem("quirks", "--state", path, "Q23=404", "ECDH_CUT=off") == 0
    changed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("*")]
    assert [line.split()[1] for line in changed] == ["Q11", "Q23"]
    assert hem("quirks", "--state", path, "Q23") == 1
    assert hem("quirks", "Q23=404") == 1
    assert hem("quirks", "--state", path.parent / "missing") == 1
    assert "no state file" in capsys.readouterr().err


def test_faults_lists_orders_and_clears(rig, capsys):
    assert hem("faults") == 0
    assert "reset-after" in capsys.readouterr().out
    path = rig.device.store.path
    assert hem("faults", "--state", path, "status", "--status", "409", "--count", "1") == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == 409
    assert status(rig).status == 409
    assert hem("faults", "--state", path, "stall") == 0
    assert hem("faults", "--state", path, "clear") == 0
    assert capsys.readouterr().out.endswith("[]\n")
    assert hem("faults", "--state", path) == 0
    assert hem("faults", "stall") == 1


def test_phone_is_told_what_to_do(rig, capsys):
    path = rig.device.store.path
    assert hem("phone", "--state", path, "--answer", "refuse", "--after", "5", "--period", "3600") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["after"], told["period"]) == ("refuse", 5.0, 3600)
    assert hem("phone", "--state", path, "--after", "-1") == 1
    assert hem("phone", "--state", path, "--pair", "https://nowhere") == 1
    assert "not a pairing link" in capsys.readouterr().err


def test_backend_is_told_what_to_order(rig, capsys):
    path = rig.device.store.path
    assert hem("backend", "--state", path, "--action", "L", "--offset", "-5", "--newcrt") == 0
    expected = {"action": "L", "offset": -5, "newcrt": True, "newfw": False, "newui": False, "orders": {}}
    assert json.loads(capsys.readouterr().out) == expected
    assert rig.check_in() == "L"
    assert hem("backend", "--state", path, "--action", "OK", "--no-newcrt") == 0
    assert json.loads(capsys.readouterr().out) == expected | {"action": "OK", "newcrt": False}


def test_reset_restarts_wipes_or_renews(rig, capsys):
    path = rig.device.store.path
    token = rig.token("keymgmt:list")
    assert hem("reset", "--state", path, "--reboot") == 0
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 401
    assert hem("reset", "--state", path, "--wipe") == 0
    assert status(rig).json()["inited"] is False
    with rig.device.model.transaction():
        serial, ca = rig.device.model.state.factory.serial, rig.device.model.state.knobs.ca
    assert hem("reset", "--state", path, "--factory") == 0
    with rig.device.model.transaction():
        assert rig.device.model.state.factory.serial != serial
        assert rig.device.model.state.knobs.ca == ca
    capsys.readouterr()


def test_the_command_line_module_imports_nothing_heavy():
    script = (
        "import sys, hem_provider.cli.commands.emulator\n"
        "print('cryptography' in sys.modules, 'ssl' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_serve_says_which_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "hem_provider.emulator", "serve", "--state", str(tmp_path / "s")]
        done = subprocess.run(
            [*command, "--http-port", str(port)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=False,
            timeout=30,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_reports_what_it_cannot_use(tmp_path):
    command = [sys.executable, "-m", "hem_provider.emulator", "serve", "--state", str(tmp_path / "s")]
    root = Path(__file__).parents[2]
    for arguments, message in (
        (["--init"], "--init needs --passphrase-file"),
        (["--latency", "fast"], "latency is none, ppa, browser or a JSON file"),
        (["--quirk", "Q1=maybe"], "Q1 is on or off"),
        (["--https-port", "70000"], "is not a port from 0 to 65535"),
        (["--faults", str(tmp_path / "missing.json")], "missing.json"),
    ):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, cwd=root, check=False, timeout=30
        )
        assert done.returncode in (1, 2)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("option", ["--faults", "--latency", "--passphrase-file"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "binary", "deep"])
def test_a_file_that_cannot_be_used_is_named_and_makes_nobody_wait(tmp_path, capsys, option, kind):
    path = tmp_path / "given"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.write_bytes(b"\xff\xfe" if kind == "binary" else b"[" * 100_000)
        path.chmod(0o600)
    command = ["serve", "--state", tmp_path / "state", option, path]
    if option == "--passphrase-file":
        command += ["--init", "--admin-passphrase-file", path]
    assert hem(*command) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert "chmod" not in said


def test_a_passphrase_file_that_others_may_read_is_refused_with_the_chmod(tmp_path, capsys):
    (tmp_path / "user").write_text("user passphrase\n")
    (tmp_path / "user").chmod(0o644)
    given = ["--passphrase-file", tmp_path / "user", "--admin-passphrase-file", tmp_path / "user"]
    assert hem("init", "--state", tmp_path / "state", *given) == 1
    assert f"run: chmod go-rwx {tmp_path / 'user'}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["fifo", "folder", "text", "cut", "body"])
def test_a_state_file_that_is_none_is_told_in_one_line(tmp_path, template, capsys, kind):
    path = tmp_path / "state"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a database, but long enough to be taken for one " * 50)
    else:
        path.write_bytes(template.read_bytes()[: None if kind == "body" else 5000])
    if kind == "body":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE state SET body = '[]', generation = generation + 1")
        database.close()
    assert hem("reset", "--state", path, "--reboot") == 1
    said = capsys.readouterr().err
    assert str(path) in said
    assert said.count("\n") == 1
