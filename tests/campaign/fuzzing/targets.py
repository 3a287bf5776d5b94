"""The Python parsers that read what others wrote: each with what may come of it, and inputs to begin with.

A target's ``make`` imports what it tries and returns the function that takes one input; so that only what is
fuzzed is loaded, and instrumented. Whatever it raises beyond ``accepted`` is a defect; so is more than
``MOST_SECONDS`` or ``MOST_GROWTH`` for one input.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["MOST_GROWTH", "MOST_SECONDS", "TARGETS", "ForeignError", "Target", "held", "ready"]

MOST_SECONDS = 1.0
MOST_GROWTH = 200 * 1024  # KiB that the process grows by
LOG_KEY_OF = bytes(range(32))

Run = Callable[[bytes], object]


class ForeignError(BaseException):
    """Something that serves others swallowed an exception that is none of ours; or a limit was broken."""


@dataclass(frozen=True, slots=True)
class Target:
    """``accepted``: names of exceptions that are an answer, by module. ``most``: bytes of an input."""

    name: str
    what: str
    make: Callable[[], Run]
    seeds: Callable[[], list[bytes]]
    accepted: tuple[str, ...] = ("hem_provider.errors:HemError",)
    most: int = 4096


def ready(target: Target) -> Run:
    """The function for one input, with its limits and its exceptions."""
    logging.disable(logging.CRITICAL)
    run = target.make()
    accepted = tuple(_named(each) for each in target.accepted)
    return held(run, accepted)


def held(run: Run, accepted: tuple[type[BaseException], ...]) -> Run:
    """``run``, that takes no longer and no more than a parser may, and raises nothing but defects."""

    def one(data: bytes) -> None:
        _forget_peak()
        before, began = _peak(), time.process_time()
        with suppress(*accepted):
            run(data)
        took, grown = time.process_time() - began, _peak() - before
        if took > MOST_SECONDS:
            raise ForeignError(f"{took:.1f} s for {len(data)} bytes; accepted: {MOST_SECONDS}")
        if grown > MOST_GROWTH:
            raise ForeignError(f"{grown} KiB more for {len(data)} bytes; accepted: {MOST_GROWTH}")

    return one


def _forget_peak() -> None:
    """So that what an input before it took hides nothing: proc(5), clear_refs."""
    with suppress(OSError), Path("/proc/self/clear_refs").open("wb", buffering=0) as file:
        file.write(b"5")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _named(text: str) -> type[BaseException]:
    import importlib

    module, _, name = text.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    return found


# --- the device's answers -------------------------------------------------------------------------


def _answers() -> Run:
    from support.samples import CALLS

    from hem_provider.rest.answer import Answer
    from hem_provider.rest.wire import Reply

    calls = [each for row in CALLS.values() for each in row if each.is_json]

    def run(data: bytes) -> None:
        call = calls[data[0] % len(calls)] if data else calls[0]
        reply = Reply(200, {"content-type": "application/json"}, data[1:])
        call.read(Answer.from_reply(reply, "device: endpoint", call.answer, call.asked))

    return run


def _good_answers() -> Iterator[bytes]:
    """An answer of each endpoint that is accepted, made by trying values of each kind for each field."""
    from support.samples import CALLS, KID

    calls = [each for row in CALLS.values() for each in row if each.is_json]
    for place, call in enumerate(calls):
        made = {field.name: _fitting(field.read, call.asked, KID) for field in call.answer.fields}
        yield (
            bytes([place])
            + json.dumps({name: value for name, value in made.items() if value is not None}).encode()
        )


def _fitting(read: Callable[[Any, Any], Any], asked: Any, kid: str) -> object:
    key = {"kid": kid, "type": "PKEY,ECDH,ED25519", "label": "x", "created": 1, "updated": 2}
    texts = (
        "x",
        kid,
        "00" * 4,
        "A" * 43 + "=",
        "AAAA",
        "A" * 86 + "==",
        "1.2.2",
        "e30.e30.AAAA",
        "e30.eyJzY29wZSI6ImEiLCJzdWIiOiJVIiwiZXhwIjoxfQ.AAAA",
        "2026-01-01T00:00:00Z",
    )
    for value in (*texts, 1, 1_700_000_060, True, 1.5, [key], ["0000abcd"], [], key, {}):
        try:
            read(value, asked)
        except (ValueError, TypeError):
            continue
        return value
    return None


def _answer_seeds() -> list[bytes]:
    texts = (
        {},
        {"hostname": "a", "fls_state": 0, "inited": True},
        {"ver": "1.2.2", "hwv": "1"},
        {"sign": "AAAA", "ciphertext": "AAAA", "plaintext": "AAAA", "ecdh": "AAAA", "iv": "AA", "tag": "A"},
        {
            "total": 1,
            "listed": 1,
            "list": [
                {
                    "kid": "00" * 16,
                    "label": "x",
                    "type": "PKEY,ECDH,ED25519",
                    "created": 1,
                    "updated": 2,
                    "descr": "AAAA",
                }
            ],
        },
        {"token": "e30.eyJzY29wZSI6ImEiLCJzdWIiOiJVIiwiZXhwIjoxfQ.AAAA"},
        {"spk": "A" * 44, "jti": "A", "exp": 1},
        {"kid": "00" * 16},
        {"key": "A" * 44, "nonce": "AA", "nonce_signed": "AA"},
    )
    bodies = [json.dumps(each).encode() for each in texts] + [
        b"[" * 200,
        b'{"a":1e999}',
        b'{"a":NaN}',
        b"\xff",
    ]
    return [*_good_answers(), *(bytes([place * 5]) + body for place, body in enumerate(bodies))]


def _agent_answer() -> Run:
    from hem_provider.rest.plainanswer import read_answer

    return lambda data: read_answer(_Pieces(data), "device")  # type: ignore[arg-type]


class _Pieces:
    """A connection that gives what there is in pieces of seven bytes, and then ends."""

    def __init__(self, data: bytes, piece: int = 7) -> None:
        self.left, self.piece = data, piece

    def recv(self, most: int) -> bytes:
        size = min(most, max(self.piece, len(self.left) // 16))
        given, self.left = self.left[:size], self.left[size:]
        return given


_HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 500\r\nContent-Length: 99999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
)


def _tokens() -> Run:
    from hem_provider.rest.auth import bearer_from

    return lambda data: bearer_from(data.decode("utf-8", "surrogateescape"))


# --- logs -----------------------------------------------------------------------------------------


def _log() -> Run:
    from hem_provider.device.auditlog import verify_log

    key = _device_log().key()

    return lambda data: verify_log(data, key)


@lru_cache
def _device_log() -> Any:
    from support.devicelog import DeviceLog

    log = DeviceLog()
    log.start(3)
    log.log(3, 1, "U", "kid")
    return log


def _copies() -> Run:
    """A line of a copy, whose chain is made good first: else nothing but the chain is tried."""
    from hem_provider.auditlog.entry import Entry, Head, chained, unchained

    def run(data: bytes) -> None:
        before = "0" * 64
        if not data or data[0] & 1:
            unchained(data[1:], before if data[:1] > b"\x7f" else None)
            return
        values, _ = unchained(chained(data[1:], before)[0], before)
        (Head if data[0] & 2 else Entry).read(values)

    return run


def _copy_seeds() -> list[bytes]:
    entry = {
        "number": 1,
        "collected": 2,
        "device": "d",
        "log_key": "k",
        "file": "f",
        "line": 1,
        "raw": "0|1|2|0||",
    }
    own = {**entry, "own": "collected", "text": "t", "data": {}}
    head = {"copy": 1, "day": "2026-01-01", "after": 0, "before": "0" * 64}
    rows = ((0, {**entry, "genuine": True}), (0, own), (2, head))
    return [bytes([kind]) + json.dumps(each).encode()[:-1] for kind, each in rows] + [b"\x01abc", b"\x81abc"]


# --- files ----------------------------------------------------------------------------------------


def _config() -> Run:
    from hem_provider.config.toml_file import parse_config

    return lambda data: parse_config(Path("/etc/hem/config.toml"), data)


_TOML = (
    b'[[device]]\nurl = "https://my.ence.do"\nname = "office"\ntimeout = 3.5\nslot = 1\n'
    b"[pkcs11]\nlogin_cache = 30\n",
    b'[[device]]\nurl = "emulator:/tmp/x"\nlabel = "a"\npassphrase_file = "/x"\nauth = "mobile"\n',
    b"device = 3\n",
    b"\xef\xbb\xbf",
    b"a = " + b"[" * 500,
    b"x = 0x" + b"f" * 300,
    b"a.b.c = 1979-05-27T07:32:00Z\n",
)


def _editing() -> Run:
    from hem_provider.config import toml_file

    def run(data: bytes) -> None:
        document = toml_file.parse_document(Path("/c"), data)
        list(toml_file.misplaced(document))
        for number, table in enumerate(document.devices):
            for setting in table:
                document.place("device", number, setting)

    return run


def _vault() -> Run:
    from hem_provider.adapters.keyring.vault.format import Contents, Record

    def run(data: bytes) -> None:
        if data[:1] == b"\x01":  # with a sum that is right
            body = data[1:]
            data = body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
        contents = Contents.decode(data)
        for name, rest in contents.lines.items():
            Record.decode(name, rest)
        if contents.encode() != data:
            raise ForeignError("a vault reads otherwise than it is written")

    return run


def _vault_seeds() -> list[bytes]:
    from hem_provider.adapters.keyring.vault.format import Contents, Header, Record

    header = Header("0" * 32, "office", "1" * 32)
    contents = Contents(header).with_records(
        Record(b"c2VydmljZQ", user, "2" * 32, b"\0" * 24, b"\1" * 30) for user in (b"YQ", b"Yg")
    )
    whole = contents.encode()
    return [
        whole,
        b"\x01" + whole[: whole.rindex(b"sha256 ")],
        Contents(Header("0" * 32, "d", "1" * 32, "3" * 32)).encode(),
    ]


def _stored() -> Run:
    from hem_pkcs11.objects.stored_form import decoded, encoded

    def run(data: bytes) -> None:
        made = decoded(data, "0" * 32)
        again = decoded(encoded(made), "0" * 32)
        if again.values != made.values or again.private != made.private:
            raise ForeignError("an object reads otherwise than it is written")

    return run


_STORED = (
    b'{"class": "DATA", "private": false, "attributes": {"0x3": "bGFiZWw=", "0x11": "AAAA", "0x10": "eA=="}}',
    b'{"class": "CERTIFICATE", "private": false, "attributes": {"0x80": "AAAAAAAAAAA=", "0x11": "MAA="}}',
    b'{"class": "SECRET_KEY", "private": true, "attributes": {}}',
    b"[" * 300,
)


def _cache() -> Run:
    from hem_provider.device.cache import DiskCache, _parse_public
    from hem_provider.device.partlist import PartList

    class Read(DiskCache):
        def __init__(self, data: bytes) -> None:
            super().__init__("https://fuzzed.example")
            self.data = data

        def read(self, kind: str) -> bytes:  # noqa: ARG002
            return self.data

    def run(data: bytes) -> None:
        cache = Read(data)
        cache.listing()
        cache.scope()
        cache.identity()
        cache.seen()
        PartList(cache, "fuzzed").resume()
        _parse_public(data)

    return run


_CACHE = (
    b'{"format":1,"eid":"e","listed":3,"records":[{"kid":"00112233445566778899aabbccddeeff","type":'
    b'"PKEY,ED25519","label":"l","descr":"AAAA","created":1,"updated":2}]}',
    b'{"format":1,"scope":"keymgmt:list"}',
    b'{"format":1,"eid":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}',
    # Of a listing that has just begun.
    b'{"format":1,"eid":"e","begun":%d,"run":"r"}\n["r",[{"kid":"00112233445566778899aabbccddeeff","type":'
    b'"PKEY,ED25519","label":"l","descr":"AAAA","created":1,"updated":2}],0,40]\n' % time.time(),
    b"null",
    b"00112233445566778899aabbccddeeff AAAA\n",
)


# --- age ------------------------------------------------------------------------------------------


def _age_file() -> Run:
    from hem_provider.adapters.age.armor import ArmorReader
    from hem_provider.adapters.age.header import read_header
    from hem_provider.adapters.age.opening import check_stanza
    from hem_provider.adapters.age.stream import decrypted

    def run(data: bytes) -> None:
        kind, data = data[:1], data[1:]
        if kind <= b"\x3f":
            io.BufferedReader(ArmorReader(io.BytesIO(data))).read()
        elif kind <= b"\x7f":
            for _ in decrypted(bytes(16), io.BytesIO(data).read):
                pass
        else:
            header = read_header(io.BytesIO(data))
            for each in header.stanzas:
                check_stanza(each)
            header.check(bytes(16))

    return run


def _age_seeds() -> list[bytes]:
    from hem_provider.adapters.age.armor import armored
    from hem_provider.adapters.age.header import Stanza, make_header
    from hem_provider.adapters.age.stream import encrypted

    stanzas = [Stanza("X25519", ("A" * 43,), bytes(32)), Stanza("p256tag", ("AAAAAA", "A" * 88), bytes(32))]
    header = make_header(stanzas, bytes(16))
    text = b"".join(armored([header]))
    return [
        b"\x80" + header.partition(b"\n")[2],
        b"\x00" + text.partition(b"\n")[2],
        b"\x40" + b"".join(encrypted(bytes(16), io.BytesIO(b"some text").read)),
        b"\x40",
        b"\x80-> X25519 a b\n\n--- AAAA\n",
    ]


def _age_texts() -> Run:
    from hem_provider.adapters.age.bech32 import decode
    from hem_provider.adapters.age.identities import parse_identity
    from hem_provider.adapters.age.recipients import parse, parse_lines

    ways: tuple[Callable[[str], object], ...] = (
        decode,
        parse_identity,
        parse,
        lambda text: parse_lines(text, "file"),
    )

    def run(data: bytes) -> None:
        ways[data[0] % len(ways) if data else 0](data[1:].decode("utf-8", "surrogateescape"))

    return run


def _age_text_seeds() -> list[bytes]:
    from hem_provider.adapters.age.bech32 import encode

    key = encode("age", bytes(range(32))).encode()
    texts = (
        key,
        encode("age-plugin-hem-", b"\1abc").upper().encode(),
        b"# comment\n" + key + b"\n",
        b"AGE-PLUGIN-HEM-1",
    )
    return [bytes([way]) + text for way in range(4) for text in texts]


def _age_plugin() -> Run:
    from hem_provider.adapters.age.plugin.identity import unwrap
    from hem_provider.adapters.age.plugin.protocol import Client
    from hem_provider.adapters.age.plugin.recipient import wrap
    from hem_provider.errors import HemKeyNotFound

    def nothing(*_: object) -> Any:
        raise HemKeyNotFound("there is no device")

    devices = SimpleNamespace(configured=(), halves=lambda _: (), recipient=nothing, logged_in=nothing)

    def run(data: bytes) -> None:
        client = Client(io.BytesIO(data[1:]), io.BytesIO())  # type: ignore[arg-type]
        (unwrap if data[:1] < b"\x80" else wrap)(client, devices)  # type: ignore[arg-type]

    return run


def _age_plugin_seeds() -> list[bytes]:
    from hem_provider.adapters.age.bech32 import encode

    ok = b"-> ok\n\n" * 4
    recipient = b"-> add-recipient " + encode("age", bytes(range(32))).encode() + b"\n\n"
    wrapped = b"-> wrap-file-key\nAAAAAAAAAAAAAAAAAAAAAA\n"
    identity = b"-> add-identity AGE-PLUGIN-HEM-1\n\n"
    stanza = b"-> recipient-stanza 0 X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n"
    return [
        b"\x80" + recipient + wrapped + b"-> extension-labels\n\n-> done\n\n" + ok,
        b"\x00" + identity + stanza + b"-> done\n\n" + ok,
        b"\x00-> done\n\n",
        b"\x80-> done\n\n",
    ]


# --- gpg and ssh ----------------------------------------------------------------------------------


class _Cards:
    """A shelf with one card, on which nothing works."""

    def __init__(self) -> None:
        from hem_provider.adapters.scdaemon.cards import Card, CardKey

        keys = tuple(
            CardKey(
                number, kind, bytes([number]) * 32, f"{number:032x}", f"{number:040x}", 1_700_000_000, use
            )
            for number, kind, use in ((1, "ED25519", "sc"), (2, "CURVE25519", "e"), (3, "ED25519", "a"))
        )
        self._card = Card("D2760001240100000006123456780000", "office", "Ada", keys)

    def cards(self, *, fresh: bool = False) -> tuple[Any, ...]:  # noqa: ARG002
        return (self._card,)

    def needs_pin(self, _card: object) -> bool:
        return True

    def log_in(self, _card: object, _key: object, pin: str) -> None:
        from hem_provider.errors import HemAuthenticationError

        if not pin.startswith("a"):
            raise HemAuthenticationError("wrong")

    def forget(self) -> None:
        pass

    def sign(self, _card: object, _key: object, _data: bytes) -> bytes:
        return bytes(64)

    def agree(self, _card: object, _key: object, _point: bytes) -> bytes:
        return bytes(32)


def _assuan() -> Run:
    from hem_provider.adapters.scdaemon.assuan import Closed, Conversation
    from hem_provider.adapters.scdaemon.commands import COMMANDS
    from hem_provider.adapters.scdaemon.faults import CardFault
    from hem_provider.adapters.scdaemon.session import Daemon, Session
    from hem_provider.errors import HemError

    def watched(command: Callable[[Session, str], None]) -> Callable[[Session, str], None]:
        def run(session: Session, rest: str) -> None:
            try:
                command(session, rest)
            except (CardFault, HemError, Closed):
                raise
            except Exception as error:
                raise ForeignError(f"{type(error).__name__} by a command: {error}") from error

        return run

    commands = {name: watched(each) for name, each in COMMANDS.items()}

    def run(data: bytes) -> None:
        daemon = Daemon(_Cards(), commands, version=lambda: "2.4.0")  # type: ignore[arg-type]
        written = io.BytesIO()
        Session(daemon, Conversation(io.BytesIO(data), written)).run()  # type: ignore[arg-type]
        for line in written.getvalue().split(b"\n"):
            if len(line) > 1000:
                raise ForeignError(f"a line of {len(line)} bytes; Assuan has 1000 at most")

    return run


def _assuan_seeds() -> list[bytes]:
    from hem_provider.adapters.scdaemon.commands import COMMANDS

    words = sorted(COMMANDS)
    some = [f"{word} --hash=sha256 OPENPGP.1\n".encode() for word in words]
    return [
        b"".join(some),
        b"SERIALNO\nLEARN --force\nGETATTR KEY-FPR\nKEYINFO --list\n",
        b"SETDATA 00112233\nPKSIGN OPENPGP.1\nD abc\nEND\n",
        b"READKEY OPENPGP.2\nPKAUTH OPENPGP.3\nCAN\n",
        b"SETDATA --append 40\nPKDECRYPT OPENPGP.2\nD a%00b\nEND\n",
        b"D x\n" + b"a" * 1100 + b"\nBYE\n",
    ]


def _ssh_agent() -> Run:
    import asyncio

    from hem_provider.agent.ssh.identities import SshKey
    from hem_provider.agent.ssh.peers import SshPeer
    from hem_provider.agent.ssh.protocol import RefusedError, SshAgent
    from hem_provider.agent.ssh.wire import FrameSplitter
    from hem_provider.sshwire import Reader

    class Keys:
        async def keys(self, *, fresh: bool = False) -> list[SshKey]:  # noqa: ARG002
            return [SshKey("0" * 32, "first", "ED25519", bytes(range(32)), "office")]

        async def sign(self, _key: SshKey, _data: bytes, _algorithm: str) -> bytes:
            return bytes(64)

    async def confirm(*_: object) -> bool:
        return True

    async def answered(data: bytes) -> None:
        agent = SshAgent(Keys(), confirm=confirm, clock=lambda: 1.0)  # type: ignore[arg-type]
        peer = SshPeer(1)
        for message in FrameSplitter().feed(data):
            try:
                await agent._answered(Reader(message), peer)
            except RefusedError:
                continue

    return lambda data: asyncio.run(answered(data))


def _ssh_seeds() -> list[bytes]:
    from hem_provider.sshwire import string, uint32

    blob = string("ssh-ed25519") + string(bytes(range(32)))
    sign = b"\x0d" + string(blob) + string(b"data") + uint32(0)
    add = b"\x11" + string("ssh-ed25519") + string(bytes(32)) + string(bytes(64)) + string("c")
    constrained = b"\x1a" + string("name") + string("pin") + b"\x01" + uint32(60) + b"\x02"
    bind = (
        b"\x1b" + string("session-bind@openssh.com") + string(blob) + string(b"id") + string(b"sig") + b"\x00"
    )
    messages = (
        b"\x0b",
        sign,
        add,
        constrained,
        bind,
        b"\x1b" + string("query"),
        b"\x16" + string(b"x"),
        b"\x17" + string(b"x"),
        b"\x13",
        b"\x12" + string(blob),
    )
    return [string(each) for each in messages] + [
        b"".join(map(string, messages)),
        uint32(0),
        uint32(2**32 - 1),
    ]


# --- signatures and names -------------------------------------------------------------------------


def _signatures() -> Run:
    from hem_provider.adapters.cms.reading import Cms
    from hem_provider.adapters.minisign import Minisignature, read_public_file
    from hem_provider.adapters.sshsig import SshSignature
    from hem_provider.adapters.sshsig.allowed import read_allowed

    def allowed(data: bytes) -> None:
        for _ in read_allowed(data.decode("utf-8", "surrogateescape")):
            pass

    ways: tuple[Run, ...] = (
        lambda data: SshSignature.read(data).public,
        Minisignature.read,
        read_public_file,
        Cms.read,
        allowed,
    )

    def run(data: bytes) -> None:
        ways[data[0] % len(ways) if data else 0](data[1:])

    return run


def _signature_seeds() -> list[bytes]:
    import base64

    from hem_provider.sshwire import string, uint32

    blob = string("ssh-ed25519") + string(bytes(range(32)))
    body = b"SSHSIG" + uint32(1) + string(blob) + string("file") + string("") + string("sha512")
    body += string(string("ssh-ed25519") + string(bytes(64)))
    text = base64.encodebytes(body)
    ssh = b"-----BEGIN SSH SIGNATURE-----\n" + text + b"-----END SSH SIGNATURE-----\n"
    mini = b"untrusted comment: c\n" + base64.b64encode(b"ED" + bytes(72)) + b"\ntrusted comment: t\n"
    mini += base64.b64encode(bytes(64)) + b"\n"
    public = b"untrusted comment: k\n" + base64.b64encode(b"Ed" + bytes(40)) + b"\n"
    cms = bytes.fromhex(
        "3080060a2a864886f70d010702a0800201013100308006092a864886f70d010701000031000000000000"
    )
    line = b'ada@x namespaces="file",valid-after="20260101" ssh-ed25519 ' + base64.b64encode(blob) + b"\n"
    return [b"\x00" + ssh, b"\x01" + mini, b"\x02" + public, b"\x03" + cms, b"\x04" + line]


def _names() -> Run:
    from hem_provider.device.description import parse_description
    from hem_provider.device.keyuri import parse_uri

    def run(data: bytes) -> None:
        if data[:1] < b"\x80":
            parse_uri(data[1:].decode("utf-8", "surrogateescape"))
        else:
            parse_description(data[1:])

    return run


def _name_seeds() -> list[bytes]:
    from hem_provider.device.description import Description

    uris = (
        b"pkcs11:token=HEM;object=a%20b;id=%00%01;type=private?pin-source=file:/x",
        b"pkcs11:",
        b"pkcs11:id=%zz",
    )
    made = Description(mark=bytes(8), application_id=b"12").pack()
    return [*(b"\x00" + each for each in uris), b"\x80" + made, b"\x80PKCS11"]


def _sigstore() -> Run:
    from hem_provider.adapters.sigstore.protocol import VERSION, Options, octets, read

    def run(data: bytes) -> None:
        asked = read(VERSION, data.decode("utf-8", "surrogateescape"))
        for name in ("publicKeyOptions", "signOptions", "verifyOptions"):
            if name in asked.arguments:
                Options.read(asked.arguments, name)
        octets(asked.arguments.get("message"), "message")

    return run


def _sigstore_seeds() -> list[bytes]:
    from hem_provider.adapters.sigstore.protocol import VERSION

    options = {
        "protocolVersion": VERSION,
        "keyResourceID": "hem://office/k",
        "hashFunc": 5,
        "ctxDeadline": None,
    }
    methods: tuple[tuple[str, dict[str, Any]], ...] = (
        ("publicKey", {"publicKeyOptions": {"rpcOptions": {"remoteVerification": True}}}),
        ("signMessage", {"signOptions": {"messageOptions": {"hashFunc": 5}}, "message": "AAAA"}),
        ("supportedAlgorithms", {}),
    )
    rows = [{"initOptions": options, "methodName": name, name: arguments} for name, arguments in methods]
    return [json.dumps(each).encode() for each in rows]


# --- the emulator ---------------------------------------------------------------------------------


def _emulator() -> Run:
    """A request as the emulator reads it: head, and body in whole or in chunks."""
    from hem_provider.emulator.connection import Body, Connection
    from hem_provider.emulator.httpparse import parse_head

    def run(data: bytes) -> None:
        connection = Connection(_Socket(data))  # type: ignore[arg-type]
        connection.allow(60)
        for _ in range(4):
            head = connection.head()
            if head is None:
                return
            found = parse_head(head)
            chunked = "transfer-encoding" in found.headers
            length = found.headers.get("content-length", "0")
            size = int(length) if length.isdigit() and length.isascii() and len(length) < 10 else 0
            body = Body(
                connection, 0 if chunked else size, chunked=chunked, expects="expect" in found.headers
            )
            for _ in range(1000):
                if not body.read():
                    break
            else:
                raise ForeignError("a body without end")

    return run


class _Socket(_Pieces):
    def settimeout(self, _seconds: float) -> None:
        pass

    def sendall(self, _data: bytes) -> None:
        pass


_REQUESTS = (
    b"GET /api/system/version HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /api/auth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{}{}"
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n-1\r\nx\r\n0\r\n\r\n",
    b"PUT * HTTP/1.0\r\nExpect: 100-continue\r\ncontent-length: 3\r\n\r\nab",
)


_VALUE = "builtins:ValueError"
_HEM = "hem_provider.errors:HemError"
_WIRE = "hem_provider.sshwire:WireError"

TARGETS = {
    each.name: each
    for each in (
        Target("answers", "answers of the device, by every endpoint", _answers, _answer_seeds),
        Target(
            "agent-answer",
            "HTTP answers of an agent",
            _agent_answer,
            lambda: list(_HTTP),
            (
                "hem_provider.rest.plainanswer:NotAnAnswerError",
                "hem_provider.rest.deadline:AnswerTooLargeError",
                _HEM,
            ),
        ),
        Target(
            "tokens",
            "bearers (eJWT)",
            _tokens,
            lambda: [
                b"e30.eyJzY29wZSI6ImtleW1nbXQ6bGlzdCIsInN1YiI6IlUiLCJleHAiOjE3MDAwMDAwMDB9.AAAA",
                b"e30.e30.AAAA",
                b"a.b.c",
            ],
        ),
        Target("log", "a device's log file, verified", _log, lambda: list(_device_log().files.values()), ()),
        Target("log-copy", "lines of a copy of the log", _copies, _copy_seeds, (_VALUE,)),
        Target("config", "the configuration file", _config, lambda: list(_TOML)),
        Target("config-places", "where settings stand in it", _editing, lambda: list(_TOML)),
        Target("vault", "the keyring's vault", _vault, _vault_seeds),
        Target(
            "stored-object",
            "stored objects of the module",
            _stored,
            lambda: list(_STORED),
            (_VALUE, "builtins:RecursionError"),
        ),
        Target("cache", "remembered lists and keys", _cache, lambda: list(_CACHE), ()),
        Target("age-file", "age: header, armor, payload", _age_file, _age_seeds),
        Target("age-text", "age: recipients and identities", _age_texts, _age_text_seeds, (_HEM, _VALUE)),
        Target("age-plugin", "age: what is said to a plugin", _age_plugin, _age_plugin_seeds),
        Target("assuan", "gpg-agent's commands (Assuan)", _assuan, _assuan_seeds),
        Target("ssh-agent", "frames for the ssh-agent", _ssh_agent, _ssh_seeds, (_WIRE, _HEM)),
        Target(
            "signatures",
            "signatures: SSH, minisign, CMS; allowed signers",
            _signatures,
            _signature_seeds,
            (_VALUE, _WIRE),
        ),
        Target("names", "URIs of keys, descriptions of keys", _names, _name_seeds, (_HEM, _VALUE)),
        Target("sigstore", "what sigstore asks its plugin", _sigstore, _sigstore_seeds),
        Target(
            "emulator-http",
            "requests as the emulator reads them",
            _emulator,
            lambda: list(_REQUESTS),
            ("hem_provider.emulator.httpparse:BadRequest", "builtins:ConnectionAbortedError"),
        ),
    )
}


def corpus_of(folder: Path) -> Iterator[bytes]:
    """The files of a corpus, in order of their names."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield path.read_bytes()
