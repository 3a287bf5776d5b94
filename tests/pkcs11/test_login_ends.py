"""The end of a login: told to other threads' sessions, and by the clock when no call comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO, CKR, CKU
from hem_pkcs11.expiry import Expiry
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.values import InitializeArguments, Mechanism, pack_bool, pack_ulong
from support.fake_hem import PIN
from support.keyops import DATA, VALUES, Key, buffer_of, mac_mechanism, make, template, true_mac

R = CKR
WAIT = 60.0
ROOM = 256


class Busy:
    """A signature that stays in the device until it is let go."""

    def __init__(self, core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core = core
        self.session = core.user_session()
        _, self.private = core.pair(self.session)
        self.there, self.go_on = threading.Event(), threading.Event()
        self.answers: list[tuple[CKR, Any]] = []
        real = core.hem.sign

        def slow(*arguments: Any, **options: Any) -> bytes:
            self.there.set()
            assert self.go_on.wait(WAIT)
            return real(*arguments, **options)

        monkeypatch.setattr(core.hem, "sign", slow)
        core.ok("C_SignInit", self.session, Mechanism(CKM.ECDSA_SHA256), self.private)
        self.thread = threading.Thread(target=self.sign)
        self.thread.start()
        assert self.there.wait(WAIT)

    def sign(self) -> None:
        self.answers.append(self.core.module.call("C_Sign", self.session, b"message", ROOM))

    def finish(self) -> tuple[CKR, Any]:
        self.go_on.set()
        self.thread.join(WAIT)
        return self.answers[0]


@pytest.fixture
def busy(core: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    made = Busy(core, monkeypatch)
    yield made
    made.finish()


def test_logout_waits_for_no_other_thread_and_takes_nothing_from_it(core: Any, busy: Busy) -> None:
    core.hem.authorise = lambda: None  # the request is with the device already
    core.ok("C_Logout", core.session())
    rv, signature = busy.finish()
    assert rv == R.OK
    assert len(signature) == 64
    assert core.rv("C_SignFinal", busy.session, ROOM) == R.OPERATION_NOT_INITIALIZED


def test_an_operation_that_begins_while_another_thread_logs_out_ends_with_that_call(
    core: Any, busy: Busy
) -> None:
    session = busy.session
    held = core.module.sessions.get(session)
    told: list[str] = []
    held.tell(lambda: told.append("heeded"))
    assert not told  # the session is in the middle of a call
    busy.finish()
    assert told == ["heeded"]
    held.tell(lambda: told.append("at once"))
    assert told == ["heeded", "at once"]


def test_finalizing_waits_for_no_other_thread_and_takes_nothing_from_it(core: Any, busy: Busy) -> None:
    core.hem.authorise = lambda: None
    core.ok("C_Finalize", False)
    assert busy.finish()[0] == R.OK
    assert core.rv("C_SignFinal", busy.session, ROOM) == R.CRYPTOKI_NOT_INITIALIZED


def test_a_call_that_waited_for_a_session_that_was_closed_is_refused(core: Any, busy: Busy) -> None:
    """It would make an object that no session owns."""
    answers: list[CKR] = []

    def wait(name: str, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: answers.append(core.module.call(name, busy.session, *arguments)[0])
        )
        thread.start()
        return thread

    closing = wait("C_CloseSession")
    others = [wait("C_GetSessionInfo") for _ in range(3)]
    busy.finish()
    for thread in (closing, *others):
        thread.join(WAIT)
    assert set(answers) <= {R.OK, R.SESSION_HANDLE_INVALID}
    assert core.rv("C_GetSessionInfo", busy.session) == R.SESSION_HANDLE_INVALID
    session = core.module.sessions.open(core.module.slot(0), int(CKF.SERIAL_SESSION))
    session.shut()
    assert core.rv("C_GetSessionInfo", session.handle) == R.SESSION_HANDLE_INVALID


def test_many_threads_that_log_out_at_once_never_wait_for_each_other(core: Any) -> None:
    core.user_session()

    def turn() -> None:
        for _ in range(60):
            session = core.session()
            core.module.call("C_Login", session, CKU.USER, PIN.encode())
            core.module.call("C_FindObjectsInit", session, [])
            core.module.call("C_Logout", session)
            core.ok("C_CloseSession", session)

    threads = [threading.Thread(target=turn, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)


MAKERS: dict[str, Callable[[Any, int, Key], CKR]] = {
    "create": lambda core, session, _: core.rv(
        "C_CreateObject", session, template(CKK.GENERIC_SECRET, VALUES[1], private=True)
    ),
    "copy": lambda core, session, key: core.rv("C_CopyObject", session, key.handle, []),
    "data": lambda core, session, _: core.rv(
        "C_CreateObject",
        session,
        [(CKA.CLASS, pack_ulong(CKO.DATA)), (CKA.PRIVATE, pack_bool(True)), (CKA.VALUE, b"secret")],
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_made_while_another_thread_logs_out_ends_with_the_login(
    core: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It was found and permitted under the login, and would come to light under the next one."""
    session, other = core.user_session(), core.session()
    key = make(core, session, VALUES[0], aes=False, private=True)
    objects = core.module.slot(0).objects
    leases: list[Any] = []
    log_out_once = [True]
    real = objects.add

    def late(item: Any) -> Any:
        if log_out_once and log_out_once.pop():  # as far as the slot lets another thread
            thread = threading.Thread(target=core.module.call, args=("C_Logout", other))
            thread.start()
            thread.join(0.3)
            leases.append((thread, item))
        return real(item)

    monkeypatch.setattr(objects, "add", late)
    rv = MAKERS[name](core, session, key)
    for thread, _ in leases:
        thread.join(WAIT)
    assert rv == R.OK
    assert core.rv("C_Logout", other) == R.USER_NOT_LOGGED_IN
    core.ok("C_Login", other, CKU.USER, PIN.encode())
    assert core.find(other) == []


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_private_is_taken_in_once_the_login_has_ended(core: Any, name: str) -> None:
    session, other = core.user_session(), core.session()
    key = make(core, session, VALUES[0], aes=False, private=True)
    held = core.module.sessions.get(session)
    real, asked = held.add, []

    def add(item: Any) -> int:
        asked.append(item)
        core.ok("C_Logout", other)
        return int(real(item))

    held.add = add
    assert MAKERS[name](core, session, key) == R.USER_NOT_LOGGED_IN
    (item,) = asked
    if isinstance(item, SessionSecretKey):
        assert item._secret.ended


