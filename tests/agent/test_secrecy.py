"""Where the agent's secrets are, and where they are not."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from pathlib import Path

import pytest
from support.agent import RunningAgent, sign_body
from support.emulator import client_of

from hem_provider.agent.memory import SecretPage
from hem_provider.device.relay import credential_seed

LIST = "/devices/k/api/keymgmt/list/0/15"
SIGN = "/devices/k/api/crypto/exdsa/sign"
TOKEN = re.compile(rb"eyJ[0-9A-Za-z_-]{20,}\.eyJ[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{43}")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into the memory of the agent")


def memory(pid):
    """All readable memory of a process: region → bytes."""
    found = {}
    with Path(f"/proc/{pid}/mem").open("rb", 0) as content:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if not mode.startswith("r") or "[v" in line:
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            try:
                content.seek(start)
                found[start] = content.read(end - start)
            except (OSError, OverflowError):
                continue
    assert sum(map(len, found.values())) > 10_000_000
    return found


def places(regions, secret):
    return [start for start, content in regions.items() if secret in content]


@as_root
def test_the_passphrase_is_never_in_its_memory_and_the_key_in_one_locked_page(device, keys):
    with RunningAgent(device) as running:
        ask = running.unlock().client()
        assert ask("POST", SIGN, sign_body(keys["mail"]), scope=f"keymgmt:use:{keys['mail']}")[0] == 200
        seed = credential_seed(device.passphrase, running.device["eid"])
        regions = memory(running.pid)
        assert places(regions, device.passphrase.encode()) == []
        (place,) = places(regions, seed)
        assert regions[place].count(seed) == 1
        assert running.device["memory_locked"] is True
        assert vm_flags(running.pid, place) >= {"lo", "dd", "dc"}  # locked, not dumped, not copied by fork


def vm_flags(pid, start):
    lines = iter(Path(f"/proc/{pid}/smaps").read_text().splitlines())
    for line in lines:
        if line.startswith((f"{start:08x}-", f"{start:x}-")):
            return next(set(each.split()[1:]) for each in lines if each.startswith("VmFlags"))
    raise AssertionError


@as_root
@pytest.mark.parametrize("how", ["on request", "idle", "too many wrong PINs"])
def test_after_locking_nothing_is_left_in_its_memory(device, keys, how):
    with RunningAgent(device, *(["--idle=2"] if how == "idle" else []), source=False) as running:
        running.calls.unlock("k", device.passphrase)
        ask = running.client()
        for label in ("mail", "work ed"):
            assert ask("POST", SIGN, sign_body(keys[label]), scope=f"keymgmt:use:{keys[label]}")[0] == 200
        seed = credential_seed(device.passphrase, running.device["eid"])
        pin_key = base64.b64decode(ask("GET", "/devices/k/pin")[2]["key"])
        before = memory(running.pid)
        tokens = {found for content in before.values() for found in TOKEN.findall(content)}
        assert len(tokens) >= 2
        if how == "on request":
            running.calls.lock()
        elif how == "too many wrong PINs":
            wrong = {"mac": base64.b64encode(bytes(32)).decode()}
            for each in [running.client() for _ in range(10)]:
                each.connection.request("POST", "/devices/k/pin", json.dumps(wrong).encode())
        running.wait_until(lambda: "locked" in running.log.read_text().rpartition("unlocked")[2])
        running.wait_until(lambda: (running.status() or {}).get("devices", [{}])[0].get("calls") == 0)
        after = memory(running.pid)
        for secret in (seed, pin_key, device.passphrase.encode(), *tokens):
            assert places(after, secret) == []


def test_nothing_secret_is_said(device, keys):
    with RunningAgent(device) as running:
        ask = running.unlock().client()
        answers = [
            ask("GET", "/status"),
            ask("GET", LIST, scope="keymgmt:list"),
            ask("GET", "/devices/k/unlock"),
        ]
        answers.append(ask("POST", SIGN, sign_body(keys["mail"]), scope=f"keymgmt:use:{keys['mail']}"))
        seed = credential_seed(device.passphrase, running.device["eid"])
        said = repr(answers).encode() + running.log.read_bytes()
        said += Path(f"/proc/{running.pid}/cmdline").read_bytes()
        if os.geteuid() == 0:
            said += Path(f"/proc/{running.pid}/environ").read_bytes()
        for secret in (device.passphrase.encode(), seed, seed.hex().encode(), base64.b64encode(seed)):
            assert secret not in said
        assert TOKEN.findall(said) == []


def test_it_leaves_no_core(device):
    with RunningAgent(device) as running:
        limits = Path(f"/proc/{running.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        assert running.status()["memory_hidden"] is True
        running.signal(signal.SIGSEGV)
        assert os.WCOREDUMP(os.waitpid(running.pid, 0)[1]) is False
        running.process.returncode = -signal.SIGSEGV


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_processes_of_the_same_user_cannot_look_in(device):
    with RunningAgent(device) as running:
        pid = os.fork()
        if pid == 0:
            try:
                # Root without its rights: the same user id, no capability.
                import ctypes

                libc = ctypes.CDLL(None)
                for each in range(41):
                    libc.prctl(24, each, 0, 0, 0)  # PR_CAPBSET_DROP
                header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
                libc.capset(header, data)
                with Path(f"/proc/{running.pid}/mem").open("rb"):
                    os._exit(1)
            except PermissionError:
                os._exit(0)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_where_memory_may_not_be_locked_it_says_so(monkeypatch, caplog):
    from hem_provider.agent import memory as pages

    monkeypatch.setattr(pages._libc(), "mlock", lambda *_: -1)
    assert SecretPage(32).locked is False
    assert "cannot be locked" in caplog.text


def test_a_page_takes_a_memory_file_and_empties_it():
    handle = os.memfd_create("x")
    try:
        os.write(handle, b"s" * 32)
        page = SecretPage(32)
        page.take(handle)
        assert bytes(page.view) == b"s" * 32
        assert os.pread(handle, 32, 0) == bytes(32)
        os.ftruncate(handle, 31)
        with pytest.raises(ValueError, match="31 bytes; accepted: 32"):
            page.take(handle)
    finally:
        os.close(handle)
    with pytest.raises(ValueError, match="accepted: 1 to"):
        SecretPage(0)


def test_a_credential_in_a_page_is_overwritten_when_it_ends(served):
    from hem_provider.device.relay import Relay
    from hem_provider.secret import hold_in

    with client_of(served) as hem:
        eid = hem.probe().eid
        page = SecretPage(32)
        page.view[:] = credential_seed(served.passphrase, eid)
        relay = Relay(hem)
        assert relay.unlock(hold_in(page.view), eid, None)
        assert relay.eid == eid
        assert bytes(page.view) != bytes(32)
        relay.lock()
        assert bytes(page.view) == bytes(32)
        page.view[:] = b"w" * 32
        assert not relay.unlock(hold_in(page.view), eid, "a doubt")
        assert bytes(page.view) == bytes(32)
