"""SoftHSM2, a token in software on this machine: what the local part of PKCS#11 costs elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hem_pkcs11.constants import CKO

from benchmarks.commands import run_command
from benchmarks.cryptoki import Cryptoki
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.measure import Case

__all__ = ["SoftHsm"]

_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
)
#: SoftHSM2 signs ready-made digests; our device does not.
_CKM_ECDSA = 0x1041


class SoftHsm:
    """A fresh token with a P-256 key in ``folder``."""

    PIN = "1234"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokens").mkdir(exist_ok=True)
        config = folder / "softhsm2.conf"
        config.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {"SOFTHSM2_CONF": str(config)}
        environment = os.environ | self.environment
        token = [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            "bench",
            "--pin",
            self.PIN,
            "--so-pin",
            self.PIN,
        ]
        run_command(token, environment)
        pair = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "11"]
        run_command(
            ["pkcs11-tool", "--module", self.library(), "--login", "--pin", self.PIN, *pair], environment
        )

    @staticmethod
    def library() -> Path:
        """The installed module; ``FileNotFoundError`` when there is none."""
        for each in map(Path, _PLACES):
            if each.is_file() and shutil.which("softhsm2-util"):
                return each
        raise FileNotFoundError("SoftHSM2 is not installed (Debian: softhsm2)")

    def cases(self) -> Iterator[Case]:
        """The local parts: finding and signing."""
        os.environ.update(self.environment)
        module = Cryptoki(self.library())
        module.login(self.PIN)
        (key,) = module.find(CKO.PRIVATE_KEY, label="web")
        digest = hashlib.sha256(MESSAGE).digest()
        yield Case("find by label, listed", "SoftHSM2", lambda: module.find(label="web"))
        yield Case("sign SECP256R1", "SoftHSM2, digest", lambda: module.sign(key, _CKM_ECDSA, digest))
        yield Case("random 32 B", "SoftHSM2", lambda: module.random(32))
