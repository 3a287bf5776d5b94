"""Mechanism parameters: each mechanism in each of its uses with every kind of parameter there is.

What a mechanism does not take is refused when the operation begins, never when it has data already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cffi
import pytest
from hem_pkcs11.bridge.parameters import read_message, read_no_message, read_parameter
from hem_pkcs11.constants import CKA, CKD, CKF, CKK, CKM, CKO, CKR
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.log import Level, log
from hem_pkcs11.mechanisms import MECHANISMS, MechanismRow, Scheme
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import (
    CtrParameters,
    EcdhParameters,
    EddsaParameters,
    GcmParameters,
    Mechanism,
    Parameters,
    SignContext,
    pack_bool,
    pack_ulong,
)

YES, NO = pack_bool(True), pack_bool(False)
BLOCK = bytes(16)
STRUCTURES = (Path(__file__).parents[2] / "shim" / "src" / "structures.h").read_text()

#: Parameters of every kind, right for some mechanism and wrong for the others.
EVERY: tuple[Parameters, ...] = (
    None,
    b"x",
    bytes(15),
    BLOCK,
    bytes(17),
    pack_ulong(0),
    pack_ulong(1),
    pack_ulong(16),
    pack_ulong(65),
    CtrParameters(0, BLOCK),
    CtrParameters(1, BLOCK),
    CtrParameters(128, BLOCK),
    CtrParameters(129, BLOCK),
    GcmParameters(b"", b"", 128),
    GcmParameters(bytes(7), b"", 128),
    GcmParameters(bytes(12), b"", 0),
    GcmParameters(bytes(12), b"", 127),
    GcmParameters(bytes(12), b"aad", 96),
    GcmParameters(bytes(12), b"", 128),
    GcmParameters(bytes(12), b"", 136),
    GcmParameters(bytes(129), b"", 128),
    EddsaParameters(prehash=False, context=b""),
    EddsaParameters(prehash=False, context=b"context"),
    EddsaParameters(prehash=True, context=b""),
    EddsaParameters(prehash=True, context=bytes(255)),
    EddsaParameters(prehash=False, context=bytes(256)),
    SignContext(0, b""),
    SignContext(0, bytes(255)),
    SignContext(0, bytes(256)),
    SignContext(1, b""),
    EcdhParameters(CKD.NULL, b"", b""),
    EcdhParameters(CKD.NULL, b"", bytes(65)),
    EcdhParameters(0x7777, b"", b""),
)


def _general(size: int) -> Callable[[Parameters], bool]:
    return lambda given: given in {pack_ulong(each) for each in (1, 16, 65) if each <= size}


def _gcm(given: Parameters) -> bool:
    return isinstance(given, GcmParameters) and 8 <= len(given.iv) <= 128 and given.tag_bits in (96, 128)


def _eddsa(type_name: str) -> Callable[[Parameters], bool]:
    def accepts(given: Parameters) -> bool:
        if given is None:
            return type_name == "ED25519"  # Ed448 needs the structure (6.3.15)
        if not isinstance(given, EddsaParameters) or len(given.context) > 255:
            return False
        return given.prehash or bool(given.context) or type_name == "ED448"

    return accepts


#: What is accepted, for mechanisms that take a parameter at all.
ACCEPTS: dict[Scheme, Callable[[Parameters], bool]] = {
    Scheme.CBC: lambda given: given == BLOCK,
    Scheme.CBC_PAD: lambda given: given == BLOCK,
    Scheme.CTR: lambda given: isinstance(given, CtrParameters) and 1 <= given.counter_bits <= 128,
    Scheme.GCM: _gcm,
    Scheme.MLDSA: lambda given: (
        given is None or (isinstance(given, SignContext) and given.hedge == 0 and len(given.context) < 256)
    ),
    Scheme.ECDH: lambda _: False,  # a right one holds a public key: tests of its own
    Scheme.DEVICE_DERIVE: lambda _: False,
}


class Keys:
    """One key of each kind, and how each use of a mechanism begins."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.session = core.user_session()
        self.pairs: dict[str, tuple[int, int]] = {}
        self.secrets: dict[int, int] = {}

    def pair(self, name: str) -> tuple[int, int]:
        if name not in self.pairs:
            kind = KINDS[name]
            derive = [(CKA.DERIVE, YES)] if kind.key_type in (CKK.EC, CKK.EC_MONTGOMERY) else []
            public, private = [(CKA.TOKEN, YES), kind_template(name)], [(CKA.TOKEN, YES), *derive]
            if derive and kind.key_type == CKK.EC:
                private.append((CKA.SIGN, YES))
            self.pairs[name] = self.core.ok(
                "C_GenerateKeyPair", self.session, Mechanism(kind.generation), public, private
            )
        return self.pairs[name]

    def secret(self, key_type: int) -> int:
        if key_type not in self.secrets:
            flags = (CKA.ENCRYPT, CKA.DECRYPT, CKA.SIGN, CKA.VERIFY, CKA.WRAP, CKA.UNWRAP)
            self.secrets[key_type] = self.core.ok(
                "C_CreateObject",
                self.session,
                [
                    (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
                    (CKA.KEY_TYPE, pack_ulong(key_type)),
                    (CKA.EXTRACTABLE, YES),
                    (CKA.VALUE, bytes(range(32))),
                    *((flag, YES) for flag in flags),
                ],
            )
        return self.secrets[key_type]

    def begin(self, use: CKF, row: MechanismRow, name: str, parameter: Parameters) -> CKR:
        """The return value of the call that starts ``use`` with a key of type ``name``."""
        mechanism = Mechanism(row.type, parameter)
        public, private = self.pair(name) if name in KINDS else (self.secret(CKK[name]),) * 2
        rv = self.core.rv(*self._call(use, mechanism, public, private))
        for place in ("Sign", "Verify", "Encrypt", "Decrypt", *(f"Message{each}" for each in MESSAGES)):
            self.core.rv(f"C_{place}Init", self.session, None, 0)
        self.core.rv("C_DigestInit", self.session, None)
        return rv

    def _call(self, use: CKF, mechanism: Mechanism, public: int, private: int) -> tuple[Any, ...]:
        session = self.session
        derived = [(CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)), (CKA.EXTRACTABLE, YES)]
        match use:
            case CKF.VERIFY | CKF.MESSAGE_VERIFY:
                return f"C_{MESSAGE[use]}Init", session, mechanism, public
            case CKF.DIGEST:
                return "C_DigestInit", session, mechanism
            case CKF.WRAP:
                return "C_WrapKey", session, mechanism, private, private, 100
            case CKF.UNWRAP:
                wrapped = bytes(24)
                return "C_UnwrapKey", session, mechanism, private, wrapped, [
                    (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)), *derived
                ]  # fmt: skip
            case CKF.DERIVE:
                return "C_DeriveKey", session, mechanism, private, derived
            case CKF.ENCAPSULATE:
                return "C_EncapsulateKey", session, mechanism, public, derived, 2000
            case CKF.DECAPSULATE:
                return "C_DecapsulateKey", session, mechanism, private, derived, bytes(1)
            case CKF.GENERATE:
                return "C_GenerateKey", session, mechanism, []
            case CKF.GENERATE_KEY_PAIR:
                return "C_GenerateKeyPair", session, mechanism, [], []
        return f"C_{MESSAGE[use]}Init", session, mechanism, private


