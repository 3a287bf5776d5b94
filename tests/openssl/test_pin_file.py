"""A PIN file of the engine is read by the rules of ``passphrase_file``, which C has for itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.engine import SHIM
from support.secretfiles import READINGS, REFUSED

ENGINE = SHIM / "openssl"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The engine's reader in a program of its own: what it prints of each file."""
    program = tmp_path_factory.mktemp("pin") / "pin"
    sources = [ENGINE / f"{each}.c" for each in ("pin", "secret_file", "errors", "settings")]
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-fsanitize=address,undefined", "-Wall", "-Wextra", "-Werror",
         f"-I{ENGINE}", f"-I{SHIM / 'src'}", HERE / "pin_harness.c", *sources, "-o", program, "-lcrypto"],
        check=True,
    )  # fmt: skip

    def read(path):
        return subprocess.run([program, path], capture_output=True, text=True, check=True).stdout.rstrip("\n")

    return read


def pin_file(folder, content):
    path = folder / "pin"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("content", READINGS, ids=range(len(READINGS)))
def test_the_engine_reads_what_the_client_reads(reader, tmp_path, content):
    assert reader(pin_file(tmp_path, content)) == f"pin {READINGS[content].encode().hex()}"


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_the_engine_refuses_what_the_client_refuses(reader, tmp_path, content):
    path = pin_file(tmp_path, content)
    said = reader(path)
    assert said.startswith(f"problem the PIN file '{path}' ")
    assert re.search(REFUSED[content], said)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"x" * 256, "1 to 255 bytes"), (b"x" * 5000, "1 to 255 bytes"), (b"a\0b", "NUL")],
)
def test_what_no_pin_can_be_is_refused_besides(reader, tmp_path, content, problem):
    assert problem in reader(pin_file(tmp_path, content))
