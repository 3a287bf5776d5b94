"""The values that operations of a card take and give: digests in front of which their name stands, points."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.adapters.scdaemon.cards import CardKey
from hem_provider.adapters.scdaemon.faults import CardFault
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import device_form

__all__ = ["DIGESTS", "agreed_point", "authenticated", "digest_of", "peer_point"]

#: Digest → the DER that names it before its value (RFC 8017 §9.2, note 1), and its size.
DIGESTS: Mapping[str, tuple[bytes, int]] = {
    "sha1": (bytes.fromhex("3021300906052b0e03021a05000414"), 20),
    "rmd160": (bytes.fromhex("3021300906052b2403020105000414"), 20),
    "sha224": (bytes.fromhex("302d300d06096086480165030402040500041c"), 28),
    "sha256": (bytes.fromhex("3031300d060960864801650304020105000420"), 32),
    "sha384": (bytes.fromhex("3041300d060960864801650304020205000430"), 48),
    "sha512": (bytes.fromhex("3051300d060960864801650304020305000440"), 64),
}
_X25519 = 32


def digest_of(data: bytes, name: str) -> bytes:
    """The digest in what ``SETDATA`` brought for a signature, with or without its name before it.

    For EdDSA it is the message that is signed (RFC 9580 §5.2.3.3, §13.7 of RFC 4880bis). ``CardFault``.
    """
    if name not in DIGESTS:
        raise CardFault("PARAMETER", f"hash {name}: accepted: {', '.join(DIGESTS)}")
    prefix, size = DIGESTS[name]
    digest = data.removeprefix(prefix)
    if len(digest) != size:
        raise CardFault("INV_VALUE", f"{len(data)} bytes of data are no {name} digest, which has {size}")
    return digest


def authenticated(data: bytes) -> bytes:
    """What is to be signed to authenticate, of what ``SETDATA`` brought: of EdDSA the whole message, before
    which gpg-agent puts the name of SHA-1 as it does before a digest."""
    return data.removeprefix(DIGESTS["sha1"][0])


def peer_point(key: CardKey, data: bytes) -> bytes:
    """The sender's share in what ``SETDATA`` brought for a decryption, in device form. ``CardFault``."""
    if key.type == "CURVE25519":
        # As a number it may have lost zeros, or carries 0x40 (or a zero) in front.
        share = data[1:] if len(data) == _X25519 + 1 else data.rjust(_X25519, b"\0")
        if len(share) == _X25519:
            return share
    elif len(data) == 65 and data[:1] == b"\4":
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            return device_form(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data))
        except ValueError:
            pass
    raise CardFault("INV_VALUE", f"{len(data)} bytes of data are no point of {KEY_TYPES[key.type].name}")


def agreed_point(key: CardKey, secret: bytes) -> bytes:
    """A raw secret as gpg-agent takes a shared point: its x alone, after a byte that says so."""
    return (b"\x40" if key.type == "CURVE25519" else b"\x41") + secret
