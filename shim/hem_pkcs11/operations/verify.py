"""Checking signatures: here where ``cryptography`` has the algorithm, else by the device."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from hem_pkcs11.constants import CKA, CKF, CKO, CKR
from hem_pkcs11.mechanisms import MechanismRow, Scheme, mechanism_row
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.public_keys import PublicKeyLike, as_public_key
from hem_pkcs11.operations.collect import Collector
from hem_pkcs11.operations.digest import hash_algorithm
from hem_pkcs11.operations.key_checks import check_use
from hem_pkcs11.operations.mac import MAC_SCHEMES, Mac
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.signing import device_algorithm
from hem_pkcs11.values import Buffer, Mechanism

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem

__all__ = ["VerifyOperation", "verifier"]


class VerifyOperation:
    """``C_VerifyInit`` … : size check first, then the answer of ``_good``. ``size`` in bytes.

    ``signature``: what ``C_VerifySignatureInit`` gave beforehand.
    """

    def __init__(self, size: int) -> None:
        self.parts = 0
        self.signature: bytes | None = None
        self._size = size

    def update(self, part: Buffer) -> None:
        """Take in a part. Raises CKR_DATA_LEN_RANGE where the device is to check more than it takes."""
        self.parts += 1
        self._take(part)

    def expect(self, signature: Buffer) -> None:
        """Keep what ``C_VerifySignatureInit`` gave. Raises CKR_SIGNATURE_LEN_RANGE, having read nothing."""
        self._check_size(signature)
        self.signature = bytes(signature)

    def _check_size(self, signature: Buffer) -> None:
        if len(signature) != self._size:
            raise Pkcs11Error(
                CKR.SIGNATURE_LEN_RANGE, f"a signature of {len(signature)} bytes; expected are {self._size}"
            )

    def finish(self, data: Buffer | None, signature: Buffer) -> None:
        """Raises CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID."""
        self._check_size(signature)
        if data is not None:
            self._take(data)
        if not self._good(bytes(signature)):
            raise Pkcs11Error(CKR.SIGNATURE_INVALID)

    def _take(self, part: Buffer) -> None:
        raise NotImplementedError

    def _good(self, signature: bytes) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the key. Nothing that was collected is secret."""


class _Ecdsa(VerifyOperation):
    """Hashes as the parts come in: no limit on the message."""

    def __init__(self, item: PublicKeyLike, row: MechanismRow) -> None:
        super().__init__(item.kind.type.signature_size or 0)
        self._public = item.public_key()
        self._hash_name = row.hash
        self._digest = hashlib.new(row.hash)

    def _take(self, part: Buffer) -> None:
        self._digest.update(part)

    def _good(self, signature: bytes) -> bool:
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        half = self._size // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        algorithm = ec.ECDSA(utils.Prehashed(hash_algorithm(self._hash_name)))
        return _accepts(self._public, utils.encode_dss_signature(r, s), self._digest.digest(), algorithm)


class _Collected(VerifyOperation):
    """Collects the message; ``limit`` in bytes, ``None`` for none."""

    def __init__(self, size: int, message: Collector) -> None:
        super().__init__(size)
        self._message = message

    def _take(self, part: Buffer) -> None:
        self._message.add(part)


class _Whole(_Collected):
    """Pure EdDSA and ML-DSA need the whole message at once."""

    def __init__(self, item: PublicKeyLike, *arguments: object) -> None:
        super().__init__(item.kind.type.signature_size or 0, Collector(item.describe(), limit=None))
        self._public = item.public_key()
        self._arguments = arguments

    def _good(self, signature: bytes) -> bool:
        return _accepts(self._public, signature, self._message.whole(), *self._arguments)


class _ByDevice(_Collected):
    """Variants that nobody here computes (Ed25519ph, Ed25519ctx, Ed448 with a context)."""

    def __init__(self, hem: Hem, item: DeviceKey, algorithm: str, context: bytes | None) -> None:
        super().__init__(
            item.kind.type.signature_size or 0,
            Collector(f"verifying with {item.describe()}", hem.limits.message),
        )
        self._hem = hem
        self._kid = item.key.kid
        self._algorithm = algorithm
        self._context = context

    def _good(self, signature: bytes) -> bool:
        message = self._message.whole()
        return self._hem.verify(self._kid, message, signature, self._algorithm, context=self._context)


class _MacVerification(_Collected):
    """A MAC is made again and compared."""

    def __init__(self, mac: Mac) -> None:
        super().__init__(mac.size, mac.collector())
        self._mac = mac

    def _good(self, signature: bytes) -> bool:
        return hmac.compare_digest(self._mac.compute(self._message.whole()), signature)

    def close(self) -> None:
        self._mac.close()


def _accepts(public: Any, signature: bytes, *arguments: object) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, *arguments)
    except InvalidSignature:
        return False
    return True


def verifier(hem: Hem, item: Pkcs11Object, mechanism: Mechanism) -> VerifyOperation:
    """The operation for ``C_VerifyInit``: as ``signer``, with the public half.

    Raises CKR_MECHANISM_PARAM_INVALID also for what only the device verifies, with a key that is not in it.
    """
    row = mechanism_row(mechanism.type, CKF.VERIFY)
    by_mac = row.scheme in MAC_SCHEMES
    check_use(item, row, CKO.SECRET_KEY if by_mac else CKO.PUBLIC_KEY, CKA.VERIFY)
    if by_mac:
        return _MacVerification(Mac(item, row, mechanism))
    public = as_public_key(item)
    algorithm, context = device_algorithm(row, mechanism, public.kind.type.name, hem.limits.context)
    if row.scheme is Scheme.ECDSA:
        return _Ecdsa(public, row)
    if row.scheme is Scheme.MLDSA:
        return _Whole(public, context)
    if algorithm in ("Ed25519", "Ed448") and context is None:
        return _Whole(public)
    if not isinstance(item, DeviceKey):
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID, f"{algorithm} is verified by the device, with keys in it only"
        )
    return _ByDevice(hem, item, algorithm, context)
