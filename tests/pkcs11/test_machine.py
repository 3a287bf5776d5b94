"""Any order of calls against a small model of what the standard says: sessions, login, searches,
signatures, keys. The device is in memory; what it holds must be what the model thinks it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hem_pkcs11.constants import CKA, CKF, CKM, CKO, CKR, CKS, CKU
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from support.fake_hem import PIN

R = CKR
MECHANISMS = {"SECP256R1": CKM.ECDSA_SHA256, "ED25519": CKM.EDDSA}
SIZE = 64  # of both kinds of signature
LARGEST = 2048


@dataclass(eq=False)
class Pair:
    name: bytes
    curve: str
    public: int
    private: int
    owner: Session | None
    native: Any
    alive: bool = True


@dataclass(eq=False)
class Signing:
    pair: Pair
    data: bytes = b""
    parts: int = 0


@dataclass(eq=False)
class Session:
    handle: int
    writable: bool
    signing: Signing | None = None
    found: list[int] | None = None
    alive: bool = True
    pairs: list[Pair] = field(default_factory=list)


def verify(pair: Pair, message: bytes, signature: bytes) -> None:
    if pair.curve == "ED25519":
        pair.native.verify(signature, message)
        return
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    pair.native.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


def machine(make_core: Any) -> type[RuleBasedStateMachine]:
    messages = st.binary(max_size=40) | st.sampled_from([LARGEST, LARGEST + 1]).map(bytes)

    class Cryptoki(RuleBasedStateMachine):
        sessions = Bundle("sessions")
        pairs = Bundle("pairs")

        def __init__(self) -> None:
            super().__init__()
            self.core = make_core("first")
            self.core.ok("C_Initialize", None)
            self.core.ok("C_CloseSession", self.core.session())  # makes the device
            self.open: list[Session] = []
            self.keys: list[Pair] = []
            self.user = False
            self.made = 0

        def teardown(self) -> None:
            self.core.ok("C_Finalize", False)
            left = {each.label.encode() for each in self.core.hem.keys.stored.values()}
            assert left == {each.name for each in self.keys if each.owner is None}

        # --- the model ------------------------------------------------------------------------

        def expect(self, rv: CKR, name: str, *arguments: Any) -> Any:
            answer, result = self.core.module.call(name, *arguments)
            assert answer == rv, f"{name}: {answer!r}, not {rv!r}"
            return result

        def lose(self, pair: Pair) -> None:
            pair.alive = False
            self.keys.remove(pair)

        def end_login(self) -> None:
            self.user = False
            for session in self.open:
                session.signing = session.found = None
            for pair in [each for each in self.keys if each.owner is not None]:
                self.lose(pair)

        def visible(self) -> set[int]:
            private = {each.private for each in self.keys} if self.user else set()
            return {each.public for each in self.keys} | private

        # --- sessions and login ---------------------------------------------------------------

        @rule(target=sessions, writable=st.booleans())
        def open_session(self, writable: bool) -> Session:
            flags = CKF.SERIAL_SESSION | (CKF.RW_SESSION if writable else 0)
            session = Session(self.expect(R.OK, "C_OpenSession", 0, int(flags), False, False), writable)
            self.open.append(session)
            return session

        @rule(session=sessions)
        def close_session(self, session: Session) -> None:
            if not session.alive:
                self.expect(R.SESSION_HANDLE_INVALID, "C_CloseSession", session.handle)
                return
            self.expect(R.OK, "C_CloseSession", session.handle)
            session.alive = False
            self.open.remove(session)
            for pair in [each for each in self.keys if each.owner is session]:
                self.lose(pair)
            if not self.open:
                self.end_login()

        @rule(session=sessions, right=st.sampled_from([True, True, True, False]))
        def login(self, session: Session, right: bool) -> None:
            rv = R.OK if right else R.PIN_INCORRECT
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif self.user:
                rv = R.USER_ALREADY_LOGGED_IN
            self.expect(rv, "C_Login", session.handle, CKU.USER, PIN.encode() if right else b"wrong")
            self.user = self.user or rv == R.OK

        @rule(session=sessions)
        def logout(self, session: Session) -> None:
            if not session.alive or not self.user:
                rv = R.USER_NOT_LOGGED_IN if session.alive else R.SESSION_HANDLE_INVALID
                self.expect(rv, "C_Logout", session.handle)
                return
            self.expect(R.OK, "C_Logout", session.handle)
            self.end_login()

        # --- keys -----------------------------------------------------------------------------

        @rule(target=pairs, session=sessions, curve=st.sampled_from(list(MECHANISMS)), token=st.booleans())
        def generate(self, session: Session, curve: str, token: bool) -> Any:
            kind = KINDS[curve]
            self.made += 1
            name = b"key-%d" % self.made
            half = [(CKA.TOKEN, pack_bool(token)), (CKA.LABEL, name)]
            rv = R.OK
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif not self.user:
                rv = R.USER_NOT_LOGGED_IN
            elif token and not session.writable:
                rv = R.SESSION_READ_ONLY
            public = [*half, (CKA.EC_PARAMS, kind.ec_params)]
            made = self.expect(
                rv, "C_GenerateKeyPair", session.handle, Mechanism(kind.generation), public, half
            )
            if rv != R.OK:
                return multiple()
            stored = next(each for each in self.core.hem.keys.stored.values() if each.label.encode() == name)
            pair = Pair(name, curve, *made, None if token else session, stored.native.public_key())
            self.keys.append(pair)
            return pair

        @rule(session=sessions, pair=pairs, private=st.booleans())
        def destroy(self, session: Session, pair: Pair, private: bool) -> None:
            rv = R.OK
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif not pair.alive or (private and not self.user):
                rv = R.OBJECT_HANDLE_INVALID
            elif not self.user:
                rv = R.USER_NOT_LOGGED_IN
            elif pair.owner is None and not session.writable:
                rv = R.SESSION_READ_ONLY
            self.expect(rv, "C_DestroyObject", session.handle, pair.private if private else pair.public)
            if rv == R.OK:
                self.lose(pair)

        @rule(session=sessions, pair=pairs, private=st.booleans())
        def read_label(self, session: Session, pair: Pair, private: bool) -> None:
            rv = R.OK
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif not pair.alive or (private and not self.user):
                rv = R.OBJECT_HANDLE_INVALID
            handle = pair.private if private else pair.public
            query = self.expect(rv, "C_GetAttributeValue", session.handle, handle, [(CKA.LABEL, 32)])
            assert rv != R.OK or query.values == [pair.name]

        # --- searches -------------------------------------------------------------------------

        def search(self, session: Session, template: list[tuple[int, bytes]], wanted: set[int]) -> None:
            rv = R.OK
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif session.found is not None:
                rv = R.OPERATION_ACTIVE
            self.expect(rv, "C_FindObjectsInit", session.handle, template)
            if rv == R.OK:
                session.found = sorted(wanted)

        @rule(session=sessions, private=st.booleans())
        def find_by_class(self, session: Session, private: bool) -> None:
            number = CKO.PRIVATE_KEY if private else CKO.PUBLIC_KEY
            wanted = {each.private if private else each.public for each in self.keys}
            self.search(session, [(CKA.CLASS, pack_ulong(number))], wanted & self.visible())

        @rule(session=sessions, pair=pairs)
        def find_by_label(self, session: Session, pair: Pair) -> None:
            wanted = {pair.private, pair.public} & self.visible()
            self.search(session, [(CKA.LABEL, pair.name)], wanted)

        @rule(session=sessions, room=st.integers(0, 3))
        def find(self, session: Session, room: int) -> None:
            if not session.alive or session.found is None:
                rv = R.OPERATION_NOT_INITIALIZED if session.alive else R.SESSION_HANDLE_INVALID
                self.expect(rv, "C_FindObjects", session.handle, room)
                return
            found = self.expect(R.OK, "C_FindObjects", session.handle, room)
            assert len(found) == min(room, len(session.found))
            for each in found:
                session.found.remove(each)  # each once, and nothing else

        @rule(session=sessions)
        def find_final(self, session: Session) -> None:
            rv = R.OK
            if not session.alive or session.found is None:
                rv = R.OPERATION_NOT_INITIALIZED if session.alive else R.SESSION_HANDLE_INVALID
            self.expect(rv, "C_FindObjectsFinal", session.handle)
            session.found = None

        # --- signatures -----------------------------------------------------------------------

        @rule(session=sessions, pair=pairs, wrong=st.sampled_from(["", "", "", "half", "mechanism"]))
        def sign_init(self, session: Session, pair: Pair, wrong: str) -> None:
            mechanism = MECHANISMS[pair.curve]
            if wrong == "mechanism":
                mechanism = next(each for each in MECHANISMS.values() if each != mechanism)
            rv = R.KEY_TYPE_INCONSISTENT if wrong else R.OK
            if not session.alive:
                rv = R.SESSION_HANDLE_INVALID
            elif session.signing is not None:
                rv = R.OPERATION_ACTIVE
            elif not self.user:
                rv = R.USER_NOT_LOGGED_IN
            elif not pair.alive:
                rv = R.KEY_HANDLE_INVALID
            handle = pair.public if wrong == "half" else pair.private
            self.expect(rv, "C_SignInit", session.handle, Mechanism(mechanism), handle)
            if rv == R.OK:
                session.signing = Signing(pair)

        @rule(session=sessions, by_flag=st.booleans())
        def cancel(self, session: Session, by_flag: bool) -> None:
            rv = R.OK if session.alive else R.SESSION_HANDLE_INVALID
            if by_flag:
                self.expect(rv, "C_SessionCancel", session.handle, int(CKF.SIGN))
            else:
                # Without a mechanism an Init ends what runs; where nothing does, it is an Init without one.
                nothing = session.alive and session.signing is None
                self.expect(R.ARGUMENTS_BAD if nothing else rv, "C_SignInit", session.handle, None, 0)
            session.signing = None

        @rule(session=sessions, part=messages)
        def sign_update(self, session: Session, part: bytes) -> None:
            running = session.signing
            if not session.alive or running is None:
                rv = R.OPERATION_NOT_INITIALIZED if session.alive else R.SESSION_HANDLE_INVALID
                self.expect(rv, "C_SignUpdate", session.handle, part)
                return
            running.data += part
            running.parts += 1
            too_long = len(running.data) > LARGEST
            self.expect(R.DATA_LEN_RANGE if too_long else R.OK, "C_SignUpdate", session.handle, part)
            if too_long:
                session.signing = None

        @rule(session=sessions, room=st.sampled_from([None, SIZE - 1, SIZE, 200]))
        def sign_final(self, session: Session, room: int | None) -> None:
            self.finish(session, room, None)

        @rule(session=sessions, room=st.sampled_from([None, SIZE - 1, SIZE, 200]), message=messages)
        def sign(self, session: Session, room: int | None, message: bytes) -> None:
            self.finish(session, room, message)

        def finish(self, session: Session, room: int | None, whole: bytes | None) -> None:
            call = ("C_SignFinal", session.handle) if whole is None else ("C_Sign", session.handle, whole)
            running = session.signing
            if not session.alive or running is None:
                rv = R.OPERATION_NOT_INITIALIZED if session.alive else R.SESSION_HANDLE_INVALID
                self.expect(rv, *call, room)
                return
            if whole is not None and running.parts:
                self.expect(R.OPERATION_ACTIVE, *call, room)
                session.signing = None
                return
            if room is None or room < SIZE:
                rv = R.OK if room is None else R.BUFFER_TOO_SMALL
                assert self.expect(rv, *call, room) == SIZE
                return
            message = running.data if whole is None else whole
            rv = R.OK
            if not 1 <= len(message) <= LARGEST:
                rv = R.DATA_LEN_RANGE
            elif not running.pair.alive:
                rv = R.KEY_HANDLE_INVALID
            signature = self.expect(rv, *call, room)
            session.signing = None
            if rv == R.OK:
                verify(running.pair, message, signature)

        # --- what always holds ----------------------------------------------------------------

        @invariant()
        def sessions_say_what_they_are(self) -> None:
            for session in self.open:
                info = self.expect(R.OK, "C_GetSessionInfo", session.handle)
                states = (
                    (CKS.RO_PUBLIC_SESSION, CKS.RW_PUBLIC_SESSION),
                    (CKS.RO_USER_FUNCTIONS, CKS.RW_USER_FUNCTIONS),
                )
                assert info.state == states[self.user][session.writable]

        @invariant()
        def the_device_has_the_keys_that_it_should(self) -> None:
            stored = {each.label.encode() for each in self.core.hem.keys.stored.values()}
            assert stored == {each.name for each in self.keys}

    return Cryptoki


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every refusal is explained in the log; here are thousands."""
    monkeypatch.setenv("HEM_PKCS11_LOG", "off")


def test_any_order_of_calls_is_answered_as_the_standard_says(make_core: Any) -> None:
    run_state_machine_as_test(
        machine(make_core), settings=settings(max_examples=150, stateful_step_count=50, **QUIET)
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_very_many_orders_of_calls_are_answered_as_the_standard_says(make_core: Any) -> None:
    run_state_machine_as_test(
        machine(make_core), settings=settings(max_examples=1500, stateful_step_count=100, **QUIET)
    )
