"""The running agent: what it answers over its socket, to whom, and in which order."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from support.agent import RunningAgent, sign_body
from support.emulator import client_of
from support.passphrases import PASSPHRASE

from hem_provider.config import DeviceConfig
from hem_provider.config.agentplace import Word
from hem_provider.emulator import control

LIST = "/devices/k/api/keymgmt/list/0/15"
SIGN = "/devices/k/api/crypto/exdsa/sign"
STATUS = "/devices/k/api/system/status"


def use(kid):
    return f"keymgmt:use:{kid}"


def test_a_request_gets_the_devices_answer_and_the_token_is_the_agents(own_agent, device, keys):
    ask = own_agent.client()
    before = len(device.calls())
    status, headers, answer = ask("POST", SIGN, sign_body(keys["mail"]), scope=use(keys["mail"]))
    assert status == 200
    assert headers["server"].startswith("hem-provider-emulator/")
    assert "hem-agent" not in headers
    with client_of(device) as hem:
        public = hem.keys.get(keys["mail"]).public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(base64.b64decode(answer["sign"]), b"hello")
    assert device.calls()[before]["path"] == "/api/auth/token"


def test_the_second_signature_is_one_call_and_no_login(agent, device, keys):
    ask = agent.client()
    for expected in (3, 1, 1):
        calls, logins = len(device.calls()), device.logins()
        assert ask("POST", SIGN, sign_body(keys["mail"]), scope=use(keys["mail"]))[0] == 200
        assert len(device.calls()) - calls <= expected
    assert device.logins() == logins


def test_a_refusal_of_the_device_is_its_own(agent, keys):
    ask = agent.client()
    status, headers, _ = ask("POST", SIGN, sign_body("00" * 16), scope=use("00" * 16))
    assert (status, "hem-agent" in headers) == (406, False)
    # The scope is a token's and nothing else: for another key the device refuses it.
    status, headers, _ = ask("POST", SIGN, sign_body(keys["mail"]), scope=use(keys["web"]))
    assert (status, "hem-agent" in headers) == (403, False)


@pytest.mark.parametrize(
    ("method", "path", "scope", "option"),
    [
        ("POST", "/api/keymgmt/create", "keymgmt:gen", "hem agent start --allow make"),
        ("DELETE", "/api/keymgmt/delete/" + "00" * 16, "keymgmt:del", "hem agent start --allow delete"),
        ("GET", "/api/system/reboot", "system:config", "hem agent start --allow admin"),
        ("GET", "/api/system/reboot", "", "hem agent start --allow admin"),
        ("POST", "/api/auth/init", "", "hem agent start --allow admin"),
    ],
)
def test_what_it_was_not_started_for_is_denied_with_the_option(agent, device, method, path, scope, option):
    before = len(device.calls())
    fields = {"scope": scope} if scope else {}
    status, headers, answer = agent.client()(method, f"/devices/k{path}", {}, **fields)
    assert (status, headers["hem-agent"]) == (403, Word.DENIED)
    assert option in answer["message"]
    assert len(device.calls()) == before


def test_rights_are_given_at_the_start(device, keys):
    with RunningAgent(device, "--allow=make", "--allow=delete") as running:
        ask = running.unlock().client()
        body = {"label": "made", "type": "ED25519"}
        status, _, answer = ask("POST", "/devices/k/api/keymgmt/create", body, scope="keymgmt:gen")
        assert status == 200
        path = f"/devices/k/api/keymgmt/delete/{answer['kid']}"
        assert ask("DELETE", path, scope="keymgmt:del")[0] == 200
        assert running.calls.status()["allowed"] == ["use", "make", "delete"]


def test_only_keys_of_some_labels(device, keys):
    with RunningAgent(device, "--keys=we*", "--keys=other") as running:
        ask = running.unlock().client()
        body = sign_body(keys["web"], algorithm="SHA256WithECDSA")
        assert ask("POST", SIGN, body, scope=use(keys["web"]))[0] == 200
        status, headers, answer = ask("POST", SIGN, sign_body(keys["mail"]), scope=use(keys["mail"]))
        assert (status, headers["hem-agent"]) == (403, Word.DENIED)
        assert "'mail'" in answer["message"]
        # A key that is not there is not there.
        assert ask("POST", SIGN, sign_body("00" * 16), scope=use("00" * 16))[0] == 406


def test_only_keys_of_some_labels_whatever_is_done_with_them(own_device):
    """Renaming a key into the pattern, deriving from it, deleting it: all of it names the key."""
    with client_of(own_device) as hem:
        secret = hem.keys.create("SECP256R1", label="secret", usage={"sign", "derive"}).kid
        web = hem.keys.create("SECP256R1", label="web", usage={"sign", "derive"}).kid
    options = ("--allow=make", "--allow=delete", "--keys=web*")
    with RunningAgent(own_device, *options) as running:
        ask = running.unlock().client()
        before = len(own_device.calls())
        for method, path, body, scope in (
            ("POST", "keymgmt/update", {"kid": secret, "label": "web2"}, "keymgmt:upd"),
            ("DELETE", f"keymgmt/delete/{secret}", None, "keymgmt:del"),
            ("DELETE", f"keymgmt/delete/{secret.upper()}", None, "keymgmt:del"),
            ("POST", "keymgmt/derive", {"kid": web, "ext_kid": secret, "label": "d"}, "keymgmt:gen"),
            ("POST", "crypto/ecdh", {"kid": web, "ext_kid": secret}, use(web)),
        ):
            status, headers, answer = ask(method, f"/devices/k/api/{path}", body, scope=scope)
            assert (status, headers.get("hem-agent")) == (403, Word.DENIED), path
            assert "'secret'" in answer["message"]
        assert {each["path"].split("/")[3] for each in own_device.calls()[before:]} <= {"list", "token"}
        body = {"kid": web, "label": "hidden"}
        assert ask("POST", "/devices/k/api/keymgmt/update", body, scope="keymgmt:upd")[0] == 200
        body = sign_body(web, algorithm="SHA256WithECDSA")
        assert ask("POST", SIGN, body, scope=use(web))[1]["hem-agent"] == Word.DENIED


def test_a_label_that_was_changed_elsewhere_counts_after_a_while(rig, hem):
    """By another way than the agent's."""
    import asyncio

    from hem_provider.agent.door import Door, Wanted
    from hem_provider.agent.options import Options
    from hem_provider.errors import HemScopeDenied

    kid = hem.keys.create("ED25519", label="web").kid

    async def asked():
        door = Door(DeviceConfig(url=f"emulator:{rig.path}", name="k"), Options(keys=("web",)))
        door.hem.login(PASSPHRASE)
        wanted = Wanted("POST", "/api/crypto/exdsa/sign", sign_body(kid), (use(kid),))
        assert (await door.ask(wanted))[0].status == 200
        hem.keys.update(kid, label="private")
        door._keys._read -= 30
        with pytest.raises(HemScopeDenied, match="'private'"):
            await door.ask(wanted)
        door.close()

    asyncio.run(asked())


