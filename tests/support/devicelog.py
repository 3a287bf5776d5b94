"""A device's log whose files a test writes, with every call counted."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hem_provider.emulator.audit import format_record
from hem_provider.emulator.encodings import to_b64url
from hem_provider.errors import HemOperationFailed, HemRequestRefused

__all__ = ["DeviceLog"]

_PAGE = 128


class DeviceLog:
    """What ``auditlog.source.Source`` says; ``calls`` are those that were made, ``shown`` whether the file
    being written can be read, ``error`` what every call raises."""

    def __init__(self) -> None:
        self.signer = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.eid, self.hardware = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY=", "0011223344556677"
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.shown = False
        self.error: Exception | None = None
        self.now = 1_700_000_000
        self._newest = "0"
        self._numbers: dict[str, int] = {}
        self._macs: dict[str, bytes] = {}

    def start(self, lines: int = 3) -> str:
        """Start the device, so that it begins a file, with so many records."""
        file = f"{max(self.now, int(self._newest, 16) + 1):08x}"
        self._newest = file
        key = bytes([len(self.files) % 256]) * 32
        self._macs[file], self._numbers[file] = key, 0
        self.files[file] = b"# Encedo nGINE FW v1.2.2\r\n"
        self.log(0, 0, to_b64url(key), to_b64url(self.signer.sign(key)), file=file)
        for _ in range(lines - 1):
            self.log(file=file)
        return file

    def log(
        self, event: int = 1, result: int = 0, actor: str = "", data: str = "", *, file: str = ""
    ) -> None:
        """One record more, in the newest file or in ``file``."""
        file = file or self._newest
        number = self._numbers[file]
        self._numbers[file] += 1
        fields = (f"{number:x}", f"{self.now:08x}", f"{event:x}", f"{result:x}", actor, data)
        self.files[file] += format_record(self._macs[file], fields).encode() + b"\r\n"

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.error is not None:
            raise self.error

    def page(self, offset: int) -> tuple[tuple[str, ...], int]:
        self._called("list")
        ids: Sequence[str] = sorted(self.files)
        return tuple(ids[offset : offset + _PAGE]), len(ids)

    def read(self, file: str) -> bytes:
        self._called("read")
        if file == self._newest and not self.shown:
            raise HemOperationFailed("the file is being written")
        if not self.files[file]:
            error = HemRequestRefused("there is no such log file")
            error.status = 404
            raise error
        return self.files[file]

    def key(self) -> bytes:
        self._called("key")
        return self.signer.public_key().public_bytes_raw()

    def device(self) -> str:
        return self.eid

    def serial(self) -> str:
        self._called("serial")
        return self.hardware
