"""The state file: one device for many processes, whole after a kill, for its owner only."""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.rig import Rig, proof

from hem_provider.emulator import EmulatedDevice, PrivilegedProcess, inprocess, open_device
from hem_provider.emulator.setup import derive_private, log_in
from hem_provider.emulator.store import StateFileError
from hem_provider.emulator.wsgiclient import call

ROOT = Path(__file__).parents[2]

# Creates, updates and deletes keys without end; a line per acknowledged change, and one before each attempt.
WORKER = """
import sys
from support.rig import Rig, proof
from hem_provider.emulator import EmulatedDevice
from hem_provider.emulator.wsgiclient import call
path, gen, upd, dele = sys.argv[1:]
device = EmulatedDevice(path).device
number = 0
while True:
    number += 1
    print("try create", flush=True)
    body = {"label": "k", "type": "AES128"}
    kid = call(device, "POST", "/api/keymgmt/create", body, token=gen).json()["kid"]
    print("done create", kid, flush=True)
    body = {"kid": kid, "label": f"n{number}"}
    print("try update", kid, f"n{number}", flush=True)
    assert call(device, "POST", "/api/keymgmt/update", body, token=upd).status == 200
    print("done update", kid, f"n{number}", flush=True)
    if number % 2:
        print("try delete", kid, flush=True)
        assert call(device, "DELETE", f"/api/keymgmt/delete/{kid}", token=dele).status == 200
        print("done delete", kid, flush=True)
"""