def test_lists_come_from_memory_and_a_change_forgets_them(device, keys):
    with RunningAgent(device, "--allow=make", "--allow=delete") as running:
        ask = running.unlock().client()
        first = ask("GET", LIST, scope="keymgmt:list")
        before = len(device.calls())
        again = ask("GET", LIST, scope="keymgmt:list")
        assert again[2] == first[2]
        assert "age" in again[1]
        assert len(device.calls()) == before
        assert "age" not in ask("GET", LIST, scope="keymgmt:list", fresh="")[1]
        made = ask(
            "POST", "/devices/k/api/keymgmt/create", {"label": "n", "type": "ED25519"}, scope="keymgmt:gen"
        )
        _, headers, listed = ask("GET", LIST, scope="keymgmt:list")
        assert "age" not in headers
        assert made[2]["kid"] in json.dumps(listed)
        ask("DELETE", f"/devices/k/api/keymgmt/delete/{made[2]['kid']}", scope="keymgmt:del")


@pytest.mark.parametrize(
    ("path", "device_field", "status"),
    [
        ("/devices/other/api/system/status", None, 404),
        ("/devices/k/api/system/status", "https://elsewhere.example", 421),
    ],
)
def test_another_device_is_not_served(agent, path, device_field, status):
    fields = {} if device_field is None else {"device": device_field}
    answer = agent.client()("GET", path, **fields)
    assert (answer[0], answer[1]["hem-agent"]) == (status, Word.UNKNOWN)
    assert "k (https://127.0.0.1" in answer[2]["message"]


