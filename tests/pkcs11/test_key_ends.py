"""Every operation on session keys against every way that its key can end: the result is the true key's,
or an error, and the key's bytes are overwritten once nobody needs them."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hem_pkcs11.constants import CKK, CKR, CKU
from hem_pkcs11.operations import Place
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule, run_state_machine_as_test
from support.fake_hem import PIN
from support.keyops import OPERATIONS, VALUES, Key, Refused, buffer_of, make, template

from hem_provider.errors import HemAuthenticationError

R = CKR


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every refusal is explained in the log; here are thousands."""
    monkeypatch.setenv("HEM_PKCS11_LOG", "off")


# --- one operation, one end ----------------------------------------------------------------------


def destroy(core: Any, _session: int, other: int, key: Key) -> None:
    core.ok("C_DestroyObject", other, key.handle)


def close_owner(core: Any, _session: int, _other: int, key: Key) -> None:
    core.ok("C_CloseSession", key.owner)


def close_own(core: Any, session: int, _other: int, _key: Key) -> None:
    core.ok("C_CloseSession", session)


def close_all(core: Any, _session: int, _other: int, _key: Key) -> None:
    core.ok("C_CloseAllSessions", 0)


def log_out(core: Any, _session: int, other: int, _key: Key) -> None:
    core.ok("C_Logout", other)


def refuse(core: Any, _session: int, other: int, _key: Key) -> None:
    """The device does not accept the credential any more."""
    core.ok("C_FindObjectsInit", other, [])
    core.ok("C_FindObjectsFinal", other)
    with pytest.MonkeyPatch.context() as patch:

        def refused(*_: Any, **__: Any) -> None:
            raise HemAuthenticationError("refused")

        patch.setattr(core.hem.keys, "create", refused)
        with pytest.raises(AssertionError, match="USER_NOT_LOGGED_IN"):
            core.pair(other)


def finalize(core: Any, _session: int, _other: int, _key: Key) -> None:
    core.ok("C_Finalize", False)


