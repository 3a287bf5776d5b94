"""Certificates: a primary key, names and subkeys, bound by signatures of the primary (RFC 4880 §11.1).

The moment of a signature is that of the key it binds, and EdDSA is deterministic: the same keys and names
give the same certificate, byte for byte, wherever it is made. What was changed later by other signatures (an
expiry, a revocation) is not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from hem_provider.adapters.openpgp.keys import PgpKey
from hem_provider.adapters.openpgp.packets import mpi, packet, subpacket
from hem_provider.adapters.openpgp.places import Role
from hem_provider.records import frozen

__all__ = ["FORMS", "Form", "Subkey", "certificate", "revocation", "signatures_of"]

#: Signs a digest of 32 bytes by the primary key: 64 bytes.
Signer = Callable[[bytes], bytes]
_PUBLIC_KEY, _PUBLIC_SUBKEY, _USER_ID, _SIGNATURE = 6, 14, 13, 2
#: Types of signatures (RFC 4880 §5.2.1).
_POSITIVE, _BINDING, _REVOCATION = 0x13, 0x18, 0x20
_EDDSA, _SHA256 = 22, 8
#: Types of subpackets (RFC 4880 §5.2.3.1; the fingerprint RFC 9580 §5.2.3.35).
_CREATED, _KEY_EXPIRES, _CIPHERS, _ISSUER, _DIGESTS, _COMPRESSIONS = 2, 9, 11, 16, 21, 22
_KEY_SERVER, _FLAGS, _REASON, _FEATURES, _FINGERPRINT = 23, 27, 29, 30, 33
#: What a key is for (RFC 4880 §5.2.3.21).
_USES = {Role.SIGN: 0x03, Role.DECRYPT: 0x0C, Role.AUTHENTICATE: 0x20}


@frozen
class Form:
    """What stands in the certificates of one maker. ``preferences``: kind and body of subpackets, in order.
    ``fingerprint``: whether signatures name their maker by it, too."""

    preferences: tuple[tuple[int, bytes], ...]
    fingerprint: bool


#: Maker, as ``Place`` has it → its form. That of the vendor's mail application is as it publishes its own.
FORMS = {
    "hem-provider": Form(
        (
            (_CIPHERS, bytes([9, 8, 7])),
            (_DIGESTS, bytes([10, 9, 8])),
            (_COMPRESSIONS, bytes([2, 1, 0])),
            (_FEATURES, b"\1"),
            (_KEY_SERVER, b"\x80"),
        ),
        fingerprint=True,
    ),
    "mail": Form(
        (
            (_CIPHERS, bytes([9, 7])),
            (_DIGESTS, bytes([8, 10])),
            (_COMPRESSIONS, bytes([2, 1, 0])),
            (_FEATURES, b"\1"),
        ),
        fingerprint=False,
    ),
}


@frozen
class Subkey:
    """A key that is bound to the primary, for what."""

    key: PgpKey
    role: Role


def certificate(
    primary: PgpKey,
    user_id: str,
    subkeys: Sequence[Subkey],
    sign: Signer,
    *,
    form: Form,
    expires: int | None = None,
) -> bytes:
    """The packets. ``sign`` is called ``signatures_of(subkeys)`` times. ``expires``: Unix seconds."""
    name = user_id.encode()
    ends = (expires - primary.created) if expires is not None else 0
    expiry = ((_KEY_EXPIRES, ends.to_bytes(4, "big")),) if ends > 0 else ()
    made = packet(_PUBLIC_KEY, primary.body) + packet(_USER_ID, name)
    made += _signature(
        _POSITIVE,
        primary,
        b"\xb4" + len(name).to_bytes(4, "big") + name,
        primary.created,
        ((_FLAGS, bytes([_USES[Role.SIGN]])), *form.preferences, *expiry),
        sign,
        form,
    )
    for each in subkeys:
        made += packet(_PUBLIC_SUBKEY, each.key.body)
        fields = ((_FLAGS, bytes([_USES[each.role]])), *expiry)
        made += _signature(_BINDING, primary, each.key.hashed, each.key.created, fields, sign, form)
    return made


def signatures_of(subkeys: Sequence[Subkey]) -> int:
    """How many signatures a certificate takes: each is a call of the device."""
    return 1 + len(subkeys)


def revocation(primary: PgpKey, when: int, sign: Signer) -> bytes:
    """The packet that revokes the primary key, as it is kept for the day when the device is lost: without a
    reason (RFC 4880 §5.2.3.23). ``when``: Unix seconds."""
    form = FORMS["hem-provider"]
    return _signature(_REVOCATION, primary, b"", when, ((_REASON, b"\0"),), sign, form)


def _signature(
    kind: int,
    primary: PgpKey,
    bound: bytes,
    when: int,
    fields: Sequence[tuple[int, bytes]],
    sign: Signer,
    form: Form,
) -> bytes:
    named = ((_FINGERPRINT, b"\4" + primary.fingerprint),) if form.fingerprint else ()
    every = (*named, (_CREATED, when.to_bytes(4, "big")), *fields)
    hashed = b"".join(subpacket(*each) for each in every)
    head = bytes([4, kind, _EDDSA, _SHA256]) + len(hashed).to_bytes(2, "big") + hashed
    trailer = b"\4\xff" + len(head).to_bytes(4, "big")
    digest = hashlib.sha256(primary.hashed + bound + head + trailer).digest()
    issuer = subpacket(_ISSUER, primary.key_id)
    signature = sign(digest)
    numbers = mpi(signature[:32]) + mpi(signature[32:])
    return packet(_SIGNATURE, head + len(issuer).to_bytes(2, "big") + issuer + digest[:2] + numbers)
