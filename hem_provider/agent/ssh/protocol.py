"""The agent's side of the ssh-agent protocol (RFC 9987): one message in, one message out."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from hem_provider.agent.ssh.askpass import Confirm
from hem_provider.agent.ssh.constraints import read_constraints
from hem_provider.agent.ssh.identities import SshKey
from hem_provider.agent.ssh.numbers import ADD, MOST_LISTED, QUERY, SESSION_BIND, TOKEN, Number
from hem_provider.agent.ssh.passlock import PassphraseLock
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.purpose import purpose
from hem_provider.agent.ssh.shelf import Shelf, Shown
from hem_provider.agent.ssh.wire import LARGEST_FRAME
from hem_provider.errors import HemError, HemOperationFailed
from hem_provider.sshwire import Reader, WireError, string, uint32

__all__ = ["KeySource", "SshAgent"]

_log = logging.getLogger("hem_provider.agent.ssh")

#: Flags of a request for a signature that are RSA's, and say nothing of other keys (RFC 9987).
_RSA_FLAGS = 0x02 | 0x04


class KeySource(Protocol):
    """Where keys and signatures come from. What goes wrong is a ``HemError``, whose text the log has."""

    async def keys(self, *, fresh: bool = False) -> Sequence[SshKey]:
        """The keys that may be used for SSH now; ``HemLoginRequired`` while they are locked. ``fresh``: as
        the devices list them now, and not from memory."""

    async def sign(self, key: SshKey, data: bytes, algorithm: str) -> bytes:
        """The signature in device form: DER of ECDSA, raw of EdDSA. ``algorithm``: the device's literal."""


class RefusedError(Exception):
    """A message is answered by a failure; the text is for the log, with this ``level``."""

    def __init__(self, text: str, level: int = logging.INFO) -> None:
        super().__init__(text)
        self.level = level