def test_a_device_is_found_by_its_url_where_a_program_calls_it_otherwise(agent, device):
    assert agent.client()("GET", "/devices/hem/api/system/status", device=device.https)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "fields", "body", "status", "word"),
    [
        ("PATCH", STATUS, {}, None, 405, "method PATCH"),
        ("GET", "/", {}, None, 404, "no such path"),
        ("GET", "/devices/k/other", {}, None, 404, "no such path"),
        ("GET", "/devices/", {}, None, 404, "no device"),
        ("DELETE", "/devices/k/api/keymgmt/delete/%61bcd", {"scope": "keymgmt:list"}, None, 400, "letters"),
        ("GET", "/devices/k/api/system/status?a=b", {}, None, 400, "letters"),
        ("POST", SIGN, {"scope": "keymgmt:list"}, b"[1]", 400, "a JSON object"),
        ("POST", SIGN, {"scope": "keymgmt:list"}, b"{" * 3000, 400, "a JSON object"),
        ("GET", STATUS, {"within": "soon"}, None, 400, "Hem-Within"),
        ("GET", STATUS, {"within": "-1"}, None, 400, "Hem-Within"),
        ("GET", STATUS, {"within": "nan"}, None, 400, "Hem-Within"),
        ("POST", "/devices/k/pin", {}, {"mac": "AAAA"}, 400, "32 bytes"),
        ("POST", "/devices/k/unlock", {}, {}, 400, "eid"),
        ("POST", "/devices/k/unlock", {}, {"eid": "x", "pin_key": "", "pin_mac": ""}, 400, "pin_key"),
    ],
)
def test_what_is_no_request_is_told(agent, method, path, fields, body, status, word):
    ask = agent.client()
    answer = ask(method, path, body, **fields)
    assert answer[0] == status
    assert word in answer[2]["message"]
    assert ask("GET", STATUS)[0] == 200  # and the connection goes on


def test_unlocking_without_the_memory_file_is_refused(agent):
    key = base64.b64encode(bytes(32)).decode()
    told = {"eid": "x", "doubt": None, "pin_key": key, "pin_mac": key}
    status, _, answer = agent.client()("POST", "/devices/k/unlock", told)
    assert status == 400
    assert "0 descriptors" in answer["message"]


def test_pins_are_compared_without_the_passphrase(agent, device):
    import hmac

    ask = agent.client()
    key = base64.b64decode(ask("GET", "/devices/k/pin")[2]["key"])

    def check(pin):
        mac = base64.b64encode(hmac.digest(key, pin.encode(), "sha256")).decode()
        return ask("POST", "/devices/k/pin", {"mac": mac})

    assert check(device.passphrase)[0] == 200
    begun = time.monotonic()
    status, headers, _ = check("wrong")
    assert (status, headers["hem-agent"]) == (403, Word.DENIED)
    assert time.monotonic() - begun >= 0.25
    assert check(device.passphrase)[0] == 200
    assert agent.device["wrong_pins"] == 0


def test_ten_wrong_pins_lock_it(device):
    with RunningAgent(device) as running:
        running.unlock()
        wrong = {"mac": base64.b64encode(bytes(32)).decode()}

        def guess(ask):
            with suppress(OSError, HTTPException):  # those who still wait when it locks
                assert ask("POST", "/devices/k/pin", wrong)[0] in (401, 403, 503)

        threads = [threading.Thread(target=guess, args=(running.client(),)) for _ in range(10)]
        for each in threads:
            each.start()
        running.wait_until(
            lambda: (running.status() or {"devices": [{}]})["devices"][0].get("state") == "locked"
        )
        assert running.device["reason"] == "10 wrong PINs in a row"
        status, headers, answer = running.client()("GET", LIST, scope="keymgmt:list")
        assert (status, headers["hem-agent"]) == (401, Word.LOCKED)
        assert "10 wrong PINs" in answer["message"]
        running.unlock()
        assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200
        for each in threads:
            each.join(10)


