"""What is installed without any extra does its work: each command that needs one says so, no other does."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

from hem_provider.emulator import OLDEST
from hem_provider.installation import EXTRA_OF, install_command

ROOT = Path(__file__).parents[2]
#: A Python without the packages of all extras, which runs one command.
PROGRAM = f"""
import sys
ABSENT = {sorted(EXTRA_OF)}
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import importlib.util
def find_spec(name, package=None, find=importlib.util.find_spec):
    return None if name.partition(".")[0] in ABSENT else find(name, package)
importlib.util.find_spec = find_spec
from hem_provider.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        yield served


def bare(device: ServedEmulator, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "HEM_URL": device.https,
        "HEM_CA_FILE": str(device.ca_file),
        "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
        "HEM_AGENT": "never",
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=home, env={**os.environ, **settings}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_jobs_of_an_owner_need_no_extra(device, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear Ada")
    for words in (
        "--help",
        "status",
        "doctor --no-login",
        "config show",
        "keys create ED25519 --label ada --use sign",
        "keys create CURVE25519 --label inbox",
        "keys list",
        "sign letter.txt --key ada",
        "csr ada --subject CN=a",
        "encrypt inbox letter.txt -o letter.age",
        "decrypt letter.age",
        "certificate show",
        "log list",
        "phones list",
        "device selftest",
        "pkcs11 info",
        "pkcs11 test",
        "bench --rounds 1",
        "completion bash",
        "agent status",
    ):
        done = bare(device, tmp_path, *words.split())
        assert "Traceback" not in done.stderr
        assert "extra" not in done.stderr, words
        expected = {"agent status": 3, "doctor --no-login": None}.get(words, 0)
        assert expected is None or done.returncode == expected, (words, done.stderr)


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ("demo", "demo"),
        ("emulator init --state x --passphrase-file {secret} --admin-passphrase-file {secret}", "emulator"),
        ("keyring list", "keyring"),
        ("keyring init", "keyring"),
        ("kms serve --socket kms.sock --key cluster", "kms"),
    ],
)
def test_a_command_that_needs_one_names_it_and_what_to_type(device, tmp_path, words, extra):
    done = bare(device, tmp_path, *words.format(secret=device.passphrase_file).split())
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs the extra {extra!r}, which is not installed" in done.stderr
    assert done.stderr.rstrip().endswith(install_command(extra))
    assert done.stderr.count("\n") == 1


def test_an_emulator_as_a_device_names_it_too(device, tmp_path):
    device_url, device.https = device.https, f"emulator:{tmp_path / 'device.hem'}"
    try:
        done = bare(device, tmp_path, "status")
    finally:
        device.https = device_url
    assert "needs the extra 'emulator', which is not installed" in done.stderr + done.stdout


OLD = """
import sys, types
sys.modules["cryptography"] = old = types.ModuleType("cryptography")
old.__version__ = "47.0.1"
from hem_provider.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", ["demo", "emulator quirks --state device.hem"])
def test_an_emulator_says_that_cryptography_is_too_old_for_it(tmp_path, words):
    """Which somebody has installed by force; the device's own commands go on with it (``test_ways``)."""
    done = subprocess.run(
        [sys.executable, "-c", OLD, *words.split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "needs the extra 'emulator', which is not installed (cryptography 47.0.1 is older than 48)"
        in done.stderr
    )
    assert done.stderr.rstrip().endswith(install_command("emulator"))
    assert "Traceback" not in done.stderr


def test_how_old_it_may_be_is_what_the_extra_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"cryptography>={OLDEST}" in project["optional-dependencies"]["emulator"]