def environment():
    paths = (str(ROOT), str(ROOT / "tests"), str(ROOT / "shim"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def entries(rig):
    token, found, offset = rig.token("keymgmt:list"), {}, 0
    while True:
        page = rig.call("GET", f"/api/keymgmt/list/{offset}", token=token).json()
        found.update({entry["kid"]: entry["label"] for entry in page["list"]})
        offset += page["listed"]
        if not page["list"]:
            return {kid: label for kid, label in found.items() if not label.startswith("TLS ")}


@pytest.mark.parametrize("round_number", range(3))
def test_a_killed_process_leaves_every_acknowledged_change_and_none_half_done(make_rig, round_number):
    rig = make_rig(clock=time.time)
    rig.check_in()
    tokens = [rig.token(scope) for scope in ("keymgmt:gen", "keymgmt:upd", "keymgmt:del")]
    command = [sys.executable, "-c", WORKER, str(rig.device.store.path), *tokens]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    lines = [worker.stdout.readline() for _ in range(40 + 17 * round_number)]
    worker.kill()
    lines += worker.stdout.read().splitlines()
    worker.stdout.close()
    worker.wait()
    words = [line.split() for line in lines if line.endswith("\n") or len(line.split()) > 1]
    expected: dict[str, str] = {}
    for state, verb, *rest in words:
        if state == "done" and verb == "create":
            expected[rest[0]] = "k"
        elif state == "done" and verb == "update":
            expected[rest[0]] = rest[1]
        elif state == "done" and verb == "delete":
            del expected[rest[0]]
    found = entries(rig)
    pending = words[-1] if words[-1][0] == "try" else None
    if pending is not None and found != expected:  # the change under way was made, but not yet acknowledged
        verb, *rest = pending[1:]
        if verb == "create":
            (extra,) = set(found) - set(expected)
            expected[extra] = "k"
        elif verb == "update":
            expected[rest[0]] = rest[1]
        else:
            del expected[rest[0]]
    assert found == expected


def test_a_served_emulator_killed_under_load_comes_back_with_all_it_acknowledged(tmp_path):
    first = ServedEmulator(tmp_path).start()
    context = ssl.create_default_context(cafile=str(first.ca_file))
    with EmulatedDevice(first.state) as device:
        eid = call(device.device, "GET", "/api/auth/token").json()["eid"]
        token = log_in(device, derive_private(first.passphrase, eid), "keymgmt:gen")
    made: list[str] = []

    def create():
        import json

        while True:
            request = urllib.request.Request(
                f"{first.https}/api/keymgmt/create",
                data=b'{"label":"load","type":"AES128"}',
                headers={"Authorization": f"Bearer {token}"},
            )
            try:
                with urllib.request.urlopen(request, context=context, timeout=5) as answer:
                    made.append(json.loads(answer.read())["kid"])
            except OSError:
                return

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(made) < 30 and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    for thread in threads:
        thread.join()
    assert len(made) >= 30
    with ServedEmulator(tmp_path, init=False) as second, EmulatedDevice(second.state) as device:
        token = log_in(device, derive_private(first.passphrase, eid), "keymgmt:get")
        statuses = {call(device.device, "GET", f"/api/keymgmt/get/{kid}", token=token).status for kid in made}
        assert statuses == {200}


def test_two_openings_see_one_device_boot_state_included(rig):
    other = Rig(rig.device.store.path, init=False, clock=rig.clock)
    try:
        token = rig.token("keymgmt:gen")
        kid = other.call("POST", "/api/keymgmt/create", {"label": "x", "type": "AES128"}, token=token).json()[
            "kid"
        ]
        assert list(entries(rig)) == [kid]
        rig.call("GET", "/api/system/reboot", token=rig.token("system:config"))
        assert other.call("GET", "/api/keymgmt/list", token=token).status == 401
        other.check_in()
        assert "time" in rig.call("GET", "/api/system/status").json()
    finally:
        other.close()


def test_a_nonce_used_in_one_process_is_used_in_all(rig):

    other = Rig(rig.device.store.path, init=False, clock=rig.clock)
    try:
        text = proof(rig)
        assert other.call("POST", "/api/auth/token", {"auth": text}).status == 200
        assert rig.call("POST", "/api/auth/token", {"auth": text}).status == 401
    finally:
        other.close()


def test_many_threads_share_an_opening(rig):
    token = rig.token("keymgmt:gen")
    answers = []

    def work():
        for _ in range(20):
            answers.append(
                rig.call("POST", "/api/keymgmt/create", {"label": "t", "type": "AES128"}, token=token).status
            )

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 120
    assert len(entries(rig)) == 120


def test_an_opening_survives_fork(make_rig):
    rig = make_rig(clock=time.time)
    rig.check_in()
    script = """
import os, sys
from hem_provider.emulator import EmulatedDevice
from hem_provider.emulator.wsgiclient import call
device = EmulatedDevice(sys.argv[1]).device
def create():
    for _ in range(25):
        body = {"label": "f", "type": "AES128"}
        assert call(device, "POST", "/api/keymgmt/create", body, token=sys.argv[2]).status == 200
create()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        create()
        os._exit(0)
    children.append(child)
create()
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    command = [sys.executable, "-c", script, str(rig.device.store.path), rig.token("keymgmt:gen")]
    subprocess.run(command, check=True, env=environment(), timeout=60)
    assert len(entries(rig)) == 125


def test_forking_while_other_threads_use_the_opening_harms_neither_side(make_rig):
    rig = make_rig(clock=time.time)
    rig.check_in()
    script = """
import os, sys, threading
from hem_provider.emulator import EmulatedDevice
from hem_provider.emulator.wsgiclient import call
device = EmulatedDevice(sys.argv[1]).device
def create(times):
    for _ in range(times):
        body = {"label": "f", "type": "AES128"}
        assert call(device, "POST", "/api/keymgmt/create", body, token=sys.argv[2]).status == 200
threads = [threading.Thread(target=create, args=(40,)) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(6):
    child = os.fork()
    if child == 0:
        create(5)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
for thread in threads:
    thread.join()
"""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        script,
        str(rig.device.store.path),
        rig.token("keymgmt:gen"),
    ]
    subprocess.run(command, check=True, env=environment(), timeout=60)
    assert len(entries(rig)) == 2 * 40 + 6 * 5


def test_the_state_file_and_its_side_files_are_for_the_owner_only(rig):
    path = rig.device.store.path
    for name in path.parent.glob(f"{path.name}*"):
        assert stat.S_IMODE(name.stat().st_mode) & 0o077 == 0, name


def test_a_fresh_file_is_made_with_mode_0600_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        open_device(str(tmp_path / "new")).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_the_names_in_a_state_file_are_those_of_every_release(rig):
    with closing(sqlite3.connect(rig.device.store.path)) as database:
        state = json.loads(database.execute("SELECT body FROM state").fetchone()[0])
    assert {"factory", "identity", "boot", "bench", "config", "tls", "firmware"} <= set(state)
    assert {"quirks", "faults", "latency", "checkin_action", "ca"} <= set(state["bench"])


def test_a_state_that_cannot_be_read_is_left_closed(tmp_path):
    path = tmp_path / "state"
    open_device(str(path)).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE state SET body = '[]', generation = generation + 1")
    opened = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(StateFileError) as refused:
        open_device(str(path))
    there = {each for each in Path("/proc/self/fd").iterdir() if each.exists()} - opened
    assert not [each for each in there if each.readlink().name.startswith("state")]
    assert refused.value.__traceback__ is not None  # which keeps what was made alive


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path):
    text, foreign = tmp_path / "text", tmp_path / "foreign.db"
    text.write_bytes(b"not a database, but long enough to be read as one" * 50)
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(StateFileError, match=path.name):
            open_device(str(path))
        assert path.read_bytes()[18:20] == before[18:20] or path == foreign
    with pytest.raises(StateFileError, match="nowhere"):
        open_device(str(tmp_path / "nowhere" / "state"))


def test_a_privileged_process_gets_no_emulator(tmp_path, monkeypatch):
    monkeypatch.setattr(inprocess.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PrivilegedProcess):
        open_device(str(tmp_path / "state"))
    assert not (tmp_path / "state").exists()


def test_at_secure_counts_as_privileged(monkeypatch):
    import struct

    for value, expected in ((0, False), (1, True)):
        vector = struct.pack("@LLLL", 6, 4096, 23, value)
        monkeypatch.setattr(inprocess.Path, "read_bytes", lambda _self, vector=vector: vector)
        assert inprocess._privileges_raised() is expected


def test_ten_thousand_keys_list_and_search_in_pages_of_constant_cost(rig):
    from hem_provider.emulator.repository import Record

    model = rig.device.model
    with model.transaction():
        for number in range(10_000):
            kid = number.to_bytes(16, "big")
            record = Record(kid, "AES128", "k", b"MANY:" + kid, 1, 1, attested=True, secret=kid)
            model.store.database.execute(
                "INSERT INTO slot"
                " (kid, type, modes, attested, private, label, descr, created, updated, secret, public)"
                " VALUES (?, ?, '', 1, 0, 'k', ?, 1, 1, ?, x'')",
                (kid, record.type, record.descr, record.secret),
            )
        model.repository._changed()
    token = rig.token("keymgmt:list")
    started = time.perf_counter()
    seen = []
    for offset in range(0, 10_002, 15):
        page = rig.call("GET", f"/api/keymgmt/list/{offset}", token=token).json()
        assert page["total"] == 10_002
        seen += [entry["kid"] for entry in page["list"]]
    listing = time.perf_counter() - started
    assert len(set(seen)) == 10_002
    started = time.perf_counter()
    found = 0
    for offset in range(0, 10_000, 15):
        body = {"descr": "^TUFOWTo=", "offset": offset}
        found += rig.call("POST", "/api/keymgmt/search", body, token=token).json()["listed"]
    searching = time.perf_counter() - started
    assert found == 10_000
    assert listing < 10
    assert searching < 10


def test_a_process_that_is_not_dumpable_may_use_the_emulator(tmp_path, monkeypatch):
    def hidden(_path):
        raise PermissionError("/proc/self/auxv")

    monkeypatch.setattr(inprocess.Path, "read_bytes", hidden)
    open_device(str(tmp_path / "state")).close()
