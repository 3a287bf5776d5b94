"""Fixtures for tests of what sits on OpenSSL: the engine, an emulator with keys, the openssl command."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from support.emulator import ServedEmulator
from support.libraries import engine_library, module_library

from hem_provider import connect
from hem_provider.cli.openssl_files import configuration

SHIM = Path(__file__).parents[2] / "shim"
__all__ = [
    "KEYS",
    "SHIM",
    "Run",
    "bare_environment",
    "certificates",
    "device_environment",
    "engine",
    "environment",
    "keyed",
    "kids",
    "module",
    "openssl",
    "way",
]

#: Label → type and usage.
KEYS = {
    "web": ("SECP256R1", {"sign", "derive"}),
    "ca": ("SECP384R1", {"sign"}),
    "p521": ("SECP521R1", {"sign"}),
    "k256": ("SECP256K1", {"sign", "derive"}),
    "ed": ("ED25519", {"sign"}),
    "ed448": ("ED448", {"sign"}),
    "x": ("CURVE25519", {"derive"}),
    "agree": ("SECP256R1", {"derive"}),
    "twin": ("SECP256R1", {"sign"}),
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def engine() -> Path:
    """The engine beside the module, both built in the checkout when not current."""
    return engine_library()


@pytest.fixture(scope="session")
def module() -> Path:
    """The PKCS#11 module; what is there of the engine lies beside it."""
    return module_library()


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEmulator]:
    """An emulator with the keys above; "twin" is the label of two."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem:
            for label, (kind, usage) in KEYS.items():
                hem.keys.create(kind, label=label, usage=usage)
            hem.keys.create("SECP256R1", label="twin", usage={"sign"})
            (served.folder / "kids").write_text(json.dumps({each.label: each.kid for each in hem.keys}))
        yield served


@pytest.fixture(scope="session")
def certificates(keyed: ServedEmulator) -> Path:
    """Folder with self-signed certificates of the keys that sign: LABEL.crt, for CN=LABEL at localhost."""
    folder = keyed.folder / "certificates"
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC)
    with connect(keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file) as hem:
        for label in ("web", "ca", "p521", "ed"):
            key = hem.keys.find(label=label).private_key()
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
            builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(30))
            alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(alternative, critical=False)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            signed = builder.sign(key, None if label == "ed" else hashes.SHA256())
            (folder / f"{label}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return folder


@pytest.fixture(scope="session")
def kids(keyed: ServedEmulator) -> dict[str, str]:
    return dict(json.loads((keyed.folder / "kids").read_text()))


@pytest.fixture(scope="session")
def way(module: Path) -> str:
    """What ``hem openssl config`` chooses for this machine's OpenSSL: ``engine`` or ``provider``."""
    done = subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "openssl", "config"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return "provider" if "pkcs11-module-path" in done.stdout else "engine"


@pytest.fixture
def device_environment(keyed: ServedEmulator, tmp_path: Path) -> dict[str, str]:
    """Nothing of ours but the device and the passphrase."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    return clean | {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(keyed.folder / "cache"),
        "HEM_URL": keyed.https,
        "HEM_CA_FILE": str(keyed.ca_file),
        "HEM_NAME": "office",
        "HEM_PASSPHRASE_FILE": str(keyed.passphrase_file),
    }


@pytest.fixture
def environment(device_environment: dict[str, str], engine: Path, tmp_path: Path) -> dict[str, str]:
    """The same, and an openssl.cnf that loads the engine."""
    config = tmp_path / "openssl.cnf"
    config.write_text(configuration(engine))
    return device_environment | {"OPENSSL_CONF": str(config)}


@pytest.fixture
def bare_environment(device_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment as a reader of the documentation has it: ``hem`` in PATH, a device, a passphrase."""
    kept = {name: value for name, value in device_environment.items() if name != "XDG_CONFIG_HOME"}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:{kept['PATH']}",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def openssl(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs openssl in ``tmp_path``; ``check=False`` for what must fail."""

    def run(
        command: str, *more: str | Path, check: bool = True, text: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["openssl", *command.split(), *map(str, more)],
            env=environment | variables, cwd=tmp_path, input=text,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == check, done.stdout + done.stderr
        return done

    return run
