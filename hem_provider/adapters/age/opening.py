"""Finding the key of a file: which stanza is for which private key, in the fewest uses of it.

Stanzas with a tag tell their key; for others keys are tried. What a key gave for a share is kept, so that
nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.header import Stanza
from hem_provider.adapters.age.kinds import KINDS, ML_KEM, WRAPPED, Kind, Secrets, open_key, tag_of
from hem_provider.errors import HemKeyNotFound

__all__ = ["MOST_USES", "Finder", "Opened", "PrivateHalf", "Wrappings", "check_stanza", "check_stanzas"]

#: Most uses of private keys for one file; on a device each is a call.
MOST_USES = 256
_SCRYPT = "scrypt"
_BY_STANZA = {each.stanza: each for each in KINDS}
#: Characters of foreign names that messages show.
_SHOWN = 80


class PrivateHalf(Protocol):
    """A private key somewhere: X25519, P-256 or ML-KEM-768, of the device's types."""

    @property
    def type_name(self) -> str:
        """``CURVE25519``, ``SECP256R1`` or ``MLKEM768``."""

    def public_key(self) -> Any:
        """The native public key, of the first two types."""

    def agree(self, share: Any) -> bytes:
        """The secret agreed with a native public key. ``ValueError`` where it is zero."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """ML-KEM's secret."""


class Wrappings(Protocol):
    """A file's key as it is wrapped for its recipients: a ``Header``, or what a client of the plugin tells of
    one."""

    @property
    def stanzas(self) -> tuple[Stanza, ...]:
        """One for each recipient."""

    def check(self, file_key: bytes) -> None:
        """``DamagedFile`` unless the header is as it was made with this key."""


class Opened:
    """A file's key, and the private keys that gave it. ``uses``: how many were made of any."""

    def __init__(self, file_key: bytes, halves: tuple[PrivateHalf, ...], uses: int) -> None:
        self.file_key = file_key
        self.halves = halves
        self.uses = uses


def check_stanzas(header: Wrappings) -> None:
    """``DamagedFile`` for a header with a stanza of a known kind that is none, ``NotForThisKey`` for a file
    that a passphrase opens or that is for none of ``KINDS``."""
    if any(each.kind == _SCRYPT for each in header.stanzas):
        if len(header.stanzas) > 1:
            raise DamagedFile("the header has a passphrase and other recipients, which no file may have")
        raise NotForThisKey(
            "the file is encrypted with a passphrase, not for a key; 'age --decrypt' opens it"
        )
    known = [check_stanza(each) for each in header.stanzas]
    if not any(known):
        kinds = sorted({each.kind for each in header.stanzas})
        raise NotForThisKey(
            f"the file is for keys of other kinds than a HEM has: {', '.join(kinds)[:_SHOWN]}"
        )


def check_stanza(stanza: Stanza) -> bool:
    """Whether a stanza is of one of ``KINDS``. ``DamagedFile`` for one that is and is malformed."""
    kind = _BY_STANZA.get(stanza.kind)
    if kind is not None:
        _check(kind, stanza)
    return kind is not None


def _check(kind: Kind, stanza: Stanza) -> None:
    if len(stanza.arguments) != 1 + kind.tagged:
        raise DamagedFile(f"a stanza {kind.stanza} with {len(stanza.arguments)} arguments")
    if kind.tagged:
        stanza.data(0, 4)
    stanza.data(-1, kind.encapsulated_size)
    if len(stanza.body) != WRAPPED:
        raise DamagedFile(f"a stanza {kind.stanza} whose key has {len(stanza.body)} bytes, not {WRAPPED}")


