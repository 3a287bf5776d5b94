"""Digest, sign, verify and random over a device in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hem_pkcs11.constants import CKA, CKF, CKM, CKR
from hem_pkcs11.mechanisms import MECHANISMS
from hem_pkcs11.values import EddsaParameters, Mechanism, pack_bool
from hypothesis import given
from hypothesis import strategies as st

ECDSA = {
    CKM.ECDSA_SHA256: hashes.SHA256(),
    CKM.ECDSA_SHA384: hashes.SHA384(),
    CKM.ECDSA_SHA512: hashes.SHA512(),
}
SIZES = {"SECP256R1": 64, "SECP384R1": 96, "SECP521R1": 132, "SECP256K1": 64}


@pytest.fixture
def signing(core: Any) -> tuple[Any, int, int, int]:
    """Core, session, public and private handle of a P-256 key."""
    session = core.user_session()
    return core, session, *core.pair(session, LABEL=b"web")


@pytest.mark.parametrize("curve", SIZES)
@pytest.mark.parametrize("mechanism", ECDSA)
def test_ecdsa_gives_r_and_s_at_full_width(core: Any, curve: str, mechanism: int) -> None:
    session = core.user_session()
    _, private = core.pair(session, curve)
    native = next(iter(core.hem.keys.stored.values())).native.public_key()
    signature = core.sign(session, private, b"message", mechanism)
    half = SIZES[curve] // 2
    assert len(signature) == 2 * half
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    native.verify(encode_dss_signature(r, s), b"message", ec.ECDSA(ECDSA[mechanism]))


def test_a_signature_with_short_numbers_keeps_its_size(signing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    core, session, _, private = signing
    monkeypatch.setattr(core.hem, "sign", lambda *_, **__: encode_dss_signature(7, 2**200))
    assert core.sign(session, private, b"m") == (7).to_bytes(32, "big") + (2**200).to_bytes(32, "big")


def test_the_device_gets_the_message_and_the_algorithm(signing: Any) -> None:
    core, session, _, private = signing
    core.sign(session, private, b"message", CKM.ECDSA_SHA384)
    kid = next(iter(core.hem.keys.stored))
    assert core.hem.signed == [(kid, b"message", "SHA384WithECDSA", None)]


def test_parts_are_collected_into_one_call(signing: Any) -> None:
    core, session, public, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    for part in (b"one ", b"", b"two"):
        core.ok("C_SignUpdate", session, part)
    signature = core.ok("C_SignFinal", session, 64)
    assert core.hem.signed[-1][1] == b"one two"
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    core.ok("C_VerifyUpdate", session, b"one t")
    core.ok("C_VerifyUpdate", session, b"wo")
    core.ok("C_VerifyFinal", session, signature)


def test_asking_for_the_size_and_a_short_buffer_keep_the_operation_and_ask_nobody(signing: Any) -> None:
    core, session, _, private = signing
    calls = core.hem.statistics.calls
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.ok("C_Sign", session, b"data", None) == 64
    assert core.module.call("C_Sign", session, b"data", 63) == (CKR.BUFFER_TOO_SMALL, 64)
    assert core.hem.statistics.calls == calls
    assert len(core.ok("C_Sign", session, b"data", 64)) == 64
    assert core.rv("C_Sign", session, b"data", 64) == CKR.OPERATION_NOT_INITIALIZED
    assert core.hem.statistics.calls == calls + 1


def test_final_answers_size_queries_too(signing: Any) -> None:
    core, session, _, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_SignUpdate", session, b"data")
    assert core.ok("C_SignFinal", session, None) == 64
    assert core.rv("C_SignFinal", session, 1) == CKR.BUFFER_TOO_SMALL
    assert len(core.ok("C_SignFinal", session, 64)) == 64


def test_2048_bytes_are_signed_and_2049_are_refused_before_the_device(
    signing: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    core, session, _, private = signing
    assert len(core.sign(session, private, b"x" * 2048)) == 64
    calls = core.hem.statistics.calls
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.rv("C_Sign", session, b"x" * 2049, 64) == CKR.DATA_LEN_RANGE
    assert core.rv("C_SignUpdate", session, b"x") == CKR.OPERATION_NOT_INITIALIZED
    said = capfd.readouterr().err
    assert "2049 bytes" in said
    assert "2048" in said
    assert "'web'" in said
    assert core.hem.statistics.calls == calls


def test_the_update_that_passes_the_limit_fails_and_ends_the_operation(signing: Any) -> None:
    core, session, _, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_SignUpdate", session, b"x" * 2048)
    assert core.rv("C_SignUpdate", session, b"x") == CKR.DATA_LEN_RANGE
    assert core.rv("C_SignFinal", session, 64) == CKR.OPERATION_NOT_INITIALIZED


def test_an_empty_message_is_refused(signing: Any) -> None:
    core, session, _, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.rv("C_Sign", session, b"", 64) == CKR.DATA_LEN_RANGE
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.rv("C_SignFinal", session, 64) == CKR.DATA_LEN_RANGE


def test_no_mechanism_cancels(signing: Any) -> None:
    core, session, public, private = signing
    for place, key in (("Sign", private), ("Verify", public)):
        core.ok(f"C_{place}Init", session, Mechanism(CKM.ECDSA_SHA256), key)
        core.ok(f"C_{place}Init", session, None, 0)
        assert core.rv(f"C_{place}Final", session, 64 if place == "Sign" else b"x" * 64) == (
            CKR.OPERATION_NOT_INITIALIZED
        )
    core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    core.ok("C_DigestInit", session, None)
    assert core.rv("C_DigestFinal", session, 64) == CKR.OPERATION_NOT_INITIALIZED


def test_session_cancel_ends_what_its_flags_name(signing: Any) -> None:
    core, session, public, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    core.ok("C_SessionCancel", session, int(CKF.SIGN))
    assert core.rv("C_SignUpdate", session, b"x") == CKR.OPERATION_NOT_INITIALIZED
    core.ok("C_VerifyUpdate", session, b"x")


def test_one_operation_of_each_kind_per_session(signing: Any) -> None:
    core, session, _, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    assert core.rv("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private) == CKR.OPERATION_ACTIVE
    core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    core.ok("C_SignInit", core.session(), Mechanism(CKM.ECDSA_SHA256), private)


def test_parts_cannot_be_finished_by_the_one_part_function(signing: Any) -> None:
    core, session, public, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_SignUpdate", session, b"x")
    assert core.rv("C_Sign", session, b"x", 64) == CKR.OPERATION_ACTIVE
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    core.ok("C_VerifyUpdate", session, b"x")
    assert core.rv("C_Verify", session, b"x", b"x" * 64) == CKR.OPERATION_ACTIVE


def test_logging_out_ends_what_uses_private_keys(signing: Any) -> None:
    core, session, _, private = signing
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    core.ok("C_Logout", session)
    assert core.rv("C_Sign", session, b"x", 64) == CKR.OPERATION_NOT_INITIALIZED
    assert core.rv("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private) == CKR.USER_NOT_LOGGED_IN


def test_wrong_keys_and_mechanisms_are_told_apart(signing: Any, capfd: pytest.CaptureFixture[str]) -> None:
    core, session, public, private = signing
    deriving = core.pair(session, "SECP256R1", DERIVE=pack_bool(True))[1]
    init = lambda mechanism, key: core.rv("C_SignInit", session, mechanism, key)  # noqa: E731
    assert init(Mechanism(CKM.ECDSA), private) == CKR.MECHANISM_INVALID
    assert "not digests" in capfd.readouterr().err
    assert init(Mechanism(CKM.SHA256), private) == CKR.MECHANISM_INVALID
    assert init(Mechanism(CKM.EDDSA), private) == CKR.KEY_TYPE_INCONSISTENT
    assert init(Mechanism(CKM.ECDSA_SHA256), public) == CKR.KEY_TYPE_INCONSISTENT
    assert init(Mechanism(CKM.ECDSA_SHA256), 9999) == CKR.KEY_HANDLE_INVALID
    assert init(Mechanism(CKM.ECDSA_SHA256), deriving) == CKR.KEY_FUNCTION_NOT_PERMITTED
    assert init(Mechanism(CKM.ECDSA_SHA256, b"x"), private) == CKR.MECHANISM_PARAM_INVALID


@pytest.mark.parametrize(
    ("parameter", "algorithm", "context"),
    [
        (None, "Ed25519", None),
        (EddsaParameters(prehash=False, context=b"ctx"), "Ed25519ctx", b"ctx"),
        (EddsaParameters(prehash=True, context=b""), "Ed25519ph", None),
        (EddsaParameters(prehash=True, context=b"ctx"), "Ed25519ph", b"ctx"),
    ],
)
def test_eddsa_parameters_choose_the_variant(
    core: Any, parameter: EddsaParameters | None, algorithm: str, context: bytes | None
) -> None:
    session = core.user_session()
    _, private = core.pair(session, "ED25519")
    core.ok("C_SignInit", session, Mechanism(CKM.EDDSA, parameter), private)
    assert len(core.ok("C_Sign", session, b"m", 64)) == 64
    assert core.hem.signed[-1][2:] == (algorithm, context)


@pytest.mark.parametrize(
    "parameter",
    [b"raw", EddsaParameters(prehash=False, context=b"x" * 256), EddsaParameters(prehash=False, context=b"")],
)
def test_other_eddsa_parameters_are_refused(core: Any, parameter: Any) -> None:
    session = core.user_session()
    _, private = core.pair(session, "ED25519")
    rv = core.rv("C_SignInit", session, Mechanism(CKM.EDDSA, parameter), private)
    assert rv == CKR.MECHANISM_PARAM_INVALID


@pytest.mark.parametrize(("curve", "mechanism"), [("SECP384R1", CKM.ECDSA_SHA384), ("ED25519", CKM.EDDSA)])
def test_verifying_is_local_and_finds_every_flaw(core: Any, curve: str, mechanism: int) -> None:
    session = core.user_session()
    public, private = core.pair(session, curve)
    signature = core.sign(session, private, b"message", mechanism)
    core.value(session, public, CKA.EC_POINT)
    calls = core.hem.statistics.calls

    def verify(message: bytes, given: bytes) -> CKR:
        core.ok("C_VerifyInit", session, Mechanism(mechanism), public)
        return core.rv("C_Verify", session, message, given)

    assert verify(b"message", signature) == CKR.OK
    assert verify(b"Message", signature) == CKR.SIGNATURE_INVALID
    assert verify(b"message", signature[:-1] + bytes([signature[-1] ^ 1])) == CKR.SIGNATURE_INVALID
    assert verify(b"message", bytes(len(signature))) == CKR.SIGNATURE_INVALID
    assert verify(b"message", signature[:-1]) == CKR.SIGNATURE_LEN_RANGE
    assert core.rv("C_Verify", session, b"message", signature) == CKR.OPERATION_NOT_INITIALIZED
    assert core.hem.statistics.calls == calls


def test_verifying_has_no_limit_of_size(signing: Any) -> None:
    core, session, public, _ = signing
    native = next(iter(core.hem.keys.stored.values())).native
    from hem_pkcs11.encodings import fixed_from_der

    message = b"y" * 100_000
    signature = fixed_from_der(native.sign(message, ec.ECDSA(hashes.SHA256())), 64)
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    core.ok("C_Verify", session, message, signature)


def test_variants_nobody_here_computes_are_verified_by_the_device(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session, "ED25519")
    mechanism = Mechanism(CKM.EDDSA, EddsaParameters(prehash=True, context=b"c"))
    core.ok("C_SignInit", session, mechanism, private)
    signature = core.ok("C_Sign", session, b"m", 64)
    calls = core.hem.statistics.calls
    core.ok("C_VerifyInit", session, mechanism, public)
    core.ok("C_Verify", session, b"m", signature)
    assert core.hem.statistics.calls == calls + 1
    assert core.hem.verified == [("Ed25519ph", b"c")]


DIGESTS = [each for each, row in MECHANISMS.items() if row.flags & CKF.DIGEST]


@pytest.mark.parametrize("mechanism", DIGESTS)
def test_digests_are_those_of_hashlib(core: Any, mechanism: int) -> None:
    session = core.session()
    expected = hashlib.new(MECHANISMS[mechanism].hash, b"message").digest()
    core.ok("C_DigestInit", session, Mechanism(mechanism))
    assert core.ok("C_Digest", session, b"message", None) == len(expected)
    assert core.rv("C_Digest", session, b"message", 1) == CKR.BUFFER_TOO_SMALL
    assert core.ok("C_Digest", session, b"message", 64) == expected
    core.ok("C_DigestInit", session, Mechanism(mechanism))
    core.ok("C_DigestUpdate", session, b"mess")
    core.ok("C_DigestUpdate", session, b"age")
    assert core.ok("C_DigestFinal", session, 64) == expected


def test_a_digest_needs_no_login_and_no_device(core: Any) -> None:
    session = core.session()
    calls = core.hem.statistics.calls
    core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    core.ok("C_Digest", session, b"", 32)
    assert core.hem.statistics.calls == calls


@given(parts=st.lists(st.binary(max_size=900), max_size=6))
def test_any_cutting_into_parts_signs_the_same_or_is_too_long(
    make_core: Callable[..., Any], parts: list[bytes]
) -> None:
    core = make_core("first")
    core.ok("C_Initialize", None)
    session = core.user_session()
    _, private = core.pair(session, "ED25519")
    core.ok("C_SignInit", session, Mechanism(CKM.EDDSA), private)
    total = 0
    for part in parts:
        total += len(part)
        rv = core.rv("C_SignUpdate", session, part)
        assert rv == (CKR.OK if total <= 2048 else CKR.DATA_LEN_RANGE)
        if rv != CKR.OK:
            return
    rv, _ = core.module.call("C_SignFinal", session, 64)
    assert rv == (CKR.OK if total else CKR.DATA_LEN_RANGE)
    if total:
        assert core.hem.signed[-1][1] == b"".join(parts)


def test_random_bytes_differ_and_have_the_size_asked_for(core: Any) -> None:
    session = core.session()
    first, second = (core.ok("C_GenerateRandom", session, 32) for _ in range(2))
    assert len(first) == 32
    assert first != second
    assert core.ok("C_GenerateRandom", session, 0) == b""
    assert core.rv("C_GenerateRandom", session, 2**40) == CKR.ARGUMENTS_BAD
    assert core.rv("C_SeedRandom", session, b"seed") == CKR.RANDOM_SEED_NOT_SUPPORTED


def test_mechanisms_are_listed_hashed_ecdsa_first_and_raw_ecdsa_never(core: Any) -> None:
    listed = core.ok("C_GetMechanismList", 0, 100)
    assert listed[:3] == [CKM.ECDSA_SHA256, CKM.ECDSA_SHA384, CKM.ECDSA_SHA512]
    assert CKM.ECDSA not in listed
    assert core.ok("C_GetMechanismInfo", 0, CKM.ECDSA_SHA256).flags & CKF.HW
    assert core.ok("C_GetMechanismList", 0, None) == len(listed)
    assert core.rv("C_GetMechanismList", 0, 1) == CKR.BUFFER_TOO_SMALL
    assert core.rv("C_GetMechanismInfo", 0, CKM.ECDSA) == CKR.MECHANISM_INVALID
    for each in listed:
        core.ok("C_GetMechanismInfo", 0, each)


def test_functions_nobody_wrote_say_so(core: Any) -> None:
    assert core.rv("C_SignRecoverInit") == CKR.FUNCTION_NOT_SUPPORTED
