"""The layers over the client as rows: each in this process, with the code that its program runs."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hem_pkcs11.constants import CKA, CKD, CKF, CKK, CKM, CKO, CKR, CKU
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.module import Module
from hem_pkcs11.values import EcdhParameters, Mechanism, pack_bool, pack_ulong
from keyring.errors import KeyringError
from support.operations import MESSAGE
from support.passphrases import PASSPHRASE
from support.sshagent import HemSource

from campaign.faults.operations import Operation, Told
from campaign.faults.world import World
from hem_provider.adapters.age.devicekeys import recipient_of
from hem_provider.adapters.age.header import LineReader, Stanza, read_stanza
from hem_provider.adapters.age.identities import identity_of
from hem_provider.adapters.age.plugin.devices import Devices
from hem_provider.adapters.age.plugin.identity import unwrap
from hem_provider.adapters.age.plugin.protocol import Client
from hem_provider.adapters.age.plugin.recipient import wrap
from hem_provider.adapters.keyring import HemKeyring
from hem_provider.adapters.scdaemon import serve
from hem_provider.agent.ssh.identities import ssh_key
from hem_provider.agent.ssh.numbers import Number
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.protocol import SshAgent
from hem_provider.cli.gpg.shelf import DeviceShelf
from hem_provider.config import Config, DeviceConfig, Pkcs11Config
from hem_provider.sshwire import string, uint32

__all__ = ["LAYERS"]

_numbers = itertools.count()

# --- the PKCS#11 module ---

#: What a function may answer when the device does not do what it should, PKCS#11 3.2 §5.1.
#: ``CKR_GENERAL_ERROR`` and ``CKR_HOST_MEMORY`` are none of them: they say that the module itself is broken.
_CKR = frozenset({
    CKR.DEVICE_ERROR, CKR.DEVICE_MEMORY, CKR.DEVICE_REMOVED, CKR.FUNCTION_FAILED, CKR.KEY_HANDLE_INVALID,
    CKR.OBJECT_HANDLE_INVALID, CKR.TOKEN_NOT_PRESENT, CKR.TOKEN_NOT_RECOGNIZED, CKR.USER_NOT_LOGGED_IN,
    CKR.SESSION_HANDLE_INVALID, CKR.SESSION_CLOSED, CKR.TOKEN_NOT_INITIALIZED, CKR.ACTION_PROHIBITED,
    CKR.KEY_FUNCTION_NOT_PERMITTED,
})  # fmt: skip


class Host:
    """A program that has the module: a session, and keys by label."""

    def __init__(self, world: World) -> None:
        device = DeviceConfig(url=f"emulator:{world.rig.path}", name="hem")
        config = Config(devices=(device,), pkcs11=Pkcs11Config())
        self.module = Module(load_config=lambda: config)
        self.did("C_Initialize", None)
        self.session = self.did("C_OpenSession", 0, int(CKF.SERIAL_SESSION | CKF.RW_SESSION), False, False)

    def did(self, name: str, *arguments: Any) -> Any:
        """What a function gives; ``Told`` when it fails as functions may, ``AssertionError`` else."""
        rv, result = self.module.call(name, *arguments)
        if rv != CKR.OK:
            if rv not in _CKR:
                raise AssertionError(f"{name}: {rv!r}")
            raise Told(
                f"{rv!r}".split(":")[0].split(".")[-1].strip("<> "), may_be_made=rv == CKR.DEVICE_ERROR
            )
        return result

    def login(self) -> None:
        rv, _ = self.module.call("C_Login", self.session, CKU.USER, PASSPHRASE.encode())
        if rv not in (CKR.OK, CKR.USER_ALREADY_LOGGED_IN):
            if rv not in _CKR:
                raise AssertionError(f"C_Login: {rv!r}")
            raise Told(rv.name)

    def find(self, kind: int, label: str) -> int:
        wanted = [(CKA.CLASS, pack_ulong(kind)), (CKA.LABEL, label.encode())]
        self.did("C_FindObjectsInit", self.session, wanted)
        try:
            found = self.did("C_FindObjects", self.session, 10)
        finally:
            self.module.call("C_FindObjectsFinal", self.session)
        if len(found) != 1:  # a device that is wiped, or another one
            raise Told("none found") if not found else AssertionError(f"{len(found)} keys {label}")
        return int(found[0])

    def private(self, label: str) -> int:
        return self.find(CKO.PRIVATE_KEY, label)


@contextmanager
def _module(world: World) -> Iterator[Host]:
    host = Host(world)
    try:
        yield host
    finally:
        host.module.call("C_Finalize", False)


def _with_login(run: Callable[[Host, World, Any], Any]) -> Callable[[Host, World, Any], Any]:
    def do(host: Host, world: World, given: Any) -> Any:
        host.login()
        return run(host, world, given)

    return do


def _pkcs11_signature(name: str, mechanism: int, size: int) -> Operation:
    def run(host: Host, _: World, __: Any) -> bytes:
        key = host.private(name)
        host.did("C_SignInit", host.session, Mechanism(mechanism), key)
        return bytes(host.did("C_Sign", host.session, MESSAGE, size))

    def true(signature: bytes, world: World, _: Any) -> bool:
        public = world.keys.public[name]
        try:
            if mechanism == CKM.ECDSA_SHA256:
                half = len(signature) // 2
                r, s = (int.from_bytes(each, "big") for each in (signature[:half], signature[half:]))
                public.verify(encode_dss_signature(r, s), MESSAGE, ec.ECDSA(hashes.SHA256()))
            else:
                public.verify(signature, MESSAGE)
        except (InvalidSignature, ValueError):
            return False
        return True

    return Operation("PKCS#11 module", f"C_Sign {name}", _module, _with_login(run), true)


def _pkcs11_derive(host: Host, world: World, _: Any) -> bytes:
    peer = world.keys.peer.public_bytes_raw()
    template = [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)), (CKA.KEY_TYPE, pack_ulong(CKK.GENERIC_SECRET)),
        (CKA.TOKEN, pack_bool(False)), (CKA.SENSITIVE, pack_bool(False)), (CKA.EXTRACTABLE, pack_bool(True)),
    ]  # fmt: skip
    mechanism = Mechanism(CKM.ECDH1_DERIVE, EcdhParameters(CKD.NULL, b"", peer))
    made = host.did("C_DeriveKey", host.session, mechanism, host.private("CURVE25519"), template)
    return bytes(_attribute(host, made, CKA.VALUE))


def _attribute(host: Host, handle: int, kind: int) -> bytes:
    query = host.did("C_GetAttributeValue", host.session, handle, [(kind, 10_000)])
    if query.rv != CKR.OK:
        raise Told(query.rv.name) if query.rv in _CKR else AssertionError(f"{kind:#x}: {query.rv!r}")
    return bytes(query.values[0])


def _pkcs11_point(host: Host, _: World, __: Any) -> bytes:
    return _attribute(host, host.find(CKO.PUBLIC_KEY, "ED25519"), CKA.EC_POINT)


def _pkcs11_encrypt(host: Host, _: World, __: Any) -> bytes:
    key = host.find(CKO.SECRET_KEY, "AES256")
    host.did("C_EncryptInit", host.session, Mechanism(CKM.AES_ECB), key)
    return bytes(host.did("C_Encrypt", host.session, bytes(32), 64))


def _encrypted_by_another(made: bytes, world: World, _: Any) -> bool:
    again = world.keys.hem.encrypt(world.keys.kids["AES256"], bytes(32), "AES256-ECB")
    return bool(made == again.ciphertext)


def _pkcs11_pair(host: Host, _: World, __: Any) -> Any:
    kind = KINDS["SECP256R1"]
    both = [(CKA.TOKEN, pack_bool(True)), (CKA.LABEL, f"pair {next(_numbers)}".encode())]
    public = [*both, (CKA.EC_PARAMS, kind.ec_params)]
    return host.did("C_GenerateKeyPair", host.session, Mechanism(kind.generation), public, both)


def _pkcs11_secret(host: Host, _: World, __: Any) -> Any:
    template = [(CKA.TOKEN, pack_bool(True)), (CKA.LABEL, f"secret {next(_numbers)}".encode()),
                (CKA.VALUE_LEN, pack_ulong(32))]  # fmt: skip
    return host.did("C_GenerateKey", host.session, Mechanism(CKM.AES_KEY_GEN), template)


def _labelled(world: World, _: Any) -> tuple[str, str]:
    label = f"short-lived {next(_numbers)}"
    return label, str(world.keys.hem.keys.create("ED25519", label=label).kid)


def _pkcs11_destroy(host: Host, _: World, given: tuple[str, str]) -> None:
    host.did("C_DestroyObject", host.session, host.private(given[0]))


def _pkcs11_rename(host: Host, _: World, given: tuple[str, str]) -> str:
    label = f"renamed {next(_numbers)}"
    host.did("C_SetAttributeValue", host.session, host.private(given[0]), [(CKA.LABEL, label.encode())])
    return label


def _is_logged_in(host: Host, _: World) -> None:
    host.login()


def _signs_again(host: Host, world: World) -> bool:
    """A key that another program has made meanwhile need not be seen at once; those that were there are."""
    signature = _MODULE[1]
    return signature.true(signature.do(host, world, None), world, None)


def _pkcs11_random(host: Host, _: World, __: Any) -> bytes:
    return bytes(host.did("C_GenerateRandom", host.session, 32))


def _pkcs11(name: str, run: Any, true: Any, **more: Any) -> Operation:
    return Operation("PKCS#11 module", name, _module, _with_login(run), true, **more)


_MODULE = (
    _pkcs11_signature("SECP256R1", CKM.ECDSA_SHA256, 64),
    _pkcs11_signature("ED25519", CKM.EDDSA, 64),
    _pkcs11_signature("MLDSA44", CKM.ML_DSA, 2420),
    _pkcs11("C_DeriveKey", _pkcs11_derive, lambda value, world, _: value == world.keys.secret),
    _pkcs11("C_GetAttributeValue", _pkcs11_point,
            lambda value, world, _: value.endswith(world.keys.raw["ED25519"])),
    _pkcs11("C_Encrypt", _pkcs11_encrypt, _encrypted_by_another),
    _pkcs11("C_GenerateKeyPair", _pkcs11_pair, lambda made, _, __: len(made) == 2, change=1),
    _pkcs11("C_GenerateKey", _pkcs11_secret, lambda made, _, __: made > 0, change=1),
    _pkcs11("C_DestroyObject", _pkcs11_destroy, lambda _, world, given: given[1] not in world.kids(),
            prepare=_labelled, change=-1, warm=_is_logged_in, again=_signs_again),
    _pkcs11("C_SetAttributeValue", _pkcs11_rename, lambda label, world, _: label in world.rig.labels(),
            prepare=_labelled, warm=_is_logged_in, again=_signs_again),
    _pkcs11("C_GenerateRandom", _pkcs11_random, lambda data, _, __: len(data) == 32 and data != bytes(32)),
)  # fmt: skip

# --- the keyring: deleting asks no device ---


@contextmanager
def _keyring(_: World) -> Iterator[HemKeyring]:
    backend = HemKeyring()
    try:
        yield backend
    finally:
        backend.close()


def _password(world: World, _: Any) -> tuple[str, str]:
    """A service with a password that is there."""
    service, word = f"mail {next(_numbers)}", f"word {next(_numbers)}"
    backend = HemKeyring()
    backend.set_password(service, "anna", word)
    backend.close()
    return service, word


def _reads(service: str) -> str | None:
    backend = HemKeyring()
    try:
        return backend.get_password(service, "anna")
    finally:
        backend.close()


def _sets(backend: HemKeyring, _: World, given: tuple[str, str]) -> None:
    backend.set_password(given[0], "anna", "another")


_KEYRING = tuple(
    Operation("keyring", name, _keyring, do, true, _password, ours=(KeyringError,))
    for name, do, true in (
        (
            "get",
            lambda backend, _, given: backend.get_password(given[0], "anna"),
            lambda word, _, given: word == given[1],
        ),
        (
            "credential",
            lambda backend, _, given: backend.get_credential(given[0], None),
            lambda found, _, given: (found.username, found.password) == ("anna", given[1]),
        ),
        ("set", _sets, lambda _, __, given: _reads(given[0]) == "another"),
    )
)

# --- age ---

_FILE_KEY = bytes(range(16))


class _Talk(io.RawIOBase):
    """A program that runs the plugin: what it says first, and ``ok`` to everything."""

    def __init__(self, *said: Stanza) -> None:
        self._waiting = io.BytesIO(b"".join(each.encoded() for each in (*said, Stanza("done", (), b""))))
        self.heard: list[Stanza] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._waiting.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        reader = LineReader(io.BytesIO(data))
        self.heard.append(read_stanza(reader.next(), reader))
        answer = Stanza("fail" if self.heard[-1].kind == "request-secret" else "ok", (), b"")
        self._waiting = io.BytesIO(self._waiting.read() + answer.encoded())
        return len(data)


@contextmanager
def _nobody(_: World) -> Iterator[None]:
    """Each operation is a program of its own."""
    yield None


def _lent(*labels: str) -> Callable[[World, Any], tuple[str, str, Stanza]]:
    def prepare(world: World, _: Any) -> tuple[str, str, Stanza]:
        found = [world.keys.hem.keys.get(world.keys.kids[each]) for each in labels]
        recipient = recipient_of(*found)
        made = recipient.wrap(_FILE_KEY)
        stanza = Stanza("recipient-stanza", ("0", made.kind, *made.arguments), made.body)
        return str(recipient), str(identity_of("hem", recipient, *found[1:])), stanza

    return prepare


def _conversation(machine: Any, *said: Stanza) -> list[Stanza]:
    talk = _Talk(*said)
    client = Client(io.BufferedReader(talk), talk)  # type: ignore[arg-type]
    with Devices(client) as devices:
        machine(client, devices)
    for each in talk.heard:
        if each.kind == "error":
            raise Told(f"error {each.arguments[0]}")
    return talk.heard


def _opens(_: Any, __: World, given: tuple[str, str, Stanza]) -> bytes:
    heard = _conversation(unwrap, Stanza("add-identity", (given[1],), b""), given[2])
    found = [each.body for each in heard if each.kind == "file-key"]
    if not found:
        raise Told("nothing opened")
    return found[0]


def _wraps(_: Any, __: World, given: tuple[str, str, Stanza]) -> Stanza:
    heard = _conversation(
        wrap, Stanza("add-identity", (given[1],), b""), Stanza("wrap-file-key", (), _FILE_KEY)
    )
    return next(each for each in heard if each.kind == "recipient-stanza")


def _opens_again(made: Stanza, world: World, given: tuple[str, str, Stanza]) -> bool:
    return _opens(None, world, (given[0], given[1], made)) == _FILE_KEY


_HYBRID = ("CURVE25519", "MLKEM768")
_AGE = (
    Operation(
        "age", "unwrap X25519", _nobody, _opens, lambda key, _, __: key == _FILE_KEY, _lent("CURVE25519")
    ),
    Operation("age", "unwrap hybrid", _nobody, _opens, lambda key, _, __: key == _FILE_KEY, _lent(*_HYBRID)),
    Operation("age", "wrap to an identity", _nobody, _wraps, _opens_again, _lent(*_HYBRID)),
)

# --- GnuPG's smart card daemon ---


@contextmanager
def _shelf(world: World) -> Iterator[Any]:
    with world.rig.connect() as hem:
        yield DeviceShelf([hem])


def _told_by(shelf: DeviceShelf, *lines: str) -> list[bytes]:
    """The lines of the answers; ``Told`` for the first error."""
    for device in shelf._devices.values():
        device.listed = float("-inf")
    out = io.BytesIO()
    serve(shelf, io.BytesIO("".join(f"{each}\n" for each in lines).encode()), out, version=lambda: "2.4.0")
    answers = out.getvalue().split(b"\n")[1:-1]
    for each in answers:
        if each.startswith(b"ERR "):
            raise Told(each.split(b" ")[1].decode())
    return answers


def _data(answers: list[bytes]) -> bytes:
    raw = b"".join(each[2:] for each in answers if each.startswith(b"D "))
    return raw.replace(b"%0A", b"\n").replace(b"%0D", b"\r").replace(b"%25", b"%")


def _card_signs(shelf: DeviceShelf, _: World, __: Any) -> bytes:
    name = "SERIALNO", "SETDATA " + bytes(range(64)).hex(), "PKSIGN --hash=sha512 OPENPGP.1"
    return _data(_told_by(shelf, *name))


def _card_true(signature: bytes, world: World, _: Any) -> bool:
    public: Any = world.keys.hem.keys.get(world.card[0].kid).public_key()
    try:
        public.verify(signature, bytes(range(64)))
    except InvalidSignature:
        return False
    return True


def _card_agrees(shelf: DeviceShelf, world: World, _: Any) -> bytes:
    point = "40" + world.keys.peer.public_bytes_raw().hex()
    return _data(_told_by(shelf, "SERIALNO", f"SETDATA {point}", "PKDECRYPT OPENPGP.2"))


def _card_agreed(found: bytes, world: World, _: Any) -> bool:
    return found.endswith(world.keys.hem.ecdh(world.card[1].kid, world.keys.peer.public_bytes_raw()))


_SCDAEMON = (
    Operation("scdaemon", "LEARN", _shelf, lambda shelf, _, __: _told_by(shelf, "SERIALNO", "LEARN --force"),
              lambda lines, _, __: sum(each.startswith(b"S KEY-FPR ") for each in lines) == 3),
    Operation("scdaemon", "PKSIGN", _shelf, _card_signs, _card_true),
    Operation("scdaemon", "PKDECRYPT", _shelf, _card_agrees, _card_agreed),
)  # fmt: skip

# --- the ssh-agent ---


async def _nobody_is_asked(*_: Any) -> bool:
    return False


@contextmanager
def _ssh(world: World) -> Iterator[SshAgent]:
    with world.rig.connect() as hem:
        yield SshAgent(HemSource(hem), confirm=_nobody_is_asked)


def _blob(world: World, _: Any) -> bytes:
    key = ssh_key(world.keys.hem.keys.get(world.keys.kids["ED25519"]), "hem")
    assert key is not None
    return bytes(key.blob)


def _ssh_answer(agent: SshAgent, message: bytes) -> bytes:
    answer = asyncio.run(agent.answer(message, SshPeer()))
    if answer[0] == Number.FAILURE:
        raise Told("SSH_AGENT_FAILURE")
    return answer[1:]


def _ssh_lists(agent: SshAgent, _: World, blob: bytes) -> bool:
    return blob in _ssh_answer(agent, bytes([Number.REQUEST_IDENTITIES]))


def _ssh_signs(agent: SshAgent, _: World, blob: bytes) -> bytes:
    message = bytes([Number.SIGN_REQUEST]) + string(blob) + string(MESSAGE) + uint32(0)
    return _ssh_answer(agent, message)[-64:]


def _ssh_true(signature: bytes, world: World, _: Any) -> bool:
    try:
        world.keys.public["ED25519"].verify(signature, MESSAGE)
    except InvalidSignature:
        return False
    return True


_SSH = (
    Operation("ssh-agent", "list", _ssh, _ssh_lists, lambda found, _, __: found is True, _blob),
    Operation("ssh-agent", "sign", _ssh, _ssh_signs, _ssh_true, _blob),
)

LAYERS = (*_MODULE, *_KEYRING, *_AGE, *_SCDAEMON, *_SSH)