class Finder:
    """Looks for the key of one file. What was tried is kept: looking again among more keys tries the new."""

    def __init__(self, header: Wrappings, *, most: int = MOST_USES) -> None:
        """``DamagedFile``; ``NotForThisKey`` for a file that no key opens."""
        check_stanzas(header)
        self._header = header
        self._halves: Sequence[PrivateHalf] = ()
        self._most = most
        self._uses = 0
        self._secrets: dict[tuple[int, bytes], bytes | None] = {}
        self._public: dict[int, Any] = {}
        self._met: list[PrivateHalf] = []  # for their ids to stay theirs

    def look(self, halves: Sequence[PrivateHalf]) -> Opened | None:
        """The file's key, by which the header is checked, of the first of ``halves`` that gives it.

        ``DamagedFile``; ``TooManyTries`` after ``most`` uses of keys. Raises what using a key does; one that
        is gone counts as none.
        """
        self._halves = halves
        self._met += halves
        for kind in KINDS:
            for stanza in self._header.stanzas:
                if stanza.kind == kind.stanza:
                    for used, secrets in self._tries(kind, stanza):
                        file_key = open_key(kind, secrets, stanza.body)
                        if file_key is not None:
                            self._header.check(file_key)
                            return Opened(file_key, used, self._uses)
        return None

    def is_told(self, halves: Sequence[PrivateHalf]) -> bool:
        """Whether a stanza's tag says that it is for one of ``halves``. No private key is used."""
        return any(
            tag_of(kind, stanza.data(-1, kind.encapsulated_size), half.public_key()) == stanza.data(0, 4)
            for kind in KINDS
            for stanza in self._header.stanzas
            for half in halves
            if kind.tagged and stanza.kind == kind.stanza and half.type_name == kind.curve
        )

    def told(self) -> str:
        """For how many of which keys the file is, in words."""
        names = [each.stanza for each in KINDS]
        counts = {name: sum(each.kind == name for each in self._header.stanzas) for name in names}
        return "for " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def _tries(self, kind: Kind, stanza: Stanza) -> Iterator[tuple[tuple[PrivateHalf, ...], Secrets]]:
        """The keys that may open the stanza, with what they agree on."""
        encapsulated = stanza.data(-1, kind.encapsulated_size)
        ciphertext, share = encapsulated[: -kind.share_size], encapsulated[-kind.share_size :]
        try:
            point = kind.load(share)
        except ValueError as error:
            raise DamagedFile(f"a stanza {kind.stanza}: its share is no point of the curve") from error
        for half in self._of_type(kind.curve):
            if kind.hybrid and not any(self._of_type(ML_KEM.name)):
                return
            public = self._public_of(half)
            if public is None or (kind.tagged and tag_of(kind, encapsulated, public) != stanza.data(0, 4)):
                continue
            agreed = self._agreed(kind, half, share, point)
            if agreed is None:
                continue
            if not kind.hybrid:
                yield (half,), Secrets(agreed, share, kind.point(public))
                continue
            for other in self._of_type(ML_KEM.name):
                secret = self._used(other, ciphertext, lambda other=other: other.decapsulate(ciphertext))
                if secret is not None:
                    yield (other, half), Secrets(agreed, share, kind.point(public), secret)

    def _of_type(self, name: str) -> Iterator[PrivateHalf]:
        return (each for each in self._halves if each.type_name == name)

    def _public_of(self, half: PrivateHalf) -> Any:
        if id(half) not in self._public:
            try:
                self._public[id(half)] = half.public_key()
            except HemKeyNotFound:
                self._public[id(half)] = None
        return self._public[id(half)]

    def _agreed(self, kind: Kind, half: PrivateHalf, share: bytes, point: Any) -> bytes | None:
        try:
            return self._used(half, share, lambda: half.agree(point))
        except ValueError as error:
            raise DamagedFile(f"a stanza {kind.stanza}: its share gives no secret") from error

    def _used(self, half: PrivateHalf, given: bytes, use: Any) -> bytes | None:
        """What a private key makes of ``given``; ``None`` for one that is gone."""
        place = (id(half), given)
        if place not in self._secrets:
            if self._uses >= self._most:
                raise TooManyTries(
                    f"none of {self._most} tries opened the file, which has {len(self._header.stanzas)} "
                    "recipients; say which key it is for"
                )
            self._uses += 1
            try:
                self._secrets[place] = use()
            except HemKeyNotFound:
                self._secrets[place] = None
        return self._secrets[place]
