"""PINs, the security officer, initialising a token, and waiting for one; over an emulated device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hem_pkcs11.constants import CKF, CKR, CKS, CKU
from support.passphrases import ADMIN, PASSPHRASE

from hem_provider.device import Kdf, Role
from hem_provider.device.administration import NewDevice
from hem_provider.emulator import open_device
from hem_provider.emulator.setup import initialise
from hem_provider.errors import HemUnreachable

RO = int(CKF.SERIAL_SESSION)


@pytest.fixture
def fresh(make_device_core: Callable[[Path], Any], tmp_path: Path) -> Iterator[Any]:
    """A core over a factory-fresh device of its own."""
    core = make_device_core(tmp_path / "device.hem")
    core.ok("C_Initialize", None)
    yield core
    core.ok("C_Finalize", False)


@pytest.fixture
def own(make_device_core: Callable[[Path], Any], tmp_path: Path) -> Iterator[Any]:
    """A core over an initialised device of its own."""
    state = tmp_path / "device.hem"
    device = open_device(str(state))
    initialise(device, passphrase=PASSPHRASE, admin_passphrase=ADMIN)
    device.close()
    core = make_device_core(state)
    core.ok("C_Initialize", None)
    yield core
    core.ok("C_Finalize", False)


def test_the_passphrase_is_changed_and_the_old_one_refused_afterwards(own: Any) -> None:
    session = own.user_session()
    _, private = own.pair(session)
    assert own.rv("C_SetPIN", session, b"wrong", b"new words") == CKR.PIN_INCORRECT
    own.ok("C_SetPIN", session, PASSPHRASE.encode(), b"new words")
    assert len(own.sign(session, private, b"still logged in")) == 64
    own.ok("C_Logout", session)
    assert own.rv("C_Login", session, CKU.USER, PASSPHRASE.encode()) == CKR.PIN_INCORRECT
    own.ok("C_Login", session, CKU.USER, b"new words")


def test_changing_the_passphrase_needs_no_login_but_a_writable_session(own: Any) -> None:
    reading = own.session(RO)
    assert own.rv("C_SetPIN", reading, PASSPHRASE.encode(), b"new") == CKR.SESSION_READ_ONLY
    session = own.session()
    for old, new, rv in (
        (PASSPHRASE.encode(), b"", CKR.PIN_LEN_RANGE),
        (PASSPHRASE.encode(), b"\xff", CKR.PIN_INVALID),
        (None, b"new", CKR.ARGUMENTS_BAD),
    ):
        assert own.rv("C_SetPIN", session, old, new) == rv
    own.ok("C_SetPIN", session, PASSPHRASE.encode(), b"new")
    assert own.ok("C_GetSessionInfo", session).state == CKS.RW_PUBLIC_SESSION
    assert not own.module.slot(0).hem.logged_in
    own.ok("C_Login", session, CKU.USER, b"new")


def test_the_officer_gives_the_user_a_new_passphrase_and_sees_no_keys(own: Any) -> None:
    session = own.user_session()
    own.pair(session)
    assert own.rv("C_InitPIN", session, b"x") == CKR.USER_NOT_LOGGED_IN
    assert own.rv("C_Login", session, CKU.SO, ADMIN.encode()) == CKR.USER_ANOTHER_ALREADY_LOGGED_IN
    own.ok("C_Logout", session)
    assert own.rv("C_Login", session, CKU.SO, b"not it") == CKR.PIN_INCORRECT
    assert own.rv("C_Login", session, CKU.SO, PASSPHRASE.encode()) == CKR.PIN_INCORRECT
    own.ok("C_Login", session, CKU.SO, ADMIN.encode())
    assert own.ok("C_GetSessionInfo", session).state == CKS.RW_SO_FUNCTIONS
    assert own.rv("C_OpenSession", 0, RO, False, False) == CKR.SESSION_READ_WRITE_SO_EXISTS
    assert own.private(session) == []
    assert own.rv("C_SetPIN", session, ADMIN.encode(), b"new") == CKR.ACTION_PROHIBITED
    own.ok("C_InitPIN", session, b"given by the officer")
    own.ok("C_Logout", session)
    assert not own.module.slot(0).hem.logged_in
    own.ok("C_Login", session, CKU.USER, b"given by the officer")
    assert len(own.private(session)) == 1


def test_the_officer_needs_all_sessions_writable(own: Any) -> None:
    own.session(RO)
    assert own.rv("C_Login", own.session(), CKU.SO, ADMIN.encode()) == CKR.SESSION_READ_ONLY_EXISTS


WORDS = " ".join(["abandon"] * 23 + ["art"])


@pytest.mark.parametrize("kdf", [Kdf.BIP39, Kdf.BIP39_ENTROPY])
def test_a_mnemonic_as_officers_pin_is_derived_as_old_or_new_software_does(fresh: Any, kdf: Kdf) -> None:
    hem = fresh.module.slot(0).hem
    hem.admin.initialize(
        NewDevice(user="u", hostname="u.ence.do"), passphrase="p", master=WORDS, master_kdf=kdf
    )
    hem.logout()
    session = fresh.session()
    before = hem.statistics.logins
    fresh.ok("C_Login", session, CKU.SO, WORDS.encode())
    assert hem.statistics.logins - before == (1 if kdf is Kdf.BIP39_ENTROPY else 2)
    fresh.ok("C_Logout", session)
    fresh.ok("C_Login", session, CKU.SO, WORDS.encode())
    assert hem.statistics.logins - before == (2 if kdf is Kdf.BIP39_ENTROPY else 3)  # it is known now


def test_a_misspelt_mnemonic_is_named_by_its_place_and_costs_no_login(
    own: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    session = own.session()
    for words, told in (
        (WORDS.replace("abandon", "abandn", 1), "word 1 of 24"),
        (WORDS.replace("art", "zoo"), "checksum is wrong"),
    ):
        assert own.rv("C_Login", session, CKU.SO, words.encode()) == CKR.PIN_INCORRECT
        err = capfd.readouterr().err
        assert told in err
        assert "abandn" not in err
        assert "zoo" not in err
    assert own.module.slot(0).hem.statistics.logins == 0


def test_a_mnemonic_initialises_a_device_as_the_newest_software_does(fresh: Any) -> None:
    wrong = WORDS.replace("abandon", "abandn", 1)
    assert fresh.rv("C_InitToken", 0, wrong.encode(), b" " * 32) == CKR.PIN_INCORRECT
    fresh.ok("C_InitToken", 0, WORDS.encode(), b"mine".ljust(32))
    hem = fresh.module.slot(0).hem
    hem.login(WORDS, role=Role.MASTER, scope="system:config", kdf=Kdf.BIP39_ENTROPY)


def test_a_factory_fresh_device_is_initialised_by_officer_and_user_pin(fresh: Any) -> None:
    assert not fresh.ok("C_GetTokenInfo", 0).flags & CKF.TOKEN_INITIALIZED
    fresh.ok("C_InitToken", 0, b"officer secret", b"my device".ljust(32))
    assert fresh.ok("C_GetTokenInfo", 0).flags & CKF.TOKEN_INITIALIZED
    session = fresh.session()
    fresh.ok("C_Login", session, CKU.SO, b"officer secret")
    fresh.ok("C_InitPIN", session, b"user words")
    fresh.ok("C_Logout", session)
    assert fresh.rv("C_LoginUser", session, CKU.USER, b"user words", b"someone") == CKR.PIN_INCORRECT
    fresh.ok("C_LoginUser", session, CKU.USER, b"user words", b"my device")
    fresh.pair(session)


def test_a_device_in_use_is_not_wiped_unless_the_configuration_says_so(
    own: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    own.ok("C_CloseSession", own.session())
    assert own.rv("C_InitToken", 0, ADMIN.encode(), b" " * 32) == CKR.TOKEN_WRITE_PROTECTED
    assert "allow_wipe" in capfd.readouterr().err
    own.user_session()


def test_wiping_takes_permission_and_the_master_secret(own: Any) -> None:
    own.ok("C_Finalize", False)
    device = replace(own.config.devices[0], allow_wipe=True)
    own.config = replace(own.config, devices=(device,))
    own.ok("C_Initialize", None)
    session = own.user_session()
    own.pair(session)
    assert own.rv("C_InitToken", 0, ADMIN.encode(), b" " * 32) == CKR.SESSION_EXISTS
    before = own.ok("C_GetTokenInfo", 0).serial
    own.ok("C_CloseAllSessions", 0)
    assert own.rv("C_InitToken", 0, b"not the master", b" " * 32) == CKR.PIN_INCORRECT
    own.ok("C_InitToken", 0, ADMIN.encode(), b" " * 32)
    assert own.ok("C_GetTokenInfo", 0).serial != before
    session = own.session()
    own.ok("C_Login", session, CKU.SO, ADMIN.encode())
    own.ok("C_InitPIN", session, b"again")
    own.ok("C_Logout", session)
    own.ok("C_Login", session, CKU.USER, b"again")
    assert own.find(session) == []


def test_no_event_is_told_unless_a_token_comes_or_goes(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = lambda: core.module.call("C_WaitForSlotEvent", int(CKF.DONT_BLOCK), False)  # noqa: E731
    now = [1000.0]
    monkeypatch.setattr("hem_pkcs11.slots.time.monotonic", lambda: now[0])
    assert wait()[0] == CKR.NO_EVENT
    core.hem.failing = HemUnreachable("cable")
    now[0] += 2000
    assert wait() == (CKR.OK, 0)
    assert wait()[0] == CKR.NO_EVENT
    core.hem.failing = None
    now[0] += 2000
    assert wait() == (CKR.OK, 0)


def test_who_waits_for_an_event_is_woken_by_finalising(core: Any) -> None:
    core.ok("C_GetSlotList", True, 5)
    answers: list[CKR] = []
    waiting = threading.Thread(target=lambda: answers.append(core.rv("C_WaitForSlotEvent", 0, False)))
    waiting.start()
    core.ok("C_Finalize", False)
    waiting.join(10)
    assert answers == [CKR.CRYPTOKI_NOT_INITIALIZED]