MESSAGE = {
    CKF.SIGN: "Sign",
    CKF.VERIFY: "Verify",
    CKF.ENCRYPT: "Encrypt",
    CKF.DECRYPT: "Decrypt",
    CKF.MESSAGE_SIGN: "MessageSign",
    CKF.MESSAGE_VERIFY: "MessageVerify",
    CKF.MESSAGE_ENCRYPT: "MessageEncrypt",
    CKF.MESSAGE_DECRYPT: "MessageDecrypt",
}
MESSAGES = ("Sign", "Verify", "Encrypt", "Decrypt")
USES = (
    *MESSAGE,
    CKF.DIGEST, CKF.WRAP, CKF.UNWRAP, CKF.DERIVE, CKF.ENCAPSULATE, CKF.DECAPSULATE, CKF.GENERATE,
    CKF.GENERATE_KEY_PAIR,
)  # fmt: skip
#: Names of the keys to try a mechanism with.
TRIED = {
    Scheme.ECDSA: ("SECP256R1",),
    Scheme.EDDSA: ("ED25519", "ED448"),
    Scheme.MLDSA: ("MLDSA44",),
    Scheme.MLKEM: ("MLKEM768",),
    Scheme.ECDH: ("SECP256R1", "CURVE25519"),
    Scheme.DEVICE_DERIVE: ("SECP256R1", "CURVE25519"),
    Scheme.HMAC: ("GENERIC_SECRET",),
}


