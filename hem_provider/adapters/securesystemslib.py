"""Signers for securesystemslib, by which python-tuf and in-toto sign their metadata: by URI, after one call::

    register()
    Signer.from_priv_key_uri("hem://root", public_key).sign(metadata)

A URI is ``hem://`` and a name as every command takes it: a KID, a label, or a PKCS#11 URI, which tells the
device, too (``hem://pkcs11:token=office;object=root``). A label stands there as it is, without escapes.

EC keys on P-256, P-384 and P-521 and Ed25519 keys sign 1 to ``MAX_MESSAGE`` bytes of metadata; ML-DSA keys
sign its SHA-512 (TAP 21), so it may have any size. securesystemslib 1.6 and newer.
"""

from __future__ import annotations

from typing import Any

from hem_provider.device.hem import Hem, Key, connect
from hem_provider.device.naming import NameFault, device_meant, key_meant
from hem_provider.errors import HemOperationFailed
from hem_provider.installation import lacking
from hem_provider.keys.signing import SIGNING, algorithm_of, check_signs

try:
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, SecretsHandler, SSlibKey
    from securesystemslib.signer import Key as PublicKey
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["SCHEME", "HemSigner", "register"]

#: What a URI begins with, before ``://``.
SCHEME = "hem"


class HemSigner(CryptoSigner):
    """A key of a HEM that signs metadata: one call a signature.

    ``public_key``: as the metadata has it, whose ``scheme`` says how is signed; without it, that of the key
    itself, with the scheme and the key id that securesystemslib gives it. Making one asks the device for the
    public half, once, where that is not known yet.

    ``HemOperationFailed`` for a key that does not sign, ``ValueError`` for one or a scheme that
    securesystemslib does not know, ``KeyMismatchError`` (of securesystemslib) for another key's
    ``public_key``.
    """

    def __init__(self, key: Key, public_key: SSlibKey | None = None) -> None:
        if key.type.family not in SIGNING:
            raise HemOperationFailed(f"key {key.kid} ({key.label!r}) is {key.type.name}, which does not sign")
        check_signs(key, algorithm_of(key.type))
        private: Any = key.private_key()
        super().__init__(private, public_key)
        self.hem_key = key

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: PublicKey,
        secrets_handler: SecretsHandler | None = None,
    ) -> HemSigner:
        """The signer that a URI means, on a configured device. ``secrets_handler`` is asked for the
        passphrase where no login is configured or at hand.

        ``ValueError`` for what is no such URI, or a public key of another kind; ``HemConfigError``,
        ``HemKeyNotFound``, ``HemKeyAmbiguous``, what a login raises, and what the constructor does.
        """
        return _Opener(None).from_priv_key_uri(priv_key_uri, public_key, secrets_handler)

    @classmethod
    def import_(cls, key: Key, keyid: str | None = None) -> tuple[str, SSlibKey]:
        """The URI of a key, by its KID, and its public half for metadata; one call at most. ``keyid``: the id
        that metadata gives it, instead of securesystemslib's own."""
        private: Any = key.private_key()
        public = cls(key, SSlibKey.from_crypto(private.public_key(), keyid)).public_key
        return f"{SCHEME}://{key.kid}", public


class _Opener:
    """What securesystemslib asks for a signer by its URI. ``hem``: where the keys are, instead of on the
    configured devices, each of which is opened once."""

    def __init__(self, hem: Hem | None) -> None:
        self._hem = hem
        self._opened: dict[str | None, Hem] = {}

    def from_priv_key_uri(
        self, priv_key_uri: str, public_key: PublicKey, secrets_handler: SecretsHandler | None = None
    ) -> HemSigner:
        name = _name_of(priv_key_uri)
        if not isinstance(public_key, SSlibKey):
            raise ValueError(  # noqa: TRY004 - as securesystemslib's own signers
                f"public_key: {type(public_key).__name__} for {priv_key_uri}; accepted: SSlibKey"
            )
        hem = self._hem or self._open(device_meant(None, name))
        if secrets_handler is not None:
            _log_in(hem, secrets_handler)
        return HemSigner(key_meant(hem, name), public_key)

    def _open(self, device: str | None) -> Hem:
        if device not in self._opened:
            self._opened.setdefault(device, connect(name=device))
        return self._opened[device]


def register(hem: Hem | None = None) -> None:
    """From now on securesystemslib's ``Signer.from_priv_key_uri`` takes URIs of HEM keys. ``hem``: where they
    are; without it, on the configured devices."""
    signers: dict[str, Any] = SIGNER_FOR_URI_SCHEME
    signers[SCHEME] = _Opener(hem)


def _name_of(uri: str) -> str:
    scheme, mark, name = uri.partition("://")
    if scheme != SCHEME or not (mark and name):
        raise NameFault(
            f"{uri!r} names no key of a HEM; accepted: {SCHEME}://KEY, where KEY is a KID, a label or a "
            "PKCS#11 URI"
        )
    return name


def _log_in(hem: Hem, ask: SecretsHandler) -> None:
    if hem.next_login is None:
        hem.login(ask(f"passphrase of HEM {hem.config.name}"))
