"""CKM_HEM_DERIVE over the emulated device: keys agreed with a peer that never leave it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO, CKR
from hem_pkcs11.encodings import octet_string
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong, pack_ulongs

YES, NO = pack_bool(True), pack_bool(False)
IV = bytes(range(16))
AES = (
    (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
    (CKA.KEY_TYPE, pack_ulong(CKK.AES)),
    (CKA.VALUE_LEN, pack_ulong(32)),
)


def peer_point(curve: str) -> bytes:
    if curve == "CURVE25519":
        return x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    if curve == "CURVE448":
        return x448.X448PrivateKey.generate().public_key().public_bytes_raw()
    kind = {"SECP256R1": ec.SECP256R1(), "SECP384R1": ec.SECP384R1(), "SECP521R1": ec.SECP521R1()}[curve]
    public = ec.generate_private_key(kind).public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def derive(
    core: Any, session: int, base: int, point: bytes | None, *template: tuple[int, bytes]
) -> tuple[CKR, int]:
    mechanism = Mechanism(CKM.HEM_DERIVE, point)
    answer: tuple[CKR, int] = core.module.call("C_DeriveKey", session, mechanism, base, list(template))
    return answer


@pytest.fixture(scope="module")
def bases(device_core: Any) -> Iterator[dict[str, int]]:
    """Private keys that agree, by curve, and a session that stays open."""
    session = device_core.user_session()
    curves = ("SECP256R1", "SECP384R1", "SECP521R1", "CURVE25519", "CURVE448")
    made = {curve: device_core.pair(session, curve, DERIVE=YES)[1] for curve in curves}
    yield {"session": session, **made}
    for private in made.values():
        device_core.ok("C_DestroyObject", session, private)


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1", "CURVE25519", "CURVE448"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_derived_aes_key_encrypts_and_stays_in_the_device(
    device_core: Any, bases: dict[str, int], curve: str, wrapped: bool
) -> None:
    session = bases["session"]
    point = peer_point(curve)
    point = octet_string(point) if wrapped else point
    allowed = (CKA.ALLOWED_MECHANISMS, pack_ulongs((CKM.AES_CBC,)))
    rv, key = derive(
        device_core, session, bases[curve], point, *AES, (CKA.TOKEN, YES), (CKA.LABEL, b"agreed"), allowed
    )
    assert rv == CKR.OK
    assert device_core.value(session, key, CKA.LABEL) == b"agreed"
    assert device_core.value(session, key, CKA.TOKEN) == YES
    assert device_core.value(session, key, CKA.VALUE_LEN) == pack_ulong(32)
    query = device_core.ok("C_GetAttributeValue", session, key, [(CKA.VALUE, 100)])
    assert query.rv == CKR.ATTRIBUTE_SENSITIVE
    cbc = Mechanism(CKM.AES_CBC, IV)
    device_core.ok("C_DecryptInit", session, cbc, key)
    data = device_core.ok("C_Decrypt", session, bytes(32), 32)
    assert data != bytes(32)
    device_core.ok("C_DestroyObject", session, key)
    # The same input gives the same key.
    rv, again = derive(device_core, session, bases[curve], point, *AES, (CKA.TOKEN, YES), allowed)
    assert rv == CKR.OK
    device_core.ok("C_DecryptInit", session, cbc, again)
    assert device_core.ok("C_Decrypt", session, bytes(32), 32) == data
    device_core.ok("C_DestroyObject", session, again)


def test_a_derived_hmac_key_signs(device_core: Any, bases: dict[str, int]) -> None:
    session = bases["session"]
    rv, key = derive(
        device_core, session, bases["SECP256R1"], peer_point("SECP256R1"),
        (CKA.KEY_TYPE, pack_ulong(CKK.SHA256_HMAC)), (CKA.TOKEN, NO),
    )  # fmt: skip
    assert rv == CKR.OK
    device_core.ok("C_SignInit", session, Mechanism(CKM.SHA256_HMAC), key)
    mac = device_core.ok("C_Sign", session, b"data", 32)
    device_core.ok("C_VerifyInit", session, Mechanism(CKM.SHA256_HMAC), key)
    device_core.ok("C_Verify", session, b"data", mac)
    device_core.ok("C_DestroyObject", session, key)


@pytest.mark.parametrize(
    ("curve", "key_type"), [("ED25519", CKK.EC_EDWARDS), ("CURVE25519", CKK.EC_MONTGOMERY)]
)
def test_a_derived_pair_is_a_pair(device_core: Any, bases: dict[str, int], curve: str, key_type: CKK) -> None:
    session = bases["session"]
    rv, private = derive(
        device_core, session, bases["SECP256R1"], peer_point("SECP256R1"),
        (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)), (CKA.KEY_TYPE, pack_ulong(key_type)),
        (CKA.EC_PARAMS, KINDS[curve].ec_params), (CKA.TOKEN, YES), (CKA.ID, b"pair"),
    )  # fmt: skip
    assert rv == CKR.OK
    assert len(device_core.find(session, (CKA.ID, b"pair"))) == 2
    assert device_core.value(session, private, CKA.CLASS) == pack_ulong(CKO.PRIVATE_KEY)
    assert device_core.value(session, private, CKA.EC_PARAMS) == KINDS[curve].ec_params
    device_core.ok("C_DestroyObject", session, private)


def test_without_token_the_key_goes_with_its_session(device_core: Any, bases: dict[str, int]) -> None:
    other = device_core.session()
    label = os.urandom(8).hex().encode()
    rv, _ = derive(
        device_core,
        other,
        bases["SECP256R1"],
        peer_point("SECP256R1"),
        *AES,
        (CKA.TOKEN, NO),
        (CKA.LABEL, label),
    )
    assert rv == CKR.OK
    keys = device_core.module.slot(0).hem.keys
    assert [each.label for each in keys.search(label=label.decode())]
    device_core.ok("C_CloseSession", other)
    keys.refresh()
    assert keys.search(label=label.decode()) == []


def test_deriving_a_key_twice_is_refused_in_words(
    device_core: Any, bases: dict[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    session, point = bases["session"], peer_point("SECP256R1")
    rv, key = derive(device_core, session, bases["SECP256R1"], point, *AES)
    assert rv == CKR.OK
    assert derive(device_core, session, bases["SECP256R1"], point, *AES)[0] == CKR.FUNCTION_FAILED
    assert "the same input gives the same key" in capfd.readouterr().err
    device_core.ok("C_DestroyObject", session, key)


@pytest.mark.parametrize(
    ("point", "template", "rv"),
    [
        (None, AES, CKR.MECHANISM_PARAM_INVALID),
        (b"short", AES, CKR.MECHANISM_PARAM_INVALID),
        (b"\x04" + bytes(64), AES, CKR.MECHANISM_PARAM_INVALID),
        ("SECP384R1", AES, CKR.MECHANISM_PARAM_INVALID),
        ("SECP256R1", (), CKR.TEMPLATE_INCOMPLETE),
        ("SECP256R1", ((CKA.KEY_TYPE, pack_ulong(CKK.AES)),), CKR.TEMPLATE_INCOMPLETE),
        ("SECP256R1", ((CKA.KEY_TYPE, pack_ulong(CKK.EC)),), CKR.TEMPLATE_INCOMPLETE),
        ("SECP256R1", ((CKA.KEY_TYPE, pack_ulong(CKK.ML_KEM)),), CKR.TEMPLATE_INCONSISTENT),
        ("SECP256R1", ((CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)),), CKR.TEMPLATE_INCONSISTENT),
        ("SECP256R1", (*AES, (CKA.EXTRACTABLE, YES)), CKR.TEMPLATE_INCONSISTENT),
        ("SECP256R1", (*AES, (CKA.SENSITIVE, NO)), CKR.TEMPLATE_INCONSISTENT),
        ("SECP256R1", (*AES, (CKA.VALUE, bytes(32))), CKR.TEMPLATE_INCONSISTENT),
    ],
)
def test_wrong_derivations_are_refused(
    device_core: Any, bases: dict[str, int], point: Any, template: Any, rv: CKR
) -> None:
    given = peer_point(point) if isinstance(point, str) else point
    assert derive(device_core, bases["session"], bases["SECP256R1"], given, *template)[0] == rv


def test_a_token_key_takes_a_writable_session(device_core: Any, bases: dict[str, int]) -> None:
    reading = device_core.session(int(CKF.SERIAL_SESSION))
    wanted = (*AES, (CKA.TOKEN, YES))
    point = peer_point("SECP256R1")
    assert derive(device_core, reading, bases["SECP256R1"], point, *wanted)[0] == CKR.SESSION_READ_ONLY
    device_core.ok("C_CloseSession", reading)


def test_keys_that_may_not_agree_do_not_derive(device_core: Any, bases: dict[str, int]) -> None:
    session = bases["session"]
    _, signing = device_core.pair(session, "SECP256R1", SIGN=YES, DERIVE=NO)
    point = peer_point("SECP256R1")
    assert derive(device_core, session, signing, point, *AES)[0] == CKR.KEY_FUNCTION_NOT_PERMITTED
    device_core.ok("C_DestroyObject", session, signing)


def test_the_mechanism_is_vendor_defined_and_allowed_where_it_works(
    device_core: Any, bases: dict[str, int]
) -> None:
    assert CKM.HEM_DERIVE & 0x80000000
    assert CKM.HEM_DERIVE in device_core.ok("C_GetMechanismList", 0, 100)
    for curve in ("SECP521R1", "CURVE25519"):
        allowed = device_core.value(bases["session"], bases[curve], CKA.ALLOWED_MECHANISMS)
        assert pack_ulong(CKM.HEM_DERIVE) in [allowed[at : at + 8] for at in range(0, len(allowed), 8)]
