"""Cryptographic operations by KID: the token each needs, and what a refusal means.

The device answers 406 for an unknown key, a wrong type or usage, and a failure alike; here the
key is looked up then, so that the error says which (device API §13.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hem_provider.errors import HemError, HemKeyNotFound, HemOperationFailed
from hem_provider.keytypes import parse_attributes
from hem_provider.rest.api import RestApi
from hem_provider.rest.crypto import check_context, check_message
from hem_provider.rest.keymgmt import KeyMaterial, check_kid
from hem_provider.rest.session import LoginSession
from hem_provider.symmetric_operations import SymmetricOperations

__all__ = ["Operations"]

T = TypeVar("T")


class Operations:
    """One method per operation; each costs one call once the key's token is at hand."""

    def __init__(self, rest: RestApi, session: LoginSession) -> None:
        self._rest = rest
        self._session = session
        self.symmetric = SymmetricOperations(rest.symmetric, self._run, self.fetch)

    def sign(self, kid: str, message: bytes, algorithm: str, *, context: bytes | None = None) -> bytes:
        """See ``Hem.sign``."""
        check_message(message)
        check_context(context)
        return self._run(
            kid,
            f"sign with {algorithm}",
            lambda token: self._rest.crypto.sign(kid, message, algorithm, context=context, token=token),
        )

    def verify(
        self, kid: str, message: bytes, signature: bytes, algorithm: str, *, context: bytes | None = None
    ) -> bool:
        """See ``Hem.verify``."""
        check_message(message)
        check_context(context)

        def check(token: str) -> bool:
            valid = self._rest.crypto.verify(kid, message, signature, algorithm, context=context, token=token)
            if not valid:  # or there is no such key
                self._rest.keymgmt.get(kid, token=token)
            return valid

        return self._run(kid, f"verify with {algorithm}", check)

    def ecdh(self, kid: str, peer: bytes | str, *, algorithm: str | None = None) -> bytes:
        """See ``Hem.ecdh``."""
        return self._run(
            kid,
            "agree on a secret",
            lambda token: self._rest.crypto.ecdh(kid, peer, algorithm=algorithm, token=token),
        )

    def mlkem_encapsulate(self, kid: str) -> tuple[bytes, bytes]:
        """A fresh ciphertext and its shared secret, in this order."""
        return self._run(
            kid, "encapsulate", lambda token: self._rest.crypto.mlkem_encapsulate(kid, token=token)
        )

    def mlkem_decapsulate(self, kid: str, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret."""
        return self._run(
            kid,
            "decapsulate",
            lambda token: self._rest.crypto.mlkem_decapsulate(kid, ciphertext, token=token),
        )

    def mldsa_sign(self, kid: str, message: bytes, *, context: bytes | None = None) -> bytes:
        """The raw ML-DSA signature of 1…2048 bytes."""
        check_message(message)
        check_context(context)
        return self._run(
            kid,
            "sign with ML-DSA",
            lambda token: self._rest.crypto.mldsa_sign(kid, message, context=context, token=token),
        )

    def mldsa_verify(
        self, kid: str, message: bytes, signature: bytes, *, context: bytes | None = None
    ) -> bool:
        """Verify on the device; ``HemKeyNotFound`` when there is no such key."""
        check_message(message)
        check_context(context)

        def check(token: str) -> bool:
            valid = self._rest.crypto.mldsa_verify(kid, message, signature, context=context, token=token)
            if not valid:  # or there is no such key
                self._rest.keymgmt.get(kid, token=token)
            return valid

        return self._run(kid, "verify with ML-DSA", check)

    def fetch(self, kid: str) -> KeyMaterial:
        """Type and public key. ``HemKeyNotFound`` when there is no such key."""
        scopes = (f"keymgmt:use:{kid}", "keymgmt:gen", "keymgmt:get")
        return self._session.authorised(scopes, lambda token: self._rest.keymgmt.get(kid, token=token))

    def _run(self, kid: str, what: str, action: Callable[[str], T]) -> T:
        kid = check_kid(kid)
        scope = (f"keymgmt:use:{kid}",)
        try:
            return self._session.authorised(scope, action)
        except HemKeyNotFound:
            raise
        except HemOperationFailed as refused:
            raise self._explained(kid, what, refused) from refused

    def _explained(self, kid: str, what: str, refused: HemOperationFailed) -> HemError:
        try:
            material = self.fetch(kid)
        except HemKeyNotFound:
            return HemKeyNotFound(f"{self._rest.channel.config.name}: cannot {what}: no key {kid}")
        except HemError:
            return refused
        kind = parse_attributes(material.type).key_type
        name = kind.name if kind else material.type or "record"
        return HemOperationFailed(
            f"{self._rest.channel.config.name}: the device refuses to {what}: key {kid} is there, of type "
            f"{name}; it is not made for this use, has no private half, or the input does not fit it"
        )
