"""Certificates and data objects in files: misshapen ones, other processes', full disks, crashes."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hem_pkcs11 import slots
from hem_pkcs11.constants import CKA, CKO, CKR, CKU
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.module import Module
from hem_pkcs11.objects import stored_files
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.objects.stored_files import Store
from hem_pkcs11.objects.stored_form import decoded, encoded
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_hem import PIN

from hem_provider import files

ROOT = Path(__file__).parents[2]
YES = pack_bool(True)
DATA = (CKA.CLASS, pack_ulong(CKO.DATA))

#: Content of a file that is no stored object.
MISSHAPEN: dict[str, bytes] = {
    "list": b"[]",
    "null": b"null",
    "number": b"5",
    "text": b'"x"',
    "huge number": b"9" * 5000,
    "attributes in a list": b'{"class":"DATA","private":false,"attributes":[]}',
    "value that is a number": b'{"class":"DATA","private":false,"attributes":{"0x3":5}}',
    "value that is null": b'{"class":"DATA","private":false,"attributes":{"0x3":null}}',
    "value that is not base64": b'{"class":"DATA","private":false,"attributes":{"0x3":"###"}}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "empty": b"",
    "cut": b'{"class": "DA',
    "class of keys": b'{"class":"PRIVATE_KEY","private":false,"attributes":{}}',
    "class that is a list": b'{"class":["DATA"],"private":false,"attributes":{}}',
    "no class": b'{"private":false,"attributes":{}}',
    "private that is a number": b'{"class":"DATA","private":1,"attributes":{}}',
    "certificate without a value": b'{"class":"CERTIFICATE","private":false,"attributes":{}}',
    "huge type": b'{"class":"DATA","private":false,"attributes":{"0xffffffffffffffffffffff":"AAAA"}}',
    "negative type": b'{"class":"DATA","private":false,"attributes":{"-0x3":"AAAA"}}',
    "flag of three bytes": b'{"class":"DATA","private":false,"attributes":{"0x170":"AAAA"}}',
    "binary": b"\xff\xfe\x00",
    "too large": b" " * (stored_files.MAX_FILE + 1),
}


@pytest.fixture
def make_stored(make_core: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Processes, so to speak, over one configuration and so one store."""
    made = []

    def make() -> Any:
        core = make_core("first")
        core.config = replace(core.config, source=str(tmp_path / "config.toml"))
        core.ok("C_Initialize", None)
        made.append(core)
        return core

    yield make
    for core in made:
        core.rv("C_Finalize", False)


@pytest.fixture
def stored(make_stored: Callable[[], Any]) -> Any:
    return make_stored()


def keep(core: Any, session: int, label: bytes, *more: tuple[int, bytes]) -> int:
    template = [DATA, (CKA.TOKEN, YES), (CKA.LABEL, label), *more]
    return core.ok("C_CreateObject", session, template)


def labels(core: Any, session: int) -> set[bytes]:
    return {core.value(session, each, CKA.LABEL) for each in core.find(session, DATA)}


def folder(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "pkcs11-objects").iterdir()
    return found


def objects(tmp_path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder(tmp_path).iterdir() if each.name != ".lock"}


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real = time.monotonic
    monkeypatch.setattr(slots.time, "monotonic", lambda: real() + seconds)


# --- one misshapen object hides none -------------------------------------------------------------


