"""An error ends the operation it came out of; a size query and a short buffer do not."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import pytest
from hem_pkcs11.calls import CALLS
from hem_pkcs11.constants import CKF, CKG, CKK, CKM, CKR
from hem_pkcs11.functions import failures
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import GcmMessageParameters, GcmParameters, Mechanism
from support.keyops import template

from hem_provider.errors import HemConnectionError

R = CKR
GCM = Mechanism(CKM.AES_GCM, GcmParameters(bytes(12), b"", 128))
HMAC = Mechanism(CKM.SHA256_HMAC)
MANY = Mechanism(CKM.AES_GCM)
MESSAGE = GcmMessageParameters(
    iv=bytes(12), fixed_bits=0, generator=CKG.GENERATE, tag=bytes(16), tag_bits=128
)
END = int(CKF.END_OF_MESSAGE)
DATA = b"sixteen bytes..."
ROOM = 1000

#: What begins an operation: the init with its arguments after the session; names stand for keys.
DIGEST = ("C_DigestInit", Mechanism(CKM.SHA256))
SIGN = ("C_SignInit", HMAC, "hmac")
VERIFY = ("C_VerifyInit", HMAC, "hmac")
VERIFY_SIGNATURE = ("C_VerifySignatureInit", HMAC, "hmac", bytes(32))
ENCRYPT = ("C_EncryptInit", GCM, "aes")
DECRYPT = ("C_DecryptInit", GCM, "aes")
#: Function → what begins, and arguments that it accepts.
OPERATIONS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "C_Digest": ((DIGEST,), (DATA, ROOM)),
    "C_DigestUpdate": ((DIGEST,), (DATA,)),
    "C_DigestKey": ((DIGEST,), ("hmac",)),
    "C_DigestFinal": ((DIGEST,), (ROOM,)),
    "C_Sign": ((SIGN,), (DATA, ROOM)),
    "C_SignUpdate": ((SIGN,), (DATA,)),
    "C_SignFinal": ((SIGN,), (ROOM,)),
    "C_Verify": ((VERIFY,), (DATA, bytes(32))),
    "C_VerifyUpdate": ((VERIFY,), (DATA,)),
    "C_VerifyFinal": ((VERIFY,), (bytes(32),)),
    "C_VerifySignature": ((VERIFY_SIGNATURE,), (DATA,)),
    "C_VerifySignatureUpdate": ((VERIFY_SIGNATURE,), (DATA,)),
    "C_VerifySignatureFinal": ((VERIFY_SIGNATURE,), ()),
    "C_Encrypt": ((ENCRYPT,), (DATA, ROOM)),
    "C_EncryptUpdate": ((ENCRYPT,), (DATA, ROOM)),
    "C_EncryptFinal": ((ENCRYPT,), (ROOM,)),
    "C_Decrypt": ((DECRYPT,), (DATA + DATA, ROOM)),
    "C_DecryptUpdate": ((DECRYPT,), (DATA, ROOM)),
    "C_DecryptFinal": ((DECRYPT,), (ROOM,)),
    "C_DigestEncryptUpdate": ((DIGEST, ENCRYPT), (DATA, ROOM)),
    "C_DecryptDigestUpdate": ((DECRYPT, DIGEST), (DATA, ROOM)),
    "C_SignEncryptUpdate": ((SIGN, ENCRYPT), (DATA, ROOM)),
    "C_DecryptVerifyUpdate": ((DECRYPT, VERIFY), (DATA, ROOM)),
}
#: Function of a message in parts → its init, begin and arguments.
MESSAGES: dict[str, tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = {
    "C_EncryptMessageNext": (
        ("C_MessageEncryptInit", MANY, "aes"),
        ("C_EncryptMessageBegin", MESSAGE, b""),
        (MESSAGE, DATA, ROOM, END),
    ),
    "C_DecryptMessageNext": (
        ("C_MessageDecryptInit", MANY, "aes"),
        ("C_DecryptMessageBegin", MESSAGE, b""),
        (MESSAGE, DATA, ROOM, END),
    ),
    "C_SignMessageNext": (
        ("C_MessageSignInit", HMAC, "hmac"),
        ("C_SignMessageBegin", None),
        (None, DATA, ROOM),
    ),
    "C_VerifyMessageNext": (
        ("C_MessageVerifyInit", HMAC, "hmac"),
        ("C_VerifyMessageBegin", None),
        (None, DATA, bytes(32)),
    ),
}
#: What tells whether the operation that an init began still runs: none of these arguments is wrong.
PROBES = {
    "C_DigestInit": ("C_DigestFinal", ROOM),
    "C_SignInit": ("C_SignFinal", ROOM),
    "C_VerifyInit": ("C_VerifyFinal", bytes(32)),
    "C_VerifySignatureInit": ("C_VerifySignatureFinal",),
    "C_EncryptInit": ("C_EncryptFinal", ROOM),
    "C_DecryptInit": ("C_DecryptFinal", ROOM),
}


class Host:
    def __init__(self, core: Any) -> None:
        self.core, self.session = core, core.user_session()
        self.keys = {
            name: core.ok("C_CreateObject", self.session, template(kind, bytes(32), private=True))
            for name, kind in (("aes", CKK.AES), ("hmac", CKK.GENERIC_SECRET))
        }

    def rv(self, name: str, *arguments: Any) -> CKR:
        known = [self.keys.get(each, each) if isinstance(each, str) else each for each in arguments]
        return self.core.rv(name, self.session, *known)

    def ok(self, call: tuple[Any, ...]) -> None:
        assert self.rv(*call) == R.OK, call[0]

    def refuse(self, name: str, rv: CKR) -> None:
        """The call's arguments cannot be read."""

        def read() -> NoReturn:
            raise Pkcs11Error(rv)

        assert self.core.module.serve(name, self.session, read) == (rv, None)

    def runs(self, init: str) -> bool:
        return self.rv(*PROBES[init]) != R.OPERATION_NOT_INITIALIZED