def test_who_waits_for_an_answer_to_a_wrong_pin_locks_nothing_for_good(own_device):
    """Another reason to lock comes meanwhile."""
    with RunningAgent(own_device) as running:
        ask, other = running.unlock().client(), running.client()
        wrong = {"mac": base64.b64encode(bytes(32)).decode()}
        for _ in range(3):
            assert ask("POST", "/devices/k/pin", wrong)[0] == 403
        waiting = threading.Thread(target=ask, args=("POST", "/devices/k/pin", wrong))  # for 2 s
        waiting.start()
        running.wait_until(lambda: running.device["wrong_pins"] == 4)
        assert other("POST", "/devices/k/forget", {})[0] == 200
        waiting.join(10)
        running.wait_until(lambda: running.status() is not None)
        assert "wrong PINs in a row" not in running.log.read_text()
        assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200  # by its source, as before


def test_locked_it_answers_what_needs_no_login(device, keys):
    with RunningAgent(device, source=False) as running:
        ask = running.client()
        assert ask("GET", STATUS)[0] == 200
        status, headers, answer = ask("GET", LIST, scope="keymgmt:list")
        assert (status, headers["hem-agent"]) == (401, Word.LOCKED)
        assert "hem agent unlock" in answer["message"]
        running.calls.unlock("k", device.passphrase)
        assert ask("GET", LIST, scope="keymgmt:list")[0] == 200


def test_a_wrong_passphrase_unlocks_nothing_and_spoils_nothing(device, keys):
    from hem_provider.errors import HemAuthenticationError

    with RunningAgent(device, source=False) as running:
        with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
            running.calls.unlock("k", "wrong ")
        assert running.device["state"] == "locked"
        running.calls.unlock("k", device.passphrase)
        with pytest.raises(HemAuthenticationError):
            running.calls.unlock("k", "wrong")
        assert running.device["state"] == "unlocked"
        assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200


def test_requests_at_the_start_wait_for_the_unlocking(device, keys):
    with RunningAgent(device) as running:
        assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200


def test_a_lock_on_request_lasts_until_somebody_unlocks_it(agent):
    pid = agent.pid
    agent.calls.lock()
    agent.wait_until(lambda: agent.status() is not None)
    assert agent.device["state"] == "locked"
    assert agent.calls.status()["pid"] == pid  # the same process, anew
    ask = agent.client()
    assert ask("GET", LIST, scope="keymgmt:list")[1]["hem-agent"] == Word.LOCKED
    agent.calls.unlock_by_source("k")
    assert ask("GET", LIST, scope="keymgmt:list")[0] == 200


def test_idle_it_forgets_and_a_configured_source_unlocks_it_again(device, keys):
    with (
        RunningAgent(device, "--idle=1") as by_source,
        RunningAgent(device, "--idle=1", source=False) as asks,
    ):
        by_source.unlock()
        asks.calls.unlock("k", device.passphrase)
        for running in (by_source, asks):
            running.wait_until(lambda running=running: "idle for 1 s" in running.log.read_text())
            running.wait_until(lambda running=running: running.status() is not None)
        assert by_source.client()("GET", LIST, scope="keymgmt:list")[0] == 200
        assert asks.client()("GET", LIST, scope="keymgmt:list")[1]["hem-agent"] == Word.LOCKED


def test_the_device_away_at_the_start_is_no_reason_not_to_start(own_device):
    with RunningAgent(own_device) as running:
        pass
    own_device.kill()
    with RunningAgent(own_device) as running:
        running.wait_until(lambda: "cannot reach the device" in running.device["reason"])
        status, headers, answer = running.client()("GET", STATUS)
        assert (status, headers["hem-agent"], answer["error"]) == (502, Word.ERROR, "HemUnreachable")


def test_another_passphrase_meanwhile(own_device, keys):
    with RunningAgent(own_device, "--allow=admin", source=False) as running:
        running.calls.unlock("k", own_device.passphrase)
        ask = running.client()
        assert ask("GET", LIST, scope="keymgmt:list")[0] == 200
        with client_of(own_device) as hem:
            hem.admin.change_passphrase("another one altogether")
            hem.admin.reboot()  # which ends the tokens that it still has
        running.wait_until(lambda: ask("GET", "/devices/k/api/system/version")[0] == 200)
        status, headers, answer = ask("GET", LIST, scope="keymgmt:list", fresh="")
        assert (status, headers["hem-agent"]) == (401, Word.LOCKED)
        assert "does not accept the passphrase" in answer["message"]
        assert running.device["state"] == "locked"


