"""A credential that is derived while the challenge travels."""

from __future__ import annotations

import threading

import pytest
from support.passphrases import PASSPHRASE

from hem_provider import threads
from hem_provider.device import login as module
from hem_provider.device import proving
from hem_provider.device.cache import DiskCache
from hem_provider.device.proving import Prover
from hem_provider.errors import HemAuthenticationError, HemConfigError, HemUnreachable
from hem_provider.rest.credential import Credential


class Derivations:
    """What was derived, by which thread, and for which device."""

    def __init__(self, monkeypatch):
        self.done, self.wiped, self.began = [], [], threading.Event()
        derive, wipe = module.seed_from, Credential.wipe

        def seed_from(secret, eid, kdf):
            self.began.set()
            self.done.append((threading.current_thread().name, secret, eid))
            return derive(secret, eid, kdf)

        def wiping(credential):
            self.wiped.append(credential.eid)
            wipe(credential)

        monkeypatch.setattr(module, "seed_from", seed_from)
        monkeypatch.setattr(Credential, "wipe", wiping)

    @property
    def ahead(self):
        return [thread == "hem derivation" for thread, _, _ in self.done]


@pytest.fixture
def known(hem):
    """A process has logged in before; which device it was."""
    list(hem.keys)
    return hem.session.identity.eid


@pytest.fixture
def derived(known, monkeypatch):
    yield Derivations(monkeypatch)
    assert "hem derivation" not in [each.name for each in threading.enumerate()]


@pytest.fixture
def file(tmp_path):
    """With the passphrase in it."""
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(f"{PASSPHRASE}\n")
    return path


def test_the_first_login_to_a_device_derives_when_its_challenge_is_there(hem, monkeypatch):
    derived = Derivations(monkeypatch)
    list(hem.keys)
    assert derived.ahead == [False]


@pytest.mark.parametrize("way", ["given", "login()", "file"])
def test_a_later_one_derives_while_the_challenge_travels(rig, known, derived, file, monkeypatch, way):
    fetch = Prover.fetch

    def fetching(prover):
        assert derived.began.wait(10)  # else nobody has begun
        return fetch(prover)

    monkeypatch.setattr(Prover, "fetch", fetching)
    given = PASSPHRASE if way == "given" else None
    with rig.connect(given, **({"passphrase_file": file} if way == "file" else {})) as device:
        if way == "login()":
            device.login(PASSPHRASE)
        list(device.keys)
        assert derived.done == [("hem derivation", PASSPHRASE, known)]
        assert derived.wiped == []
        device.logout()
        assert derived.wiped == [known]


def test_the_same_process_knows_the_device_without_the_disk(rig, hem, derived, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    hem.logout()
    hem.login(PASSPHRASE)
    assert derived.ahead == [True]


def test_a_challenge_that_is_kept_leaves_nothing_to_travel(rig, derived):
    with rig.connect() as device:
        device.probe()
        list(device.keys)
    assert derived.ahead == [False]


def test_a_file_is_read_ahead_only_where_something_is_derived_of_it(rig, derived, file, monkeypatch):
    monkeypatch.setattr(proving, "read_passphrase", lambda _: pytest.fail("read"))
    with rig.connect(None, passphrase_file=file) as device:
        device.probe()
        list(device.keys)
    monkeypatch.setattr(DiskCache, "identity", lambda _: None)
    with rig.connect(None, passphrase_file=file) as device:
        list(device.keys)
    assert derived.ahead == [False, False]


def test_another_life_of_the_device_is_derived_for_anew_and_the_other_overwritten(rig, known, derived):
    DiskCache(f"emulator:{rig.path}").keep_identity("A" * 43 + "=")
    with rig.connect() as device:
        list(device.keys)
        assert [eid for _, _, eid in derived.done] == ["A" * 43 + "=", known]
        assert derived.ahead == [True, False]
        assert derived.wiped == ["A" * 43 + "="]
    assert DiskCache(f"emulator:{rig.path}").identity() == known


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format":1,"eid":"short"}', b'{"format":1,"eid":7}', b"[", b"\xff"]
)
def test_what_the_disk_has_wrong_is_not_derived_for(rig, known, derived, content):
    [path] = DiskCache("").place("eid").parent.glob("*.eid")
    path.write_bytes(content)
    with rig.connect() as device:
        list(device.keys)
    assert derived.done == [(threading.current_thread().name, PASSPHRASE, known)]
    assert DiskCache(f"emulator:{rig.path}").identity() == known


def test_a_device_that_is_away_leaves_nothing_behind(rig, known, derived, monkeypatch):
    def away(prover):
        raise HemUnreachable("away")

    monkeypatch.setattr(Prover, "fetch", away)
    with rig.connect() as device:
        for _ in range(2):  # what was given is there still
            with pytest.raises(HemUnreachable):
                list(device.keys)
        with pytest.raises(HemUnreachable):
            device.login("another")
    assert (derived.ahead, derived.wiped) == ([True] * 3, [known] * 3)


def test_a_wrong_passphrase_is_refused_and_overwritten(rig, known, derived):
    with rig.connect() as device:
        with pytest.raises(HemAuthenticationError):
            device.login("another")
        assert (derived.ahead, derived.wiped) == ([True], [known])
        list(device.keys)


def test_a_command_is_not_run_for_a_device_that_may_be_away(rig, known, derived, tmp_path, monkeypatch):
    def away(prover):
        raise HemUnreachable("away")

    monkeypatch.setattr(Prover, "fetch", away)
    ran = tmp_path / "ran"
    with rig.connect(None, passphrase_command=("touch", str(ran))) as device:
        with pytest.raises(HemUnreachable):
            list(device.keys)
    assert (derived.done, ran.exists()) == ([], False)


def test_a_file_that_cannot_be_read_is_told_when_it_is_needed(rig, known, derived, file):
    file.chmod(0o644)
    with rig.connect(None, passphrase_file=file) as device, pytest.raises(HemConfigError, match="others"):
        list(device.keys)
    assert derived.done == []


def test_a_file_that_has_another_passphrase_by_then_counts(rig, known, derived, file, monkeypatch):
    fetch = Prover.fetch

    def fetching(prover):
        file.write_text(PASSPHRASE)
        return fetch(prover)

    monkeypatch.setattr(Prover, "fetch", fetching)
    file.write_text("the former one")
    with rig.connect(None, passphrase_file=file) as device:
        list(device.keys)
        assert [secret for _, secret, _ in derived.done] == ["the former one", PASSPHRASE]
        assert derived.wiped == [known]


@pytest.mark.parametrize("why", ["forbidden", "none left"])
def test_without_threads_it_is_derived_as_ever(rig, known, derived, monkeypatch, why):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    if why == "forbidden":
        monkeypatch.setattr(threads, "_allowed", False)
    else:
        monkeypatch.setattr(threading.Thread, "start", none_left)
    with rig.connect() as device:
        list(device.keys)
    assert derived.ahead == [False]


def test_what_fails_ahead_is_told_by_who_needs_it(rig, known, derived, monkeypatch):
    def failing(secret, eid, kdf):
        raise HemConfigError("no such way here")

    monkeypatch.setattr(module, "seed_from", failing)
    with rig.connect() as device, pytest.raises(HemConfigError, match="no such way"):
        list(device.keys)
