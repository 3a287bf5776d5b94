"""Initialising, sessions and login over a device in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hem_pkcs11.constants import CKF, CKM, CKR, CKS, CKU
from hem_pkcs11.values import InitializeArguments, Mechanism
from support.fake_hem import PIN

from hem_provider import threads
from hem_provider.errors import (
    HemAuthenticationError,
    HemConfigError,
    HemNotInitialized,
    HemTLSError,
    HemUnreachable,
)

RW = int(CKF.SERIAL_SESSION | CKF.RW_SESSION)
RO = int(CKF.SERIAL_SESSION)


def test_nothing_works_before_initialising(make_core: Callable[..., Any]) -> None:
    core = make_core("first")
    for name, arguments in (("C_GetInfo", ()), ("C_GetSlotList", (False, None)), ("C_Finalize", (False,))):
        assert core.rv(name, *arguments) == CKR.CRYPTOKI_NOT_INITIALIZED


def test_initialising_and_listing_slots_ask_the_device_nothing(core: Any) -> None:
    assert core.ok("C_GetSlotList", False, None) == 1
    assert core.ok("C_GetSlotList", False, 5) == [0]
    assert not core.hems


def test_initialising_twice_is_told(core: Any) -> None:
    assert core.rv("C_Initialize", None) == CKR.CRYPTOKI_ALREADY_INITIALIZED
    core.ok("C_Finalize", False)
    core.ok("C_Initialize", None)


@pytest.mark.parametrize(
    ("arguments", "rv"),
    [
        (InitializeArguments(0, 0, reserved=False), CKR.OK),
        (InitializeArguments(0, CKF.OS_LOCKING_OK, reserved=False), CKR.OK),
        (InitializeArguments(4, CKF.OS_LOCKING_OK, reserved=False), CKR.OK),
        (InitializeArguments(4, 0, reserved=False), CKR.CANT_LOCK),
        (InitializeArguments(2, CKF.OS_LOCKING_OK, reserved=False), CKR.ARGUMENTS_BAD),
        (InitializeArguments(0, 0, reserved=True), CKR.ARGUMENTS_BAD),
    ],
)
def test_locking_is_the_systems_own(
    make_core: Callable[..., Any], arguments: InitializeArguments, rv: CKR
) -> None:
    assert make_core("first").rv("C_Initialize", arguments) == rv


def test_nothing_configured_is_no_slot(make_core: Callable[..., Any]) -> None:
    core = make_core()
    core.ok("C_Initialize", None)
    assert core.ok("C_GetSlotList", False, None) == 0


def test_a_wrong_configuration_is_an_error_said_in_words(
    make_core: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    core = make_core("first")

    def wrong() -> None:
        raise HemConfigError("/etc/hem/config.toml, line 3: 'url': accepted: https://HOST")

    core.module.load_config = wrong
    assert core.rv("C_Initialize", None) == CKR.GENERAL_ERROR
    assert "line 3" in capfd.readouterr().err
    assert core.rv("C_GetInfo") == CKR.CRYPTOKI_NOT_INITIALIZED


def test_slots_are_numbered_around_the_pinned_ones(make_core: Callable[..., Any]) -> None:
    from dataclasses import replace

    core = make_core("a", "b", "c")
    devices = list(core.config.devices)
    devices[1] = replace(devices[1], slot=0)
    devices[2] = replace(devices[2], slot=7)
    core.config = replace(core.config, devices=tuple(devices))
    core.ok("C_Initialize", None)
    assert core.ok("C_GetSlotList", False, 9) == [0, 1, 7]
    assert {number: slot.name for number, slot in core.module.slots.items()} == {0: "b", 1: "a", 7: "c"}
    assert core.rv("C_GetSlotInfo", 2) == CKR.SLOT_ID_INVALID


def test_looking_whether_the_device_is_there_is_one_call_for_several_questions(core: Any) -> None:
    core.ok("C_GetSlotList", True, 5)
    core.ok("C_GetSlotInfo", 0)
    core.ok("C_GetTokenInfo", 0)
    core.session()
    assert core.hem.statistics.calls == 1


@pytest.mark.parametrize("error", [HemUnreachable("no route"), HemTLSError("not trusted")])
def test_an_unreachable_or_untrusted_device_is_a_slot_without_token(core: Any, error: Exception) -> None:
    core.ok("C_GetSlotList", False, None)
    core.module.slot(0).hem.failing = error
    assert core.ok("C_GetSlotList", True, None) == 0
    assert not core.ok("C_GetSlotInfo", 0).flags & CKF.TOKEN_PRESENT
    assert core.rv("C_GetTokenInfo", 0) == CKR.TOKEN_NOT_PRESENT
    assert core.rv("C_OpenSession", 0, RO, False, False) == CKR.TOKEN_NOT_PRESENT


def test_an_outage_takes_no_token_away_from_open_sessions(core: Any) -> None:
    """Java gives a token up for good that was not there once (``Token has been removed``)."""
    session = core.session()
    core.hem.failing = HemUnreachable("no route")
    core.module.slot(0).presence.doubt()
    assert core.ok("C_GetSlotInfo", 0).flags & CKF.TOKEN_PRESENT
    assert core.ok("C_GetSlotList", True, 5) == [0]
    core.ok("C_CloseSession", session)
    assert not core.ok("C_GetSlotInfo", 0).flags & CKF.TOKEN_PRESENT
    assert core.ok("C_GetSlotList", True, 5) == []


def test_a_device_that_comes_back_is_there_again(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("hem_pkcs11.slots.time.monotonic", lambda: now[0])
    core.module.slot(0).hem.failing = HemUnreachable("no route")
    assert core.ok("C_GetSlotList", True, None) == 0
    core.hem.failing = None
    now[0] += 5
    assert core.ok("C_GetSlotList", True, None) == 1


def test_a_factory_fresh_device_is_a_token_not_initialised(core: Any) -> None:
    core.module.slot(0).hem.failing = HemNotInitialized("fresh")
    flags = core.ok("C_GetTokenInfo", 0).flags
    assert not flags & (CKF.TOKEN_INITIALIZED | CKF.USER_PIN_INITIALIZED)


def test_an_outage_does_not_end_sessions(core: Any) -> None:
    session = core.user_session()
    _, private = core.pair(session)
    core.hem.failing = HemUnreachable("cable")
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.rv("C_Sign", session, b"data", 64) == CKR.DEVICE_ERROR
    core.hem.failing = None
    assert len(core.sign(session, private, b"data")) == 64


def test_the_emulator_is_named_in_label_and_model(core: Any) -> None:
    info = core.ok("C_GetTokenInfo", 0)
    assert info.label == "first (EMULATOR)"
    assert "EMULATOR" in info.model
    core.hem.is_emulator = False
    assert core.ok("C_GetTokenInfo", 0).label == "first"


@pytest.mark.parametrize(
    ("flags", "rv"),
    [
        (RO, CKR.OK),
        (RW, CKR.OK),
        (int(CKF.RW_SESSION), CKR.SESSION_PARALLEL_NOT_SUPPORTED),
        (RW | CKF.ASYNC_SESSION, CKR.SESSION_ASYNC_NOT_SUPPORTED),
    ],
)
def test_sessions_are_serial(core: Any, flags: int, rv: CKR) -> None:
    assert core.rv("C_OpenSession", 0, flags, False, False) == rv


def test_states_follow_login_and_kind_of_session(core: Any) -> None:
    ro, rw = core.session(RO), core.session(RW)
    states = lambda: [core.ok("C_GetSessionInfo", each).state for each in (ro, rw)]  # noqa: E731
    assert states() == [CKS.RO_PUBLIC_SESSION, CKS.RW_PUBLIC_SESSION]
    core.ok("C_Login", ro, CKU.USER, PIN.encode())
    assert states() == [CKS.RO_USER_FUNCTIONS, CKS.RW_USER_FUNCTIONS]
    assert core.rv("C_Login", rw, CKU.USER, PIN.encode()) == CKR.USER_ALREADY_LOGGED_IN
    core.ok("C_Logout", rw)
    assert states() == [CKS.RO_PUBLIC_SESSION, CKS.RW_PUBLIC_SESSION]
    assert core.rv("C_Logout", rw) == CKR.USER_NOT_LOGGED_IN


def test_closed_sessions_are_gone(core: Any) -> None:
    session = core.session()
    core.ok("C_CloseSession", session)
    assert core.rv("C_GetSessionInfo", session) == CKR.SESSION_HANDLE_INVALID
    others = [core.session() for _ in range(3)]
    core.ok("C_CloseAllSessions", 0)
    assert {core.rv("C_GetSessionInfo", each) for each in others} == {CKR.SESSION_HANDLE_INVALID}


@pytest.mark.parametrize(
    ("pin", "rv"),
    [
        (b"wrong", CKR.PIN_INCORRECT),
        (b"", CKR.PIN_LEN_RANGE),
        (b"x" * 256, CKR.PIN_LEN_RANGE),
        (b"\xff\xfe", CKR.PIN_INVALID),
        (None, CKR.PIN_INCORRECT),
    ],
)
def test_a_wrong_pin_is_told_apart(core: Any, pin: bytes | None, rv: CKR) -> None:
    session = core.session()
    assert core.rv("C_Login", session, CKU.USER, pin) == rv
    assert core.ok("C_GetSessionInfo", session).state == CKS.RW_PUBLIC_SESSION


def test_no_pin_takes_the_configured_passphrase(make_core: Callable[..., Any]) -> None:
    from pathlib import Path

    core = make_core("first", passphrase_file=Path("/run/secrets/hem"))
    core.ok("C_Initialize", None)
    session = core.session()
    core.hem.configured = PIN
    assert core.ok("C_GetTokenInfo", 0).flags & CKF.PROTECTED_AUTHENTICATION_PATH
    core.ok("C_Login", session, CKU.USER, None)


def test_the_last_session_takes_the_login_with_it(core: Any) -> None:
    session = core.user_session()
    other = core.session()
    core.ok("C_CloseSession", session)
    assert core.ok("C_GetSessionInfo", other).state == CKS.RW_USER_FUNCTIONS
    core.ok("C_CloseSession", other)
    assert core.ok("C_GetSessionInfo", core.session()).state == CKS.RW_PUBLIC_SESSION


def test_the_same_pin_soon_after_costs_no_login_at_the_device(core: Any) -> None:
    for _ in range(7):
        core.ok("C_CloseSession", core.user_session())
    assert core.hem.statistics.logins == 1
    assert core.hem.scopes == ["keymgmt:list"]


def test_another_pin_always_goes_to_the_device(core: Any) -> None:
    core.ok("C_CloseSession", core.user_session())
    session = core.session()
    assert core.rv("C_Login", session, CKU.USER, b"other") == CKR.PIN_INCORRECT
    assert core.hem.statistics.logins == 2
    # And the refusal took the remembered credential with it.
    core.ok("C_Login", session, CKU.USER, PIN.encode())
    assert core.hem.statistics.logins == 3


def test_a_remembered_login_ends_with_its_time(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = core.module.slot(0)
    now = [0.0]
    slot.login._clock = lambda: now[0]
    core.ok("C_CloseSession", core.user_session())
    assert core.hem.logged_in
    now[0] = 301.0
    core.ok("C_GetSessionInfo", core.session())
    assert not core.hem.logged_in


def test_remembering_can_be_switched_off(make_core: Callable[..., Any]) -> None:
    core = make_core("first", login_cache=0)
    core.ok("C_Initialize", None)
    core.ok("C_CloseSession", core.user_session())
    assert not core.hem.logged_in
    core.user_session()
    assert core.hem.statistics.logins == 2


def test_finalising_ends_login_and_connections(core: Any) -> None:
    core.user_session()
    core.ok("C_Finalize", False)
    assert not core.hem.logged_in
    assert core.hem.closed


def test_a_final_refusal_logs_out(core: Any) -> None:
    session = core.user_session()
    _, private = core.pair(session)
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.hem.failing = HemAuthenticationError("revoked")
    assert core.rv("C_Sign", session, b"x", 64) == CKR.USER_NOT_LOGGED_IN
    assert core.ok("C_GetSessionInfo", session).state == CKS.RW_PUBLIC_SESSION
    assert not core.hem.logged_in


@pytest.mark.parametrize(
    ("user", "rv"), [(CKU.CONTEXT_SPECIFIC, CKR.OPERATION_NOT_INITIALIZED), (9, CKR.USER_TYPE_INVALID)]
)
def test_other_users_are_refused(core: Any, user: int, rv: CKR) -> None:
    assert core.rv("C_Login", core.session(), user, PIN.encode()) == rv


def test_no_pin_or_message_reaches_the_log(
    core: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hem_pkcs11.log import Level, log

    monkeypatch.setattr(log, "level", Level.DEBUG)
    session = core.session()
    core.rv("C_Login", session, CKU.USER, b"sesame")
    core.ok("C_Login", session, CKU.USER, PIN.encode())
    _, private = core.pair(session)
    core.sign(session, private, b"very private words")
    said = capfd.readouterr().err
    assert "C_Login" in said
    assert "C_Sign" in said
    for secret in ("sesame", PIN, "very private"):
        assert secret not in said


def test_the_log_tells_how_often_each_call_asked_the_device(
    core: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hem_pkcs11.log import Level, log

    session = core.user_session()
    _, private = core.pair(session)
    monkeypatch.setattr(log, "level", Level.DEBUG)
    before = core.hem.statistics.calls
    core.sign(session, private, b"message")
    core.ok("C_GetSessionInfo", session)
    asked = core.hem.statistics.calls - before
    lines = capfd.readouterr().err.splitlines()
    (signing,) = [line for line in lines if "C_Sign(" in line]
    assert signing.endswith(f" ms, {asked} device call{'s' if asked > 1 else ''}")
    (local,) = [line for line in lines if "C_GetSessionInfo(" in line]
    assert local.endswith(" ms")


def test_initialising_and_listing_slots_execute_neither_network_nor_cryptography() -> None:
    import subprocess
    import sys

    # In an interpreter as the module starts it; of what is compiled C_Initialize loads all (kept_code).
    program = (
        f"import sys; sys.path += {[each for each in sys.path if each]!r}\n"
        "from hem_pkcs11 import bridge\n"
        "from hem_pkcs11.module import Module\n"
        "from hem_provider.config import Config, DeviceConfig\n"
        "config = Config(devices=(DeviceConfig(url='https://my.ence.do'),))\n"
        "module = Module(load_config=lambda: config)\n"
        "assert module.call('C_Initialize', None)[0] == 0\n"
        "assert module.call('C_GetSlotList', False, 9) == (0, [0])\n"
        "assert module.call('C_GetInfo')[0] == 0\n"
        "assert module.call('C_GetMechanismList', 0, None)[0] == 0\n"
        "heavy = {'requests', 'ssl', 'socket', 'http', 'logging', 'json', 'hem_provider.device.hem',\n"
        "         'dataclasses', 'inspect', 'datetime', 'hem_pkcs11.functions.ciphers',\n"
        "         'cryptography.hazmat.primitives.hashes', 'cryptography.hazmat.primitives.asymmetric.ec'}\n"
        "print(*(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_of_many_threads_that_initialise_one_does_and_of_those_that_finalise_too(make_core: Any) -> None:
    import threading
    import time

    core = make_core("first")
    loaded = []

    def load() -> Any:
        loaded.append(1)
        time.sleep(0.01)  # long enough for the others to come in
        return core.config

    core.module.load_config = load
    for name, argument, other in (
        ("C_Initialize", None, CKR.CRYPTOKI_ALREADY_INITIALIZED),
        ("C_Finalize", False, CKR.CRYPTOKI_NOT_INITIALIZED),
    ):
        answers: list[CKR] = []

        def run(name: str = name, argument: Any = argument, answers: list[CKR] = answers) -> None:
            answers.append(core.rv(name, argument))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(answers) == sorted([CKR.OK, *[other] * 7])
    assert len(loaded) == 1


def test_a_host_that_forbids_threads_is_obeyed_until_it_initialises_anew(make_core, monkeypatch):
    monkeypatch.setattr(threads, "_allowed", True)
    for flags in (CKF.LIBRARY_CANT_CREATE_OS_THREADS, CKF.OS_LOCKING_OK):
        core = make_core("first")
        core.ok("C_Initialize", InitializeArguments(0, int(flags), reserved=False))
        assert threads.threads_allowed() == (flags == CKF.OS_LOCKING_OK)
        core.ok("C_Finalize", False)