@pytest.mark.parametrize("name", MISSHAPEN)
def test_a_misshapen_stored_object_is_named_and_hides_no_other(
    stored: Any, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    keep(stored, stored.session(), b"one")
    bad = folder(tmp_path) / "0000000000000000000000000000bad0.json"
    bad.write_bytes(MISSHAPEN[name])
    bad.chmod(0o600)
    stored.ok("C_Finalize", False)
    stored.ok("C_Initialize", None)
    session = stored.session()
    assert [labels(stored, session) for _ in range(2)] == [{b"one"}] * 2
    said = capfd.readouterr().err
    assert said.count("bad0.json: not used: ") == 1
    assert bad.read_bytes() == MISSHAPEN[name]  # left alone


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket", "link", "name", "readable secret"])
def test_what_is_no_file_of_the_store_is_named_and_makes_nobody_wait(
    stored: Any, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    keep(stored, stored.session(), b"one")
    place = folder(tmp_path)
    bad = place / "bad0.json"
    good = next(place.glob("*.json"))
    if kind == "fifo":
        os.mkfifo(bad)
    elif kind == "directory":
        bad.mkdir()
    elif kind == "socket":
        os.mknod(bad, 0o140600)
    elif kind == "link":
        bad.symlink_to(good)
    elif kind == "name":
        bad = place / "bad0 \udcff.json"
        bad.write_bytes(good.read_bytes())
    else:
        bad.write_text(json.dumps({"class": "DATA", "private": True, "attributes": {}}))
        bad.chmod(0o644)
    stored.ok("C_Finalize", False)
    stored.ok("C_Initialize", None)
    session = stored.session()
    assert labels(stored, session) == {b"one"}
    said = capfd.readouterr().err
    assert "bad0" in said
    assert "not used: " in said
    assert ("chmod" in said) == (kind == "readable secret")


@pytest.fixture(scope="module")
def bare_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    place = tmp_path_factory.mktemp("store")
    store = Store(place)
    store.save(StoredObject(CKO.DATA, None, {CKA.LABEL: b"one", CKA.VALUE: b"v"}, private=False, name="one"))
    return place, store


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "class": st.sampled_from(["DATA", "CERTIFICATE", "PRIVATE_KEY", "data"]) | _JSON,
        "private": st.booleans() | _JSON,
        "attributes": st.dictionaries(
            st.sampled_from(["0x3", "0x11", "0x170", "0x80", "0x101", "0x1ffffffffffffffff", "3"])
            | st.text(),
            st.sampled_from(["", "AQ==", "AA==", "AAAAAAAAAAA=", "#"]) | _JSON,
        )
        | _JSON,
    },
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.one_of(_JSON, _RECORDS).map(lambda each: json.dumps(each).encode()))
def test_any_bytes_in_a_stored_file_leave_the_others_served(
    bare_store: tuple[Path, Store], content: bytes
) -> None:
    place, _ = bare_store
    bad = place / "bad.json"
    bad.write_bytes(content)
    bad.chmod(0o600)
    found = {each.name: each for each in Store(place).refresh().added}
    assert found["one"].values[CKA.LABEL] == b"one"
    if "bad" in found:  # then it is an object in every respect
        item = found["bad"]
        assert decoded(encoded(item), "bad").values == item.values
        for kind in item.attribute_types():
            assert isinstance(item.attribute(kind), bytes)


# --- other processes' objects ----------------------------------------------------------------------


