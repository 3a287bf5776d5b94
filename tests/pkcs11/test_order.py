"""In which order the calls of one operation may follow: what was asked for at once, and no mechanism."""

from __future__ import annotations

from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong

YES = pack_bool(True)
RSA_PKCS, RSA_OAEP = 0x1, 0x9


@pytest.fixture
def running(core: Any) -> tuple[Any, int, int, int]:
    """A session, a private key and an AES key in memory."""
    session = core.user_session()
    template = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
        (CKA.KEY_TYPE, pack_ulong(CKK.AES)),
        (CKA.VALUE, bytes(16)),
        (CKA.ENCRYPT, YES),
        (CKA.DECRYPT, YES),
    ]
    return core, session, core.pair(session)[1], core.ok("C_CreateObject", session, template)


#: What begins, what asks at once, and what may then not follow.
OPERATIONS = {
    "Digest": (CKM.SHA256, None, "DigestFinal", "DigestUpdate"),
    "Sign": (CKM.ECDSA_SHA256, "private", "SignFinal", "SignUpdate"),
    "Encrypt": (CKM.AES_ECB, "secret", "EncryptFinal", "EncryptUpdate"),
    "Decrypt": (CKM.AES_ECB, "secret", "DecryptFinal", "DecryptUpdate"),
}


def arguments(call: str, room: int | None) -> tuple[Any, ...]:
    if call.endswith("Final"):
        return (room,)
    return (bytes(16),) if call in ("DigestUpdate", "SignUpdate") else (bytes(16), room)


@pytest.mark.parametrize("verb", OPERATIONS)
@pytest.mark.parametrize("asked", [None, 1])
@pytest.mark.parametrize("position", [2, 3])
def test_what_was_asked_for_at_once_cannot_go_on_in_parts(
    running: Any, verb: str, asked: int | None, position: int
) -> None:
    core, session, private, secret = running
    kind, key, *_ = OPERATIONS[verb]
    follows = OPERATIONS[verb][position]
    handle = {None: (), "private": (private,), "secret": (secret,)}[key]

    def begin() -> None:
        core.ok(f"C_{verb}Init", session, Mechanism(kind), *handle)

    def at_once(room: int | None) -> CKR:
        return core.rv(f"C_{verb}", session, bytes(16), room)

    begin()
    assert at_once(asked) == (CKR.OK if asked is None else CKR.BUFFER_TOO_SMALL)
    assert at_once(200) == CKR.OK
    begin()
    at_once(asked)
    assert core.rv(f"C_{follows}", session, *arguments(follows, 200)) == CKR.OPERATION_ACTIVE
    assert at_once(200) == CKR.OPERATION_NOT_INITIALIZED
    begin()
    assert core.rv(f"C_{verb}Update", session, *arguments(f"{verb}Update", 200)) == CKR.OK


def test_a_size_asked_for_in_parts_leaves_the_parts_as_they_are(running: Any) -> None:
    core, session, private, _ = running
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_SignUpdate", session, b"a")
    core.ok("C_SignFinal", session, None)
    core.ok("C_SignUpdate", session, b"b")
    assert len(core.ok("C_SignFinal", session, 64)) == 64


INITS = (
    "C_DigestInit", "C_SignInit", "C_VerifyInit", "C_EncryptInit", "C_DecryptInit", "C_MessageSignInit",
    "C_MessageVerifyInit", "C_MessageEncryptInit", "C_MessageDecryptInit", "C_VerifySignatureInit",
)  # fmt: skip


@pytest.mark.parametrize("name", INITS)
def test_no_mechanism_is_a_bad_argument_where_nothing_runs_that_it_could_end(running: Any, name: str) -> None:
    core, session, private, _ = running
    rest = {"C_DigestInit": (), "C_VerifySignatureInit": (private, b"")}.get(name, (private,))
    assert core.rv(name, session, None, *rest) == CKR.ARGUMENTS_BAD


def test_no_mechanism_ends_what_runs(running: Any) -> None:
    core, session, private, _ = running
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_SignInit", session, None, 0)
    assert core.rv("C_Sign", session, b"m", 64) == CKR.OPERATION_NOT_INITIALIZED
    assert core.rv("C_SignInit", session, None, 0) == CKR.ARGUMENTS_BAD


@pytest.mark.parametrize("mechanism", [RSA_PKCS, RSA_OAEP])
@pytest.mark.parametrize("name", ["C_SignInit", "C_EncryptInit", "C_DecryptInit"])
def test_a_key_that_is_no_rsa_key_does_not_fit_a_mechanism_of_rsa(
    running: Any, name: str, mechanism: int
) -> None:
    core, session, private, secret = running
    for key in (private, secret):
        assert core.rv(name, session, Mechanism(mechanism), key) == CKR.KEY_TYPE_INCONSISTENT
    assert core.rv(name, session, Mechanism(mechanism), 9999) == CKR.KEY_HANDLE_INVALID
    assert core.rv(name, session, Mechanism(999), private) == CKR.MECHANISM_INVALID