def test_a_device_that_was_wiped_meanwhile_gets_nothing_of_what_is_known(own_device):
    with RunningAgent(own_device, source=False) as running:
        running.calls.unlock("k", own_device.passphrase)
        ask = running.client()
        assert ask("GET", LIST, scope="keymgmt:list")[0] == 200
        wipe_and_initialise(own_device)
        status, headers, answer = ask("GET", LIST, scope="keymgmt:list", fresh="")
        assert (status, headers["hem-agent"]) == (401, Word.LOCKED)
        assert "identity" in answer["message"]


def wipe_and_initialise(emulator):
    """The same address, another device."""
    from hem_provider.emulator import EmulatedDevice
    from hem_provider.emulator.setup import initialise

    with EmulatedDevice(emulator.state) as device:
        control.run(device, "reset", {"how": "factory"})
        initialise(device, passphrase=emulator.passphrase, admin_passphrase=emulator.admin_passphrase)


def test_first_come_first_served_and_who_goes_away_loses_the_place(agent, device, keys):
    """One slow request, three that wait; the second of them goes away."""
    kid, order = keys["mail"], []
    assert agent.client()("POST", SIGN, sign_body(kid), scope=use(kid))[0] == 200
    begun = len(device.calls())
    asking = [agent.client() for _ in range(4)]

    def ask(number):
        try:
            status, _, _ = asking[number]("POST", SIGN, sign_body(kid), scope=use(kid))
        except (OSError, AttributeError, ValueError):
            return
        order.append((number, status))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    with slow(device, 1.0):
        for number, each in enumerate(threads):
            each.start()
            time.sleep(0.1)
            agent.wait_until(lambda number=number: agent.device["waiting"] == number)
        asking[2].connection.sock.shutdown(socket.SHUT_RDWR)
        agent.wait_until(lambda: agent.device["waiting"] == 2)
    for each in threads:
        each.join(20)
    assert order == [(0, 200), (1, 200), (3, 200)]
    assert len(device.calls()) - begun == 3


class slow:  # noqa: N801 - reads as a condition
    """While it lasts, each answer of the device takes so many seconds more."""

    def __init__(self, emulator, seconds):
        self._emulator, self._seconds = emulator, seconds

    def _order(self, command, **parameters):
        from hem_provider.emulator import EmulatedDevice

        with EmulatedDevice(self._emulator.state) as device:
            control.run(device, command, parameters)

    def __enter__(self):
        self._order("fault", name="stall", seconds=self._seconds, endpoint="POST /api/crypto")

    def __exit__(self, *_):
        self._order("clear")


def test_a_deadline_travels_along(agent, device, keys):
    kid, ask = keys["mail"], agent.client()
    assert ask("POST", SIGN, sign_body(kid), scope=use(kid))[0] == 200
    assert ask("GET", "/devices/k/api/auth/token")[0] == 200
    with slow(device, 2.5):
        other = threading.Thread(
            target=agent.client(),
            args=("POST", SIGN, sign_body(kid)),
            kwargs={"scope": use(kid)},
        )
        other.start()
        time.sleep(0.3)
        begun = time.monotonic()
        status, headers, answer = ask("POST", SIGN, sign_body(kid), scope=use(kid), within="0.5")
        assert (status, headers["hem-agent"], answer["error"]) == (502, Word.ERROR, "NoTurnError")
        # What is remembered is told meanwhile.
        assert ask("GET", "/devices/k/api/auth/token")[0] == 200
        assert time.monotonic() - begun < 2
        other.join(20)


def test_the_end_of_a_client_in_the_middle_of_a_call_harms_nobody(agent, device, keys):
    kid = keys["mail"]
    with slow(device, 0.5):
        for _ in range(3):
            gone = agent.client()
            gone.connection.request(
                "POST", SIGN, json.dumps(sign_body(kid)).encode(), {"Hem-Scope": use(kid)}
            )
            time.sleep(0.2)
            gone.connection.sock.close()
    assert agent.client()("POST", SIGN, sign_body(kid), scope=use(kid))[0] == 200
    assert "Traceback" not in agent.log.read_text()


def test_a_second_agent_does_not_start(agent):
    second = RunningAgent.__new__(RunningAgent)
    second.__dict__.update(vars(agent), process=None, log=agent.home / "log2")
    second.start(wait=False)
    assert second.process.wait(20) == 1
    assert "another agent is there already" in second.log.read_text()
    assert agent.client()("GET", STATUS)[0] == 200