def test_other_processes_objects_are_seen_within_30_seconds(
    make_stored: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = make_stored(), make_stored()
    session, elsewhere = here.session(), other.session()
    kept = keep(here, session, b"kept")
    changed = keep(here, session, b"old")
    removed = keep(here, session, b"removed")
    assert labels(here, session) == {b"kept", b"old", b"removed"} == labels(other, elsewhere)
    calls = here.hem.statistics.calls
    by_label = {other.value(elsewhere, each, CKA.LABEL): each for each in other.find(elsewhere, DATA)}
    keep(other, elsewhere, b"new")
    other.ok("C_SetAttributeValue", elsewhere, by_label[b"old"], [(CKA.LABEL, b"renamed")])
    other.ok("C_DestroyObject", elsewhere, by_label[b"removed"])
    let_time_pass(monkeypatch, slots.LIST_FOR + 1)
    assert labels(here, session) == {b"kept", b"renamed", b"new"}
    assert here.value(session, kept, CKA.LABEL) == b"kept"  # handles stay for those that stay
    assert here.value(session, changed, CKA.LABEL) == b"renamed"
    assert here.rv("C_GetAttributeValue", session, removed, [(CKA.LABEL, 10)]) == CKR.OBJECT_HANDLE_INVALID
    assert here.hem.statistics.calls - calls <= 1  # the keys' listing; files ask no device


def test_other_processes_objects_are_seen_at_login(make_stored: Callable[[], Any]) -> None:
    here, other = make_stored(), make_stored()
    session = here.session()
    assert labels(here, session) == set()
    keep(other, other.session(), b"new")
    here.ok("C_Login", session, CKU.USER, PIN.encode())
    assert labels(here, session) == {b"new"}
    here.ok("C_Logout", session)
    keep(other, 1, b"newer")
    here.ok("C_Login", session, CKU.USER, PIN.encode())  # each login, not the first alone
    assert labels(here, session) == {b"new", b"newer"}


def test_a_search_that_finds_nothing_looks_again_after_2_seconds(
    make_stored: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = make_stored(), make_stored()
    session = here.session()
    assert here.find(session, DATA, (CKA.LABEL, b"new")) == []
    keep(other, other.session(), b"new")
    let_time_pass(monkeypatch, slots.MISS_FOR + 0.5)
    assert len(here.find(session, DATA, (CKA.LABEL, b"new"))) == 1


def test_a_search_by_id_that_hits_a_remembered_key_finds_the_certificate_too(
    make_stored: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = make_stored()
    session = here.user_session()
    here.pair(session, LABEL=b"web", ID=b"\x33")
    assert len(here.find(session, (CKA.ID, b"\x33"))) == 2
    place = here.module.slots[0].store._directory
    values = {CKA.ID: b"\x33", CKA.VALUE: b"DER", CKA.LABEL: b"web"}
    Store(place).save(StoredObject(CKO.CERTIFICATE, None, values, private=False))
    let_time_pass(monkeypatch, slots.LIST_FOR + 1)
    assert len(here.find(session, (CKA.ID, b"\x33"))) == 3


def test_two_processes_that_change_one_object_lose_nothing(make_stored: Callable[[], Any]) -> None:
    here, other = make_stored(), make_stored()
    session, elsewhere = here.session(), other.session()
    mine = keep(here, session, b"old", (CKA.APPLICATION, b"old"))
    (theirs,) = other.find(elsewhere, DATA)
    here.ok("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new label")])
    other.ok("C_SetAttributeValue", elsewhere, theirs, [(CKA.APPLICATION, b"new application")])
    third = make_stored()
    (again,) = third.find(third.session(), DATA)
    assert third.value(1, again, CKA.LABEL) == b"new label"
    assert third.value(1, again, CKA.APPLICATION) == b"new application"
    assert other.value(elsewhere, theirs, CKA.LABEL) == b"new label"


def test_an_object_that_another_process_made_unmodifiable_is_not_changed(
    make_stored: Callable[[], Any], tmp_path: Path
) -> None:
    here = make_stored()
    session = here.session()
    mine = keep(here, session, b"old")
    (path,) = folder(tmp_path).glob("*.json")
    record = json.loads(path.read_text())
    record["attributes"][f"{int(CKA.MODIFIABLE):#x}"] = "AA=="
    files.replace_file(path, json.dumps(record).encode())
    rv = here.rv("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new")])
    assert rv == CKR.ACTION_PROHIBITED
    assert json.loads(path.read_text()) == record


def test_an_object_that_another_process_removed_is_not_written_again(
    make_stored: Callable[[], Any], tmp_path: Path
) -> None:
    here, other = make_stored(), make_stored()
    session, elsewhere = here.session(), other.session()
    mine = keep(here, session, b"old")
    (theirs,) = other.find(elsewhere, DATA)
    other.ok("C_DestroyObject", elsewhere, theirs)
    rv = here.rv("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new")])
    assert rv == CKR.OBJECT_HANDLE_INVALID
    assert objects(tmp_path) == {}
    assert here.rv("C_DestroyObject", session, mine) == CKR.OK  # what was asked for is the case


def test_a_lock_that_is_never_freed_is_told(
    stored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    session = stored.session()
    mine = keep(stored, session, b"old")
    monkeypatch.setattr(stored_files, "LOCK_SECONDS", 0.05)
    with (folder(tmp_path) / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        rv = stored.rv("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new")])
        assert rv == CKR.DEVICE_MEMORY
        assert labels(stored, session) == {b"old"}  # reading waits for nobody
    assert "another process has held it" in capfd.readouterr().err
    stored.ok("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new")])


def _work(place: Path, number: int) -> None:
    """One of several: changes a part of a shared object, makes, reads and removes objects of its own."""
    store = Store(place)
    (shared,) = store.refresh().added[:1]
    own = [CKA.LABEL, CKA.APPLICATION, CKA.OBJECT_ID, CKA.VALUE][number]
    for turn in range(10):
        store.change(shared, {own: b"%d-%d" % (number, turn)})
        mine = StoredObject(CKO.DATA, None, {CKA.LABEL: b"own", CKA.VALUE: bytes(turn)}, private=False)
        store.save(mine)
        changes = store.refresh()
        if mine in changes.gone or shared in changes.gone or shared.values[own] != b"%d-%d" % (number, turn):
            raise AssertionError("lost")
        store.delete(mine)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    everything = {CKA.LABEL: b"", CKA.APPLICATION: b"", CKA.OBJECT_ID: b"", CKA.VALUE: b""}
    modifiable = {CKA.MODIFIABLE: YES}
    item = StoredObject(CKO.DATA, None, everything | modifiable, private=False, name="0" * 32)
    Store(tmp_path).save(item)
    fork = get_context("fork")
    workers = [fork.Process(target=_work, args=(tmp_path, number)) for number in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0] * 4
    (left,) = Store(tmp_path).refresh().added
    assert [left.values[kind] for kind in everything] == [b"%d-9" % number for number in range(4)]
    assert {each.name for each in tmp_path.iterdir()} == {".lock", f"{left.name}.json"}


