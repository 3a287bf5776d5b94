"""Whom a file is encrypted to: public keys as age writes them, ``age1…``."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hem_provider.adapters.age import bech32
from hem_provider.adapters.age.header import Stanza
from hem_provider.adapters.age.kinds import (
    BY_PREFIX,
    ML_KEM,
    Kind,
    Secrets,
    ephemeral,
    seal_key,
    tag_of,
)
from hem_provider.errors import HemConfigError
from hem_provider.publickeys import load_public, native_class
from hem_provider.records import frozen

__all__ = ["Recipient", "check_together", "parse", "parse_lines"]

_ENCAPSULATION_KEY = ML_KEM.public_size or 0
#: Characters of a recipient that messages show.
_SHOWN = 16


@frozen
class Recipient:
    """A public key: ``kind.public_size`` bytes of it."""

    kind: Kind
    public: bytes

    def __str__(self) -> str:
        return bech32.encode(self.kind.prefix, self.public)

    def wrap(self, file_key: bytes) -> Stanza:
        """The stanza that gives the file's key to this recipient. Local.

        ``HemConfigError`` for a hybrid where the installed ``cryptography`` has no ML-KEM.
        """
        kind, public = self.kind, self._native()
        share, agreed = ephemeral(kind, public)
        post_quantum = ciphertext = b""
        if kind.hybrid:
            post_quantum, ciphertext = _ml_kem(self.public[:_ENCAPSULATION_KEY]).encapsulate()
        secrets = Secrets(agreed, share, kind.point(public), post_quantum)
        encapsulated = ciphertext + share
        arguments = (tag_of(kind, encapsulated, public),) if kind.tagged else ()
        return Stanza(
            kind.stanza,
            tuple(base64.b64encode(each).rstrip(b"=").decode("ascii") for each in (*arguments, encapsulated)),
            seal_key(kind, secrets, file_key),
        )

    def check(self) -> None:
        """``ValueError`` unless it is a key that a secret can be agreed with."""
        ephemeral(self.kind, self._native())
        if self.kind.hybrid and native_class(ML_KEM.name, "PublicKey") is not None:
            load_public(ML_KEM, self.public[:_ENCAPSULATION_KEY])

    def _native(self) -> Any:
        return self.kind.load(self.public[_ENCAPSULATION_KEY if self.kind.hybrid else 0 :])


def _ml_kem(public: bytes) -> Any:
    if native_class(ML_KEM.name, "PublicKey") is None:
        raise HemConfigError(
            "encrypting for recipients age1pq… and age1tagpq… needs cryptography 47 or newer"
        )
    return load_public(ML_KEM, public)


def parse(text: str) -> Recipient:
    """A recipient from its text. ``ValueError`` says what is wrong with it, without the text."""
    if text[:15].upper() == "AGE-SECRET-KEY-":
        raise ValueError("that is a secret key, which no one else may see; a recipient begins with age1")
    if not text[:4].lower() == "age1":
        raise ValueError("a recipient begins with age1")
    prefix, public = bech32.decode(text)
    kind = BY_PREFIX.get(prefix.lower())
    if kind is None or prefix != prefix.lower():
        known = ", ".join(f"{each}1…" for each in BY_PREFIX)
        raise ValueError(f"recipients {prefix}1… are of a plugin, or unknown; known are {known}")
    if len(public) != kind.public_size:
        raise ValueError(f"{len(public)} bytes; a recipient {prefix}1… has {kind.public_size}")
    recipient = Recipient(kind, public)
    try:
        recipient.check()
    except ValueError:
        raise ValueError("its bytes are no public key") from None
    return recipient


def parse_lines(text: str, name: str) -> list[Recipient]:
    """The recipients of a file, one a line; ``#`` begins a comment line.

    ``HemConfigError`` names the line, also where there is none.
    """
    found = list(_lines(text, name))
    if not found:
        raise HemConfigError(f"{name}: no recipient is in it: one a line, each begins with age1")
    return found


def _lines(text: str, name: str) -> Iterator[Recipient]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() ends a comment at what shows no end
        word = line.strip()
        if word and not word.startswith("#"):
            try:
                yield parse(word)
            except ValueError as error:
                raise HemConfigError(f"{name}, line {number}: {error}") from None


def check_together(recipients: Iterable[Recipient]) -> Sequence[Recipient]:
    """Each recipient once, in order. ``ValueError`` for none, and where some are safe from quantum
    computers and some are not: the file would not be."""
    each_once = list(dict.fromkeys(recipients))
    if not each_once:
        raise ValueError("a file needs a recipient")
    weak = [each for each in each_once if not each.kind.hybrid]
    if 0 < len(weak) < len(each_once):
        raise ValueError(
            f"{str(weak[0])[:_SHOWN]}… is not safe from quantum computers and others are, which the file "
            "would not be; let all be (age1pq…, age1tagpq…), or none"
        )
    return each_once
