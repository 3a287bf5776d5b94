"""Every attribute × every way an object comes into being: kept, enforced and read back, or refused.

What is read back is compared with the template here by the standard's own terms, not by the module's
rules; the device is an emulated one in the process.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hem_pkcs11.constants import CKA, CKD, CKK, CKM, CKO, CKR
from hem_pkcs11.encodings import octet_string
from hem_pkcs11.keykinds import KINDS, curve_of
from hem_pkcs11.mechanisms import MECHANISMS
from hem_pkcs11.values import (
    CtrParameters,
    EcdhParameters,
    EddsaParameters,
    GcmParameters,
    Mechanism,
    pack_bool,
    pack_ulong,
    pack_ulongs,
    unpack_ulongs,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

YES, NO = pack_bool(True), pack_bool(False)
Template = list[tuple[int, bytes]]
#: What a template may be answered with.
REFUSALS = {
    CKR.ATTRIBUTE_READ_ONLY, CKR.ATTRIBUTE_TYPE_INVALID, CKR.ATTRIBUTE_VALUE_INVALID, CKR.TEMPLATE_INCOMPLETE,
    CKR.TEMPLATE_INCONSISTENT, CKR.CURVE_NOT_SUPPORTED, CKR.PARAMETER_SET_NOT_SUPPORTED,
}  # fmt: skip

# --- values ------------------------------------------------------------------------------------

BOOLS = [
    CKA.TOKEN, CKA.PRIVATE, CKA.TRUSTED, CKA.SENSITIVE, CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP, CKA.UNWRAP,
    CKA.SIGN, CKA.SIGN_RECOVER, CKA.VERIFY, CKA.VERIFY_RECOVER, CKA.DERIVE, CKA.EXTRACTABLE, CKA.LOCAL,
    CKA.NEVER_EXTRACTABLE, CKA.ALWAYS_SENSITIVE, CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE,
    CKA.ALWAYS_AUTHENTICATE, CKA.WRAP_WITH_TRUSTED, CKA.ENCAPSULATE, CKA.DECAPSULATE,
]  # fmt: skip
NUMBERS = [
    CKA.CLASS, CKA.CERTIFICATE_TYPE, CKA.CERTIFICATE_CATEGORY, CKA.JAVA_MIDP_SECURITY_DOMAIN, CKA.KEY_TYPE,
    CKA.NAME_HASH_ALGORITHM, CKA.VALUE_LEN, CKA.KEY_GEN_MECHANISM, CKA.PARAMETER_SET,
]  # fmt: skip
DATES = [CKA.START_DATE, CKA.END_DATE]
FLAGS = [
    CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP, CKA.UNWRAP, CKA.SIGN, CKA.VERIFY, CKA.DERIVE, CKA.ENCAPSULATE,
    CKA.DECAPSULATE,
]  # fmt: skip
WORKING = [row.type for row in MECHANISMS.values() if row.key_types]

odd = st.sampled_from([b"", b"\x02", b"\x00\x01", bytes(7), bytes(9)])
bools = st.sampled_from([YES, NO])
numbers = st.sampled_from([0, 1, 2, 3, 4, 8, 16, 20, 32, CKK.AES, CKK.EC, CKM.SHA256, 2**63]).map(pack_ulong)
days = st.dates().map(lambda day: day.strftime("%Y%m%d").rjust(8, "0").encode()) | st.sampled_from(
    [b"", b"20260230", b"2026-1-1", b"20261127", b"20270101"]
)
mechanisms = st.lists(st.sampled_from(WORKING) | st.integers(0, 2**32), max_size=4).map(
    lambda each: pack_ulongs(tuple(each))
)
texts = st.sampled_from([b"", b"label", b"x" * 33, "ü".encode(), b"a\nb", bytes(41), bytes(16)]) | st.binary(
    max_size=50
)


def value_of(kind: int) -> st.SearchStrategy[bytes]:
    if kind in BOOLS:
        return st.integers(0, 19).flatmap(lambda n: bools if n else odd)
    if kind in NUMBERS:
        return numbers | odd
    if kind in DATES:
        return days
    return mechanisms if kind == CKA.ALLOWED_MECHANISMS else texts


#: Half of what is drawn are the attributes that hosts send.
COMMON = [*FLAGS, CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE, CKA.LABEL, CKA.ID, *DATES, CKA.PRIVATE]
COMMON += [CKA.ALLOWED_MECHANISMS, CKA.WRAP_WITH_TRUSTED, CKA.SENSITIVE, CKA.EXTRACTABLE, CKA.TOKEN]
attributes = (st.sampled_from(COMMON) | st.sampled_from([*CKA, 0x80001234])).flatmap(
    lambda kind: st.tuples(st.just(int(kind)), value_of(kind))
)
extras = st.lists(attributes, max_size=4, unique_by=lambda row: row[0])


def over(base: Sequence[tuple[int, bytes]], extra: Template) -> Template:
    """``base`` with what ``extra`` says instead or besides."""
    return list((dict(base) | dict(extra)).items())


# --- ways --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """``run``: core, session, drawn attributes → return value, and for each object that came into
    being its handle and what was asked of it."""

    name: str
    run: Callable[[Any, int, Template], tuple[CKR, list[tuple[int, Template]]]]


def pair_way(name: str, half: int) -> Way:
    kind = KINDS[name]
    chosen = (
        (CKA.EC_PARAMS, kind.ec_params)
        if kind.ec_params
        else (CKA.PARAMETER_SET, pack_ulong(kind.parameter_set or 0))
    )

    def run(core: Any, session: int, extra: Template) -> tuple[CKR, list[tuple[int, Template]]]:
        asked: list[Template] = [[chosen], []]
        asked[half] = over(asked[half], extra)
        token = dict(extra).get(CKA.TOKEN)
        if token is not None:
            asked[1 - half] = over(asked[1 - half], [(CKA.TOKEN, token)])
        rv, made = core.module.call("C_GenerateKeyPair", session, Mechanism(kind.generation), *asked)
        return rv, list(zip(made or (), asked, strict=False))

    return Way(f"generate {name} {('public', 'private')[half]}", run)


def one(name: str, call: Callable[[Any, int, Template], tuple[CKR, Any]], *base: tuple[int, bytes]) -> Way:
    """A function that makes one object of one template."""

    def run(core: Any, session: int, extra: Template) -> tuple[CKR, list[tuple[int, Template]]]:
        asked = over(base, extra)
        rv, handle = call(core, session, asked)
        return rv, [(handle, asked)] if rv == CKR.OK else []

    return Way(name, run)


def generate(name: str) -> Way:
    kind = KINDS[name]
    size = [(CKA.VALUE_LEN, pack_ulong(kind.type.secret_size))] if kind.type.secret_size else []

    def call(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
        return core.module.call("C_GenerateKey", session, Mechanism(kind.generation), asked)  # type: ignore[no-any-return]

    return one(f"generate {name}", call, *size)


def create(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    return core.module.call("C_CreateObject", session, asked)  # type: ignore[no-any-return]


KEK = bytes(range(32))
SECRET = (CKA.CLASS, pack_ulong(CKO.SECRET_KEY))


def memory_aes(core: Any, session: int, *more: tuple[int, bytes]) -> int:
    handle: int = core.ok(
        "C_CreateObject", session, [SECRET, (CKA.KEY_TYPE, pack_ulong(CKK.AES)), (CKA.VALUE, KEK), *more]
    )
    return handle


def unwrap(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    wrapped = aes_key_wrap(KEK, bytes(16))
    kek = memory_aes(core, session)
    return core.module.call("C_UnwrapKey", session, Mechanism(CKM.AES_KEY_WRAP), kek, wrapped, asked)  # type: ignore[no-any-return]


def point() -> bytes:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def p256(core: Any, session: int) -> tuple[int, int]:
    made: tuple[int, int] = core.ok(
        "C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN),
        [(CKA.EC_PARAMS, KINDS["SECP256R1"].ec_params)], [],
    )  # fmt: skip
    return made


def derive(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    mechanism = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(CKD.NULL, b"", point()))
    return core.module.call("C_DeriveKey", session, mechanism, p256(core, session)[1], asked)  # type: ignore[no-any-return]


def derive_inside(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    mechanism = Mechanism(CKM.HEM_DERIVE, point())
    return core.module.call("C_DeriveKey", session, mechanism, p256(core, session)[1], asked)  # type: ignore[no-any-return]


def mlkem(core: Any, session: int) -> tuple[int, int]:
    made: tuple[int, int] = core.ok(
        "C_GenerateKeyPair",
        session,
        Mechanism(CKM.ML_KEM_KEY_PAIR_GEN),
        [(CKA.PARAMETER_SET, pack_ulong(2))],
        [],
    )
    return made


def encapsulate(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    public, _ = mlkem(core, session)
    rv, made = core.module.call("C_EncapsulateKey", session, Mechanism(CKM.ML_KEM), public, asked, 1088)
    return rv, made[1] if rv == CKR.OK else None


def decapsulate(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    public, private = mlkem(core, session)
    ciphertext, _ = core.ok("C_EncapsulateKey", session, Mechanism(CKM.ML_KEM), public, [], 1088)
    return core.module.call("C_DecapsulateKey", session, Mechanism(CKM.ML_KEM), private, asked, ciphertext)  # type: ignore[no-any-return]


def public_base() -> tuple[tuple[int, bytes], ...]:
    return (
        (CKA.CLASS, pack_ulong(CKO.PUBLIC_KEY)), (CKA.KEY_TYPE, pack_ulong(CKK.EC)),
        (CKA.EC_PARAMS, KINDS["SECP256R1"].ec_params or b""), (CKA.EC_POINT, octet_string(point())),
    )  # fmt: skip


def import_public(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    return create(core, session, over([(CKA.TOKEN, YES), *public_base()], asked))


def certificate() -> bytes:
    key, now = ed25519.Ed25519PrivateKey.generate(), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0x80, now, now + datetime.timedelta(1))
    return builder.sign(key, None).public_bytes(Encoding.DER)


CERTIFICATE = certificate()
CERTIFICATE_BASE = ((CKA.CLASS, pack_ulong(CKO.CERTIFICATE)), (CKA.VALUE, CERTIFICATE))
DATA_BASE = ((CKA.CLASS, pack_ulong(CKO.DATA)), (CKA.VALUE, b"data"))
AES_BASE = (SECRET, (CKA.KEY_TYPE, pack_ulong(CKK.AES)), (CKA.VALUE, KEK))
GENERIC_BASE = (SECRET, (CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)), (CKA.VALUE, b"generic"))


def copying(base: Sequence[tuple[int, bytes]]) -> Callable[[Any, int, Template], tuple[CKR, Any]]:
    def copy(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
        handle = core.ok("C_CreateObject", session, list(base))
        return core.module.call("C_CopyObject", session, handle, asked)  # type: ignore[no-any-return]

    return copy


def copy_pair(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
    _, private = p256(core, session)
    return core.module.call("C_CopyObject", session, private, asked)  # type: ignore[no-any-return]


def creating(base: Sequence[tuple[int, bytes]]) -> Callable[[Any, int], int]:
    return lambda core, session: core.ok("C_CreateObject", session, list(base))  # type: ignore[no-any-return]


def setting(make: Callable[[Any, int], int]) -> Callable[[Any, int, Template], tuple[CKR, Any]]:
    def change(core: Any, session: int, asked: Template) -> tuple[CKR, Any]:
        handle = make(core, session)
        return core.rv("C_SetAttributeValue", session, handle, asked), handle

    return change


BASES = {"AES": AES_BASE, "public": public_base(), "certificate": CERTIFICATE_BASE, "data": DATA_BASE}
WAYS = [
    *(pair_way(name, half) for name in ("SECP256R1", "ED25519", "CURVE25519", "MLKEM768") for half in (0, 1)),
    pair_way("MLDSA44", 1), pair_way("SECP384R1", 1), pair_way("ED448", 0),
    *(generate(name) for name in ("AES128", "AES256", "SHA2-256", "SHA3-512")),
    one("create generic", create, *GENERIC_BASE),
    *(one(f"create {name}", create, *base) for name, base in BASES.items()),
    one("import public", import_public),
    one("unwrap", unwrap, (CKA.KEY_TYPE, pack_ulong(CKK.AES))),
    one("derive", derive),
    one(
        "derive in the device", derive_inside,
        (CKA.KEY_TYPE, pack_ulong(CKK.AES)), (CKA.VALUE_LEN, pack_ulong(16)),
    ),
    one("encapsulate", encapsulate), one("decapsulate", decapsulate),
    *(one(f"copy {name}", copying(base)) for name, base in BASES.items()),
    one("copy pair", copy_pair, (CKA.TOKEN, YES)),
    *(one(f"set {name}", setting(creating(base))) for name, base in BASES.items()),
    one("set private", setting(lambda core, session: p256(core, session)[1])),
]  # fmt: skip


# --- what must hold ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keeper(device_core: Any) -> Iterator[Any]:
    """The device with a session that keeps the login."""
    session = device_core.user_session()
    yield device_core
    device_core.ok("C_CloseSession", session)


def read(core: Any, session: int, handle: int, kind: int) -> tuple[CKR, bytes | None]:
    query = core.ok("C_GetAttributeValue", session, handle, [(kind, 10_000)])
    return query.rv, query.values[0]


def in_device(core: Any, handle: int) -> bool:
    return hasattr(core.module.slot(0).objects.get(handle, private=True), "key")


def assert_read_back(core: Any, session: int, handle: int, asked: Template) -> None:
    """Each attribute says what the template said, or what the standard lets it say instead."""
    object_class = core.value(session, handle, CKA.CLASS)
    inside = in_device(core, handle)
    uses = [kind for kind, value in asked if kind in FLAGS and value == YES]
    for kind, value in asked:
        rv, got = read(core, session, handle, kind)
        where = (CKA(kind).name if kind in list(CKA) else kind, value, got)
        if kind == CKA.VALUE and rv == CKR.ATTRIBUTE_SENSITIVE:
            continue  # it is there, and kept to itself
        assert rv == CKR.OK, where
        assert got is not None
        if kind == CKA.EC_PARAMS:
            assert curve_of(got) is curve_of(value), where
        elif kind == CKA.EC_POINT:
            assert value.endswith(got[2:]), where
        elif kind == CKA.ALLOWED_MECHANISMS:
            assert set(unpack_ulongs(got)) == set(unpack_ulongs(value)) != set(), where
        elif value == b"" and kind in (CKA.LABEL, CKA.ID) and inside:
            assert got, where  # the device wants a label, and the id of a key without one is its KID
        elif value == b"" and kind in (CKA.CHECK_VALUE, CKA.PUBLIC_KEY_INFO):
            assert got, where
        elif value == b"" and object_class == pack_ulong(CKO.CERTIFICATE):
            assert got or kind in (CKA.ID, CKA.LABEL, CKA.URL, *DATES) or "HASH" in CKA(kind).name, where
        elif kind == CKA.SERIAL_NUMBER:
            assert got.endswith(value), where
        elif (
            inside
            and value == YES
            and got == NO
            and kind in FLAGS
            and object_class != pack_ulong(CKO.SECRET_KEY)
        ):
            # Left out, since the type cannot do it: only beside a use that it can.
            assert kind in (CKA.SIGN, CKA.VERIFY, CKA.DERIVE, CKA.ENCAPSULATE, CKA.DECAPSULATE), where
            assert any(read(core, session, handle, each)[1] == YES for each in uses) or kind == CKA.DERIVE, (
                where
            )
        else:
            assert got == value, where


PARAMETERS: dict[int, Any] = {
    CKM.AES_CBC: bytes(16), CKM.AES_CBC_PAD: bytes(16), CKM.AES_CTR: CtrParameters(128, bytes(16)),
    CKM.AES_GCM: GcmParameters(bytes(12), b"", 128), CKM.SHA256_HMAC_GENERAL: pack_ulong(16),
    CKM.SHA3_512_HMAC_GENERAL: pack_ulong(16),
}  # fmt: skip
#: Function, flag that permits it, and mechanisms to try it with.
PROBES = [
    ("C_EncryptInit", CKA.ENCRYPT, (CKM.AES_ECB, CKM.AES_CBC, CKM.AES_CBC_PAD, CKM.AES_CTR, CKM.AES_GCM)),
    ("C_DecryptInit", CKA.DECRYPT, (CKM.AES_ECB, CKM.AES_CBC, CKM.AES_CTR, CKM.AES_GCM)),
    ("C_SignInit", CKA.SIGN, (CKM.AES_CMAC, CKM.SHA256_HMAC, CKM.SHA256_HMAC_GENERAL, CKM.SHA3_512_HMAC,
                              CKM.ECDSA_SHA256, CKM.ECDSA_SHA512, CKM.EDDSA, CKM.ML_DSA)),
    ("C_VerifyInit", CKA.VERIFY, (CKM.AES_CMAC, CKM.SHA256_HMAC, CKM.ECDSA_SHA256, CKM.ECDSA_SHA512,
                                  CKM.EDDSA)),
]  # fmt: skip
PAIRED = {CKA.SIGN: CKO.PRIVATE_KEY, CKA.VERIFY: CKO.PUBLIC_KEY}


def mechanism_for(mechanism: int, item: Any) -> Mechanism:
    """With the parameter that the key wants: Ed448 signs with one only, Ed25519 without."""
    if mechanism == CKM.EDDSA and item.kind.type.name == "ED448":
        return Mechanism(mechanism, EddsaParameters(prehash=False, context=b""))
    return Mechanism(mechanism, PARAMETERS.get(mechanism))


def assert_enforced(core: Any, handle: int, session: int) -> None:
    """What the object says it may do is what it does."""
    item = core.module.slot(0).objects.get(handle, private=True)
    if item.key_type is None:
        return
    for function, flag, tried in PROBES:
        rv, permitted = read(core, session, handle, flag)
        for mechanism in tried:
            row = MECHANISMS[mechanism]
            symmetric = item.object_class == CKO.SECRET_KEY
            if rv != CKR.OK or item.key_type not in row.key_types:
                continue
            if not symmetric and PAIRED.get(flag) != item.object_class:
                continue
            allowed = mechanism in unpack_ulongs(core.value(session, handle, CKA.ALLOWED_MECHANISMS))
            own = core.session()
            answer = core.rv(function, own, mechanism_for(mechanism, item), handle)
            core.ok("C_CloseSession", own)
            if permitted == YES and allowed:
                assert answer == CKR.OK, (function, mechanism, answer)
            elif allowed:
                assert answer == CKR.KEY_FUNCTION_NOT_PERMITTED, (function, mechanism, answer)
            else:
                assert answer in (CKR.MECHANISM_INVALID, CKR.KEY_FUNCTION_NOT_PERMITTED), (
                    function,
                    mechanism,
                    answer,
                )
    for flag, mechanism, attempt in _key_attempts(core, session, handle, item):
        rv, permitted = read(core, session, handle, flag)
        if rv != CKR.OK or item.key_type not in MECHANISMS[mechanism].key_types:
            continue
        allowed = mechanism in unpack_ulongs(core.value(session, handle, CKA.ALLOWED_MECHANISMS))
        answer, refusals = (
            attempt(),
            (CKR.KEY_FUNCTION_NOT_PERMITTED, CKR.MECHANISM_INVALID, CKR.KEY_SIZE_RANGE),
        )
        assert (answer in refusals) == (permitted == NO or not allowed), (flag, mechanism, answer)
    if read(core, session, handle, CKA.COPYABLE)[1] == NO:
        assert core.rv("C_CopyObject", session, handle, []) == CKR.ACTION_PROHIBITED
    if read(core, session, handle, CKA.MODIFIABLE)[1] == NO:
        assert core.rv("C_SetAttributeValue", session, handle, [(CKA.LABEL, b"z")]) == CKR.ACTION_PROHIBITED


def _key_attempts(
    core: Any, session: int, handle: int, item: Any
) -> list[tuple[CKA, CKM, Callable[[], CKR]]]:
    """Wrapping, unwrapping, agreeing, encapsulating, as far as the object is of the kind for it."""
    wrap, kem = Mechanism(CKM.AES_KEY_WRAP), Mechanism(CKM.ML_KEM)
    ecdh = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(CKD.NULL, b"", point()))
    sizes = [(CKA.VALUE_LEN, pack_ulong(16))]
    if item.object_class == CKO.SECRET_KEY:
        return [
            (CKA.WRAP, CKM.AES_KEY_WRAP, lambda: core.rv(
                "C_WrapKey", session, wrap, handle, memory_aes(core, session), None)),
            (CKA.UNWRAP, CKM.AES_KEY_WRAP, lambda: core.rv(
                "C_UnwrapKey", session, wrap, handle, bytes(24), [(CKA.KEY_TYPE, pack_ulong(CKK.AES))])),
        ]  # fmt: skip
    if item.object_class == CKO.PUBLIC_KEY:
        return [(CKA.ENCAPSULATE, CKM.ML_KEM, lambda: core.rv(
            "C_EncapsulateKey", session, kem, handle, [], None))]  # fmt: skip
    return [
        (CKA.DERIVE, CKM.ECDH1_DERIVE, lambda: core.rv("C_DeriveKey", session, ecdh, handle, sizes)),
        (CKA.DECAPSULATE, CKM.ML_KEM, lambda: core.rv(
            "C_DecapsulateKey", session, kem, handle, [], bytes(1088))),
    ]  # fmt: skip


def clear_away(core: Any, session: int, handle: int) -> None:
    """Destroy what stays; what may not be destroyed is refused, and then taken away behind its back."""
    slot = core.module.slot(0)
    item = slot.objects.get(handle, private=True)
    if item.flag(CKA.DESTROYABLE):
        core.ok("C_DestroyObject", session, handle)
        return
    assert core.rv("C_DestroyObject", session, handle) == CKR.ACTION_PROHIBITED
    if item.owner is None:
        slot.objects.remove(item)
        if hasattr(item, "key"):
            slot.hem.keys.delete(item.key)
        else:
            slot.store.delete(item)


def check(core: Any, way: Way, extra: Template) -> CKR:
    session = core.session()
    rv, made = way.run(core, session, extra)
    prohibited = way.name.startswith(("copy", "set"))
    assert rv == CKR.OK or rv in REFUSALS or (prohibited and rv == CKR.ACTION_PROHIBITED), rv
    if rv == CKR.OK:
        for handle, asked in made:
            assert_read_back(core, session, handle, asked)
            assert_enforced(core, handle, session)
        clear_away(core, session, made[0][0])
    core.ok("C_CloseSession", session)
    return rv


#: The types that differ from those above in their sizes.
MORE = [
    *(pair_way(name, half) for name, kind in KINDS.items() if not kind.type.symmetric for half in (0, 1)),
    *(generate(name) for name, kind in KINDS.items() if kind.type.symmetric),
]
MORE = [way for way in MORE if way.name not in {each.name for each in WAYS}]

quick = settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@quick
@given(extra=extras)
def test_a_template_is_followed_and_read_back_or_refused(keeper: Any, way: Way, extra: Template) -> None:
    event(check(keeper, way, extra).name)


@pytest.mark.long
@pytest.mark.parametrize("way", [*WAYS, *MORE], ids=lambda way: way.name)
@settings(quick, max_examples=300)
@given(extra=extras)
def test_many_templates_are_followed_and_read_back_or_refused(keeper: Any, way: Way, extra: Template) -> None:
    event(check(keeper, way, extra).name)


def some(*beginnings: str) -> list[Way]:
    return [way for way in WAYS if way.name.startswith(beginnings)]


@pytest.mark.parametrize(
    "way",
    some("generate AES256", "generate SECP256R1 private", "create AES", "set AES", "copy data"),
    ids=lambda way: way.name,
)
@pytest.mark.parametrize("value", [YES, NO, b"", b"\x02"], ids=["true", "false", "empty", "two"])
def test_each_flag_alone_is_followed_or_refused(keeper: Any, way: Way, value: bytes) -> None:
    for kind in BOOLS:
        check(keeper, way, [(kind, value)])


@pytest.mark.parametrize(
    "way",
    some("create", "generate AES256", "generate ED25519", "set", "unwrap"),
    ids=lambda way: way.name,
)
def test_every_attribute_of_the_standard_alone_is_followed_or_refused(keeper: Any, way: Way) -> None:
    for kind in CKA:
        value = YES if kind in BOOLS else pack_ulong(1) if kind in NUMBERS else os.urandom(8)
        check(keeper, way, [(int(kind), value)])