def _since_boot() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SshAgent:
    """One for all connections of a user; to be used in one event loop.

    ``prefix``, ``confirm_all``, ``lifetime`` (seconds): see ``shelf.Shelf``. ``clock``: seconds. ``kept``: of
    an agent that this one takes the place of.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        confirm: Confirm,
        prefix: str = "",
        confirm_all: bool = False,
        lifetime: float | None = None,
        clock: Callable[[], float] = _since_boot,
        kept: str = "",
    ) -> None:
        self._keys = keys
        self._confirm = confirm
        self._shelf = Shelf(prefix=prefix, confirm=confirm_all, lifetime=lifetime, clock=clock)
        self._lock = PassphraseLock(kept)
        self._seen: dict[bytes, Shown] = {}  # of the last listing, so that a signature is one call

    @property
    def is_locked(self) -> bool:
        """Whether ``ssh-add -x`` locked it."""
        return self._lock.is_locked

    @property
    def kept(self) -> str:
        """What a successor needs to stay locked by ``ssh-add -x``; for its eyes alone."""
        return self._lock.kept

    def renew(self) -> None:
        """The device was unlocked anew: keys that were forgotten are shown again, and life times begin."""
        self._shelf.renew()
        self._seen = {}

    async def answer(self, message: bytes, peer: SshPeer) -> bytes:
        """The answer to one frame, both without their lengths. Whatever is sent, and whatever fails, is
        answered; nothing but cancellation is raised."""
        number = message[0] if message else None
        refusal = Number.FAILURE
        if number == Number.EXTENSION and _extension_of(message) in _EXTENSIONS:
            refusal = Number.EXTENSION_FAILURE
        try:
            return await self._answered(Reader(message), peer)
        except (RefusedError, WireError) as refused:
            level = refused.level if isinstance(refused, RefusedError) else logging.INFO
            _log.log(level, "message %s of %s is refused: %s", number, peer, refused)
        except (HemError, TimeoutError) as error:
            _log.warning("message %s of %s failed: %s", number, peer, str(error) or type(error).__name__)
        except Exception as error:  # its text may have anything in it
            _log.error("message %s of %s failed by a %s", number, peer, type(error).__name__)
        return bytes([refusal])

    async def _answered(self, reader: Reader, peer: SshPeer) -> bytes:
        number = reader.byte("message number")
        if number not in _HANDLERS:
            raise RefusedError("it is not known")
        if self._lock.is_locked and number not in _WHILE_LOCKED:
            raise RefusedError("the agent is locked (ssh-add -X unlocks it)")
        return await _HANDLERS[number](self, reader, peer)

    async def _list(self, reader: Reader, _peer: SshPeer) -> bytes:
        reader.end()
        rows = [] if self._lock.is_locked else await self._look()
        if self._lock.is_locked:  # also meanwhile
            rows = []
        entries = [string(each.blob) + string(each.key.comment) for each in rows[:MOST_LISTED]]
        room, fitting = LARGEST_FRAME - 5, 0
        for entry in entries:
            room -= len(entry)
            if room < 0:
                break
            fitting += 1
        if fitting < len(rows):
            _log.warning(
                "%d of %d keys are not listed, since no client takes so many; choose with --ssh-prefix",
                len(rows) - fitting,
                len(rows),
            )
        return bytes([Number.IDENTITIES_ANSWER]) + uint32(fitting) + b"".join(entries[:fitting])

    async def _sign(self, reader: Reader, peer: SshPeer) -> bytes:
        blob, data, flags = reader.string("key"), reader.string("data"), reader.uint32("flags")
        reader.end()
        if flags & ~_RSA_FLAGS:
            raise RefusedError(f"flags {flags:#x} are not known")
        row = await self._found(blob)
        what = f"{purpose(data, blob, peer)}, with key {row.key.comment!r}"
        if self._shelf.asks(row) and not await self._confirm(_question(row, data, peer)):
            raise RefusedError(f"{what}: no person confirmed it")
        if self._lock.is_locked or self._shelf.asks(row) is None:  # meanwhile
            raise RefusedError(f"{what}: the key is not shown any more")
        try:
            if not data:
                raise HemOperationFailed("a HEM signs no message of 0 bytes")
            made = await self._keys.sign(row.key, data, row.key.algorithm)
            signature = row.key.signature(made, data)
        except HemError as error:  # too long, no such key any more, device away, ...
            raise RefusedError(f"{what}: {error}", logging.WARNING) from error
        _log.info("%s: %s", peer, what)
        return bytes([Number.SIGN_RESPONSE]) + string(signature)

    async def _found(self, blob: bytes) -> Shown:
        row = self._seen.get(blob)
        if row is None or self._shelf.asks(row) is None:
            await self._look()
            row = self._seen.get(blob)
        if row is None:
            raise RefusedError("no such key is shown")
        return row

    async def _look(self) -> list[Shown]:
        """What is shown now."""
        rows = self._shelf.shown(await self._keys.keys())
        self._seen = {each.blob: each for each in rows}
        return rows

    async def _refuse_foreign(self, _reader: Reader, _peer: SshPeer) -> bytes:
        raise RefusedError("private keys are not taken: those of a HEM are made in it, and never leave it")

    async def _remove(self, reader: Reader, peer: SshPeer) -> bytes:
        _refuse_forwarded(peer, "keys are removed")
        blob = reader.string("key")
        reader.end()
        self._shelf.forget(await self._found(blob))
        self._seen.pop(blob, None)
        return bytes([Number.SUCCESS])

    async def _remove_all(self, reader: Reader, peer: SshPeer) -> bytes:
        _refuse_forwarded(peer, "keys are removed")
        reader.end()
        self._shelf.forget_all()
        self._seen = {}
        return bytes([Number.SUCCESS])

    async def _add_token(self, reader: Reader, peer: SshPeer) -> bytes:
        await self._added(reader, peer)
        return bytes([Number.SUCCESS])

    async def _remove_token(self, reader: Reader, peer: SshPeer) -> bytes:
        _refuse_forwarded(peer, "keys are removed")
        name = reader.text("token")
        reader.string("PIN")
        reader.end()
        if name == TOKEN:
            self._shelf.forget_all()
            self._seen = {}
            return bytes([Number.SUCCESS])
        named = {each.kid for each in await self._named(name)}
        for row in await self._look():
            if row.key.kid in named:
                self._shelf.forget(row)
        self._seen = {}
        return bytes([Number.SUCCESS])

    async def _added(self, reader: Reader, peer: SshPeer) -> list[Shown]:
        """Show the keys of a token again, as the message says (RFC 9987)."""
        name = reader.text("token")
        if reader.string("PIN"):
            raise RefusedError("a PIN is not taken here; 'hem agent unlock' unlocks the device")
        wanted = read_constraints(reader)
        _refuse_forwarded(peer, "keys are added")
        added = self._shelf.add(await self._named(name), wanted)
        if not added:
            raise RefusedError("there is no key to be added")
        for row in added:
            self._seen.pop(row.blob, None)
        return added

    async def _named(self, name: str) -> list[SshKey]:
        """The keys that ``hem``, ``hem:LABEL`` or ``hem:KID`` names."""
        token, colon, wanted = name.partition(":")
        if token != TOKEN or (colon and not wanted):
            raise RefusedError(
                f"token {name[:64]!r} is not known; accepted: {TOKEN}, {TOKEN}:LABEL, {TOKEN}:KID"
            )
        served = self._shelf.served(await self._keys.keys(fresh=True))
        found = [each for each in served if not colon or wanted in (each.label, each.kid)]
        if not found:
            what = f"no key {wanted!r}" if colon else "no key"
            raise RefusedError(f"there is {what} that signs, is of a type that SSH has, and may be used here")
        return found

    async def _lock_it(self, reader: Reader, peer: SshPeer) -> bytes:
        _refuse_forwarded(peer, "the agent is locked")
        return await self._with_passphrase(
            reader, self._lock.lock, "it is locked already, or the passphrase is empty"
        )

    async def _unlock_it(self, reader: Reader, _peer: SshPeer) -> bytes:
        return await self._with_passphrase(
            reader, self._lock.unlock, "it is not locked, or the passphrase is wrong"
        )

    async def _with_passphrase(
        self, reader: Reader, action: Callable[[bytes], Awaitable[bool]], refusal: str
    ) -> bytes:
        passphrase = reader.string("passphrase")
        reader.end()
        if not await action(passphrase):
            raise RefusedError(refusal)
        return bytes([Number.SUCCESS])

    async def _extend(self, reader: Reader, peer: SshPeer) -> bytes:
        name = reader.text("extension")
        if name not in _EXTENSIONS:
            raise RefusedError(f"extension {name[:64]!r} is not known")
        if self._lock.is_locked and name != SESSION_BIND:
            raise RefusedError("the agent is locked (ssh-add -X unlocks it)")
        return await _EXTENSIONS[name](self, reader, peer)

    async def _query(self, reader: Reader, _peer: SshPeer) -> bytes:
        reader.end()
        return _response(QUERY, *_EXTENSIONS)

    async def _bind(self, reader: Reader, peer: SshPeer) -> bytes:
        peer.bind(reader)
        return bytes([Number.SUCCESS])

    async def _add_telling(self, reader: Reader, peer: SshPeer) -> bytes:
        """As the message for tokens, but a client of ours is told what was done, or why it was not."""
        try:
            added = await self._added(reader, peer)
        except (RefusedError, WireError, HemError) as refused:
            return _response(ADD, "refused", str(refused))
        return _response(ADD, "added", *(f"{each.key.name} {each.key.comment}" for each in added))


def _refuse_forwarded(peer: SshPeer, what: str) -> None:
    """A host that the agent was forwarded to uses keys, and decides nothing about them."""
    if peer.was_bound:
        raise RefusedError(f"{what} on this host only, and not by a forwarded connection")


def _extension_of(message: bytes) -> str | None:
    try:
        return Reader(message[1:]).text("extension")
    except WireError:
        return None


def _response(*words: str) -> bytes:
    return bytes([Number.EXTENSION_RESPONSE]) + b"".join(map(string, words))


def _question(row: Shown, data: bytes, peer: SshPeer) -> str:
    """Begins as OpenSSH's agent's."""
    key = row.key
    lines = [f"Allow use of key {key.comment}?", f"Key fingerprint {key.fingerprint}."]
    lines.append(f"Purpose: {purpose(data, row.blob, peer)}.")
    lines.append(f"Asked for by {peer}.")
    return "\n".join(lines)


_Handler = Callable[[SshAgent, Reader, SshPeer], Awaitable[bytes]]

_HANDLERS: Mapping[int, _Handler] = MappingProxyType(
    {
        Number.REQUEST_IDENTITIES: SshAgent._list,
        Number.SIGN_REQUEST: SshAgent._sign,
        Number.ADD_IDENTITY: SshAgent._refuse_foreign,
        Number.ADD_ID_CONSTRAINED: SshAgent._refuse_foreign,
        Number.REMOVE_IDENTITY: SshAgent._remove,
        Number.REMOVE_ALL_IDENTITIES: SshAgent._remove_all,
        Number.ADD_SMARTCARD_KEY: SshAgent._add_token,
        Number.ADD_SMARTCARD_KEY_CONSTRAINED: SshAgent._add_token,
        Number.REMOVE_SMARTCARD_KEY: SshAgent._remove_token,
        Number.LOCK: SshAgent._lock_it,
        Number.UNLOCK: SshAgent._unlock_it,
        Number.EXTENSION: SshAgent._extend,
    }
)
#: Served while it is locked: a listing, which is empty then; a binding, which may not come again.
_WHILE_LOCKED = frozenset({Number.REQUEST_IDENTITIES, Number.UNLOCK, Number.EXTENSION})
_EXTENSIONS: Mapping[str, _Handler] = MappingProxyType(
    {QUERY: SshAgent._query, SESSION_BIND: SshAgent._bind, ADD: SshAgent._add_telling}
)
