"""Message-based functions and the post-quantum ones."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hem_pkcs11.constants import CKA, CKF, CKG, CKK, CKM, CKO, CKR
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.values import GcmMessageParameters, Mechanism, SignContext, pack_bool, pack_ulong

YES = pack_bool(True)
KEY = bytes(range(16))
END = int(CKF.END_OF_MESSAGE)


def parameters(generator: int = CKG.GENERATE_RANDOM, **changes: Any) -> GcmMessageParameters:
    values: dict[str, Any] = {
        "iv": bytes(12),
        "fixed_bits": 0,
        "generator": generator,
        "tag": bytes(16),
        "tag_bits": 128,
    }
    return GcmMessageParameters(**values | changes)


@pytest.fixture
def gcm(core: Any) -> tuple[Any, int]:
    """A session with running message encryption and decryption."""
    session = core.user_session()
    template = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
        (CKA.KEY_TYPE, pack_ulong(CKK.AES)),
        (CKA.VALUE, KEY),
    ]
    key = core.ok("C_CreateObject", session, template)
    core.ok("C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key)
    core.ok("C_MessageDecryptInit", session, Mechanism(CKM.AES_GCM), key)
    return core, session


def test_the_token_makes_the_iv_and_fills_in_iv_and_tag(gcm: Any) -> None:
    core, session = gcm
    assert core.ok("C_EncryptMessage", session, parameters(), b"aad", b"data", None) == (None, 4)
    ivs = set()
    for _ in range(5):
        used, encrypted = core.ok("C_EncryptMessage", session, parameters(), b"aad", b"data", 4)
        ivs.add(used.iv)
        assert AESGCM(KEY).decrypt(used.iv, encrypted + used.tag, b"aad") == b"data"
        assert core.ok("C_DecryptMessage", session, used, b"aad", encrypted, 4)[1] == b"data"
        assert core.rv("C_DecryptMessage", session, used, b"bad", encrypted, 4) == CKR.AEAD_DECRYPT_FAILED
    assert len(ivs) == 5
    core.ok("C_MessageEncryptFinal", session)
    assert core.rv("C_MessageEncryptFinal", session) == CKR.OPERATION_NOT_INITIALIZED


@pytest.mark.parametrize("generator", [CKG.GENERATE, CKG.GENERATE_RANDOM, CKG.GENERATE_COUNTER])
def test_the_fixed_part_of_an_iv_stays(gcm: Any, generator: int) -> None:
    core, session = gcm
    given = parameters(generator, iv=b"fix!" + bytes(8), fixed_bits=32)
    ivs = [core.ok("C_EncryptMessage", session, given, b"", b"x", 1)[0].iv for _ in range(3)]
    assert {iv[:4] for iv in ivs} == {b"fix!"}
    assert len(set(ivs)) == 3


def test_the_callers_own_iv_is_used_as_it_is(gcm: Any) -> None:
    core, session = gcm
    used, encrypted = core.ok(
        "C_EncryptMessage", session, parameters(CKG.NO_GENERATE, iv=b"i" * 12), b"", b"x", 1
    )
    assert encrypted + used.tag == AESGCM(KEY).encrypt(b"i" * 12, b"x", b"")


def test_messages_come_in_parts_too(gcm: Any) -> None:
    core, session = gcm
    used = core.ok("C_EncryptMessageBegin", session, parameters(), b"aad")
    assert core.rv("C_EncryptMessage", session, parameters(), b"", b"", 0) == CKR.OPERATION_ACTIVE
    nothing, first = core.ok("C_EncryptMessageNext", session, used, b"one ", 4, 0)
    assert nothing is None
    used, second = core.ok("C_EncryptMessageNext", session, used, b"two", 3, END)
    core.ok("C_DecryptMessageBegin", session, used, b"aad")
    assert core.ok("C_DecryptMessageNext", session, used, first, 0, 0)[1] == b""
    assert core.ok("C_DecryptMessageNext", session, used, second, None, END) == (None, 7)
    assert core.ok("C_DecryptMessageNext", session, used, second, 7, END)[1] == b"one two"
    assert core.rv("C_DecryptMessageNext", session, used, b"", 0, 0) == CKR.OPERATION_NOT_INITIALIZED


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        parameters(iv=b"short"),
        parameters(tag_bits=7),
        parameters(fixed_bits=3),
        parameters(fixed_bits=96),
        parameters(CKG.GENERATE_COUNTER_XOR),
        parameters(99),
    ],
)
def test_wrong_message_parameters_are_refused(gcm: Any, wrong: GcmMessageParameters | None) -> None:
    core, session = gcm
    assert core.rv("C_EncryptMessage", session, wrong, b"", b"x", 100) == CKR.MECHANISM_PARAM_INVALID


def test_one_init_signs_and_verifies_many_messages(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session, "ED25519")
    core.ok("C_MessageSignInit", session, Mechanism(CKM.EDDSA), private)
    core.ok("C_MessageVerifyInit", session, Mechanism(CKM.EDDSA), public)
    for message in (b"one", b"two"):
        assert core.ok("C_SignMessage", session, None, message, None) == 64
        signature = core.ok("C_SignMessage", session, None, message, 64)
        core.ok("C_VerifyMessage", session, None, message, signature)
        assert core.rv("C_VerifyMessage", session, None, b"no", signature) == CKR.SIGNATURE_INVALID
    core.ok("C_SignMessageBegin", session, None)
    assert core.ok("C_SignMessageNext", session, None, b"thr", False) is None
    assert core.ok("C_SignMessageNext", session, None, b"ee", None) == 64
    signature = core.ok("C_SignMessageNext", session, None, b"ee", 64)
    core.ok("C_VerifyMessage", session, None, b"three", signature)
    core.ok("C_VerifyMessageBegin", session, None)
    core.ok("C_VerifyMessageNext", session, None, b"th", b"")
    core.ok("C_VerifyMessageNext", session, None, b"ree", signature)
    core.ok("C_MessageSignFinal", session)
    core.ok("C_MessageVerifyFinal", session)
    assert core.rv("C_SignMessage", session, None, b"x", 64) == CKR.OPERATION_NOT_INITIALIZED
    assert core.rv("C_MessageSignInit", session, Mechanism(CKM.EDDSA), public) == CKR.KEY_TYPE_INCONSISTENT


def make(device_core: Any, session: int, name: str) -> tuple[int, int]:
    kind = KINDS[name]
    template = [(CKA.PARAMETER_SET, pack_ulong(kind.parameter_set or 0))]
    return device_core.ok("C_GenerateKeyPair", session, Mechanism(kind.generation), template, [])


@pytest.mark.parametrize("name", ["MLDSA44", "MLDSA65", "MLDSA87"])
def test_ml_dsa_signs_in_parts_and_with_context(device_core: Any, name: str) -> None:
    session = device_core.user_session()
    public, private = make(device_core, session, name)
    assert len(device_core.value(session, public, CKA.VALUE)) == KINDS[name].type.public_size
    for parameter in (None, SignContext(0, b"context")):
        mechanism = Mechanism(CKM.ML_DSA, parameter)
        device_core.ok("C_SignInit", session, mechanism, private)
        device_core.ok("C_SignUpdate", session, b"mess")
        device_core.ok("C_SignUpdate", session, b"age")
        signature = device_core.ok("C_SignFinal", session, 5000)
        assert len(signature) == KINDS[name].type.signature_size
        device_core.ok("C_VerifyInit", session, mechanism, public)
        device_core.ok("C_Verify", session, b"message", signature)
        device_core.ok("C_VerifyInit", session, Mechanism(CKM.ML_DSA, SignContext(0, b"other")), public)
        assert device_core.rv("C_Verify", session, b"message", signature) == CKR.SIGNATURE_INVALID
    for wrong in (SignContext(2, b""), SignContext(0, bytes(256)), b"raw"):
        assert (
            device_core.rv("C_SignInit", session, Mechanism(CKM.ML_DSA, wrong), private)
            == CKR.MECHANISM_PARAM_INVALID
        )
    device_core.ok("C_DestroyObject", session, private)


@pytest.mark.parametrize("name", ["MLKEM512", "MLKEM768", "MLKEM1024"])
def test_ml_kem_encapsulates_and_decapsulates(device_core: Any, name: str) -> None:
    session = device_core.user_session()
    public, private = make(device_core, session, name)
    kem = Mechanism(CKM.ML_KEM)
    template = [(CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)), (CKA.EXTRACTABLE, YES)]
    size = KINDS[name].type.ciphertext_size
    assert device_core.ok("C_EncapsulateKey", session, kem, public, template, None) == (size, None)
    assert (
        device_core.rv("C_EncapsulateKey", session, kem, public, template, size - 1) == CKR.BUFFER_TOO_SMALL
    )
    ciphertext, ours = device_core.ok("C_EncapsulateKey", session, kem, public, template, size)
    theirs = device_core.ok("C_DecapsulateKey", session, kem, private, template, ciphertext)
    secret = device_core.value(session, ours, CKA.VALUE)
    assert len(secret) == 32
    assert device_core.value(session, theirs, CKA.VALUE) == secret
    short = device_core.ok(
        "C_DecapsulateKey", session, kem, private, [*template, (CKA.VALUE_LEN, pack_ulong(16))], ciphertext
    )
    assert device_core.value(session, short, CKA.VALUE) == secret[:16]
    rv = device_core.rv("C_DecapsulateKey", session, kem, private, template, ciphertext[:-1])
    assert rv == CKR.ENCRYPTED_DATA_LEN_RANGE
    assert (
        device_core.rv("C_EncapsulateKey", session, kem, private, template, size) == CKR.KEY_TYPE_INCONSISTENT
    )
    device_core.ok("C_DestroyObject", session, private)


def test_a_parameter_set_is_needed_and_must_be_known(device_core: Any) -> None:
    session = device_core.user_session()
    make_pair = lambda template: device_core.rv(  # noqa: E731
        "C_GenerateKeyPair", session, Mechanism(CKM.ML_KEM_KEY_PAIR_GEN), template, []
    )
    assert make_pair([]) == CKR.TEMPLATE_INCOMPLETE
    assert make_pair([(CKA.PARAMETER_SET, pack_ulong(9))]) == CKR.PARAMETER_SET_NOT_SUPPORTED
