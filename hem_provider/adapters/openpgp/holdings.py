"""The certificates that the keys of a device make up."""

from __future__ import annotations

from collections.abc import Iterable

from hem_provider.adapters.openpgp.certificate import FORMS, Subkey, certificate
from hem_provider.adapters.openpgp.keys import PgpKey
from hem_provider.adapters.openpgp.places import KINDS, Place, Role, place_of
from hem_provider.device.key import Key
from hem_provider.records import field, frozen

__all__ = ["Held", "Holding", "holdings"]

#: Key derivation of the mail application's keys for encryption: SHA-256 and AES-256.
_MAIL_KDF = bytes([1, 8, 9])


@frozen
class Held:
    """A key of the device, and its place."""

    key: Key
    place: Place

    def pgp(self) -> PgpKey:
        """As OpenPGP has it. A call where the public half is not remembered."""
        kind, public = self.key.type.name, self.key.public_bytes()
        if self.place.maker == "mail":
            return PgpKey(kind, public, self.place.created, _MAIL_KDF)
        return PgpKey(kind, public, self.place.created)


@frozen
class Holding:
    """The keys of one certificate, by what they are for. ``primary`` is the one that signs."""

    primary: Held
    subkeys: tuple[Held, ...] = field(default_factory=tuple)

    @property
    def keys(self) -> tuple[Held, ...]:
        """All of them."""
        return (self.primary, *self.subkeys)

    @property
    def name(self) -> str:
        """Of the certificate, as far as the device knows it; may be empty."""
        return self.primary.place.name

    @property
    def missing(self) -> tuple[Role, ...]:
        """What no key of it is for, of what this software makes keys for."""
        there = {each.place.role for each in self.keys}
        wanted = Role if self.primary.place.maker == "hem-provider" else (Role.SIGN, Role.DECRYPT)
        return tuple(role for role in wanted if role not in there)

    def fingerprint(self) -> str:
        """Of the primary, 40 hex digits. A call where its public half is not remembered."""
        return self.primary.pgp().fingerprint.hex().upper()

    def certificate(self, name: str = "") -> bytes:
        """Its packets, for ``name`` or the one that is kept. A call for each signature."""
        place, key = self.primary.place, self.primary.key
        return certificate(
            self.primary.pgp(),
            name or self.name,
            [Subkey(each.pgp(), each.place.role) for each in self.subkeys],
            lambda digest: key.operations.sign(key.kid, digest, "Ed25519"),
            form=FORMS[place.maker],
            expires=place.expires,
        )


def holdings(keys: Iterable[Key]) -> list[Holding]:
    """The certificates that can be made of ``keys``, the oldest first. No I/O for keys that were listed.

    Keys whose type does not go with their place, or without a private half, are none of a certificate; of
    several for one use the oldest counts.
    """
    held = [each for each in map(_held, keys) if each is not None]
    held.sort(key=lambda each: (each.place.created, each.key.kid))
    found = []
    for primary in (each for each in held if each.place.role is Role.SIGN):
        group = primary.place.group or primary.key.kid
        others = {
            each.place.role: each
            for each in reversed(held)
            if each.place.group == group and each.place.role is not Role.SIGN
        }
        found.append(Holding(primary, tuple(others[role] for role in Role if role in others)))
    return found


def _held(key: Key) -> Held | None:
    place, attributes = place_of(key.known_descr or b""), key.known_attributes
    if place is None or attributes is None or attributes.key_type is None or not attributes.usable:
        return None
    if attributes.key_type.name not in KINDS[place.role]:
        return None
    agrees = attributes.ecdh or place.role is not Role.DECRYPT
    return Held(key, place) if agrees else None