def test_a_socket_that_a_dead_agent_left_is_replaced(device):
    with RunningAgent(device) as running:
        running.signal(signal.SIGKILL)
        running.process.wait()
        assert running.socket.exists()
        running.start()
        assert running.client()("GET", STATUS)[0] == 200


def test_what_is_no_socket_is_not_removed(device):
    with RunningAgent(device).made() as running:
        running.socket.parent.mkdir(mode=0o700)
        running.socket.write_text("mine")
        running.start(wait=False)
        assert running.process.wait(20) == 1
        assert "is no socket" in running.log.read_text()
        assert running.socket.read_text() == "mine"


def test_a_folder_that_others_may_write_is_refused(device):
    with RunningAgent(device).made() as running:
        running.socket.parent.mkdir(mode=0o700)
        running.socket.parent.chmod(0o777)
        running.start(wait=False)
        assert running.process.wait(20) == 1
        assert "XDG_RUNTIME_DIR" in running.log.read_text()


def test_a_path_that_is_too_long_is_told_with_its_size(device, tmp_path):
    long = tmp_path / ("x" * 120)
    long.mkdir(mode=0o700)
    with RunningAgent(device, environment={"XDG_RUNTIME_DIR": str(long)}).made() as running:
        running.start(wait=False)
        assert running.process.wait(20) == 1
        assert "at most 107" in running.log.read_text()


def test_a_thousand_silent_connections_keep_nobody_out(agent):
    silent = []
    try:
        for _ in range(1000):
            each = socket.socket(socket.AF_UNIX)
            each.settimeout(10)
            each.connect(str(agent.socket))
            silent.append(each)
        assert agent.client()("GET", STATUS)[0] == 200
        lines = Path(f"/proc/{agent.pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        assert resident < 80 * 1024
    finally:
        for each in silent:
            each.close()


def test_it_ends_cleanly_and_removes_its_sockets(device):
    with RunningAgent(device) as running:
        assert running.ssh_socket.exists()
        assert running.stop() == 0
        assert not running.socket.exists()
        assert not running.ssh_socket.exists()


def test_stop_by_its_socket(device):
    with RunningAgent(device) as running:
        running.calls.stop()
        assert running.process.wait(20) == 0


def test_idle_it_uses_no_processor_time(agent):
    def used():
        fields = Path(f"/proc/{agent.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    agent.client()("GET", STATUS)
    time.sleep(0.5)
    before = used()
    time.sleep(2)
    assert used() - before <= 1  # of 200 ticks


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_gets_nothing_and_a_line_in_the_log(own_agent):
    own_agent.run.chmod(0o755)
    own_agent.home.chmod(0o755)
    own_agent.socket.parent.chmod(0o755)
    own_agent.socket.chmod(0o666)  # as if all of that had failed
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(10)
                other.connect(str(own_agent.socket))
                other.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = other.recv(1000)
            os._exit(3 if answer else 0)
        except ConnectionError:
            os._exit(0)
        finally:
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    own_agent.wait_until(lambda: "user id 65534 was sent away" in own_agent.log.read_text())


@pytest.mark.parametrize("by", ["the agent", "itself"])
def test_a_passphrase_that_is_changed_ends_the_agents_login(own_device, by, monkeypatch):
    """Whoever changes it: the former PIN is right no longer."""
    from hem_provider.device.hem import connect

    with RunningAgent(own_device, "--allow=admin", source=False) as running:
        running.calls.unlock("k", own_device.passphrase)
        monkeypatch.setenv("HEM_AGENT_SOCK", str(running.socket))
        settings = {} if by == "the agent" else {"passphrase": own_device.passphrase}
        with connect(own_device.https, ca_file=own_device.ca_file, name="k", **settings) as hem:
            if settings:
                hem.login(own_device.passphrase, by_device=True)
            hem.admin.change_passphrase("another one altogether")
        assert running.device["state"] == "locked"
        assert "the passphrase was changed" in running.device["reason"]
        running.calls.unlock("k", "another one altogether")
        assert running.device["state"] == "unlocked"


def test_a_pin_unlocks_from_the_configured_source(device, keys):
    """``C_Login`` without a PIN, at the first use after a lock that was not asked for."""
    with RunningAgent(device) as running:
        assert running.client()("GET", "/devices/k/pin")[0] == 200
        assert running.device["state"] == "unlocked"
