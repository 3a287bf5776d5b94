"""What templates rule out, one example of each kind; `test_templates` tries them all."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hem_pkcs11.bridge.memory import Memory
from hem_pkcs11.calls import ArgumentKind
from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import GcmParameters, Mechanism, pack_bool, pack_ulong, pack_ulongs

from hem_provider.errors import HemUnreachable
from hem_provider.rest import keymgmt

YES, NO = pack_bool(True), pack_bool(False)
GCM = Mechanism(CKM.AES_GCM, GcmParameters(bytes(12), b"", 128))
AES = (CKA.VALUE_LEN, pack_ulong(32))
P256 = (CKA.EC_PARAMS, KINDS["SECP256R1"].ec_params or b"")


def aes(core: Any, session: int, *template: tuple[int, bytes]) -> tuple[CKR, int]:
    return core.module.call("C_GenerateKey", session, Mechanism(CKM.AES_KEY_GEN), [AES, *template])  # type: ignore[no-any-return]


def create(core: Any, session: int, *template: tuple[int, bytes]) -> tuple[CKR, int]:
    return core.module.call("C_CreateObject", session, list(template))  # type: ignore[no-any-return]


def certificate(native: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, native, 0x80, now, now + datetime.timedelta(1))
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("token", [YES, NO])
def test_a_key_that_may_not_encrypt_says_so_and_decrypts(device_core: Any, token: bytes) -> None:
    session = device_core.user_session()
    rv, key = aes(device_core, session, (CKA.TOKEN, token), (CKA.ENCRYPT, NO), (CKA.DECRYPT, YES))
    assert rv == CKR.OK
    assert device_core.value(session, key, CKA.ENCRYPT) == NO
    assert device_core.value(session, key, CKA.DECRYPT) == YES
    assert device_core.rv("C_EncryptInit", session, GCM, key) == CKR.KEY_FUNCTION_NOT_PERMITTED
    assert (
        device_core.rv("C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key)
        == CKR.KEY_FUNCTION_NOT_PERMITTED
    )
    device_core.ok("C_DecryptInit", session, GCM, key)
    device_core.ok("C_DestroyObject", session, key)


def test_a_key_that_may_do_nothing_is_not_made(device_core: Any) -> None:
    session = device_core.user_session()
    assert aes(device_core, session, (CKA.ENCRYPT, NO), (CKA.DECRYPT, NO))[0] == CKR.TEMPLATE_INCONSISTENT


def test_limits_last_in_another_process(device_core: Any) -> None:
    session = device_core.user_session()
    rv, key = aes(
        device_core, session,
        (CKA.TOKEN, YES), (CKA.LABEL, b"lasting"), (CKA.ENCRYPT, NO), (CKA.DECRYPT, YES),
        (CKA.DESTROYABLE, NO), (CKA.MODIFIABLE, NO), (CKA.ALLOWED_MECHANISMS, pack_ulongs((CKM.AES_CBC,))),
    )  # fmt: skip
    assert rv == CKR.OK
    device_core.ok("C_Finalize", False)
    device_core.ok("C_Initialize", None)
    session = device_core.user_session()
    (key,) = device_core.find(session, (CKA.LABEL, b"lasting"))
    assert device_core.value(session, key, CKA.ENCRYPT) == NO
    assert device_core.value(session, key, CKA.ALLOWED_MECHANISMS) == pack_ulong(CKM.AES_CBC)
    assert device_core.rv("C_DecryptInit", session, Mechanism(CKM.AES_ECB), key) == CKR.MECHANISM_INVALID
    assert device_core.rv("C_DestroyObject", session, key) == CKR.ACTION_PROHIBITED
    assert device_core.rv("C_SetAttributeValue", session, key, [(CKA.LABEL, b"x")]) == CKR.ACTION_PROHIBITED
    device_core.module.slot(0).hem.keys.delete(device_core.module.slot(0).objects.get(key, private=True).key)


def test_a_pair_may_sign_and_not_verify(device_core: Any) -> None:
    session = device_core.user_session()
    public, private = device_core.ok(
        "C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN),
        [P256, (CKA.VERIFY, NO)], [(CKA.SIGN, YES), (CKA.ALLOWED_MECHANISMS, pack_ulong(CKM.ECDSA_SHA384))],
    )  # fmt: skip
    sha256, sha384 = Mechanism(CKM.ECDSA_SHA256), Mechanism(CKM.ECDSA_SHA384)
    assert device_core.rv("C_VerifyInit", session, sha384, public) == CKR.KEY_FUNCTION_NOT_PERMITTED
    assert device_core.rv("C_SignInit", session, sha256, private) == CKR.MECHANISM_INVALID
    assert len(device_core.sign(session, private, b"m", CKM.ECDSA_SHA384)) == 64


@pytest.mark.parametrize(
    "asked",
    [
        [(CKA.PRIVATE, NO)],
        [(CKA.LABEL, b"")],
        [(CKA.LABEL, "Schlüssel, länger als ein Gerät ihn nimmt".encode())],
        [(CKA.ID, bytes(41))],
        [(CKA.START_DATE, b"20260101"), (CKA.END_DATE, b"20261231")],
        [(CKA.WRAP_WITH_TRUSTED, YES)],
    ],
)
def test_session_secret_keys_that_no_device_has_live_in_memory(core: Any, asked: Any) -> None:
    private = (CKA.PRIVATE, NO) not in asked
    session = core.user_session() if private else core.session()
    rv, key = aes(core, session, *asked)
    assert rv == CKR.OK
    assert not core.hem or not core.hem.keys.stored
    for kind, value in asked:
        assert core.value(session, key, kind) == value
    assert core.value(session, key, CKA.SENSITIVE) == pack_bool(private)
    core.ok("C_EncryptInit", session, GCM, key)
    token = [*asked, (CKA.TOKEN, YES)]
    assert aes(core, session, *token)[0] != CKR.OK or asked == [(CKA.LABEL, b"")]


def test_a_session_key_that_is_for_nothing_is_in_memory_and_does_nothing(core: Any) -> None:
    """A key in the device is for something; one of a template that denies each use works nowhere."""
    session = core.user_session()
    uses = (CKA.ENCRYPT, CKA.DECRYPT, CKA.SIGN, CKA.VERIFY, CKA.WRAP, CKA.UNWRAP)
    rv, key = aes(core, session, *((use, NO) for use in uses))
    assert rv == CKR.OK
    assert not core.hem or not core.hem.keys.stored
    assert all(core.value(session, key, use) == NO for use in uses)
    assert core.rv("C_EncryptInit", session, GCM, key) == CKR.KEY_FUNCTION_NOT_PERMITTED
    assert aes(core, session, *((use, NO) for use in uses), (CKA.TOKEN, YES))[0] != CKR.OK


def test_what_only_a_trusted_key_may_wrap_is_not_wrapped(core: Any) -> None:
    session = core.user_session()
    base = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
        (CKA.KEY_TYPE, pack_ulong(CKK.AES)),
        (CKA.VALUE, bytes(16)),
    ]
    _, wrapping = create(core, session, *base)
    _, key = create(core, session, *base, (CKA.WRAP_WITH_TRUSTED, YES))
    wrap = Mechanism(CKM.AES_KEY_WRAP)
    assert core.rv("C_WrapKey", session, wrap, wrapping, key, 100) == CKR.KEY_NOT_WRAPPABLE
    assert (
        core.rv("C_SetAttributeValue", session, key, [(CKA.WRAP_WITH_TRUSTED, NO)]) == CKR.ATTRIBUTE_READ_ONLY
    )


def test_a_copy_has_the_class_of_what_it_copies(core: Any) -> None:
    session = core.session()
    _, data = create(core, session, (CKA.CLASS, pack_ulong(CKO.DATA)))
    other = [(CKA.CLASS, pack_ulong(CKO.PUBLIC_KEY))]
    assert core.rv("C_CopyObject", session, data, other) == CKR.ATTRIBUTE_READ_ONLY
    core.ok("C_CopyObject", session, data, [(CKA.CLASS, pack_ulong(CKO.DATA))])


def test_a_copy_that_fails_leaves_a_session_pair_the_sessions(device_core: Any) -> None:
    session, keeper = device_core.user_session(), device_core.session()
    named = [P256, (CKA.LABEL, b"not copied")]
    _, private = device_core.ok("C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN), named, [])
    wrong = [(CKA.TOKEN, YES), (CKA.LABEL, b"x" * 33)]
    assert device_core.rv("C_CopyObject", session, private, wrong) == CKR.ATTRIBUTE_VALUE_INVALID
    assert device_core.find(session, (CKA.TOKEN, YES), (CKA.LABEL, b"not copied")) == []
    device_core.ok("C_CloseSession", session)
    keys = device_core.module.slot(0).hem.keys
    keys.refresh()
    assert keys.search(label="not copied") == []
    device_core.ok("C_CloseSession", keeper)


def test_a_session_pair_that_becomes_one_of_the_token_cannot_be_copied_again(core: Any) -> None:
    session = core.user_session()
    _, private = core.ok("C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN), [P256], [])
    token = (CKA.TOKEN, YES)
    assert (
        core.rv("C_CopyObject", session, private, [token, (CKA.COPYABLE, YES)]) == CKR.TEMPLATE_INCONSISTENT
    )
    kept = core.ok("C_CopyObject", session, private, [token, (CKA.COPYABLE, NO)])
    assert core.value(session, kept, CKA.COPYABLE) == NO


def test_a_search_for_what_is_no_value_is_refused(core: Any) -> None:
    session = core.session()
    for kind, value in ((CKA.TOKEN, b""), (CKA.CLASS, b"\x02"), (CKA.START_DATE, b"2026")):
        assert core.rv("C_FindObjectsInit", session, [(kind, value)]) == CKR.ATTRIBUTE_VALUE_INVALID
    assert core.find(session, (0x80001234, b"")) == []


@pytest.mark.parametrize(
    ("kind", "size", "null", "rv"),
    [
        (CKA.LABEL, 5, True, CKR.ATTRIBUTE_VALUE_INVALID),
        (CKA.LABEL, 2**63, False, CKR.ATTRIBUTE_VALUE_INVALID),
        (CKA.WRAP_TEMPLATE, 0, True, CKR.ATTRIBUTE_TYPE_INVALID),
        (CKA.ALLOWED_MECHANISMS, 8, False, None),
        (0xCE534351, 8, False, None),  # a vendor's number, with the bit of arrays
        (CKA.LABEL, 0, True, None),
    ],
)
def test_a_row_of_a_template_is_read_from_c_or_refused(
    kind: int, size: int, null: bool, rv: CKR | None
) -> None:
    ffi = FFI()
    ffi.cdef("typedef struct { unsigned long type; void *pValue; unsigned long ulValueLen; } CK_ATTRIBUTE;")
    value = ffi.new("unsigned char[8]", bytes(8))
    row = ffi.new("CK_ATTRIBUTE *", {"type": kind, "pValue": ffi.NULL if null else value, "ulValueLen": size})
    words = [int(ffi.cast("uintptr_t", row)), 1]
    read = Memory(ffi).readers[ArgumentKind.TEMPLATE]
    if rv is None:
        assert read(words, 0) == [(kind, bytes(size))]
    else:
        with pytest.raises(Pkcs11Error) as error:
            read(words, 0)
        assert error.value.rv == rv


# --- certificates ------------------------------------------------------------------------------


def stored(make_core: Callable[..., Any], tmp_path: Path) -> Any:
    core = make_core("first")
    core.config = replace(core.config, source=str(tmp_path / "config.toml"))
    core.ok("C_Initialize", None)
    return core


def offer(native: Any, *more: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    base = {CKA.CLASS: pack_ulong(CKO.CERTIFICATE), CKA.VALUE: certificate(native)}
    return list((base | dict(more)).items())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CKA.START_DATE, b"20260230"),
        (CKA.START_DATE, b"2026"),
        (CKA.CERTIFICATE_CATEGORY, pack_ulong(4)),
        (CKA.JAVA_MIDP_SECURITY_DOMAIN, pack_ulong(9)),
        (CKA.CHECK_VALUE, b"abc"),
        (CKA.PUBLIC_KEY_INFO, b"another"),
        (CKA.SUBJECT, b"0\x00"),
        (CKA.SERIAL_NUMBER, b"\x02\x01\x05"),
        (CKA.HASH_OF_SUBJECT_PUBLIC_KEY, bytes(19)),
        (CKA.NAME_HASH_ALGORITHM, pack_ulong(CKM.AES_CBC)),
        (CKA.MODIFIABLE, b""),
        (CKA.TRUSTED, b""),
    ],
)
def test_what_a_certificate_cannot_say_is_refused(core: Any, kind: int, value: bytes) -> None:
    native = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert create(core, core.session(), *offer(native, (kind, value)))[0] == CKR.ATTRIBUTE_VALUE_INVALID


def test_a_period_ends_after_it_starts(core: Any) -> None:
    native = ec.generate_private_key(ec.SECP256R1()).public_key()
    session = core.session()
    rv, handle = create(
        core, session, *offer(native, (CKA.START_DATE, b"20260101"), (CKA.END_DATE, b"20260102"))
    )
    assert rv == CKR.OK
    assert core.rv("C_SetAttributeValue", session, handle, [(CKA.END_DATE, b"20251231")]) == (
        CKR.ATTRIBUTE_VALUE_INVALID
    )


def test_an_empty_value_does_not_take_the_place_of_what_a_certificate_says(core: Any) -> None:
    native = ec.generate_private_key(ec.SECP256R1()).public_key()
    kinds = (CKA.SUBJECT, CKA.ISSUER, CKA.SERIAL_NUMBER, CKA.PUBLIC_KEY_INFO, CKA.CHECK_VALUE)
    session = core.session()
    _, handle = create(core, session, *offer(native, *((kind, b"") for kind in kinds)))
    assert all(core.value(session, handle, kind) for kind in kinds)
    _, java = create(core, session, *offer(native, (CKA.SERIAL_NUMBER, b"\x00\x80")))  # as Java gives it
    assert core.value(session, java, CKA.SERIAL_NUMBER) == b"\x00\x80"


def test_a_certificate_gets_the_id_of_a_key_that_was_never_listed(
    make_core: Callable[..., Any], tmp_path: Path
) -> None:
    core = stored(make_core, tmp_path)
    session = core.user_session()
    key = core.hem.keys.create("SECP256R1", label="elsewhere", application_id=b"\x07")
    before = core.hem.statistics.calls
    _, handle = create(core, session, *offer(key.native.public_key()))
    assert core.value(session, handle, CKA.ID) == b"\x07"
    assert core.hem.statistics.calls - before == 1  # one listing
    core.value(session, handle, CKA.ID)
    create(core, session, *offer(key.native.public_key()))
    assert core.hem.statistics.calls - before == 1


def test_a_certificate_shows_the_id_of_a_key_that_comes_to_be_known_later(
    make_core: Callable[..., Any], tmp_path: Path
) -> None:
    core = stored(make_core, tmp_path)
    session = core.session()
    key = core.hem.keys.create  # the device is opened at the first use
    core.hem.keys.anonymous = False
    core.hem.logged_in = True
    key = key("SECP256R1", label="web", application_id=b"\x08")
    core.hem.logged_in = False
    _, handle = create(core, session, *offer(key.native.public_key(), (CKA.TOKEN, YES)))
    assert core.value(session, handle, CKA.ID) == b""
    core.ok("C_Login", session, 1, b"correct horse")
    assert handle in core.find(session, (CKA.ID, b"\x08"))
    assert core.value(session, handle, CKA.ID) == b"\x08"


def test_a_device_that_does_not_answer_does_not_keep_a_certificate_from_being_made(core: Any) -> None:
    session = core.user_session()
    core.hem.failing = HemUnreachable("cable")
    native = ec.generate_private_key(ec.SECP256R1()).public_key()
    rv, handle = create(core, session, *offer(native))
    assert rv == CKR.OK
    assert core.value(session, handle, CKA.ID) == b""


def test_the_id_of_a_key_that_another_application_described_is_refused(device_core: Any) -> None:
    session = device_core.user_session()
    hem = device_core.module.slot(0).hem
    hem.session.run(keymgmt.create(type="SECP256R1", label="foreign", mode="ExDSA", descr=b"of another"))
    hem.keys.refresh()
    device_core.module.slot(0).doubt()  # the next search lists
    (key,) = device_core.find(session, (CKA.LABEL, b"foreign"), (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)))
    before = device_core.value(session, key, CKA.ID)
    assert device_core.rv("C_SetAttributeValue", session, key, [(CKA.ID, b"x")]) == CKR.ATTRIBUTE_READ_ONLY
    assert device_core.value(session, key, CKA.ID) == before
    device_core.ok("C_SetAttributeValue", session, key, [(CKA.LABEL, b"known"), (CKA.ID, before)])
    device_core.ok("C_DestroyObject", session, key)
