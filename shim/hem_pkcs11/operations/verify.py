"""Checking signatures: here where ``cryptography`` has the algorithm, else by the device."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKK, CKO, CKR
from hem_pkcs11.mechanisms import device_algorithm, row_of
from hem_pkcs11.objects import KeyObject
from hem_pkcs11.operations.collect import Collector
from hem_pkcs11.operations.sign import check_key
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_provider.device import Hem

__all__ = ["VerifyOperation", "verifier"]


class VerifyOperation:
    """Common part: size check first, then the answer of ``_good``."""

    parts = 0

    def __init__(self, item: KeyObject) -> None:
        self._item = item
        size = item.kind.type.signature_size
        if size is None:
            raise Pkcs11Error(CKR.KEY_TYPE_INCONSISTENT, f"{item.describe()} makes no signatures")
        self._size = size

    def update(self, part: Buffer) -> None:
        self.parts += 1
        self._take(part)

    def finish(self, data: Buffer | None, signature: Buffer) -> None:
        """Raises CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID."""
        if len(signature) != self._size:
            raise Pkcs11Error(
                CKR.SIGNATURE_LEN_RANGE, f"a signature of {len(signature)} bytes; expected are {self._size}"
            )
        if data is not None:
            self._take(data)
        if not self._good(bytes(signature)):
            raise Pkcs11Error(CKR.SIGNATURE_INVALID)

    def _take(self, part: Buffer) -> None:
        raise NotImplementedError

    def _good(self, signature: bytes) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing that was collected is secret."""


class _Ecdsa(VerifyOperation):
    """Hashes as the parts come in: no limit on the message."""

    def __init__(self, item: KeyObject, hash_name: str) -> None:
        super().__init__(item)
        self._hash_name = hash_name
        self._digest = hashlib.new(hash_name)

    def _take(self, part: Buffer) -> None:
        self._digest.update(part)

    def _good(self, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        half = self._size // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        known: dict[str, hashes.HashAlgorithm] = {
            "sha256": hashes.SHA256(),
            "sha384": hashes.SHA384(),
            "sha512": hashes.SHA512(),
        }
        native = self._item.key.public_key()
        assert isinstance(native, ec.EllipticCurvePublicKey)  # noqa: S101 - check_key saw to it
        algorithm = ec.ECDSA(utils.Prehashed(known[self._hash_name]))
        try:
            native.verify(utils.encode_dss_signature(r, s), self._digest.digest(), algorithm)
        except InvalidSignature:
            return False
        return True


class _Edwards(VerifyOperation):
    """Pure EdDSA needs the whole message at once."""

    def __init__(self, item: KeyObject) -> None:
        super().__init__(item)
        self._message = Collector(f"verifying with {item.describe()}", limit=None)

    def _take(self, part: Buffer) -> None:
        self._message.add(part)

    def _good(self, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

        native = self._item.key.public_key()
        assert isinstance(native, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)  # noqa: S101
        try:
            native.verify(signature, self._message.whole())
        except InvalidSignature:
            return False
        return True


class _ByDevice(VerifyOperation):
    """Variants that nobody here computes (Ed25519ph, Ed25519ctx, Ed448 with a context)."""

    def __init__(self, hem: Hem, item: KeyObject, algorithm: str, context: bytes | None) -> None:
        super().__init__(item)
        self._hem = hem
        self._algorithm = algorithm
        self._context = context
        self._message = Collector(f"verifying with {item.describe()}")

    def _take(self, part: Buffer) -> None:
        self._message.add(part)

    def _good(self, signature: bytes) -> bool:
        return self._hem.verify(
            self._item.key.kid, self._message.whole(), signature, self._algorithm, context=self._context
        )


def verifier(hem: Hem, item: KeyObject, mechanism: Mechanism) -> VerifyOperation:
    """The operation for ``C_VerifyInit``."""
    row = row_of(mechanism.type, CKF.VERIFY)
    check_key(item, row, CKO.PUBLIC_KEY, item.key.attributes.exdsa)
    algorithm, context = device_algorithm(row, mechanism, item.kind.type.name)
    if item.kind.key_type == CKK.EC:
        return _Ecdsa(item, row.hash)
    if algorithm in ("Ed25519", "Ed448") and context is None:
        return _Edwards(item)
    return _ByDevice(hem, item, algorithm, context)
