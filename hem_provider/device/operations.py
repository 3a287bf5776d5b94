"""Operations with a key: what a refusal means, and whether what the device made verifies.

The device answers 406 for an unknown key, a wrong type or usage, and a failure alike; here the
key is looked up then, so that the error says which (device API §13.1). The calls themselves are those of
``ciphers`` and ``crypto``, which the layers above take from here with the firmware's limits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hem_provider.config import DeviceConfig
from hem_provider.config.limits import FirmwareLimits
from hem_provider.device.login import LoginSession
from hem_provider.device.verification import ML_DSA, KnownKey, accepts
from hem_provider.errors import HemAnswerFault, HemError, HemKeyNotFound, HemOperationFailed
from hem_provider.keytypes import parse_attributes
from hem_provider.rest import ciphers, crypto, keymgmt
from hem_provider.rest.call import Call
from hem_provider.rest.keymgmt import KeyMaterial

__all__ = ["FirmwareLimits", "Operations", "ciphers", "crypto"]

T = TypeVar("T")


class Operations:
    """Each operation costs one call once the key's token is at hand."""

    def __init__(self, session: LoginSession) -> None:
        self._session = session
        config = session.rest.channel.config
        self._name = config.name
        #: The device's.
        self.config: DeviceConfig = config
        self._verify_signatures = config.verify_signatures
        #: The firmware's, which calls are checked by.
        self.limits: FirmwareLimits = session.rest.channel.limits
        #: Most calls of one operation over bulk data that is composed of these.
        self.max_calls = config.max_calls
        #: What is known of a key without asking the device; set by who keeps the listing.
        self.known: Callable[[str], KnownKey] = lambda _: KnownKey()
        #: Called with the KID of a key that the device turned out not to have.
        self.gone: Callable[[str], None] = lambda _: None
        self._first_fetched: str | None = None

    def run(self, call: Call[T], known: KnownKey | None = None) -> T:
        """An operation with a key. ``HemKeyNotFound`` where the device has none; ``HemOperationFailed``
        says what it has against the key. ``known``: of the key, where somebody has looked."""
        try:
            return self._session.run(call.of((known or self.known(call.kid)).type))
        except HemKeyNotFound:
            self.gone(call.kid)
            raise
        except HemOperationFailed as refused:
            raise self._explained(call, refused) from refused

    def sign(self, kid: str, message: bytes, algorithm: str, *, context: bytes | None = None) -> bytes:
        """See ``Hem.sign``."""
        call = crypto.sign(kid, message, algorithm, context=context, limits=self.limits)
        known = self.known(call.kid)
        return self._proven(known, call, self.run(call, known), message, algorithm, context)

    def verify(
        self, kid: str, message: bytes, signature: bytes, algorithm: str, *, context: bytes | None = None
    ) -> bool:
        """See ``Hem.verify``."""
        return self._verified(
            crypto.verify(kid, message, signature, algorithm, context=context, limits=self.limits)
        )

    def ecdh(self, kid: str, peer: bytes | str, *, algorithm: str | None = None) -> bytes:
        """See ``Hem.ecdh``."""
        return self.run(crypto.ecdh(kid, peer, algorithm=algorithm))

    def mlkem_encapsulate(self, kid: str) -> tuple[bytes, bytes]:
        """A fresh ciphertext and its 32-byte shared secret, in this order (FIPS 203; device API §13.8).
        Takes the private half: with an imported public key it is ``HemOperationFailed``."""
        return self.run(crypto.mlkem_encapsulate(kid))

    def mlkem_decapsulate(self, kid: str, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret (FIPS 203; device API §13.8). The size of ``ciphertext`` is the key
        type's."""
        return self.run(crypto.mlkem_decapsulate(kid, ciphertext))

    def mldsa_sign(self, kid: str, message: bytes, *, context: bytes | None = None) -> bytes:
        """The raw ML-DSA signature (FIPS 204) of 1…``limits.message`` bytes, under a ``context`` of up to
        ``limits.context`` bytes. ``MessageTooLong`` and ``ValueError`` before any request.
        ``HemAnswerFault`` for one that does not verify."""
        call = crypto.mldsa_sign(kid, message, context=context, limits=self.limits)
        known = self.known(call.kid)
        return self._proven(known, call, self.run(call, known), message, ML_DSA, context)

    def mldsa_verify(
        self, kid: str, message: bytes, signature: bytes, *, context: bytes | None = None
    ) -> bool:
        """Verify on the device, with values as for ``mldsa_sign``. ``HemKeyNotFound`` when there is no
        such key, ``HemOperationFailed`` when it is no key for this."""
        return self._verified(
            crypto.mldsa_verify(kid, message, signature, context=context, limits=self.limits)
        )

    def fetch(self, kid: str) -> KeyMaterial:
        """Type and public key. ``HemKeyNotFound`` when there is no such key.

        The first key is likely the one that is used next, so its own scope serves both; whoever
        reads a second one gets the scope for all, and logs in no more.
        """
        call = keymgmt.get(kid)
        if self._first_fetched not in (None, call.kid):
            *others, last = call.scopes
            call = call.by(last, *others)
        self._first_fetched = self._first_fetched or call.kid
        return self._session.run(call.of(self.known(call.kid).type))

    def _proven(
        self,
        known: KnownKey,
        call: Call[bytes],
        signature: bytes,
        message: bytes,
        algorithm: str,
        context: bytes | None,
    ) -> bytes:
        """``signature``, verified here where that takes no call."""
        if self._verify_signatures and not accepts(known, signature, message, algorithm, context):
            raise HemAnswerFault(
                f"{self._name}: key {call.kid}: the device's signature of {len(signature)} bytes "
                f"({algorithm}) does not verify under the key's public half; it is not handed out"
            )
        return signature

    def _verified(self, call: Call[bool]) -> bool:
        """A verdict: ``False`` only when the key is there and of the right kind."""
        if self.run(call):
            return True
        try:
            material = self._session.run(keymgmt.get(call.kid).by(*call.scopes))
        except HemKeyNotFound:
            self.gone(call.kid)
            raise
        need, algorithm = call.needs, call.asked.algorithm
        kind = parse_attributes(material.type).key_type
        misfit = need.misfit(algorithm, kind, self.known(call.kid).attributes)
        if misfit is not None:
            what = need.what.format(algorithm)
            raise HemOperationFailed(f"{self._name}: cannot {what}: key {call.kid}: {misfit}")
        return False

    def _explained(self, call: Call[object], refused: HemOperationFailed) -> HemError:
        kid, need, algorithm = call.kid, call.needs, call.asked.algorithm
        what = need.what.format(algorithm)
        try:
            material = self.fetch(kid)
        except HemKeyNotFound:
            self.gone(kid)
            return HemKeyNotFound(f"{self._name}: cannot {what}: no key {kid}")
        except HemError:
            return refused
        kind = parse_attributes(material.type).key_type
        reason = need.misfit(algorithm, kind, self.known(kid).attributes) or (
            "it was not made for this use, has no private half, or the input does not fit it"
        )
        name = kind.name if kind else material.type or "record"
        return HemOperationFailed(
            f"{self._name}: the device refuses to {what}: key {kid} is there, of type {name}; {reason}"
        )

    def __repr__(self) -> str:
        return f"<Operations of {self._name}>"