End = Callable[[Any, int, int, Key], None]
#: End → return value of the call that follows, for private and for public keys; ``None``: true result.
ENDS: dict[End, tuple[CKR | None, CKR | None]] = {
    destroy: (None, None),
    close_owner: (None, None),
    close_own: (R.SESSION_HANDLE_INVALID, R.SESSION_HANDLE_INVALID),
    close_all: (R.SESSION_HANDLE_INVALID, R.SESSION_HANDLE_INVALID),
    log_out: (R.OPERATION_NOT_INITIALIZED, None),
    refuse: (R.OPERATION_NOT_INITIALIZED, None),
    finalize: (R.CRYPTOKI_NOT_INITIALIZED, R.CRYPTOKI_NOT_INITIALIZED),
}
#: A state that was saved holds no key: restoring it looks for the key again.
SAVED: dict[End, tuple[CKR, CKR]] = {
    destroy: (R.KEY_CHANGED, R.KEY_CHANGED),
    close_owner: (R.KEY_CHANGED, R.KEY_CHANGED),
    log_out: (R.SAVED_STATE_INVALID, R.USER_NOT_LOGGED_IN),
    refuse: (R.SAVED_STATE_INVALID, R.USER_NOT_LOGGED_IN),
}


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("end", ENDS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", [name for name, each in OPERATIONS.items() if each.place is not None])
def test_an_operation_whose_key_ends_gives_the_true_result_or_an_error(
    make_core: Any, name: str, end: End, private: bool
) -> None:
    operation = OPERATIONS[name]
    expected = ENDS[end][not private]
    if name == "sign after saving":
        expected = SAVED.get(end, ENDS[end])[not private]
    for when in itertools.count(1):  # after the first call, after the second, …
        core = make_core("first")
        core.ok("C_Initialize", None)
        session, owner = core.user_session(), core.session()
        other = core.session()
        key = make(core, owner, VALUES[0], aes=operation.aes, private=private)
        buffer = buffer_of(core, key)
        script = operation.script(core.module.call, session, key)
        steps = sum(1 for _ in itertools.islice(script, when))
        if steps == when:
            end(core, session, other, key)
            if expected is None:
                list(script)
            else:
                with pytest.raises(Refused) as refused:
                    list(script)
                assert refused.value.rv == expected
        if core.module.initialized_in is not None:
            core.ok("C_Finalize", False)
        assert bytes(buffer) == bytes(32)
        if steps < when:
            break


@pytest.mark.parametrize("end", [destroy, close_owner, log_out, refuse], ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_ended_key_begins_no_operation(core: Any, name: str, end: End) -> None:
    operation = OPERATIONS[name]
    session, owner, other = core.user_session(), core.session(), core.session()
    key = make(core, owner, VALUES[0], aes=operation.aes, private=True)
    buffer = buffer_of(core, key)
    end(core, session, other, key)
    assert bytes(buffer) == bytes(32)
    with pytest.raises(Refused) as refused:
        next(operation.script(core.module.call, session, key))
    reading = name in ("read value", "read check value", "copy")
    wrapping = {"unwrap": R.UNWRAPPING_KEY_HANDLE_INVALID}
    assert refused.value.rv == (
        R.OBJECT_HANDLE_INVALID if reading else wrapping.get(name, R.KEY_HANDLE_INVALID)
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_key_is_overwritten_as_soon_as_its_last_operation_has_ended(core: Any, name: str) -> None:
    operation = OPERATIONS[name]
    session = core.user_session()
    key = make(core, session, VALUES[0], aes=operation.aes, private=True)
    buffer = buffer_of(core, key)
    script = operation.script(core.module.call, session, key)
    next(script, None)
    if name != "sign after saving":
        core.ok("C_DestroyObject", session, key.handle)
        list(script)
    else:
        list(script)
        core.ok("C_DestroyObject", session, key.handle)
    assert bytes(buffer) == bytes(32)


# --- any order -----------------------------------------------------------------------------------


class Session:
    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.alive = True
        self.running: dict[str, Running] = {}


class Running:
    """An operation between its calls. ``ended``: the return value of its next one, once it is over."""

    def __init__(self, name: str, script: Iterator[None], session: Session, key: Key) -> None:
        self.name, self.script, self.session, self.key = name, script, session, key
        self.ended: CKR | None = None


def places(name: str) -> set[Place | None]:
    """Where the operation runs."""
    return {OPERATIONS[name].place} | ({Place.ENCRYPT} if name == "sign and encrypt" else set())


def machine(make_core: Any) -> type[RuleBasedStateMachine]:
    class KeyEnds(RuleBasedStateMachine):
        sessions = Bundle("sessions")
        keys = Bundle("keys")

        def __init__(self) -> None:
            super().__init__()
            self.core = make_core("first")
            self.core.ok("C_Initialize", None)
            self.all: list[Session] = []
            self.known: list[Key] = []
            self.ivs: dict[tuple[bool, bytes], dict[bytes, object]] = {}
            self.user = False

        def teardown(self) -> None:
            buffers = [buffer_of(self.core, each) for each in self.known if each.alive]
            self.core.ok("C_Finalize", False)
            assert all(bytes(each) == bytes(len(each)) for each in buffers)

        def lose(self, key: Key) -> None:
            key.alive = False
            for running in self.going():
                if running.key is key and running.name == "sign after saving":
                    running.ended = running.ended or R.KEY_CHANGED

        def going(self) -> list[Running]:
            return [each for session in self.all for each in session.running.values()]

        @rule(target=sessions)
        def open_session(self) -> Session:
            session = Session(self.core.session())
            self.all.append(session)
            return session

        @rule(session=sessions)
        def close_session(self, session: Session) -> None:
            if not session.alive:
                return
            self.core.ok("C_CloseSession", session.handle)
            session.alive = False
            for running in session.running.values():
                running.ended = R.SESSION_HANDLE_INVALID
            for key in self.known:
                if key.alive and key.owner is session:
                    self.lose(key)
            if not any(each.alive for each in self.all):
                self.user = False

        @rule(session=sessions)
        def login(self, session: Session) -> None:
            if session.alive and not self.user:
                self.core.ok("C_Login", session.handle, CKU.USER, PIN.encode())
                self.user = True

        @rule(session=sessions)
        def logout(self, session: Session) -> None:
            if not session.alive or not self.user:
                return
            self.core.ok("C_Logout", session.handle)
            self.user = False
            for running in self.going():
                if running.ended is None or running.ended == R.KEY_CHANGED:
                    saved = running.name == "sign after saving"
                    if running.key.private:
                        running.ended = R.SAVED_STATE_INVALID if saved else R.OPERATION_NOT_INITIALIZED
            for key in self.known:
                if key.alive and key.private:
                    key.alive = False

        @rule(
            target=keys,
            session=sessions,
            value=st.sampled_from(VALUES),
            aes=st.booleans(),
            private=st.booleans(),
        )
        def create(self, session: Session, value: bytes, aes: bool, private: bool) -> Any:
            if not session.alive or (private and not self.user):
                return multiple()
            return self.know(make(self.core, session.handle, value, aes=aes, private=private), session)

        def know(self, key: Key, session: Session) -> Key:
            key.owner = session
            key.ivs = self.ivs.setdefault((key.aes, key.value), key.ivs)
            self.known.append(key)
            return key

        @rule(target=keys, session=sessions, key=keys)
        def copy(self, session: Session, key: Key) -> Any:
            if not session.alive or not key.alive or (key.private and not self.user):
                return multiple()
            handle = self.core.ok("C_CopyObject", session.handle, key.handle, [])
            return self.know(Key(handle, key.value, key.aes, key.private, {}), session)

        @rule(session=sessions, key=keys)
        def destroy(self, session: Session, key: Key) -> None:
            if session.alive and key.alive and (self.user or not key.private):
                self.core.ok("C_DestroyObject", session.handle, key.handle)
                self.lose(key)

        @rule(session=sessions, key=keys, name=st.sampled_from(sorted(OPERATIONS)))
        def begin(self, session: Session, key: Key, name: str) -> None:
            operation = OPERATIONS[name]
            busy = set().union(*(places(each) for each in session.running))
            # A state can be saved only while nothing else runs, and restoring it ends what runs.
            alone = "sign after saving" in session.running or (name == "sign after saving" and busy)
            if places(name) & busy or (operation.aes and not key.aes) or alone:
                return
            script = operation.script(self.core.module.call, session.handle, key)
            if session.alive and key.alive and (self.user or not key.private):
                next(script)
                if operation.place is not None:
                    session.running[name] = Running(name, script, session, key)
                return
            with pytest.raises(Refused):
                next(script)

        @rule(session=sessions, data=st.data())
        def go_on(self, session: Session, data: st.DataObject) -> None:
            if not session.running:
                return
            name = data.draw(st.sampled_from(sorted(session.running)))
            running = session.running[name]
            expected = running.ended
            if name == "sign after saving" and expected in (None, R.KEY_CHANGED) and not self.user:
                expected = R.USER_NOT_LOGGED_IN
            if expected is not None:
                del session.running[name]
                with pytest.raises(Refused) as refused:
                    next(running.script)
                assert refused.value.rv == expected
            elif next(running.script, "over") == "over":
                del session.running[name]

    return KeyEnds


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_any_order_of_operations_and_ends_gives_true_results_or_errors(make_core: Any) -> None:
    run_state_machine_as_test(
        machine(make_core), settings=settings(max_examples=60, stateful_step_count=60, **QUIET)
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_very_many_orders_of_operations_and_ends_give_true_results_or_errors(make_core: Any) -> None:
    run_state_machine_as_test(
        machine(make_core), settings=settings(max_examples=2000, stateful_step_count=100, **QUIET)
    )


# --- threads -------------------------------------------------------------------------------------

#: What may be said to a thread whose key, session or login another thread ends.
ENDED = frozenset(
    {
        R.KEY_HANDLE_INVALID, R.OBJECT_HANDLE_INVALID, R.WRAPPING_KEY_HANDLE_INVALID,
        R.UNWRAPPING_KEY_HANDLE_INVALID, R.OPERATION_NOT_INITIALIZED, R.SESSION_HANDLE_INVALID,
        R.USER_NOT_LOGGED_IN, R.KEY_CHANGED, R.SAVED_STATE_INVALID,
    }
)  # fmt: skip


class Campaign:
    """Threads that work on each other's keys and end them. ``results``: true ones; ``refusals``."""

    def __init__(self, core: Any, threads: int, seconds: float, seed: int) -> None:
        self.core = core
        self.until = time.monotonic() + seconds
        self.keys: list[Key] = []
        self.results = self.refusals = self.ends = 0
        self.wrong: list[str] = []
        self.counting = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(seed + each,)) for each in range(threads)]

    def play(self) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in self.threads:
                thread.start()
            for thread in self.threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)

    def run(self, seed: int) -> None:
        choose = random.Random(seed)  # noqa: S311 - to be repeatable
        count = [0, 0, 0]
        try:
            while time.monotonic() < self.until and not self.wrong:
                self.round(choose, count)
        except BaseException as error:
            self.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            with self.counting:
                self.results += count[0]
                self.refusals += count[1]
                self.ends += count[2]

    def round(self, choose: random.Random, count: list[int]) -> None:
        """A session with some keys and many operations; then it is closed."""
        call = self.core.module.call
        session = self.core.session()
        call("C_Login", session, CKU.USER, PIN.encode())
        for _ in range(300):
            known = self.keys[:]  # the others take away and add
            pick = choose.random()
            if len(known) < 12:
                self.create(choose, session)
            elif pick < 0.01:
                self.expect_end(call("C_DestroyObject", session, choose.choice(known).handle)[0], count)
            elif pick < 0.011:
                self.expect_end(call("C_Logout", session)[0], count)
                call("C_Login", session, CKU.USER, PIN.encode())
            else:
                self.operate(choose, session, choose.choice(known), count)
        rv, _ = call("C_CloseSession", session)
        assert rv == R.OK, rv
        count[2] += 1

    def expect_end(self, rv: CKR, count: list[int]) -> None:
        assert rv == R.OK or rv in ENDED, rv
        count[2] += 1

    def create(self, choose: random.Random, session: int) -> None:
        value, aes, private = choose.randbytes(32), choose.random() < 0.7, choose.random() < 0.7
        kind = CKK.AES if aes else CKK.GENERIC_SECRET
        rv, handle = self.core.module.call("C_CreateObject", session, template(kind, value, private=private))
        assert rv == R.OK or rv in ENDED, rv
        if rv == R.OK:
            self.keys.append(Key(handle, value, aes, private, {}, owner=session))

    def operate(self, choose: random.Random, session: int, key: Key, count: list[int]) -> None:
        call = self.core.module.call
        script = OPERATIONS[choose.choice(_ANY if key.aes else _NOT_AES)].script(call, session, key)
        try:
            for _ in script:
                if choose.random() < 0.01:  # its own key, in the middle of the operation
                    self.expect_end(call("C_DestroyObject", session, key.handle)[0], count)
        except Refused as refused:
            if refused.rv not in ENDED:
                raise
            count[1] += 1
            with suppress(ValueError):  # another thread was faster
                self.keys.remove(key)
        else:
            count[0] += 1


_ANY = sorted(OPERATIONS)
_NOT_AES = sorted(name for name, each in OPERATIONS.items() if not each.aes)


@pytest.mark.parametrize(
    ("seconds", "least"),
    [
        (3, 300),
        pytest.param(600, 1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
def test_threads_that_end_each_others_keys_never_see_a_wrong_result(
    make_core: Any, seconds: int, least: int
) -> None:
    core = make_core("first")
    core.ok("C_Initialize", None)
    keeper = core.user_session()  # the last session's end would end the login
    campaign = Campaign(core, 4, seconds, seed=least)
    campaign.play()
    core.ok("C_CloseSession", keeper)
    core.ok("C_Finalize", False)
    print(
        f"{campaign.results} true results, {campaign.refusals} refusals, {campaign.ends} ends "
        f"in {seconds} s, {len(campaign.wrong)} wrong"
    )
    assert not campaign.wrong, campaign.wrong
    assert campaign.results >= least
    assert campaign.refusals
