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
from hem_provider.secret import Lease, SecretGone, hold

__all__ = ["PBKDF2_ITERATIONS", "Credential", "Role", "pbkdf2_seed", "rotation_fields"]

PBKDF2_ITERATIONS = 600_000


class Role(enum.Enum):
    """Who a credential belongs to; the value is the device's ``sub`` claim (device API §4.3)."""

    USER = "U"
    MASTER = "M"


def pbkdf2_seed(passphrase: str, eid: str) -> bytes:
    """The 32-byte private key: PBKDF2-HMAC-SHA256, 600 000 rounds, salted with the *text* of
    ``eid``."""
    # Not hashlib's: OpenSSL as cryptography brings it needs half the time of what systems have, and
    # neither keeps other threads waiting.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    derivation = PBKDF2HMAC(SHA256(), 32, eid.encode("ascii"), PBKDF2_ITERATIONS)
    return derivation.derive(passphrase.encode("utf-8"))


class Credential:
    """A private X25519 key for one ``eid``. It never shows the key, and can be wiped.

    Safe for threads: a login that is under way proves the true key or is refused, whoever wipes.
    """

    def __init__(self, seed: bytes | Lease, *, eid: str, role: Role, doubt: str | None = None) -> None:
        """``seed``: 32 bytes, which are copied, or the lease on them, which ends with the credential."""
        self.eid = eid
        self.role = role
        self.doubt = doubt  #: what to say of the secret when the device refuses it
        self._seed = seed if isinstance(seed, Lease) else hold(seed)
        with self._seed.lent() as key:
            self.public = public_key_of(key)

    def agree(self, peer: bytes) -> bytes:
        """The shared secret with ``peer`` (32 bytes each). ``HemLoginRequired`` after ``wipe``."""
        try:
            with self._seed.lent() as key:
                return shared_secret(key, peer)
        except SecretGone:
            raise HemLoginRequired("logged out: the credential was wiped") from None

    def share(self) -> Credential:
        """The same credential for another user, which wipes its own. ``HemLoginRequired`` after
        ``wipe``."""
        try:
            lease = self._seed.share()
        except SecretGone:
            raise HemLoginRequired("logged out: the credential was wiped") from None
        twin = object.__new__(Credential)
        twin.eid, twin.role, twin.doubt, twin.public = self.eid, self.role, self.doubt, self.public
        twin._seed = lease
        return twin

    def wipe(self) -> None:
        """Let go of the key; the credential is of no use afterwards. The last user's end
        overwrites the key."""
        self._seed.end()

    def overwrite(self) -> None:
        """Overwrite the key now, whoever shares it: what a forked child does with its copy."""
        self._seed.overwrite()

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
