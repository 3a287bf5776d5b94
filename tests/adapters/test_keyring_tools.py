"""The programs people use: keyring's own command, pip and twine, over real TLS to an emulated device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
from adapters.package_index import WHEEL, PackageIndex, wheel

from hem_provider.adapters.keyring import HemKeyring
from hem_provider.cli import main as cli

BACKEND = "hem_provider.adapters.keyring.HemKeyring"
ROOT = Path(__file__).parents[2]


class Person:
    """Somebody with a HEM, a home directory and a shell without a terminal."""

    def __init__(self, served, home: Path) -> None:
        self.home = home
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("HEM_", "XDG_", "PIP_", "TWINE_"))
        }
        self.environment = {
            **inherited,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "HEM_URL": served.https,
            "HEM_CA_FILE": str(served.ca_file),
            "HEM_PASSPHRASE_FILE": str(served.passphrase_file),
            "PYTHON_KEYRING_BACKEND": BACKEND,
            "PYTHONPATH": str(ROOT),
            "PIP_CONFIG_FILE": os.devnull,
            "PATH": f"{home}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, *command, typed="", **changes):
        return subprocess.run(
            command,
            env={**self.environment, **changes},
            cwd=self.home,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def install_apart(self, program):
        """``program`` in a directory of its own, as pipx would have it."""
        (self.home / "bin").mkdir(exist_ok=True)
        link = self.home / "bin" / program
        if not link.is_symlink():
            link.symlink_to(Path(sys.executable).parent / program)

    def does(self, *command, typed=""):
        done = self.run(*command, typed=typed)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def person(served, tmp_path_factory):
    person = Person(served, tmp_path_factory.mktemp("home"))
    person.does("hem", "keyring", "init")
    return person


def test_a_new_user_makes_a_vault_sets_a_password_and_gets_it_back(served, tmp_path):
    person = Person(served, tmp_path)
    assert person.run("keyring", "get", "mail", "anna").returncode != 0
    person.does("hem", "keyring", "init")
    person.does("keyring", "set", "mail", "anna", typed="geh€im\n")
    assert person.does("keyring", "get", "mail", "anna") == "geh€im\n"
    assert person.does("keyring", "--mode", "creds", "get", "mail") == "anna\ngeh€im\n"
    shown = person.does("keyring", "--mode", "creds", "--output", "json", "get", "mail", "anna")
    assert json.loads(shown) == {"username": "anna", "password": "geh€im"}
    assert person.does("hem", "keyring", "list") == "mail\tanna\n"
    assert person.does("hem", "keyring", "check") == "1 of 1 entries open\n"
    person.does("keyring", "del", "mail", "anna")
    gone = person.run("keyring", "get", "mail", "anna")
    assert (gone.returncode, gone.stdout) == (1, "")


def test_the_password_is_in_no_file_of_the_user(person):
    person.does("keyring", "set", "bank", "anna", typed="unique-geheim-9471\n")
    files = [path for path in person.home.rglob("*") if path.is_file()]
    assert any(path.name == "keyring.vault" for path in files)
    assert not [path for path in files if b"unique-geheim-9471" in path.read_bytes()]


def test_one_get_by_a_new_process_is_one_login_and_one_operation(person, served):
    person.does("keyring", "set", "mail", "anna", typed="x\n")
    before = len(served.calls())
    person.does("keyring", "get", "mail", "anna")
    paths = [call["path"] for call in served.calls(before)]
    assert paths == ["/api/auth/token", "/api/auth/token", "/api/crypto/cipher/unwrap"]


def test_without_the_device_nothing_opens_and_the_reason_is_said(person):
    person.does("keyring", "set", "mail", "anna", typed="x\n")
    done = person.run("keyring", "get", "mail", "anna", HEM_URL="https://127.0.0.1:1")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "KeyringLocked" in done.stderr
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("provider", ["import", "subprocess"])
def test_pip_installs_from_an_index_whose_password_is_in_the_vault(person, tmp_path, provider):
    with PackageIndex("anna", "index-geheim") as index:
        url = f"{index.url}/simple/" if provider == "import" else f"http://anna@{index.url[7:]}/simple/"
        service = f"{index.url}/simple/" if provider == "import" else index.url[7:]
        person.does("keyring", "set", service, "anna", typed="index-geheim\n")
        person.install_apart("keyring")  # pip's 'subprocess' wants one that is not beside pip itself
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet"]
        command += ["--disable-pip-version-check", "--no-input", "--keyring-provider", provider]
        person.does(*command, "--index-url", url, "-d", str(tmp_path), "hem-test-package")
    assert (tmp_path / WHEEL).read_bytes() == wheel()


def test_pip_goes_on_without_a_password_when_the_vault_has_none_for_the_index(person, tmp_path):
    with PackageIndex("anna", "index-geheim") as index:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
        command += ["--disable-pip-version-check", "--no-input", "--keyring-provider", "import"]
        done = person.run(
            *command, "--index-url", f"{index.url}/simple/", "-d", str(tmp_path), "hem-test-package"
        )
    assert done.returncode == 1
    assert "Keyring" not in done.stderr


@pytest.mark.parametrize("user", [["--username", "anna"], []], ids=["with user name", "without"])
def test_twine_uploads_with_the_password_in_the_vault(person, tmp_path, user):
    (tmp_path / WHEEL).write_bytes(wheel())
    with PackageIndex("anna", "upload-geheim") as index:
        url = f"{index.url}/legacy/"
        person.does("keyring", "set", url, "anna", typed="upload-geheim\n")
        command = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
        person.does(*command, "--repository-url", url, *user, str(tmp_path / WHEEL))
    (upload,) = index.uploads
    assert b"hem-test-package" in upload


def test_another_device_opens_nothing_and_is_told_apart_from_a_wrong_passphrase(person, served, tmp_path):
    person.does("keyring", "set", "mail", "anna", typed="x\n")
    other = tmp_path / "other.hem"
    secrets = [
        "--passphrase-file",
        served.passphrase_file,
        "--admin-passphrase-file",
        served.admin_passphrase_file,
    ]
    person.does("hem", "emulator", "init", "--state", str(other), *map(str, secrets))
    done = person.run("keyring", "get", "mail", "anna", HEM_URL=f"emulator:{other}")
    assert done.returncode != 0
    assert "this is another one, it was wiped, or the key was deleted" in done.stderr
    (tmp_path / "wrong").write_text("wrong\n")
    (tmp_path / "wrong").chmod(0o600)
    done = person.run("keyring", "get", "mail", "anna", HEM_PASSPHRASE_FILE=str(tmp_path / "wrong"))
    assert done.returncode != 0
    assert "this is another one" not in done.stderr


def child(backend: HemKeyring, number: int) -> None:
    backend.set_password("own", str(number), f"p{number}")
    backend.set_password("shared", "all", f"p{number}")
    if backend.get_password("own", str(number)) != f"p{number}":
        raise AssertionError("own entry")
    if not (backend.get_password("shared", "all") or "").startswith("p"):
        raise AssertionError("shared entry")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("processes", [40, pytest.param(200, marks=pytest.mark.long)])
def test_processes_that_set_and_get_at_once_lose_nothing(served, monkeypatch, tmp_path, processes):
    """Forked from one that is logged in, as the workers of a server are; over real TLS."""
    monkeypatch.setenv("HEM_URL", served.https)
    monkeypatch.setenv("HEM_CA_FILE", str(served.ca_file))
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(served.passphrase_file))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cli.main(["keyring", "init"]) == 0
    backend = HemKeyring()
    backend.set_password("shared", "all", "p")
    fork = get_context("fork")
    workers = [fork.Process(target=child, args=(backend, number)) for number in range(processes)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0] * processes
    assert all(backend.get_password("own", str(number)) == f"p{number}" for number in range(processes))
    backend.close()


def test_several_commands_at_once_lose_nothing(person):
    commands = [
        subprocess.Popen(
            ["keyring", "set", "many", str(number)], env=person.environment, stdin=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    for number, command in enumerate(commands):
        command.communicate(f"p{number}\n", timeout=120)
    assert [command.returncode for command in commands] == [0] * 3
    listed = person.does("hem", "keyring", "list")
    assert all(f"many\t{number}\n" in listed for number in range(3))
    assert person.does("hem", "keyring", "check").endswith("entries open\n")


def test_the_benchmark_of_the_vault_counts_one_call_a_get_and_a_set(tmp_path):
    command = [sys.executable, "-m", "benchmarks.keyring_scale", "--largest", "10", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = {tuple(line.split()[:3]): line.split() for line in done.stdout.splitlines() if line}
    for operation in ("get", "set"):
        (row,) = [row for row in rows.values() if row[:2] == ["10", operation] and len(row) == 5]
        assert row[3] == "1"
