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
from hem_provider.device.keyuri import KeyUri, is_uri, parse_uri
from hem_provider.errors import HemKeyAmbiguous, HemKeyNotFound
from hem_provider.installation import lacking
from hem_provider.symmetric import AESGCM, open, seal

try:
    import tink
    from tink import aead
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemAead", "HemKmsClient"]


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
        uri = self._read(key_uri)
        found = [each for each in self._hem.keys if uri.fits(each)]
        if not found and self._hem.keys.aged:  # it may have been made since the agent listed the device
            self._hem.keys.refresh()
            found = [each for each in self._hem.keys if uri.fits(each)]
        if not found:
            raise HemKeyNotFound(f"{self._hem.config.name}: no key is {key_uri}")
        if len(found) > 1:
            kids = ", ".join(each.kid for each in found)
            raise HemKeyAmbiguous(f"{self._hem.config.name}: {len(found)} keys are {key_uri}: {kids}")
        return HemAead(found[0])

    def _read(self, text: str) -> KeyUri:
        try:
            uri = parse_uri(text)
        except ValueError as error:
            raise tink.TinkError(f"key_uri: {error}") from None
        if uri.object is None and uri.id is None:
            raise tink.TinkError(f"key_uri: {text}: it names no key; add object=LABEL or id=%XX")
        misfit = uri.misfit(self._hem)
        if misfit is not None:
            raise tink.TinkError(f"key_uri: {text}: it has {misfit}")
        return uri
