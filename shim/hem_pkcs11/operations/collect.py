"""A message in parts, up to what the device takes at once."""

from __future__ import annotations

from hem_pkcs11.constants import CKR
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer

__all__ = ["Collector"]


class Collector:
    """Bytes that a multi-part operation gathers. ``limit`` in bytes, ``None`` for no limit.

    ``what`` names key and operation for messages.
    """

    def __init__(self, what: str, limit: int | None) -> None:
        self._what = what
        self._limit = limit
        self._data = bytearray()

    def add(self, part: Buffer) -> None:
        """Take one part. Raises CKR_DATA_LEN_RANGE in the very call that passes the limit."""
        self._check(len(self._data) + len(part))
        self._data += part

    def whole(self, data: Buffer | None = None) -> bytes:
        """The message: ``data`` alone, or what was gathered. Raises CKR_DATA_LEN_RANGE."""
        if data is None:
            data = memoryview(self._data)
        self._check(len(data))
        if self._limit is not None and len(data) == 0:
            raise Pkcs11Error(
                CKR.DATA_LEN_RANGE, f"{self._what}: an empty message; the device takes 1 byte at least"
            )
        return bytes(data)

    def _check(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise Pkcs11Error(
                CKR.DATA_LEN_RANGE,
                f"{self._what}: a message of {size} bytes or more, and the device takes whole "
                f"messages of 1 to {self._limit} bytes; sign a shorter text that "
                "stands for the data, such as a list of digests or the signed attributes of CMS",
            )

    def copy(self) -> Collector:
        """What was gathered so far, going on by itself."""
        twin = Collector(self._what, self._limit)
        twin._data[:] = self._data
        return twin

    def clear(self) -> None:
        """Overwrite and forget what was gathered."""
        self._data[:] = bytes(len(self._data))
        self._data.clear()
