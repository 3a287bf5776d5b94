"""Java's SunPKCS11 through keytool: a key pair with its certificate, made, listed and used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

pytestmark = pytest.mark.skipif(shutil.which("keytool") is None, reason="no Java on this machine")


def test_keytool_makes_lists_and_uses_a_key(
    library: Path, environment: dict[str, str], emulator: ServedEmulator, tmp_path: Path
) -> None:
    config = tmp_path / "java.cfg"
    config.write_text(f"name = hem\nlibrary = {library}\n")
    environment |= {"XDG_DATA_HOME": str(tmp_path / "data")}

    def keytool(*arguments: str) -> str:
        done = subprocess.run(
            [
                "keytool", *arguments, "-keystore", "NONE", "-storetype", "PKCS11",
                "-storepass", emulator.passphrase, "-providerClass", "sun.security.pkcs11.SunPKCS11",
                "-providerArg", str(config),
            ],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    made = ("-keyalg", "EC", "-groupname", "secp256r1", "-sigalg", "SHA256withECDSA")
    keytool("-genkeypair", "-alias", "java", "-dname", "CN=java", *made)
    assert "java, PrivateKeyEntry" in keytool("-list")
    request = tmp_path / "java.csr"
    keytool("-certreq", "-alias", "java", "-sigalg", "SHA256withECDSA", "-file", str(request))
    checked = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-in", str(request)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "verify OK" in checked.stdout + checked.stderr
    keytool("-delete", "-alias", "java")
    assert "java," not in keytool("-list")