def kind_template(name: str) -> tuple[int, bytes]:
    kind = KINDS[name]
    if kind.ec_params:
        return CKA.EC_PARAMS, kind.ec_params
    return CKA.PARAMETER_SET, pack_ulong(kind.parameter_set)


@pytest.fixture(scope="module")
def keys(device_core: Any) -> Iterator[Keys]:
    level, log.level = log.level, Level.OFF  # thousands of refusals
    yield Keys(device_core)
    log.level = level


def accepts(row: MechanismRow, use: CKF, name: str) -> Callable[[Parameters], bool]:
    if use in (CKF.MESSAGE_ENCRYPT, CKF.MESSAGE_DECRYPT):
        return lambda given: given is None  # each message brings its own
    if row.general:
        import hashlib

        return _general(hashlib.new(row.hash).digest_size)
    if row.scheme is Scheme.EDDSA:
        return _eddsa(name)
    return ACCEPTS.get(row.scheme, lambda given: given is None)


@pytest.mark.parametrize("row", MECHANISMS.values(), ids=lambda row: row.type.name)
def test_a_parameter_that_a_mechanism_does_not_take_is_refused_when_it_begins(
    keys: Keys, row: MechanismRow
) -> None:
    for use in USES:
        if not row.flags & use:
            continue
        for name in TRIED.get(row.scheme, ("AES",)):
            accepted = accepts(row, use, name)
            for given in EVERY:
                rv = keys.begin(use, row, name, given)
                wrong = rv == CKR.MECHANISM_PARAM_INVALID
                assert wrong != accepted(given), f"{use!r} with {name} and {given!r}: {rv!r}"


# --- C memory -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ffi() -> cffi.FFI:
    made = cffi.FFI()
    made.cdef(STRUCTURES)
    return made


def view(ffi: cffi.FFI) -> Callable[[int, int], memoryview]:
    def read(address: int, length: int) -> memoryview:
        assert length == 0 or address >= 2**16, "read through a bad pointer"
        return (
            memoryview(ffi.buffer(ffi.cast("unsigned char *", address), length))
            if length
            else memoryview(b"")
        )

    return read


#: Mechanism, its structure, its pairs of pointer and length.
SHAPES = (
    (CKM.EDDSA, "CK_EDDSA_PARAMS", (("pContextData", "ulContextDataLen"),)),
    (
        CKM.ECDH1_DERIVE, "CK_ECDH1_DERIVE_PARAMS",
        (("pSharedData", "ulSharedDataLen"), ("pPublicData", "ulPublicDataLen")),
    ),
    (CKM.AES_CTR, "CK_AES_CTR_PARAMS", ()),
    (CKM.AES_GCM, "CK_GCM_PARAMS", (("pIv", "ulIvLen"), ("pAAD", "ulAADLen"))),
    (CKM.AES_GCM, "HEM_GCM_PARAMS_SHORT", (("pIv", "ulIvLen"), ("pAAD", "ulAADLen"))),
    (CKM.ML_DSA, "CK_SIGN_ADDITIONAL_CONTEXT", (("pContext", "ulContextLen"),)),
)  # fmt: skip


