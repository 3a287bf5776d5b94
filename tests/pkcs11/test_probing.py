"""What hosts ask on their way: answered by the standard's codes, and without a word in the log."""

from __future__ import annotations

from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKD, CKF, CKK, CKM, CKO, CKR, CKU, UNAVAILABLE, name_of
from hem_pkcs11.values import Mechanism, pack_ulong
from support.fake_hem import PIN

from hem_provider.errors import HemConnectionError

RSA_PAIR = 0x0
DES_KEY = 0x120


def test_nobody_knows_the_size_of_an_object(core: Any) -> None:
    session = core.user_session()
    for handle in core.pair(session):
        assert core.ok("C_GetObjectSize", session, handle) == UNAVAILABLE
    assert core.rv("C_GetObjectSize", session, 9999) == CKR.OBJECT_HANDLE_INVALID


def test_questions_that_are_answered_with_no_are_no_line_in_the_log(
    core: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    session = core.user_session()
    public, private = core.pair(session)
    assert core.rv("C_GetMechanismInfo", 0, RSA_PAIR) == CKR.MECHANISM_INVALID
    assert core.rv("C_GetMechanismInfo", 0, CKM.ECDSA) == CKR.MECHANISM_INVALID
    assert core.find(session, (0x80001234, b"x")) == []
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    assert core.rv("C_GetOperationState", session, None) == CKR.STATE_UNSAVEABLE
    core.ok("C_VerifyInit", session, None, 0)
    assert core.rv("C_GetOperationState", session, None) == CKR.OPERATION_NOT_INITIALIZED
    asked = [(CKA.VALUE, 100), (0x120, 100), (0x80001234, None), (CKA.EC_PARAMS, 1)]
    for handle in (public, private):
        core.ok("C_GetAttributeValue", session, handle, asked)
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_Sign", session, b"m", None)
    assert core.rv("C_Sign", session, b"m", 1) == CKR.BUFFER_TOO_SMALL
    assert core.rv("C_Login", session, CKU.USER, PIN.encode()) == CKR.USER_ALREADY_LOGGED_IN
    assert core.rv("C_WaitForSlotEvent", CKF.DONT_BLOCK, False) == CKR.NO_EVENT
    assert core.rv("C_SeedRandom", session, b"seed") == CKR.RANDOM_SEED_NOT_SUPPORTED
    assert core.rv("C_SignRecoverInit", session, Mechanism(CKM.ECDSA_SHA256), private) == (
        CKR.FUNCTION_NOT_SUPPORTED
    )
    assert core.rv("C_GetMechanismList", 0, 1) == CKR.BUFFER_TOO_SMALL
    assert capfd.readouterr().err == ""


def test_a_token_that_is_not_there_is_told_once_until_it_comes_back(
    core: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    core.ok("C_GetTokenInfo", 0)
    slot = core.module.slot(0)

    def look_again() -> CKR:
        slot.presence.doubt()
        core.ok("C_GetSlotInfo", 0)
        return core.rv("C_GetTokenInfo", 0)

    core.hem.failing = HemConnectionError("gone")
    assert [look_again() for _ in range(3)] == [CKR.TOKEN_NOT_PRESENT] * 3
    said = capfd.readouterr().err
    assert said.count("does not answer") == 1
    assert "does not answer: gone" in said  # the reason, which may be a certificate
    core.hem.failing = None
    assert look_again() == CKR.OK
    core.hem.failing = HemConnectionError("gone")
    assert look_again() == CKR.TOKEN_NOT_PRESENT
    assert capfd.readouterr().err.count("does not answer") == 1


def test_messages_name_what_has_a_name(core: Any, capfd: pytest.CaptureFixture[str]) -> None:
    session = core.user_session()
    core.rv("C_GenerateKeyPair", session, Mechanism(RSA_PAIR), [], [])
    core.rv("C_GenerateKey", session, Mechanism(DES_KEY), [])
    core.rv(
        "C_CreateObject", session,
        [(CKA.CLASS, pack_ulong(CKO.SECRET_KEY)), (CKA.KEY_TYPE, pack_ulong(0x13)), (CKA.VALUE, bytes(8))],
    )  # fmt: skip
    said = capfd.readouterr().err
    for name in ("CKM_RSA_PKCS_KEY_PAIR_GEN", "CKM_DES_KEY_GEN", "CKK_DES"):
        assert name in said
    assert "0x" not in said


@pytest.mark.parametrize(
    ("kind", "number", "name"),
    [
        (CKM, 0x1, "CKM_RSA_PKCS"),
        (CKM, 0x210, "CKM_MD5"),
        (CKM, CKM.ECDSA_SHA256, "CKM_ECDSA_SHA256"),
        (CKK, 0x0, "CKK_RSA"),
        (CKO, 0x5, "CKO_HW_FEATURE"),
        (CKA, 0x122, "CKA_PUBLIC_EXPONENT"),
        (CKD, 0x3, "CKD_SHA1_KDF_ASN1"),
        (CKM, 0x80001234, "0x80001234"),
    ],
)
def test_every_number_of_the_standard_has_its_name(kind: Any, number: int, name: str) -> None:
    assert name_of(kind, number) == name


def test_the_debug_log_names_mechanisms_and_attributes(
    core: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hem_pkcs11.log import Level, log

    session = core.user_session()
    monkeypatch.setattr(log, "level", Level.DEBUG)
    core.rv("C_GenerateKeyPair", session, Mechanism(RSA_PAIR), [(0x121, pack_ulong(2048))], [])
    core.rv("C_GetMechanismInfo", 0, RSA_PAIR)
    said = capfd.readouterr().err
    assert "C_GenerateKeyPair(1, CKM_RSA_PKCS_KEY_PAIR_GEN, {CKA_MODULUS_BITS}, {})" in said
    assert "C_GetMechanismInfo: CKR_MECHANISM_INVALID: CKM_RSA_PKCS_KEY_PAIR_GEN is not offered" in said


def test_a_wrong_pin_is_flagged_until_the_next_right_one(core: Any) -> None:
    session = core.session()
    flags = lambda: CKF(core.ok("C_GetTokenInfo", 0).flags)  # noqa: E731
    assert not flags() & CKF.USER_PIN_COUNT_LOW
    assert core.rv("C_Login", session, CKU.USER, b"wrong") == CKR.PIN_INCORRECT
    assert flags() & CKF.USER_PIN_COUNT_LOW
    assert not flags() & CKF.SO_PIN_COUNT_LOW
    core.ok("C_Login", session, CKU.USER, PIN.encode())
    assert not flags() & CKF.USER_PIN_COUNT_LOW
    core.ok("C_Logout", session)
    assert core.rv("C_Login", session, CKU.SO, b"wrong") == CKR.PIN_INCORRECT
    assert flags() & CKF.SO_PIN_COUNT_LOW
    assert not flags() & CKF.USER_PIN_COUNT_LOW


def test_the_token_says_that_two_operations_run_at_once(core: Any) -> None:
    assert CKF(core.ok("C_GetTokenInfo", 0).flags) & CKF.DUAL_CRYPTO_OPERATIONS


def test_a_state_of_no_bytes_is_a_bad_argument_and_a_strange_one_an_invalid_state(core: Any) -> None:
    session = core.user_session()
    assert core.rv("C_SetOperationState", session, b"", 0, 0) == CKR.ARGUMENTS_BAD
    for state in (b"x", bytes(16), bytes(17)):
        assert core.rv("C_SetOperationState", session, state, 0, 0) == CKR.SAVED_STATE_INVALID
