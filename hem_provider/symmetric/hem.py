"""``AesKey`` and ``MacKey`` over a device: what is sent for each. Answers have been checked below."""

from __future__ import annotations

from typing import Any, NoReturn, TypedDict, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.device.description import NO_LIMITS
from hem_provider.device.operations import FirmwareLimits, Operations, ciphers
from hem_provider.errors import HemOperationFailed
from hem_provider.symmetric.agreement import Agreement

__all__ = ["DeviceAesKey", "DeviceKek", "DeviceMacKey"]

SelfT = TypeVar("SelfT")


class _Way(TypedDict):
    """What all calls with an AES key have in common: how it is derived, and the firmware's limits."""

    peer: bytes | str | None
    context: bytes | None
    limits: FirmwareLimits


class _MacWay(TypedDict):
    """The same of a MAC key."""

    peer: bytes | str | None
    algorithm: str | None
    limits: FirmwareLimits


class _DeviceKey:
    """A stored key by KID, or with an agreement the key derived from it."""

    def __init__(
        self, operations: Operations, kid: str, name: str, agreement: Agreement | None = None
    ) -> None:
        self._operations = operations
        self._kid = kid
        self._peer = agreement.device_peer if agreement else None
        self.name = name
        #: What the key's maker ruled out; set by who makes this of a stored key.
        self.limits = NO_LIMITS

    @property
    def max_message(self) -> int:
        """Most bytes that one operation takes."""
        return self._operations.limits.message

    def __copy__(self: SelfT) -> SelfT:
        return self  # a reference to the key: what is built on it can be copied

    def __deepcopy__(self: SelfT, memo: dict[int, Any]) -> SelfT:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def confirm(self) -> None:
        """One call; ``HemKeyNotFound`` when the key is gone."""
        self._operations.fetch(self._kid)


class DeviceAesKey(_DeviceKey):
    """An AES key on a device, at its full width."""

    def __init__(
        self,
        operations: Operations,
        kid: str,
        bits: int,
        name: str,
        agreement: Agreement | None = None,
    ) -> None:
        super().__init__(operations, kid, name, agreement)
        self.key_size = bits
        self._way = _Way(
            peer=self._peer, context=agreement.context if agreement else None, limits=operations.limits
        )

    @property
    def max_calls(self) -> int:
        """Most calls of one operation over bulk data."""
        return self._operations.max_calls

    def ecb_encrypt(self, blocks: bytes) -> bytes:
        """``AesKey.ecb_encrypt``."""
        call = ciphers.encrypt(self._kid, blocks, f"AES{self.key_size}-ECB", **self._way)
        return self._operations.run(call).ciphertext

    def ecb_decrypt(self, blocks: bytes) -> bytes:
        """``AesKey.ecb_decrypt``."""
        call = ciphers.decrypt(self._kid, blocks, f"AES{self.key_size}-ECB", **self._way)
        answer = self._operations.run(call)
        if answer is None:
            self._refused("decrypt")
        return answer

    def wrap(self, data: bytes, icv: bytes | None = None) -> bytes:
        """``AesKey.wrap``."""
        return self._operations.run(
            ciphers.wrap(self._kid, data, f"AES{self.key_size}", icv=icv, **self._way)
        )

    def unwrap(self, data: bytes, icv: bytes | None = None) -> bytes | None:
        """``AesKey.unwrap``."""
        return self._operations.run(
            ciphers.unwrap(self._kid, data, f"AES{self.key_size}", icv=icv, **self._way)
        )

    def gcm_encrypt(self, data: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
        """``AesKey.gcm_encrypt``."""
        call = ciphers.encrypt(self._kid, data, f"AES{self.key_size}-GCM", aad=aad, **self._way)
        ciphertext, iv, tag = self._operations.run(call)
        assert iv is not None and tag is not None  # noqa: S101, PT018 - no GCM answer is without
        return iv, ciphertext, tag

    def gcm_decrypt(self, nonce: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes | None:
        """``AesKey.gcm_decrypt``."""
        algorithm = f"AES{self.key_size}-GCM"
        return self._operations.run(
            ciphers.decrypt(self._kid, ciphertext, algorithm, iv=nonce, tag=tag, aad=aad, **self._way)
        )

    def _refused(self, what: str) -> NoReturn:
        self.confirm()
        raise HemOperationFailed(f"{self.name} is there, but the device refuses to {what} with it")


class DeviceKek(DeviceAesKey):
    """The key-wrapping key of an agreement: another key than the agreement's AES key, without ECB."""

    def ecb_encrypt(self, blocks: bytes) -> NoReturn:  # noqa: ARG002
        """``UnsupportedAlgorithm``: RFC 5649 of up to 8 bytes would need it."""
        self._no_block()

    def ecb_decrypt(self, blocks: bytes) -> NoReturn:  # noqa: ARG002
        """``UnsupportedAlgorithm``."""
        self._no_block()

    def _no_block(self) -> NoReturn:
        raise UnsupportedAlgorithm(
            f"{self.name}: the device wraps 9 bytes and more with a derived key, not 1 to 8"
        )


class DeviceMacKey(_DeviceKey):
    """A stored HMAC key, or with an agreement the raw secret; ``digest``: the device's literal."""

    def __init__(
        self,
        operations: Operations,
        kid: str,
        digest: str,
        name: str,
        agreement: Agreement | None = None,
    ) -> None:
        super().__init__(operations, kid, name, agreement)
        # The digest of a stored key is in its type.
        algorithm = digest if agreement else None
        self._way = _MacWay(peer=self._peer, algorithm=algorithm, limits=operations.limits)

    def mac(self, data: bytes) -> bytes:
        """``MacKey.mac``."""
        return self._operations.run(ciphers.hmac(self._kid, data, **self._way))

    def accepts(self, data: bytes, mac: bytes) -> bool:
        """``MacKey.accepts``."""
        return self._operations.run(ciphers.hmac_verify(self._kid, data, mac, **self._way))