def refused(ffi: cffi.FFI, kind: int, address: Any, size: int) -> bool:
    mechanism = ffi.new("CK_MECHANISM *", {"mechanism": kind, "pParameter": address, "ulParameterLen": size})
    try:
        read_parameter(ffi, view(ffi), mechanism)
    except Pkcs11Error as error:
        return error.rv == CKR.MECHANISM_PARAM_INVALID
    return False


@pytest.mark.parametrize(("kind", "structure", "fields"), SHAPES, ids=lambda each: str(each)[:24])
def test_a_structure_of_another_size_or_with_a_bad_pointer_is_not_read(
    ffi: cffi.FFI, kind: int, structure: str, fields: tuple[tuple[str, str], ...]
) -> None:
    size = ffi.sizeof(structure)
    memory = ffi.new(f"{structure} *")
    sizes = {ffi.sizeof(each) for other, each, _ in SHAPES if other == kind}
    room = ffi.new("char[]", 200)
    for wrong in {1, size - 1, size + 1, size + 8, 2 * size, 2**17, 2**63} - sizes:
        assert refused(ffi, kind, ffi.cast("void *", room), wrong), wrong
    assert refused(ffi, kind, ffi.NULL, size)
    assert not refused(ffi, kind, ffi.cast("void *", memory), size)
    for pointer, length in fields:
        for given in (1, 2**16 + 1, 2**63):
            setattr(memory, length, given)
            assert refused(ffi, kind, ffi.cast("void *", memory), size), f"{length} = {given}, NULL"
        setattr(memory, pointer, ffi.cast("unsigned char *", room))
        setattr(memory, length, 2**16 + 1)
        assert refused(ffi, kind, ffi.cast("void *", memory), size)
        setattr(memory, length, 3)
        assert not refused(ffi, kind, ffi.cast("void *", memory), size)


def test_a_length_without_a_place_is_refused_by_every_mechanism(ffi: cffi.FFI) -> None:
    for kind in (*MECHANISMS, 0, 0x80001234):
        assert refused(ffi, kind, ffi.NULL, 1)
        assert not refused(ffi, kind, ffi.NULL, 0)


def test_the_parameters_of_a_message_are_read_only_where_they_are_whole(ffi: cffi.FFI) -> None:
    size = ffi.sizeof("CK_GCM_MESSAGE_PARAMS")
    iv, tag = ffi.new("unsigned char[16]"), ffi.new("unsigned char[16]")
    right = {"pIv": iv, "ulIvLen": 12, "pTag": tag, "ulTagBits": 128}

    def fails(length: int = size, *, address: bool = True, **changes: Any) -> bool:
        memory = ffi.new("CK_GCM_MESSAGE_PARAMS *", right | changes)
        place = int(ffi.cast("uintptr_t", memory)) if address else 0
        try:
            read_message(ffi, view(ffi), place, length)
        except Pkcs11Error as error:
            return error.rv == CKR.MECHANISM_PARAM_INVALID
        return False

    assert not fails()
    assert fails(size - 1)
    assert fails(size + 1)
    assert fails(address=False)
    assert fails(pIv=ffi.NULL)
    assert fails(pTag=ffi.NULL)
    assert fails(ulIvLen=2**40)
    assert fails(ulTagBits=136)


def test_a_signed_message_has_no_parameter_of_its_own() -> None:
    read_no_message(0)
    with pytest.raises(Pkcs11Error) as caught:
        read_no_message(8)
    assert caught.value.rv == CKR.MECHANISM_PARAM_INVALID
