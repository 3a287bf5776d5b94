"""Programs that use the engine, and a small software token for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.engine import SHIM, certificates, device_environment, engine, environment, keyed, kids, openssl

__all__ = ["certificates", "device_environment", "engine", "environment", "keyed", "kids", "openssl"]

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``host`` and ``token.so``, and keys for the latter in ``keys.pem``."""
    folder = tmp_path_factory.mktemp("programs")
    compile_c(HERE / "host.c", folder / "host", "-pthread")
    compile_c(HERE / "token.c", folder / "token.so", "-fPIC", "-shared", "-fvisibility=hidden")
    commands = [
        *(["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"] for curve in ("P-256", "P-384")),
        *(["-algorithm", each] for each in ("ED25519", "ED448", "X25519")),
    ]
    pems = [
        subprocess.run(["openssl", "genpkey", *command], capture_output=True, check=True).stdout
        for command in commands
    ]
    (folder / "keys.pem").write_bytes(b"".join(pems))
    return folder


def compile_c(source: Path, target: Path, *options: str) -> None:
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{SHIM / 'openssl'}",
         f"-I{SHIM / 'src'}", source, "-o", target, *options, "-lcrypto"],
        check=True,
    )  # fmt: skip
