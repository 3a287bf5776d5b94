"""AES and HMAC keys, in the device and in memory: ciphers, MACs, wrapping, agreed secrets."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hem_pkcs11.constants import CKA, CKD, CKK, CKM, CKO, CKR
from hem_pkcs11.encodings import octet_string
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import (
    CtrParameters,
    EcdhParameters,
    GcmParameters,
    Mechanism,
    pack_bool,
    pack_ulong,
    pack_ulongs,
)
from hypothesis import given, settings
from hypothesis import strategies as st

YES, NO = pack_bool(True), pack_bool(False)
IV = bytes(range(16))
KEY = bytes(range(32))


def memory_key(core: Any, session: int, value: bytes = KEY, key_type: int = CKK.AES, **flags: bytes) -> int:
    """A session key with a known value, as an unwrapped or agreed one would be."""
    from hem_pkcs11.templates.secret_keys import secret_shape
    from hem_pkcs11.templates.template import Template

    template = Template("key", [(CKA[name], flag) for name, flag in flags.items()])
    shape = secret_shape(template, (CKK(key_type),), default=CKK(key_type))
    return core.module.slot(0).objects.add(shape.make(session, value)).handle


def make(core: Any, session: int, mechanism: int, *template: tuple[int, bytes]) -> tuple[CKR, int]:
    return core.module.call("C_GenerateKey", session, Mechanism(mechanism), list(template))


@pytest.fixture(scope="module")
def keys(device_core: Any) -> dict[str, int]:
    """AES keys in the device, one of each family, and a session to use them."""
    session = device_core.user_session()
    made = {"session": session}
    for name, mechanisms in (
        ("aead", (CKM.AES_GCM,)),
        ("cipher", (CKM.AES_ECB, CKM.AES_CBC, CKM.AES_CBC_PAD, CKM.AES_CTR)),
        ("wrap", (CKM.AES_KEY_WRAP, CKM.AES_KEY_WRAP_KWP)),
        ("mac", (CKM.AES_CMAC,)),
    ):
        rv, handle = make(
            device_core, session, CKM.AES_KEY_GEN,
            (CKA.VALUE_LEN, pack_ulong(32)), (CKA.TOKEN, YES), (CKA.LABEL, name.encode()),
            (CKA.ALLOWED_MECHANISMS, pack_ulongs(mechanisms)),
        )  # fmt: skip
        assert rv == CKR.OK
        made[name] = handle
    return made


MODES = {
    CKM.AES_ECB: None,
    CKM.AES_CBC: IV,
    CKM.AES_CBC_PAD: IV,
    CKM.AES_CTR: CtrParameters(128, IV),
    CKM.AES_GCM: GcmParameters(IV[:12], b"associated", 128),
}


def expected(mechanism: int, data: bytes) -> bytes:
    """What cryptography gives with the known key."""
    if mechanism == CKM.AES_GCM:
        return AESGCM(KEY).encrypt(IV[:12], data, b"associated")
    if mechanism == CKM.AES_CBC_PAD:
        fill = 16 - len(data) % 16
        data += bytes([fill]) * fill
    mode = {CKM.AES_ECB: modes.ECB(), CKM.AES_CTR: modes.CTR(IV)}.get(mechanism, modes.CBC(IV))  # noqa: S305 - the mode under test
    encryptor = Cipher(algorithms.AES(KEY), mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def in_parts(core: Any, session: int, verb: str, mechanism: Mechanism, key: int, parts: list[bytes]) -> bytes:
    core.ok(f"C_{verb}Init", session, mechanism, key)
    out = b""
    for part in parts:
        size = core.ok(f"C_{verb}Update", session, part, None)
        if size:
            assert core.rv(f"C_{verb}Update", session, part, size - 1) == CKR.BUFFER_TOO_SMALL
        piece = core.ok(f"C_{verb}Update", session, part, size)
        assert len(piece) == size
        out += piece
    most = core.ok(f"C_{verb}Final", session, None)
    last = core.ok(f"C_{verb}Final", session, most)
    assert len(last) <= most
    assert core.rv(f"C_{verb}Final", session, 0) == CKR.OPERATION_NOT_INITIALIZED
    return out + last


@pytest.mark.parametrize("mechanism", MODES)
@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.integers(0, 50), max_size=5))
def test_session_keys_encrypt_as_cryptography_does_however_cut(
    device_core: Any, mechanism: int, blocks: list[int]
) -> None:
    whole = mechanism in (CKM.AES_ECB, CKM.AES_CBC)
    parts = [os.urandom(16 * each if whole else each) for each in blocks]
    session = device_core.user_session()
    key = memory_key(device_core, session)
    request = Mechanism(mechanism, MODES[mechanism])
    data = b"".join(parts)
    encrypted = in_parts(device_core, session, "Encrypt", request, key, parts)
    assert encrypted == expected(mechanism, data)
    cut = len(encrypted) // 3
    assert in_parts(device_core, session, "Decrypt", request, key, [encrypted[:cut], encrypted[cut:]]) == data
    device_core.ok("C_CloseSession", session)


@pytest.mark.parametrize("mechanism", MODES)
def test_keys_in_the_device_encrypt_and_decrypt(
    device_core: Any, keys: dict[str, int], mechanism: int
) -> None:
    session = keys["session"]
    key = keys["aead" if mechanism == CKM.AES_GCM else "cipher"]
    request = Mechanism(mechanism, MODES[mechanism])
    for size in (16, 64) if mechanism in (CKM.AES_ECB, CKM.AES_CBC) else (1, 16, 33):
        data = os.urandom(size)
        device_core.ok("C_EncryptInit", session, request, key)
        room = device_core.ok("C_Encrypt", session, data, None)
        assert device_core.rv("C_Encrypt", session, data, room - 1) == CKR.BUFFER_TOO_SMALL
        encrypted = device_core.ok("C_Encrypt", session, data, room)
        assert encrypted != data
        device_core.ok("C_DecryptInit", session, request, key)
        assert device_core.ok("C_Decrypt", session, encrypted, len(encrypted)) == data


def test_a_mode_outside_the_keys_family_is_refused(
    device_core: Any, keys: dict[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    session = keys["session"]
    rv = device_core.rv("C_EncryptInit", session, Mechanism(CKM.AES_ECB), keys["aead"])
    assert rv == CKR.KEY_FUNCTION_NOT_PERMITTED
    assert "kept to the mode family aead" in capfd.readouterr().err
    gcm = Mechanism(CKM.AES_GCM, MODES[CKM.AES_GCM])
    for mechanism, key in ((Mechanism(CKM.AES_ECB), "wrap"), (gcm, "cipher")):
        assert (
            device_core.rv("C_EncryptInit", session, mechanism, keys[key]) == CKR.KEY_FUNCTION_NOT_PERMITTED
        )


def test_damaged_ciphertext_is_refused(device_core: Any) -> None:
    session = device_core.user_session()
    key = memory_key(device_core, session)
    request = Mechanism(CKM.AES_GCM, MODES[CKM.AES_GCM])
    good = expected(CKM.AES_GCM, b"data")
    for bad, rv in (
        (good[:-1] + bytes([good[-1] ^ 1]), CKR.ENCRYPTED_DATA_INVALID),
        (bytes([good[0] ^ 1]) + good[1:], CKR.ENCRYPTED_DATA_INVALID),
        (good[:15], CKR.ENCRYPTED_DATA_LEN_RANGE),
    ):
        device_core.ok("C_DecryptInit", session, request, key)
        assert device_core.rv("C_Decrypt", session, bad, 100) == rv
        assert device_core.rv("C_Decrypt", session, good, 100) == CKR.OPERATION_NOT_INITIALIZED
    device_core.ok("C_DecryptInit", session, Mechanism(CKM.AES_CBC_PAD, IV), key)
    assert device_core.rv("C_Decrypt", session, bytes(32), 100) == CKR.ENCRYPTED_DATA_INVALID
    device_core.ok("C_DecryptInit", session, Mechanism(CKM.AES_CBC, IV), key)
    assert device_core.rv("C_Decrypt", session, bytes(17), 100) == CKR.ENCRYPTED_DATA_LEN_RANGE
    device_core.ok("C_EncryptInit", session, Mechanism(CKM.AES_ECB), key)
    assert device_core.rv("C_Encrypt", session, bytes(17), 100) == CKR.DATA_LEN_RANGE


@pytest.mark.parametrize(
    "request_",
    [
        Mechanism(CKM.AES_CBC, IV[:15]), Mechanism(CKM.AES_CBC), Mechanism(CKM.AES_ECB, IV),
        Mechanism(CKM.AES_CTR, CtrParameters(0, IV)), Mechanism(CKM.AES_CTR, CtrParameters(129, IV)),
        Mechanism(CKM.AES_GCM, GcmParameters(b"", b"", 128)), Mechanism(CKM.AES_GCM, IV),
        *(Mechanism(CKM.AES_GCM, GcmParameters(IV, b"", bits)) for bits in (0, 127, 136)),
    ],
)  # fmt: skip
def test_parameters_of_wrong_size_are_refused(device_core: Any, request_: Mechanism) -> None:
    session = device_core.user_session()
    assert device_core.rv("C_EncryptInit", session, request_, memory_key(device_core, session)) == (
        CKR.MECHANISM_PARAM_INVALID
    )


def test_nothing_more_comes_in_while_a_result_waits_for_a_larger_buffer(device_core: Any) -> None:
    session = device_core.user_session()
    key = memory_key(device_core, session)
    device_core.ok("C_EncryptInit", session, Mechanism(CKM.AES_CBC_PAD, IV), key)
    device_core.ok("C_EncryptUpdate", session, b"data", 16)
    assert device_core.module.call("C_EncryptFinal", session, 0) == (CKR.BUFFER_TOO_SMALL, 16)
    assert device_core.rv("C_EncryptUpdate", session, b"more", 16) == CKR.OPERATION_ACTIVE
    assert device_core.rv("C_EncryptFinal", session, 16) == CKR.OPERATION_NOT_INITIALIZED


def test_a_counter_never_starts_over(device_core: Any) -> None:
    session = device_core.user_session()
    key = memory_key(device_core, session)
    near_end = CtrParameters(8, bytes(15) + b"\xfe")
    device_core.ok("C_EncryptInit", session, Mechanism(CKM.AES_CTR, near_end), key)
    assert len(device_core.ok("C_EncryptUpdate", session, bytes(32), 32)) == 32
    assert device_core.rv("C_EncryptUpdate", session, b"x", 1) == CKR.DATA_LEN_RANGE


@pytest.mark.parametrize("where", ["memory", "device"])
def test_cmac_is_that_of_rfc_4493(device_core: Any, keys: dict[str, int], where: str) -> None:
    session = keys["session"]
    key = memory_key(device_core, session) if where == "memory" else keys["mac"]
    mac = device_core.sign(session, key, b"message", CKM.AES_CMAC)
    if where == "memory":
        reference = CMAC(algorithms.AES(KEY))
        reference.update(b"message")
        assert mac == reference.finalize()
    for message, rv in ((b"message", CKR.OK), (b"massage", CKR.SIGNATURE_INVALID)):
        device_core.ok("C_VerifyInit", session, Mechanism(CKM.AES_CMAC), key)
        assert device_core.rv("C_Verify", session, message, mac) == rv


HMACS = {
    CKM.SHA256_HMAC: (CKM.SHA256_KEY_GEN, "sha256"),
    CKM.SHA384_HMAC: (CKM.SHA384_KEY_GEN, "sha384"),
    CKM.SHA512_HMAC: (CKM.SHA512_KEY_GEN, "sha512"),
    CKM.SHA3_256_HMAC: (CKM.SHA3_256_KEY_GEN, "sha3_256"),
    CKM.SHA3_384_HMAC: (CKM.SHA3_384_KEY_GEN, "sha3_384"),
    CKM.SHA3_512_HMAC: (CKM.SHA3_512_KEY_GEN, "sha3_512"),
}


@pytest.mark.parametrize("mechanism", HMACS)
def test_hmac_in_memory_is_rfc_2104_and_in_the_device_verifies(device_core: Any, mechanism: int) -> None:
    session = device_core.user_session()
    generation, digest = HMACS[mechanism]
    key = memory_key(device_core, session, b"secret", CKK.GENERIC_SECRET)
    whole = hmac.digest(b"secret", b"message", digest)
    assert device_core.sign(session, key, b"message", mechanism) == whole
    general = mechanism + 1  # CKM_*_HMAC_GENERAL follows CKM_*_HMAC
    device_core.ok("C_SignInit", session, Mechanism(general, pack_ulong(10)), key)
    assert device_core.ok("C_Sign", session, b"message", 10) == whole[:10]
    assert device_core.rv("C_SignInit", session, Mechanism(general, pack_ulong(65)), key) == (
        CKR.MECHANISM_PARAM_INVALID
    )

    rv, inside = make(device_core, session, generation)
    assert rv == CKR.OK
    mac = device_core.sign(session, inside, b"message", mechanism)
    assert len(mac) == len(whole)
    for given_, rv in ((mac, CKR.OK), (whole, CKR.SIGNATURE_INVALID), (mac[:-1], CKR.SIGNATURE_LEN_RANGE)):
        device_core.ok("C_VerifyInit", session, Mechanism(mechanism), inside)
        assert device_core.rv("C_Verify", session, b"message", given_) == rv
    device_core.ok("C_SignInit", session, Mechanism(mechanism), inside)
    assert device_core.rv("C_SignUpdate", session, bytes(2049)) == CKR.DATA_LEN_RANGE
    device_core.ok("C_DestroyObject", session, inside)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_a_sensitive_aes_key_is_made_in_the_device_and_a_readable_one_in_memory(
    device_core: Any, size: int
) -> None:
    session = device_core.user_session()
    length = (CKA.VALUE_LEN, pack_ulong(size))
    rv, inside = make(device_core, session, CKM.AES_KEY_GEN, length, (CKA.ENCRYPT, YES))
    assert rv == CKR.OK
    query = device_core.ok("C_GetAttributeValue", session, inside, [(CKA.VALUE, 32), (CKA.VALUE_LEN, 8)])
    assert query.values == [None, pack_ulong(size)]
    assert device_core.value(session, inside, CKA.EXTRACTABLE) == NO
    rv, outside = make(device_core, session, CKM.AES_KEY_GEN, length, (CKA.EXTRACTABLE, YES))
    assert rv == CKR.OK
    assert len(device_core.value(session, outside, CKA.VALUE)) == size
    assert device_core.value(session, outside, CKA.LOCAL) == YES
    kids = {each.kid for each in device_core.module.slot(0).hem.keys}
    device_core.ok("C_CloseSession", session)
    hem = device_core.module.slot(0).hem
    hem.keys.refresh()
    device_core.user_session()
    assert len(kids - {each.kid for each in hem.keys}) == 1  # the sensitive one went with its session


@pytest.mark.parametrize(
    ("template", "rv"),
    [
        ([], CKR.TEMPLATE_INCOMPLETE),
        ([(CKA.VALUE_LEN, pack_ulong(17))], CKR.ATTRIBUTE_VALUE_INVALID),
        (
            [(CKA.VALUE_LEN, pack_ulong(16)), (CKA.TOKEN, YES), (CKA.EXTRACTABLE, YES)],
            CKR.TEMPLATE_INCONSISTENT,
        ),
        ([(CKA.VALUE_LEN, pack_ulong(16)), (CKA.KEY_TYPE, pack_ulong(CKK.RSA))], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.VALUE_LEN, pack_ulong(16)), (CKA.VALUE, bytes(16))], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.VALUE_LEN, pack_ulong(16)), (CKA.EC_PARAMS, b"")], CKR.ATTRIBUTE_TYPE_INVALID),
        (
            [(CKA.VALUE_LEN, pack_ulong(16)), (CKA.ALLOWED_MECHANISMS, pack_ulong(CKM.ECDSA))],
            CKR.ATTRIBUTE_VALUE_INVALID,
        ),
    ],
)
def test_a_secret_template_that_cannot_be_followed_is_refused(
    device_core: Any, template: Any, rv: CKR
) -> None:
    assert make(device_core, device_core.user_session(), CKM.AES_KEY_GEN, *template)[0] == rv


@pytest.mark.parametrize("where", ["memory", "device"])
@pytest.mark.parametrize(
    ("mechanism", "size"), [(CKM.AES_KEY_WRAP, 32), (CKM.AES_KEY_WRAP_KWP, 32), (CKM.AES_KEY_WRAP_KWP, 5)]
)
def test_session_keys_are_wrapped_and_unwrapped(
    device_core: Any, keys: dict[str, int], where: str, mechanism: int, size: int
) -> None:
    session = keys["session"]
    wrapping = memory_key(device_core, session) if where == "memory" else keys["wrap"]
    value = os.urandom(size)
    key = memory_key(device_core, session, value, CKK.GENERIC_SECRET)
    room = device_core.ok("C_WrapKey", session, Mechanism(mechanism), wrapping, key, None)
    assert (
        device_core.rv("C_WrapKey", session, Mechanism(mechanism), wrapping, key, room - 1)
        == CKR.BUFFER_TOO_SMALL
    )
    wrapped = device_core.ok("C_WrapKey", session, Mechanism(mechanism), wrapping, key, room)
    if where == "memory":
        padded = mechanism == CKM.AES_KEY_WRAP_KWP
        reference = keywrap.aes_key_wrap_with_padding if padded else keywrap.aes_key_wrap
        assert wrapped == reference(KEY, value)
    template = [(CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)), (CKA.CLASS, pack_ulong(CKO.SECRET_KEY))]
    again = device_core.ok("C_UnwrapKey", session, Mechanism(mechanism), wrapping, wrapped, template)
    assert device_core.value(session, again, CKA.VALUE) == value
    damaged = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    rv = device_core.rv("C_UnwrapKey", session, Mechanism(mechanism), wrapping, damaged, template)
    assert rv == CKR.WRAPPED_KEY_INVALID


def test_what_is_in_the_device_cannot_be_wrapped(device_core: Any, keys: dict[str, int]) -> None:
    session = keys["session"]
    wrap = Mechanism(CKM.AES_KEY_WRAP)
    assert (
        device_core.rv("C_WrapKey", session, wrap, keys["wrap"], keys["aead"], 100) == CKR.KEY_UNEXTRACTABLE
    )
    hidden = memory_key(device_core, session, EXTRACTABLE=NO)
    assert device_core.rv("C_WrapKey", session, wrap, keys["wrap"], hidden, 100) == CKR.KEY_UNEXTRACTABLE
    open_key = memory_key(device_core, session)
    assert (
        device_core.rv("C_WrapKey", session, wrap, keys["aead"], open_key, 100)
        == CKR.KEY_FUNCTION_NOT_PERMITTED
    )
    assert device_core.rv("C_WrapKey", session, wrap, 9999, open_key, 100) == CKR.WRAPPING_KEY_HANDLE_INVALID


def peer_of(curve: str) -> Any:
    if curve == "CURVE25519":
        return x25519.X25519PrivateKey.generate()
    return ec.generate_private_key({"SECP256R1": ec.SECP256R1(), "SECP256K1": ec.SECP256K1()}[curve])


def agreed(mine: Any, native: Any) -> bytes:
    return (
        mine.exchange(native)
        if isinstance(mine, x25519.X25519PrivateKey)
        else mine.exchange(ec.ECDH(), native)
    )


def point(public: Any) -> bytes:
    if isinstance(public, x25519.X25519PublicKey):
        return public.public_bytes_raw()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP256K1", "CURVE25519"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_ecdh_agrees_with_the_peer(device_core: Any, curve: str, wrapped: bool) -> None:
    session = device_core.user_session()
    _, private = device_core.pair(session, curve, DERIVE=YES)
    native = next(
        each for each in device_core.module.slot(0).objects.find([], private=True) if each.handle == private
    )
    mine = peer_of(curve)
    peer = octet_string(point(mine.public_key())) if wrapped else point(mine.public_key())
    secret = agreed(mine, native.public_key())
    template = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)), (CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)),
        (CKA.SENSITIVE, NO), (CKA.EXTRACTABLE, YES), (CKA.TOKEN, NO),
    ]  # fmt: skip
    for kdf, shared, size, value in (
        (CKD.NULL, b"", None, secret),
        (CKD.NULL, b"", 16, secret[:16]),
        (CKD.SHA256_KDF, b"info", 48, X963KDF(hashes.SHA256(), 48, b"info").derive(secret)),
        (CKD.SHA512_KDF, b"", None, X963KDF(hashes.SHA512(), 64, None).derive(secret)),
    ):
        wanted = [*template, *([] if size is None else [(CKA.VALUE_LEN, pack_ulong(size))])]
        mechanism = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(kdf, shared, peer))
        key = device_core.ok("C_DeriveKey", session, mechanism, private, wanted)
        assert device_core.value(session, key, CKA.VALUE) == value
    device_core.ok("C_DestroyObject", session, private)


def test_ecdh_that_the_firmware_would_cut_is_refused_in_words(
    device_core: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    session = device_core.user_session()
    public, private = device_core.pair(session, "SECP384R1", DERIVE=YES)
    peer = device_core.value(session, public, CKA.EC_POINT)
    mechanism = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(CKD.NULL, b"", peer))
    assert device_core.rv("C_DeriveKey", session, mechanism, private, []) == CKR.KEY_SIZE_RANGE
    assert "first 32 bytes" in capfd.readouterr().err
    device_core.ok("C_DestroyObject", session, private)


@pytest.mark.parametrize(
    ("kdf", "shared", "peer", "template", "rv"),
    [
        (CKD.NULL, b"x", None, [], CKR.MECHANISM_PARAM_INVALID),
        (99, b"", None, [], CKR.MECHANISM_PARAM_INVALID),
        (CKD.NULL, b"", b"\x04" + bytes(64), [], CKR.MECHANISM_PARAM_INVALID),
        (CKD.NULL, b"", b"short", [], CKR.MECHANISM_PARAM_INVALID),
        (CKD.NULL, b"", None, [(CKA.VALUE_LEN, pack_ulong(33))], CKR.ATTRIBUTE_VALUE_INVALID),
        (CKD.NULL, b"", None, [(CKA.TOKEN, YES)], CKR.TEMPLATE_INCONSISTENT),
        (CKD.NULL, b"", None, [(CKA.KEY_TYPE, pack_ulong(CKK.RSA))], CKR.TEMPLATE_INCONSISTENT),
    ],
)
def test_wrong_agreements_are_refused(
    device_core: Any, kdf: int, shared: bytes, peer: bytes | None, template: Any, rv: CKR
) -> None:
    session = device_core.user_session()
    _, private = device_core.pair(session, "SECP256R1", DERIVE=YES)
    given_ = point(peer_of("SECP256R1").public_key()) if peer is None else peer
    mechanism = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(kdf, shared, given_))
    assert device_core.rv("C_DeriveKey", session, mechanism, private, template) == rv
    device_core.ok("C_DestroyObject", session, private)


def test_session_keys_end_with_their_session_and_are_overwritten(device_core: Any) -> None:
    session = device_core.user_session()
    handle = memory_key(device_core, session)
    item = device_core.module.slot(0).objects.get(handle, private=True)
    buffer = item._secret._secret.buffer
    assert len(buffer) == 32
    assert bytes(buffer) != bytes(32)
    other = device_core.session()
    device_core.ok("C_CloseSession", session)
    assert device_core.rv("C_GetAttributeValue", other, handle, []) == CKR.OBJECT_HANDLE_INVALID
    assert bytes(buffer) == bytes(32)
    with pytest.raises(Pkcs11Error, match="destroyed"):
        item.value  # noqa: B018 - never the zeros


def test_digests_take_keys_in_memory_only(device_core: Any, keys: dict[str, int]) -> None:
    session = keys["session"]
    device_core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    device_core.ok("C_DigestUpdate", session, b"a")
    device_core.ok("C_DigestKey", session, memory_key(device_core, session))
    assert device_core.ok("C_DigestFinal", session, 32) == hashlib.sha256(b"a" + KEY).digest()
    device_core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    assert device_core.rv("C_DigestKey", session, keys["aead"]) == CKR.KEY_INDIGESTIBLE


def test_dual_functions_do_both(device_core: Any) -> None:
    session = device_core.user_session()
    key = memory_key(device_core, session)
    cbc = Mechanism(CKM.AES_CBC, IV)
    data = os.urandom(48)
    device_core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    device_core.ok("C_EncryptInit", session, cbc, key)
    encrypted = b""
    for start in range(0, 48, 16):
        part = data[start : start + 16]
        assert device_core.ok("C_DigestEncryptUpdate", session, part, None) == 16
        assert device_core.rv("C_DigestEncryptUpdate", session, part, 15) == CKR.BUFFER_TOO_SMALL
        encrypted += device_core.ok("C_DigestEncryptUpdate", session, part, 16)
    assert device_core.ok("C_EncryptFinal", session, 0) == b""
    assert device_core.ok("C_DigestFinal", session, 32) == hashlib.sha256(data).digest()
    assert encrypted == expected(CKM.AES_CBC, data)

    device_core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    device_core.ok("C_DecryptInit", session, cbc, key)
    assert device_core.ok("C_DecryptDigestUpdate", session, encrypted, 48) == data
    assert device_core.ok("C_DigestFinal", session, 32) == hashlib.sha256(data).digest()
    assert device_core.rv("C_SignEncryptUpdate", session, b"x", 10) == CKR.OPERATION_NOT_INITIALIZED


def test_running_digests_and_signatures_can_be_saved(device_core: Any) -> None:
    session = device_core.user_session()
    _, private = device_core.pair(session, "ED25519")
    device_core.ok("C_DigestInit", session, Mechanism(CKM.SHA256))
    device_core.ok("C_DigestUpdate", session, b"one ")
    device_core.ok("C_SignInit", session, Mechanism(CKM.EDDSA), private)
    device_core.ok("C_SignUpdate", session, b"one ")
    size = device_core.ok("C_GetOperationState", session, None)
    assert device_core.rv("C_GetOperationState", session, size - 1) == CKR.BUFFER_TOO_SMALL
    state = device_core.ok("C_GetOperationState", session, size)
    device_core.ok("C_DigestUpdate", session, b"more")
    other = device_core.session()
    device_core.ok("C_SetOperationState", other, state, 0, private)
    for where, end in ((session, b"one more"), (other, b"one two")):
        if where == other:
            device_core.ok("C_DigestUpdate", where, b"two")
        assert device_core.ok("C_DigestFinal", where, 32) == hashlib.sha256(end).digest()
    signature = device_core.ok("C_SignFinal", other, 64)
    assert signature == device_core.ok("C_SignFinal", session, 64)
    device_core.ok("C_DestroyObject", session, private)
    assert device_core.rv("C_SetOperationState", other, state, 0, 0) == CKR.KEY_CHANGED
    assert device_core.rv("C_SetOperationState", other, bytes(16), 0, 0) == CKR.SAVED_STATE_INVALID
    assert device_core.rv("C_GetOperationState", other, 16) == CKR.OPERATION_NOT_INITIALIZED
    device_core.ok("C_EncryptInit", other, Mechanism(CKM.AES_ECB), memory_key(device_core, other))
    assert device_core.rv("C_GetOperationState", other, 16) == CKR.STATE_UNSAVEABLE


def test_x448_and_the_other_curves_are_made(device_core: Any) -> None:
    session = device_core.user_session()
    for curve in ("CURVE448", "ED448", "SECP521R1", "SECP256K1"):
        public, private = device_core.pair(session, curve)
        assert device_core.value(session, public, CKA.EC_PARAMS) == KINDS[curve].ec_params
        assert device_core.value(session, private, CKA.EC_POINT) == device_core.value(
            session, public, CKA.EC_POINT
        )
        device_core.ok("C_DestroyObject", session, private)


@pytest.mark.parametrize("private", [True, False])
def test_private_session_keys_end_with_the_login(device_core: Any, private: bool) -> None:
    session = device_core.user_session()
    template = [
        (CKA.VALUE_LEN, pack_ulong(32)), (CKA.EXTRACTABLE, YES), (CKA.PRIVATE, pack_bool(private)),
    ]  # fmt: skip
    rv, key = make(device_core, session, CKM.AES_KEY_GEN, *template)
    assert rv == CKR.OK
    device_core.ok("C_Logout", session)
    device_core.user_session()
    rv = CKR.OBJECT_HANDLE_INVALID if private else CKR.OK
    assert device_core.rv("C_GetAttributeValue", session, key, []) == rv


@pytest.fixture
def limited(device_state: Any, make_device_core: Any) -> Any:
    """A module whose keys in the device may be called four times in one operation."""
    from dataclasses import replace

    core = make_device_core(device_state)
    first = replace(core.config.devices[0], max_calls=4)
    core.config = replace(core.config, devices=(first,))
    core.ok("C_Initialize", None)
    yield core
    core.ok("C_Finalize", False)


@pytest.mark.parametrize(
    ("mechanism", "parameter", "most"),
    [
        (CKM.AES_CBC, IV, 64),
        (CKM.AES_CBC_PAD, IV, 48),
        (CKM.AES_CTR, CtrParameters(128, IV), 8192),
        (CKM.AES_ECB, None, 8192),
        (CKM.AES_GCM, GcmParameters(IV[:12], b"", 128), 8160),
        (CKM.AES_CMAC, None, 64),
    ],
)
def test_bulk_data_that_is_too_many_calls_are_refused_before_the_first(
    limited: Any, capfd: pytest.CaptureFixture[str], mechanism: int, parameter: Any, most: int
) -> None:
    session = limited.user_session()
    template = [(CKA.VALUE_LEN, pack_ulong(32)), (CKA.ALLOWED_MECHANISMS, pack_ulongs((mechanism,)))]
    rv, key = make(limited, session, CKM.AES_KEY_GEN, *template)
    assert rv == CKR.OK
    given = Mechanism(mechanism, parameter)
    verb = "Sign" if mechanism == CKM.AES_CMAC else "Encrypt"
    limited.ok(f"C_{verb}Init", session, given, key)
    made = limited.ok(f"C_{verb}", session, bytes(most), most + 32)
    calls = limited.module.slot(0).device_calls
    limited.ok(f"C_{verb}Init", session, given, key)
    assert limited.rv(f"C_{verb}", session, bytes(most + 32), most + 64) == CKR.DATA_LEN_RANGE
    assert limited.rv(f"C_{verb}", session, b"", 64) == CKR.OPERATION_NOT_INITIALIZED
    if mechanism not in (CKM.AES_CBC, CKM.AES_CBC_PAD, CKM.AES_CMAC):  # decrypted 2 KiB at once
        limited.ok("C_DecryptInit", session, given, key)
        rv = limited.rv("C_Decrypt", session, made + bytes(64), most + 96)
        assert rv == CKR.ENCRYPTED_DATA_LEN_RANGE
    assert limited.module.slot(0).device_calls == calls
    assert "max_calls permits 4" in capfd.readouterr().err
