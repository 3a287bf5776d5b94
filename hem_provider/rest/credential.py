"""From a passphrase to the X25519 key that proves it (device API §5.2).

The device stores public keys only; its identity ``eid`` salts the derivation, so a credential
belongs to one initialised life of one device.
"""

from __future__ import annotations

import enum
import hashlib
import hmac

from hem_provider.errors import HemLoginRequired
from hem_provider.rest.ejwt import public_key_of, shared_secret
from hem_provider.rest.encoding import b64, unb64

__all__ = ["PBKDF2_ITERATIONS", "Credential", "Role", "pbkdf2_seed", "rotation_fields"]

PBKDF2_ITERATIONS = 600_000


class Role(enum.Enum):
    """Who a credential belongs to; the value is the device's ``sub`` claim (device API §4.3)."""

    USER = "U"
    MASTER = "M"


def pbkdf2_seed(passphrase: str, eid: str) -> bytes:
    """The 32-byte private key: PBKDF2-HMAC-SHA256, 600 000 rounds, salted with the *text* of
    ``eid``."""
    return hashlib.pbkdf2_hmac(
        "sha256", passphrase.encode("utf-8"), eid.encode("ascii"), PBKDF2_ITERATIONS, 32
    )


class Credential:
    """A private X25519 key for one ``eid``. It never shows the key, and can be wiped."""

    def __init__(self, seed: bytes, *, eid: str, role: Role, doubt: str | None = None) -> None:
        self.eid = eid
        self.role = role
        self.doubt = doubt  #: what to say of the secret when the device refuses it
        self._seed = bytearray(seed)
        self.public = public_key_of(seed)

    def agree(self, peer: bytes) -> bytes:
        """The shared secret with ``peer`` (32 bytes each). ``HemLoginRequired`` after ``wipe``."""
        if not self._seed:
            raise HemLoginRequired("logged out: the credential was wiped")
        return shared_secret(bytes(self._seed), peer)

    def wipe(self) -> None:
        """Overwrite the key; the credential is of no use afterwards."""
        for place in range(len(self._seed)):
            self._seed[place] = 0
        self._seed.clear()

    def __repr__(self) -> str:
        return f"<Credential role={self.role.name} eid={self.eid}>"

    def __reduce__(self) -> str:
        raise TypeError("a credential is not pickled")


def rotation_fields(seed: bytes, *, spk: str, nonce: str) -> dict[str, str]:
    """The configuration fields that make ``seed`` the user key (device API §8.3).

    ``spk`` and ``nonce`` are the texts of a fresh configuration or challenge. The MAC proves that
    the new private key is known; the old passphrase is proven by the token.
    """
    mac = hmac.digest(shared_secret(seed, unb64(spk)), unb64(nonce), hashlib.sha256)
    return {"userkey": b64(public_key_of(seed)), "userkey_nonce": nonce, "userkey_hmac": b64(mac)}
