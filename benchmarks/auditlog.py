"""How long a line of the log takes: verified as the device wrote it, collected, read, verified in a copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.laboratory import Fact
from hem_provider.auditlog.checking import verify_copy
from hem_provider.auditlog.collecting import Collector
from hem_provider.auditlog.copy import LogCopy
from hem_provider.auditlog.progress import Known
from hem_provider.device.auditlog import verify_log
from hem_provider.emulator.audit import format_record
from hem_provider.emulator.encodings import to_b64url
from hem_provider.errors import HemOperationFailed

__all__ = ["VERIFYING", "measure_auditlog"]

#: How the names of facts begin that have a limit (``gate``).
VERIFYING = "time to verify a line of"
_FILES, _LINES, _ROUNDS = 10, 5000, 3


class _Device:
    """A device with so many files, and one that is being written."""

    def __init__(self) -> None:
        self._signer = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.files = [self._file(number) for number in range(_FILES)]

    def _file(self, number: int) -> bytes:
        key = bytes([number + 1]) * 32
        signed = to_b64url(self._signer.sign(key))
        lines = [
            "# Encedo nGINE FW v1.2.2",
            format_record(key, ("0", "6553f100", "0", "0", to_b64url(key), signed)),
        ]
        kid = "00112233445566778899aabbccddeeff"
        for line in range(1, _LINES):
            lines.append(format_record(key, (f"{line:x}", f"{0x6553F100 + line:x}", "20", "0", "U", kid)))
        return "".join(f"{each}\r\n" for each in lines).encode("ascii")

    def page(self, offset: int) -> tuple[tuple[str, ...], int]:
        ids = tuple(f"6553f1{number:02x}" for number in range(_FILES + 1))
        return ids[offset:], len(ids)

    def read(self, file: str) -> bytes:
        number = int(file[6:], 16)
        if number == _FILES:
            raise HemOperationFailed("the file is being written")
        return self.files[number]

    def key(self) -> bytes:
        return self._signer.public_key().public_bytes_raw()

    def device(self) -> str:
        return "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="

    def serial(self) -> str:
        return "0011223344556677"


def measure_auditlog(folder: Path) -> list[Fact]:
    """Microseconds of processor time a line, the best of a few rounds; the copy is in ``folder``."""
    device = _Device()
    files = [verify_log(content, device.key()).problems == () for content in device.files]
    assert all(files)  # else something else is measured
    copy = LogCopy(folder / "copy")

    def collect() -> None:
        target = LogCopy(folder / f"copy-{time.monotonic_ns()}") if copy.days() else copy
        with target.writing() as writer:
            Collector(Known(), writer.append).collect(device)

    steps: dict[str, Callable[[], object]] = {
        "time to collect a line": collect,
        "time to read a line of a copy": lambda: sum(1 for _ in copy.entries()),
        f"{VERIFYING} a copy": lambda: verify_copy(copy),
        f"{VERIFYING} a device's file": lambda: [verify_log(each, device.key()) for each in device.files],
    }
    return [Fact(name, _best(step) / (_FILES * _LINES) * 1e6, "µs") for name, step in steps.items()]


def _best(step: Callable[[], object]) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        step()
        found.append(time.process_time() - began)
    return min(found)