# --- full disks and crashes ----------------------------------------------------------------------


def _no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes some bytes of a file and then no more."""
    real = os.write
    taken: dict[int, int] = {}

    def write(handle: int, data: Any) -> int:
        if handle < 3:
            return real(handle, data)
        if taken.get(handle):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken[handle] = real(handle, bytes(data)[:20])
        return taken[handle]

    monkeypatch.setattr(os, "write", write)


def test_on_a_full_disk_nothing_changes_and_nothing_is_left(
    stored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = stored.session()
    mine = keep(stored, session, b"old")
    before = objects(tmp_path)
    with monkeypatch.context() as full:
        _no_space(full)
        for call in (
            ("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new"), (CKA.VALUE, b"new")]),
            ("C_CreateObject", session, [DATA, (CKA.TOKEN, YES), (CKA.LABEL, b"more")]),
            ("C_CopyObject", session, mine, [(CKA.LABEL, b"copy"), (CKA.TOKEN, YES)]),
        ):
            assert stored.rv(*call) == CKR.DEVICE_MEMORY, call[0]
            assert stored.value(session, mine, CKA.LABEL) == b"old"
            assert stored.value(session, mine, CKA.VALUE) == b""
            assert labels(stored, session) == {b"old"}
            assert objects(tmp_path) == before
    stored.ok("C_SetAttributeValue", session, mine, [(CKA.LABEL, b"new")])
    assert labels(stored, session) == {b"new"}


def test_on_a_disk_that_is_full_for_the_kernel_too(stored: Any, tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk's."""
    session = stored.session()
    mine = keep(stored, session, b"old")
    before = objects(tmp_path)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))
        store = next(iter(stored.module.slots.values())).store
        item = next(iter(store.refresh().added), None) or next(
            each.item for each in store._known.values() if each.item is not None
        )
        try:
            store.change(item, {CKA.VALUE: b"x" * 1000})
        except stored_files.Pkcs11Error as error:
            os._exit(0 if error.rv == CKR.DEVICE_MEMORY and item.values[CKA.VALUE] == b"" else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert objects(tmp_path) == before
    assert stored.value(session, mine, CKA.LABEL) == b"old"


_ON_A_FULL_DISK = """
import pathlib, sys
from hem_pkcs11.constants import CKA, CKO, CKR
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.objects.stored_files import Store

place = pathlib.Path(sys.argv[1])
store = Store(place / "objects")
item = StoredObject(CKO.DATA, None, {CKA.VALUE: b"old", CKA.MODIFIABLE: b"\\1"}, private=False)
store.save(item)
before = {each.name: each.read_bytes() for each in (place / "objects").iterdir()}
with (place / "filler").open("wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
try:
    store.change(item, {CKA.VALUE: bytes(20_000)})
except Pkcs11Error as error:
    (kept,) = Store(place / "objects").refresh().added
    print(error.rv.name, item.values[CKA.VALUE], kept.values[CKA.VALUE])
print({each.name: each.read_bytes() for each in (place / "objects").iterdir()} == before)
(place / "filler").unlink()
store.change(item, {CKA.VALUE: b"new"})
print(item.values[CKA.VALUE])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_on_a_small_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=64k,mode=700 none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, _ON_A_FULL_DISK]
    path = os.pathsep.join((str(ROOT / "shim"), str(ROOT)))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if done.stderr.startswith("unshare: ") or "mount: " in done.stderr:
        pytest.skip("not run: nothing may be mounted here")
    assert done.stdout.splitlines() == ["DEVICE_MEMORY b'old' b'old'", "True", "b'new'"], done.stderr


def test_an_object_whose_file_cannot_be_removed_stays(
    stored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = stored.session()
    mine = keep(stored, session, b"old")

    def refuse(_path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert stored.rv("C_DestroyObject", session, mine) == CKR.DEVICE_ERROR
    assert labels(stored, session) == {b"old"}
    stored.ok("C_DestroyObject", session, mine)
    assert objects(tmp_path) == {}


def test_what_a_killed_writer_left_is_swept_and_nothing_else(stored: Any, tmp_path: Path) -> None:
    session = stored.session()
    keep(stored, session, b"one")
    place = folder(tmp_path)
    hour_ago = time.time() - 3700
    for name in (f".{'0' * 32}.json.{'a' * 16}.tmp", f".{'0' * 32}.new", ".mine.tmp", "notes.new"):
        (place / name).write_text("x")
        os.utime(place / name, (hour_ago, hour_ago))
    young = place / f".{'1' * 32}.json.{'b' * 16}.tmp"
    young.write_text("x")
    keep(stored, session, b"two")
    left = {each.name for each in place.iterdir() if each.suffix != ".json"}
    assert left == {".lock", ".mine.tmp", "notes.new", young.name}


def test_an_object_too_large_to_be_read_again_is_not_stored(stored: Any, tmp_path: Path) -> None:
    session = stored.session()
    keep(stored, session, b"one")
    template = [DATA, (CKA.TOKEN, YES), (CKA.VALUE, bytes(stored_files.MAX_FILE))]
    assert stored.rv("C_CreateObject", session, template) == CKR.DEVICE_MEMORY
    assert len(objects(tmp_path)) == 1


def test_a_key_that_the_device_does_not_rename_keeps_its_name(stored: Any) -> None:
    session = stored.user_session()
    public, private = stored.pair(session, LABEL=b"web", ID=b"\x33")

    def fail(*_arguments: Any, **_named: Any) -> None:
        from hem_provider.errors import HemUnreachable

        raise HemUnreachable("gone")

    stored.hem.keys.update = fail
    for handle in (public, private):
        changes = [(CKA.LABEL, b"new"), (CKA.ID, b"\x44")]
        assert stored.rv("C_SetAttributeValue", session, handle, changes) == CKR.DEVICE_ERROR
        assert stored.value(session, handle, CKA.LABEL) == b"web"
        assert stored.value(session, handle, CKA.ID) == b"\x33"


def test_a_copy_that_the_device_refuses_leaves_no_token_object(stored: Any) -> None:
    session = stored.user_session()
    kind = KINDS["SECP256R1"]
    both = [(CKA.TOKEN, pack_bool(False)), (CKA.LABEL, b"web")]
    template = [*both, (CKA.EC_PARAMS, kind.ec_params)]
    _, private = stored.ok("C_GenerateKeyPair", session, Mechanism(kind.generation), template, both)
    assert stored.value(session, private, CKA.TOKEN) == pack_bool(False)
    before = stored.find(session)

    def fail(*_arguments: Any, **_named: Any) -> None:
        from hem_provider.errors import HemUnreachable

        raise HemUnreachable("gone")

    stored.hem.keys.update = fail
    rv = stored.rv("C_CopyObject", session, private, [(CKA.TOKEN, YES), (CKA.LABEL, b"new")])
    assert rv == CKR.DEVICE_ERROR
    assert stored.find(session) == before


def test_without_a_home_there_is_no_store_and_no_directory_is_made(
    make_core: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setattr(files.places, "_home_in_database", lambda _user: None)
    core = make_core("first")
    core.ok("C_Initialize", None)
    session = core.session()
    rv = core.rv("C_CreateObject", session, [DATA, (CKA.TOKEN, YES)])
    assert rv == CKR.TOKEN_WRITE_PROTECTED
    assert "no home" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
    core.ok("C_Finalize", False)


def test_a_home_that_is_passed_over_is_told_when_nothing_is_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "closed").write_text("no directory")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "closed"))
    monkeypatch.setattr(files.places, "_home_in_database", lambda _user: None)
    monkeypatch.setattr("hem_provider.config.places.SYSTEM_FILE", tmp_path / "none.toml")
    module = Module()
    assert module.call("C_Initialize", None)[0] == CKR.OK
    assert module.call("C_GetSlotList", False, 10) == (CKR.OK, [])
    assert f"no HEM is configured: HOME='{tmp_path}/closed' is no directory" in capfd.readouterr().err
    assert module.call("C_Finalize", False)[0] == CKR.OK
