"""AES keys of a HEM for Tink: as the AEAD of a key management service, which envelope encryption asks.

::

    remote = HemAead(hem.keys.find(label="envelope"))
    envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)
    envelope.decrypt(ciphertext, b"row 17")                        one call, whatever the size

``HemKmsClient`` finds keys by URIs, which Tink keeps in keysets: ``pkcs11:object=envelope``, as
``hem openssl uri`` prints them. What is sealed has the form of ``hem_provider.symmetric.seal``: only a HEM
with the key opens it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.device.keyuri import is_uri, parse_uri
from hem_provider.device.naming import NameFault, key_meant
from hem_provider.installation import lacking
from hem_provider.symmetric import AESGCM, open, seal

try:
    import tink
    from tink import aead
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemAead", "HemKmsClient"]

#: Most characters of a refused URI that are shown.
_SHOWN = 80


class HemAead(aead.Aead):  # type: ignore[misc]  # Tink has no types
    """An AES key of family ``aead``. ``WrongKeyType``, ``WrongKeyFamily``; no I/O for one that was listed."""

    def __init__(self, key: Key) -> None:
        AESGCM(key)  # says what is wrong with it
        self._key = key

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key!r}>"

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """1…``MAX_MESSAGE`` bytes (16 fewer with 16 bytes of ``associated_data`` or more) sealed; one call.

        ``MessageTooLong`` for more: use ``KmsEnvelopeAead``. ``TinkError`` for no byte, which the device
        does not seal.
        """
        if not plaintext:
            raise tink.TinkError("plaintext: 0 bytes; the device seals 1 byte and more")
        return seal(self._key, plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """What was sealed with this key and ``associated_data``; one call, two where it is rejected with
        ``TinkError``."""
        try:
            return open(self._key, ciphertext, associated_data)
        except InvalidTag as error:
            raise tink.TinkError(f"decryption failed: {error}") from None


class HemKmsClient(tink.KmsClient):  # type: ignore[misc]
    """Finds the keys of one device by PKCS#11 URIs, for ``tink.register_kms_client``. No I/O."""

    def __init__(self, hem: Hem) -> None:
        self._hem = hem

    def does_support(self, key_uri: str) -> bool:
        """Whether it is a PKCS#11 URI that may mean a key of this device."""
        try:
            return is_uri(key_uri) and parse_uri(key_uri).may_mean(self._hem.config.name)
        except ValueError:
            return False

    def get_aead(self, key_uri: str) -> HemAead:
        """The AEAD of the one key that the URI means. ``TinkError`` for a URI that is none, or of another
        device; ``HemKeyNotFound``, ``HemKeyAmbiguous``; and as ``HemAead`` for a key that is not for this."""
        if not is_uri(key_uri):
            shown = key_uri[:_SHOWN]
            raise tink.TinkError(f"key_uri: {shown!r}; accepted: a PKCS#11 URI, as pkcs11:object=LABEL")
        try:
            return HemAead(key_meant(self._hem, key_uri))
        except NameFault as error:
            raise tink.TinkError(f"key_uri: {error}") from None
