"""Keys of a HEM for ``jwcrypto``.

::

    key = HemJWK(hem.keys.find(label="tokens"))
    token.make_signed_token(key)                   JWT, JWS: one call
    token.deserialize(text, key)                   JWE by ECDH-ES: one call

EC and Edwards keys sign, EC and X25519 keys agree. Secret keys cannot be given to jwcrypto: it wants
their bytes, in algorithms that no other can stand for. See ``hem_provider.adapters.joserfc`` for them.
"""

from __future__ import annotations

from typing import Any, NoReturn

from hem_provider.device.key import Key
from hem_provider.errors import KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keys.publicforms import check_parameters, jwk

try:
    from jwcrypto.jwk import JWK
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemJWK"]


class HemJWK(JWK):  # type: ignore[misc]  # jwcrypto has no types
    """A key of a device. As a mapping it is the public JWK, with the KID as ``kid``.

    ``parameters``: of the JWK besides, such as ``use``. One call where the public half is not known yet.
    ``HemOperationFailed`` for a type that JOSE has no asymmetric key for, ``ValueError`` for parameters that
    are the key itself. What a key is not made for is refused when it is used.
    """

    def __init__(self, key: Key, **parameters: Any) -> None:
        check_parameters(parameters, "kty", "crv", "x", "y", "d")
        super().__init__(**{**jwk(key), **parameters})
        self._hem_key = key
        self._remote = key.private_key()

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._hem_key

    @property
    def has_private(self) -> bool:
        """It has, in the device."""
        return True

    def export(self, private_key: bool = True, as_dict: bool = False) -> Any:
        """The public JWK for ``private_key=False``; else ``KeyNotExportable``."""
        if private_key:
            self._refuse()
        return self.export_public(as_dict)

    def export_private(self, as_dict: bool = False) -> NoReturn:  # noqa: ARG002
        """Refused: ``KeyNotExportable``."""
        self._refuse()

    def _get_private_key(self, arg: str | None = None) -> Any:
        if arg is not None:
            self._get_curve_by_name(arg)  # says so where an algorithm is for another curve
        return self._remote

    def _refuse(self) -> NoReturn:
        raise KeyNotExportable(f"the private half of key {self._hem_key.kid} never leaves the device")
