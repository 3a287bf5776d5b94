"""Finding the key of a file: which stanza is for which private key, in the fewest uses of it.

Stanzas with a tag tell their key; for others keys are tried. What a key gave for a share is kept, so that
nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.header import Header, Stanza
from hem_provider.adapters.age.kinds import KINDS, ML_KEM, WRAPPED, Kind, Secrets, open_key, tag_of
from hem_provider.errors import HemKeyNotFound

__all__ = ["MOST_USES", "Opened", "PrivateHalf", "check_stanzas", "open_header"]

#: Most uses of private keys for one file; on a device each is a call.
MOST_USES = 256
_SCRYPT = "scrypt"
_CIPHERTEXT = ML_KEM.ciphertext_size or 0


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


class Opened:
    """A file's key, and the private keys that gave it. ``uses``: how many were made of any."""

    def __init__(self, file_key: bytes, halves: tuple[PrivateHalf, ...], uses: int) -> None:
        self.file_key = file_key
        self.halves = halves
        self.uses = uses


def check_stanzas(header: Header) -> None:
    """``DamagedFile`` for a header with a stanza of a known kind that is none, ``NotForThisKey`` for a file
    that a passphrase opens."""
    if any(each.kind == _SCRYPT for each in header.stanzas):
        if len(header.stanzas) > 1:
            raise DamagedFile("the header has a passphrase and other recipients, which no file may have")
        raise NotForThisKey(
            "the file is encrypted with a passphrase, not for a key; 'age --decrypt' opens it"
        )
    for kind in KINDS:
        for each in header.stanzas:
            if each.kind == kind.stanza:
                _check(kind, each)


def _check(kind: Kind, stanza: Stanza) -> None:
    if len(stanza.arguments) != 1 + kind.tagged:
        raise DamagedFile(f"a stanza {kind.stanza} with {len(stanza.arguments)} arguments")
    if kind.tagged:
        stanza.data(0, 4)
    stanza.data(-1, kind.encapsulated_size)
    if len(stanza.body) != WRAPPED:
        raise DamagedFile(f"a stanza {kind.stanza} whose key has {len(stanza.body)} bytes, not {WRAPPED}")


def open_header(header: Header, halves: Sequence[PrivateHalf], *, most: int = MOST_USES) -> Opened:
    """The key of the file, of the first of ``halves`` that gives it; the header is checked with it.

    ``NotForThisKey`` where none does. ``DamagedFile``; ``TooManyTries`` after ``most`` uses. Raises what
    using a key does; one that is gone counts as none.
    """
    check_stanzas(header)
    return _Search(header, halves, most).result()


class _Search:
    def __init__(self, header: Header, halves: Sequence[PrivateHalf], most: int) -> None:
        self._header = header
        self._halves = halves
        self._most = most
        self._uses = 0
        self._secrets: dict[tuple[int, bytes], bytes | None] = {}
        self._public: dict[int, Any] = {}

    def result(self) -> Opened:
        for kind in KINDS:
            for stanza in self._header.stanzas:
                if stanza.kind == kind.stanza:
                    for halves, secrets in self._tries(kind, stanza):
                        file_key = open_key(kind, secrets, stanza.body)
                        if file_key is not None:
                            self._header.check(file_key)
                            return Opened(file_key, halves, self._uses)
        raise NotForThisKey(f"none of {len(self._halves)} keys opens the file")

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
                    f"recipients; say which of the {len(self._halves)} keys it is for"
                )
            self._uses += 1
            try:
                self._secrets[place] = use()
            except HemKeyNotFound:
                self._secrets[place] = None
        return self._secrets[place]
