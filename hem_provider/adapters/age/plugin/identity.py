"""The state machine ``identity-v1``: age decrypts (https://c2sp.org/age-plugin, "Unwrapping")."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey
from hem_provider.adapters.age.header import Stanza
from hem_provider.adapters.age.identities import Identity, parse_identity
from hem_provider.adapters.age.opening import Finder, check_stanza
from hem_provider.adapters.age.plugin.devices import Devices
from hem_provider.adapters.age.plugin.protocol import Client, ProtocolFault
from hem_provider.adapters.age.searching import find_device
from hem_provider.errors import HemError, HemOperationFailed
from hem_provider.records import frozen

__all__ = ["unwrap"]

#: Most files of one run, and most identities.
_FILES, _IDENTITIES = 10_000, 1_000


@frozen
class _Wrapped:
    """What a client tells of a header; that it was not changed is for the client to see to."""

    stanzas: tuple[Stanza, ...]

    def check(self, _: bytes) -> None:
        """As ``opening.Wrappings``."""


def unwrap(client: Client, devices: Devices) -> None:
    """Run it to its end. ``ProtocolFault``, ``OSError``; every other error is told to the client."""
    texts: list[str] = []
    files: dict[int, list[Stanza]] = {}
    for command in client.commands():
        if command.kind == "add-identity" and command.arguments:
            texts.append(command.arguments[0])
        elif command.kind == "recipient-stanza" and len(command.arguments) > 1:
            file, kind, *arguments = command.arguments
            place = _index(file, max(files, default=0))
            files.setdefault(place, []).append(Stanza(kind, tuple(arguments), command.body))
        if len(files) > _FILES or len(texts) > _IDENTITIES:
            raise ProtocolFault(f"more than {_FILES} files or {_IDENTITIES} identities at once")
    identities = _parsed(client, texts)
    if identities is not None:
        for number, stanzas in files.items():
            _unwrap_file(client, devices, identities, number, stanzas)
    client.end()


def _index(text: str, least: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number < least:
        raise ProtocolFault(f"the number of a file is {text[:20]!r}; accepted: {least} and more, in digits")
    return number


def _parsed(client: Client, texts: list[str]) -> list[Identity | None] | None:
    """The identities; ``None`` where one is none: then no file is looked at."""
    found: list[Identity | None] = []
    for number, text in enumerate(texts):
        try:
            found.append(parse_identity(text))
        except ValueError as error:
            client.fail("identity", number, error=f"this is no identity of hem's: {error}")
    return found if len(found) == len(texts) else None


def _unwrap_file(
    client: Client, devices: Devices, identities: list[Identity | None], file: int, stanzas: list[Stanza]
) -> None:
    known: list[Stanza] = []
    damaged = False
    for number, each in enumerate(stanzas):
        try:
            known += [each] if check_stanza(each) else []
        except DamagedFile as error:
            client.fail("stanza", file, number, error=str(error))
            damaged = True
    if damaged or not known:
        return
    finder = Finder(_Wrapped(tuple(known)))
    faults: list[tuple[int, HemError]] = []
    for number, identity in enumerate(identities):
        try:
            file_key = _tried(finder, devices, identity)
        except ProtocolFault:
            raise
        except HemError as error:
            faults.append((number, error))  # another identity may open it
            continue
        if file_key is not None:
            client.call("file-key", str(file), body=file_key)
            return
    for number, fault in faults:
        client.fail("identity", number, error=str(fault))


def _tried(finder: Finder, devices: Devices, identity: Identity | None) -> bytes | None:
    """The file's key by one identity; ``None`` where the file is not for it."""
    if identity is not None:
        try:
            opened = finder.look(devices.halves(identity))
        except UnsupportedAlgorithm as error:  # the key was not made for this
            raise HemOperationFailed(f"{identity.device}: {error}") from error
        return None if opened is None else opened.file_key
    try:
        return find_device(finder, devices.configured, devices.logged_in)[1].file_key
    except NotForThisKey:
        return None