def test_no_state_is_saved_of_a_private_operation_once_the_login_has_ended(
    core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = core.user_session(), core.session()
    key = make(core, session, VALUES[0], aes=False, private=True)
    core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    core.ok("C_DigestKey", session, key.handle)
    held = core.module.sessions.get(session)
    real = held.is_private

    def ends(place: Any) -> bool:
        private = real(place)
        core.ok("C_Logout", other)
        return bool(private)

    monkeypatch.setattr(held, "is_private", ends)
    assert core.rv("C_GetOperationState", session, ROOM) == R.USER_NOT_LOGGED_IN


def test_operations_with_public_session_keys_go_on_after_logout(core: Any) -> None:
    session = core.user_session()
    key = make(core, session, VALUES[0], aes=False, private=False)
    core.ok("C_SignInit", session, mac_mechanism(key), key.handle)
    core.ok("C_Logout", session)
    assert core.ok("C_Sign", session, DATA, ROOM) == true_mac(key, DATA)


def test_a_child_overwrites_what_operations_hold(core: Any) -> None:
    session = core.user_session()
    key = make(core, session, VALUES[0], aes=False, private=True)
    buffer = buffer_of(core, key)
    core.ok("C_SignInit", session, mac_mechanism(key), key.handle)
    core.ok("C_DestroyObject", session, key.handle)
    assert bytes(buffer) == VALUES[0]
    login_key = core.module.slot(0).login._key._secret.buffer
    core.module.abandon()
    assert bytes(buffer) == bytes(32)
    assert bytes(login_key) == bytes(32)
    assert not core.hem.logged_in


# --- the clock -----------------------------------------------------------------------------------


class Looked:
    """``look`` of an ``Expiry``: the answers in order, and when it was over."""

    def __init__(self, *answers: float | None) -> None:
        self.answers = list(answers)
        self.over = threading.Event()
        self.thread: threading.Thread | None = None
        self.signals: set[signal.Signals] = set()

    def __call__(self) -> float | None:
        self.thread = threading.current_thread()
        self.signals = set(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        answer = self.answers.pop(0)
        if answer is None:
            self.over.set()
        return answer


def test_it_is_looked_until_that_is_over_and_again_when_asked() -> None:
    look = Looked(0.01, 0.01, None, None)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    expiry = Expiry(threading.RLock(), look)
    assert expiry.watch()
    assert look.over.wait(WAIT)
    assert look.answers == [None]
    assert look.thread is not None
    assert look.thread.daemon
    assert signal.SIGTERM in look.signals  # the host's signals are not for this thread
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    look.thread.join(WAIT)
    look.over.clear()
    assert expiry.watch()
    assert look.over.wait(WAIT)


def test_watching_twice_makes_one_thread_and_stopping_ends_it() -> None:
    lock = threading.RLock()
    look = Looked(1000.0)
    expiry = Expiry(lock, look)
    with lock:
        before = set(threading.enumerate())
        assert expiry.watch()
        assert expiry.watch()
        (thread,) = set(threading.enumerate()) - before
        expiry.stop()
    thread.join(WAIT)
    assert not thread.is_alive()


def initialized(make_core: Callable[..., Any], flags: int = 0) -> Any:
    core = make_core("first")
    core.ok("C_Initialize", InitializeArguments(0, flags, reserved=False))
    return core


@pytest.mark.parametrize("name", ["C_GetInfo", "C_GetSlotInfo", "C_FindObjectsFinal"])
def test_where_threads_are_forbidden_any_call_ends_what_is_kept(
    make_core: Callable[..., Any], name: str
) -> None:
    core = initialized(make_core, int(CKF.LIBRARY_CANT_CREATE_OS_THREADS))
    before = set(threading.enumerate())
    core.ok("C_Logout", core.user_session())
    assert core.hem.logged_in  # kept for the next login
    assert set(threading.enumerate()) <= before
    core.module.slot(0).login._until = 0.0
    core.module.call(name, *([] if name == "C_GetInfo" else [0]))
    assert not core.hem.logged_in
    core.ok("C_Finalize", False)


def test_where_no_thread_is_to_be_had_a_logout_forgets_at_once(
    make_core: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    core = initialized(make_core)
    session = core.user_session()
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    core.ok("C_Logout", session)
    assert not core.hem.logged_in
    core.ok("C_Finalize", False)


def test_the_clock_takes_nothing_from_who_has_logged_in_again(core: Any) -> None:
    core.ok("C_Logout", core.user_session())
    core.user_session()
    slot = core.module.slot(0)
    slot.login._until = 0.0
    assert slot._look_at_login() is None
    assert core.hem.logged_in
    core.ok("C_Logout", core.session())
    assert not core.hem.logged_in  # its time was over


def test_the_clock_looks_at_what_is_left(core: Any) -> None:
    core.ok("C_Logout", core.user_session())
    slot = core.module.slot(0)
    assert 200 < slot._look_at_login() <= 300
    slot.login._until = 0.0
    assert slot._look_at_login() is None
    assert not core.hem.logged_in
