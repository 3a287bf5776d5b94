"""``HMAC`` as in ``cryptography.hazmat.primitives.hmac``, with a HEM key (RFC 2104, FIPS 198-1).

>>> mac = HMAC(key, hashes.SHA256())                                   # doctest: +SKIP
>>> mac.update(b"message"); signature = mac.finalize()                 # doctest: +SKIP
"""

from __future__ import annotations

from cryptography.exceptions import AlreadyFinalized, InvalidSignature
from cryptography.hazmat.primitives.hashes import HashAlgorithm, HashContext

from hem_provider.arguments import Buffer, as_bytes
from hem_provider.errors import MessageTooLong
from hem_provider.symmetric.limits import message_limit
from hem_provider.symmetric.resolve import AnyMacKey, mac_key

__all__ = ["HMAC"]


class HMAC(HashContext):
    """The MAC of 1…``MAX_MESSAGE`` bytes with an HMAC key, or with the secret of an ``Agreement``.

    Device calls: one, in ``finalize`` or ``verify``; one more, to make sure of the key, when
    ``verify`` fails. The message is collected here, since the device takes whole messages only.
    """

    def __init__(self, key: AnyMacKey, algorithm: HashAlgorithm) -> None:
        """``algorithm``: SHA-2 or SHA-3 of 256, 384 or 512 bits, the one the key was made for.

        ``UnsupportedAlgorithm`` otherwise, ``WrongKeyType`` for another key; no call.
        """
        self._key = mac_key(key, algorithm)
        self._algorithm = algorithm
        self._message = b""
        self._finalized = False

    def __repr__(self) -> str:
        return f"<HMAC {self._algorithm.name} {self._key!r}>"

    @property
    def algorithm(self) -> HashAlgorithm:
        """The digest."""
        return self._algorithm

    def update(self, data: Buffer) -> None:
        """Add bytes. ``MessageTooLong`` once they are over ``MAX_MESSAGE`` (then they are not added).
        ``AlreadyFinalized`` after the end."""
        self._check_running()
        message = self._message + as_bytes("data", data)
        limit = message_limit(self._key)
        if len(message) > limit:
            raise MessageTooLong(
                f"HMAC: {len(message)} bytes; the device takes at most {limit}. Make the MAC of a "
                "digest of the data, and say so in your format",
                size=len(message),
                limit=limit,
            )
        self._message = message

    def copy(self) -> HMAC:
        """An HMAC that goes on from here by itself. ``AlreadyFinalized`` after the end."""
        self._check_running()
        twin = HMAC.__new__(HMAC)
        twin.__dict__.update(self.__dict__)
        return twin

    def finalize(self) -> bytes:
        """The MAC: 32, 48 or 64 bytes. ``ValueError`` for an empty message, which the device refuses."""
        mac = self._key.mac(self._whole_message())
        self._finalized = True
        return mac

    def verify(self, signature: bytes) -> None:
        """``InvalidSignature`` unless ``signature`` is the whole MAC; the device compares. ``ValueError``
        for an empty message; ``AlreadyFinalized`` after the end."""
        message, given = self._whole_message(), as_bytes("signature", signature)
        valid = len(given) == self._algorithm.digest_size and self._key.accepts(message, given)
        if not valid and len(given) == self._algorithm.digest_size:
            self._key.confirm()
        self._finalized = True
        if not valid:
            raise InvalidSignature("Signature did not match digest.")

    def _whole_message(self) -> bytes:
        self._check_running()
        if not self._message:
            raise ValueError(f"HMAC: 0 bytes; the device takes 1 to {message_limit(self._key)} bytes")
        return self._message

    def _check_running(self) -> None:
        if self._finalized:
            raise AlreadyFinalized("Context was already finalized.")
