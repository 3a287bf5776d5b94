"""Private keys of age's kinds in memory, in the place of a device's; made from the text of identities."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

from hem_provider.adapters.age import bech32
from hem_provider.adapters.age.kinds import BY_PREFIX, KINDS
from hem_provider.adapters.age.recipients import Recipient
from hem_provider.publickeys import device_form


class LocalHalf:
    """A private key that counts how often it is used."""

    def __init__(self, private):
        self.private = private
        self.uses = 0

    @property
    def type_name(self):
        if isinstance(self.private, x25519.X25519PrivateKey):
            return "CURVE25519"
        return "SECP256R1" if isinstance(self.private, ec.EllipticCurvePrivateKey) else "MLKEM768"

    def public_key(self):
        return self.private.public_key()

    def agree(self, share):
        self.uses += 1
        if self.type_name == "SECP256R1":
            return self.private.exchange(ec.ECDH(), share)
        return self.private.exchange(share)

    def decapsulate(self, ciphertext):
        self.uses += 1
        return self.private.decapsulate(ciphertext)


MAKE = {
    "CURVE25519": x25519.X25519PrivateKey.generate,
    "SECP256R1": lambda: ec.generate_private_key(ec.SECP256R1()),
    "MLKEM768": mlkem.MLKEM768PrivateKey.generate,
}


def new_half(kind="CURVE25519"):
    return LocalHalf(MAKE[kind]())


def halves_for(kind):
    """Fresh private keys of one of ``KINDS``, and the recipient that they are."""
    classical = new_half(kind.curve)
    if not kind.hybrid:
        return [classical], Recipient(kind, device_form(classical.public_key()))
    post_quantum = new_half("MLKEM768")
    public = post_quantum.public_key().public_bytes_raw() + kind.point(classical.public_key())
    return [classical, post_quantum], Recipient(kind, public)


def from_identity(text):
    """The private keys of ``AGE-SECRET-KEY-…``, and the recipient."""
    prefix, secret = bech32.decode(text)
    if prefix == "AGE-SECRET-KEY-":
        half = LocalHalf(x25519.X25519PrivateKey.from_private_bytes(secret))
        return [half], Recipient(BY_PREFIX["age"], device_form(half.public_key()))
    assert prefix == "AGE-SECRET-KEY-PQ-"
    expanded = hashlib.shake_256(secret).digest(96)
    post_quantum = LocalHalf(mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]))
    classical = LocalHalf(x25519.X25519PrivateKey.from_private_bytes(expanded[64:]))
    public = post_quantum.public_key().public_bytes_raw() + device_form(classical.public_key())
    return [classical, post_quantum], Recipient(BY_PREFIX["age1pq"], public)


def kind_named(stanza):
    return next(each for each in KINDS if each.stanza == stanza)
