"""The module over a device whose answers are altered: never CKR_OK for what is not true, and never
CKR_GENERAL_ERROR."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hem_pkcs11.constants import CKA, CKD, CKK, CKM, CKO, CKR
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.values import EcdhParameters, Mechanism, pack_bool, pack_ulong
from support.altering import BODIES, alterations, altered, paths, value_at
from support.rig import connected
from support.samples import endpoint_of

MESSAGE = b"message"
#: In the normal run each field meets one in so many alterations, in turns; all of them in the long one.
SHARE = 13
#: What a function may answer when the device's answer cannot be used.
REFUSALS = frozenset({CKR.DEVICE_ERROR, CKR.FUNCTION_FAILED, CKR.KEY_HANDLE_INVALID})


class Slot:
    """The module with a session and a key of each kind; ``rig`` alters what the device answers."""

    def __init__(self, core: Any, rig: Any) -> None:
        self.core, self.rig = core, rig
        core.ok("C_Initialize", None)
        self.session = core.user_session()
        self.private: dict[str, int] = {}
        self.native: dict[str, Any] = {}
        with rig.connect() as hem:
            for name in ("SECP256R1", "ED25519", "CURVE25519", "MLDSA44", "MLKEM768"):
                self.private[name] = self._pair(name)
                hem.keys.refresh()
                self.native[name] = hem.keys.find(label=name).public_key()
            self.aes = core.ok(
                "C_GenerateKey",
                self.session,
                Mechanism(CKM.AES_KEY_GEN),
                [
                    (CKA.TOKEN, pack_bool(True)),
                    (CKA.LABEL, b"aes"),
                    (CKA.VALUE_LEN, pack_ulong(32)),
                    (CKA.ALLOWED_MECHANISMS, pack_ulong(CKM.AES_ECB) + pack_ulong(CKM.AES_KEY_WRAP)),
                ],
            )

    def _pair(self, name: str) -> int:
        kind = KINDS[name]
        both = [(CKA.TOKEN, pack_bool(True)), (CKA.LABEL, name.encode())]
        public = [(CKA.PARAMETER_SET, pack_ulong(kind.parameter_set))] if kind.parameter_set else []
        if kind.ec_params:
            public = [(CKA.EC_PARAMS, kind.ec_params)]
        handles = self.core.ok(
            "C_GenerateKeyPair", self.session, Mechanism(kind.generation), [*both, *public], both
        )
        return int(handles[1])


def _sign(name: str, mechanism: int, size: int) -> Callable[[Slot], tuple[CKR, Any]]:
    def run(slot: Slot) -> tuple[CKR, Any]:
        core, session = slot.core, slot.session
        rv = core.rv("C_SignInit", session, Mechanism(mechanism), slot.private[name])
        return (rv, None) if rv != CKR.OK else core.module.call("C_Sign", session, MESSAGE, size)

    return run


def _verifies(slot: Slot, name: str, signature: bytes) -> bool:
    public = slot.native[name]
    try:
        if name == "SECP256R1":
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public.verify(encode_dss_signature(r, s), MESSAGE, ec.ECDSA(hashes.SHA256()))
        else:
            public.verify(signature, MESSAGE)
    except (InvalidSignature, ValueError):
        return False
    return True


def _derive(slot: Slot) -> tuple[CKR, Any]:
    peer = x25519.X25519PrivateKey.generate()
    core, session = slot.core, slot.session
    parameters = EcdhParameters(CKD.NULL, b"", peer.public_key().public_bytes_raw())
    template = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
        (CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)),
        (CKA.TOKEN, pack_bool(False)),
        (CKA.SENSITIVE, pack_bool(False)),
        (CKA.EXTRACTABLE, pack_bool(True)),
    ]
    mechanism = Mechanism(CKM.ECDH1_DERIVE, parameters)
    rv, handle = core.module.call("C_DeriveKey", session, mechanism, slot.private["CURVE25519"], template)
    if rv != CKR.OK:
        return rv, None
    value = core.value(session, handle, CKA.VALUE)
    return rv, value == peer.exchange(slot.native["CURVE25519"])


def _encrypt(slot: Slot) -> tuple[CKR, Any]:
    core, session = slot.core, slot.session
    rv = core.rv("C_EncryptInit", session, Mechanism(CKM.AES_ECB), slot.aes)
    return (rv, None) if rv != CKR.OK else core.module.call("C_Encrypt", session, bytes(32), 64)


def _encrypted(slot: Slot, result: bytes) -> bool:
    return len(result) == 32 and result[:16] == result[16:]


@dataclass(frozen=True)
class Function:
    name: str
    run: Callable[[Slot], tuple[CKR, Any]]
    true: Callable[[Slot, Any], bool]

    def __str__(self) -> str:
        return self.name


FUNCTIONS = (
    Function(
        "C_Sign ECDSA",
        _sign("SECP256R1", CKM.ECDSA_SHA256, 64),
        lambda slot, found: _verifies(slot, "SECP256R1", found),
    ),
    Function(
        "C_Sign EdDSA",
        _sign("ED25519", CKM.EDDSA, 64),
        lambda slot, found: _verifies(slot, "ED25519", found),
    ),
    Function(
        "C_Sign ML-DSA",
        _sign("MLDSA44", CKM.ML_DSA, 2420),
        lambda slot, found: _verifies(slot, "MLDSA44", found),
    ),
    Function("C_DeriveKey", _derive, lambda _, same: same is True),
    Function("C_Encrypt", _encrypt, _encrypted),
)


@pytest.fixture(scope="module")
def slot(template: Any, tmp_path_factory: Any, make_device_core: Any) -> Iterator[Slot]:
    folder = tmp_path_factory.mktemp("altered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        with connected(patch, template, folder / "device.hem") as rig:
            core = make_device_core(folder / "device.hem")
            yield Slot(core, rig)
            rig.alter = None
            core.ok("C_Finalize", False)


def cases(slot: Slot, function: Function, share: int) -> Iterator[tuple[str, Any, str, Any]]:
    seen: dict[str, bytes] = {}

    def note(line: str, body: bytes) -> bytes:
        seen.setdefault(endpoint_of(line), body)
        return body

    slot.rig.alter = note
    rv, result = function.run(slot)
    slot.rig.alter = None
    assert rv == CKR.OK
    assert function.true(slot, result)
    turn = share - 1
    for endpoint, body in seen.items():
        for name, change in BODIES.items():
            turn += 1
            if turn % share == 0:
                yield endpoint, "body", name, change
        document = json.loads(body)
        for at in paths(document):
            for name, wrong in alterations(value_at(document, at), at).items():
                turn += 1
                if turn % share == 0:
                    yield endpoint, at, name, lambda found, at=at, wrong=wrong: altered(found, at, wrong)


def check(slot: Slot, function: Function, share: int) -> int:
    refused = 0
    for endpoint, at, name, change in cases(slot, function, share):
        slot.rig.alter = lambda line, body: change(body) if endpoint_of(line) == endpoint else body  # noqa: B023
        rv, result = function.run(slot)
        slot.rig.alter = None
        place = f"{endpoint} {at} {name}"
        if rv == CKR.OK:
            assert function.true(slot, result), place
        else:
            assert rv in REFUSALS, f"{place}: {rv!r}"
            refused += 1
        rv, result = function.run(slot)
        assert (rv, function.true(slot, result)) == (CKR.OK, True), f"after {place}"
    return refused


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_a_function_on_altered_answers_gives_the_true_result_or_an_error(
    slot: Slot, function: Function
) -> None:
    assert check(slot, function, SHARE) > 0


@pytest.mark.long
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_a_function_on_every_alteration_gives_the_true_result_or_an_error(
    slot: Slot, function: Function
) -> None:
    assert check(slot, function, 1) > 10


UNTRUE = [
    *(("C_Sign EdDSA", "sign", bytes(size)) for size in (0, 1, 63, 65, 60_000)),
    ("C_Sign EdDSA", "sign", bytes(64)),
    *(
        ("C_Sign ECDSA", "sign", encode_dss_signature(r, s))
        for r, s in ((0, 1), (1, 0), (1, 2**256 - 1), (2**384, 1), (5, 7))
    ),
    *(("C_Sign ML-DSA", "sign", bytes(size)) for size in (0, 2419, 2420, 2421)),
    *(("C_DeriveKey", "ecdh", bytes(size)) for size in (0, 31, 32, 33)),
    ("C_DeriveKey", "ecdh", b"\1" * 33),
    *(("C_Encrypt", "ciphertext", bytes(size)) for size in (0, 31, 48)),
]


@pytest.mark.parametrize(("name", "field", "value"), UNTRUE, ids=lambda each: str(each)[:20])
def test_what_cannot_be_true_is_a_device_error(slot: Slot, name: str, field: str, value: bytes) -> None:
    function = next(each for each in FUNCTIONS if each.name == name)
    # The module reads the public half as hosts do, so that signatures are verified.
    for handle in slot.core.find(slot.session, (CKA.CLASS, pack_ulong(CKO.PUBLIC_KEY))):
        slot.core.rv("C_GetAttributeValue", slot.session, handle, [(CKA.PUBLIC_KEY_INFO, 10_000)])
    slot.rig.alter = lambda _, body: altered(body, (field,), base64.b64encode(value).decode())
    try:
        assert function.run(slot)[0] == CKR.DEVICE_ERROR
    finally:
        slot.rig.alter = None
    rv, result = function.run(slot)
    assert rv == CKR.OK
    assert function.true(slot, result)
