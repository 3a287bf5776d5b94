"""Keys that the device derives from an ECDH secret for one operation and never stores.

Two parties that hold each other's public key share them without any exchange (device API §13.7)::

    HMAC      the raw secret itself
    AES       HKDF-SHA256(secret, no salt, info = "encedo-aes" ‖ context, length = width)
    key wrap  the same with "encedo-kek"
"""

from __future__ import annotations

from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519

from hem_provider.arguments import as_bytes
from hem_provider.device.key import Key
from hem_provider.keytypes import AES_WIDTHS, Family, KeyType
from hem_provider.publickeys import check_agreeable, curve, device_form, type_of
from hem_provider.records import field, frozen
from hem_provider.symmetric.errors import WrongKeyType

__all__ = ["Agreement", "Peer"]

#: The other side: a stored key, a public key of ``cryptography``, or one in device form.
Peer: TypeAlias = "Key | bytes | ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey"


@frozen
class Agreement:
    """A derived key; usable wherever this package takes a key. Constructing makes no call for keys
    that were listed.

    ``key``: ours, X25519, X448 or an EC key made for ``derive``. ``peer``: of the same curve.
    ``context``: 0…``MAX_DERIVATION_CONTEXT`` bytes; another context, another AES key. Give each mode family
    a context of its own: nothing else keeps them apart. It plays no part in HMAC. ``bits``: AES width.

    With P-384, P-521 and X448 it is not settled which part of the secret the device takes as HMAC
    key: such a MAC is good for this device, perhaps not for another implementation.

    Raises ``WrongKeyType`` and ``ValueError``.
    """

    key: Key
    peer: Peer
    context: bytes = b""
    bits: int = 256
    device_peer: bytes | str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.key, Key):
            raise WrongKeyType(f"key: {type(self.key).__name__}; accepted: a key of a HEM")
        kind = self.key.type
        if kind.family not in (Family.EC, Family.MONTGOMERY):
            raise WrongKeyType(f"key {self.key.kid} is {kind.name}; accepted: an EC, X25519 or X448 key")
        attributes = self.key.attributes
        if not (attributes.ecdh and attributes.private):
            raise WrongKeyType(
                f"key {self.key.kid} ({kind.name}) was not made for 'derive', or has no private half"
            )
        if self.bits not in AES_WIDTHS:
            raise ValueError(f"bits: {self.bits}; accepted: {', '.join(map(str, AES_WIDTHS))}")
        context = as_bytes("context", self.context)
        most = self.key.operations.limits.derivation_context
        if len(context) > most:
            raise ValueError(f"context: {len(context)} bytes; accepted: at most {most}")
        object.__setattr__(self, "context", context)
        peer = _device_peer(self.key, kind, self.peer)
        if isinstance(peer, bytes):
            try:
                check_agreeable(kind, peer)  # the device would refuse it as it refuses wrong data
            except ValueError as error:
                raise ValueError(f"peer: {error}") from None
        object.__setattr__(self, "device_peer", peer)

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"the key agreed by {self.key.kid}"


def _device_peer(key: Key, kind: KeyType, peer: Peer) -> bytes | str:
    """The peer as the device takes it: the KID of a stored key, or a public key in its form."""
    if isinstance(peer, Key):
        if peer.type.name != kind.name:
            raise WrongKeyType(
                f"peer {peer.kid} is {peer.type.name}; accepted: {kind.name}, like key {key.kid}"
            )
        return peer.kid if peer.operations is key.operations else peer.public_bytes()
    if isinstance(peer, ec.EllipticCurvePublicKey):
        given = peer.curve.name
        matches = kind.family is Family.EC and given == curve(kind.name).name
    elif isinstance(peer, (x25519.X25519PublicKey, x448.X448PublicKey)):
        given = "X25519" if isinstance(peer, x25519.X25519PublicKey) else "X448"
        matches = type_of(peer) is kind
    else:
        form = as_bytes("peer", peer)
        if len(form) != kind.public_size:
            raise ValueError(
                f"peer: {len(form)} bytes; a {kind.name} public key in device form has {kind.public_size}"
            )
        return form
    if not matches:
        raise WrongKeyType(f"peer: a public key of {given}; accepted: {kind.name}, like key {key.kid}")
    return device_form(peer)