@pytest.fixture
def host(core: Any) -> Host:
    return Host(core)


def test_the_table_has_every_function_that_works_on_an_operation() -> None:
    pattern = re.compile(
        r"C_(?:Digest|Sign|Verify|VerifySignature|Encrypt|Decrypt)(?:Update|Final|Key)?"
        r"|C_\w+(?:Encrypt|Digest|Verify)Update|C_\w+MessageNext"
    )
    works = {name for name in CALLS if pattern.fullmatch(name)}
    assert works == set(failures._OPERATIONS) | set(failures._MESSAGES)
    assert works == set(OPERATIONS) | set(MESSAGES)


@pytest.mark.parametrize("rv", [R.ARGUMENTS_BAD, R.DEVICE_ERROR, R.GENERAL_ERROR, R.DATA_LEN_RANGE])
@pytest.mark.parametrize("name", OPERATIONS)
def test_any_error_ends_what_the_call_works_on(host: Host, name: str, rv: CKR) -> None:
    inits, arguments = OPERATIONS[name]
    for init in inits:
        host.ok(init)
    host.refuse(name, rv)
    assert host.rv(name, *arguments) == R.OPERATION_NOT_INITIALIZED
    for init in inits:
        assert not host.runs(init[0])
        host.ok(init)  # and another can begin


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_error_that_says_that_nothing_runs_ends_nothing_else(host: Host, name: str) -> None:
    """Two calls that are for one of two operations alone, say."""
    inits, _ = OPERATIONS[name]
    host.ok(inits[0])
    host.refuse(name, R.OPERATION_NOT_INITIALIZED)
    assert host.runs(inits[0][0])


@pytest.mark.parametrize(
    "name", [name for name, (_, given) in OPERATIONS.items() if given and given[-1] == ROOM]
)
def test_a_size_query_and_a_short_buffer_end_nothing(host: Host, name: str) -> None:
    inits, (*arguments, _) = OPERATIONS[name]
    for init in inits:
        host.ok(init)
    assert host.rv(name, *arguments, None) == R.OK
    gives = name not in (
        "C_DecryptUpdate",
        "C_DecryptFinal",
        "C_DecryptDigestUpdate",
        "C_DecryptVerifyUpdate",
    )
    if gives:  # plaintext of GCM comes with the tag only
        assert host.rv(name, *arguments, 0) == R.BUFFER_TOO_SMALL
    assert all(host.runs(init[0]) for init in inits)


@pytest.mark.parametrize("name", MESSAGES)
def test_an_error_in_the_parts_of_a_message_ends_the_message_alone(host: Host, name: str) -> None:
    init, begin, arguments = MESSAGES[name]
    host.ok(init)
    host.ok(begin)
    host.refuse(name, R.ARGUMENTS_BAD)
    assert host.rv(name, *arguments) == R.OPERATION_NOT_INITIALIZED
    host.ok(begin)  # the next message of the same operation
    assert host.rv(name, *arguments) in (R.OK, R.AEAD_DECRYPT_FAILED, R.SIGNATURE_INVALID)


def test_a_message_that_fails_leaves_the_operation_to_the_next(host: Host) -> None:
    host.ok(("C_MessageDecryptInit", MANY, "aes"))
    for _ in range(2):
        assert host.rv("C_DecryptMessage", MESSAGE, b"", DATA, ROOM) == R.AEAD_DECRYPT_FAILED
    host.ok(("C_MessageDecryptFinal",))


def test_a_device_that_fails_ends_the_signature(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = core.user_session()
    _, private = core.pair(session)

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise HemConnectionError("gone")

    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
    with monkeypatch.context() as patch:
        patch.setattr(core.hem, "sign", fail)
        assert core.rv("C_Sign", session, DATA, ROOM) == R.DEVICE_ERROR
    assert core.rv("C_Sign", session, DATA, ROOM) == R.OPERATION_NOT_INITIALIZED


@pytest.mark.parametrize("size", [2049, 2**31])
def test_what_the_device_does_not_take_is_refused_by_its_length_alone(core: Any, size: int) -> None:
    class Unreadable(bytes):
        """As long as it says, and nowhere to be read."""

        def __len__(self) -> int:
            return size

        def __bytes__(self) -> bytes:
            raise AssertionError("the data were read")

    session = core.user_session()
    public, private = core.pair(session)
    for call in (("C_Sign", Unreadable(), ROOM), ("C_SignUpdate", Unreadable())):
        core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private)
        assert core.rv(call[0], session, *call[1:]) == R.DATA_LEN_RANGE
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)
    assert core.rv("C_Verify", session, DATA, Unreadable()) == R.SIGNATURE_LEN_RANGE
    rv = core.rv("C_VerifySignatureInit", session, Mechanism(CKM.ECDSA_SHA256), public, Unreadable())
    assert rv == R.SIGNATURE_LEN_RANGE
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), public)  # nothing was begun
