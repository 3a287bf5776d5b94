"""hem pkcs11 info, install and test, over a served emulator and the compiled module."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.hosts import copied, fake_python, libpython, name_home
from support.pages import as_ordinary_user

from hem_provider import connect
from hem_provider.cli.built import module_path
from hem_provider.cli.pkcs11_info import print_info
from hem_provider.cli.pkcs11_install import FILE_NAME, SYSTEM_DIRECTORY, default_directory, install
from hem_provider.emulator.process import ServedEmulator
from hem_provider.errors import HemConfigError

NOBODY_THERE = "https://127.0.0.1:9"
PREFIX = "hem-pkcs11-test-"

needs_p11_kit = pytest.mark.skipif(shutil.which("p11-kit") is None, reason="not run: needs p11-kit")


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator whose keys and calls are this module's."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        yield served


def hem_pkcs11(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "pkcs11", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **settings},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def reachable(own_served: ServedEmulator) -> dict[str, str]:
    return {"HEM_URL": own_served.https, "HEM_CA_FILE": str(own_served.ca_file)}


def test_info_tells_module_versions_and_the_device_by_one_call(own_served):
    before = len(own_served.calls())
    done = hem_pkcs11("info", HEM_NAME="office", **reachable(own_served))
    assert done.returncode == 0, done.stderr
    assert str(module_path()) in done.stdout
    assert "PKCS#11 2.40, 3.0 and 3.2" in done.stdout
    assert f"0  office  {own_served.https}  there: the emulator" in done.stdout
    assert [(each["method"], each["path"]) for each in own_served.calls(before)] == [
        ("GET", "/api/auth/token")
    ]


def test_info_tells_the_libpython_that_programs_get(own_served):
    done = hem_pkcs11("info", **reachable(own_served))
    assert f"libpython {libpython()}" in done.stdout


@pytest.mark.parametrize("whole", [True, False])
def test_info_tells_of_a_module_that_has_no_python_to_run(own_served, tmp_path, monkeypatch, capsys, whole):
    module = copied(module_path(), tmp_path / "hem_pkcs11", package=True)
    name_home(module.parent, fake_python(tmp_path / "static", None) / "bin")
    if not whole:
        module.with_name("libhem_python.so").write_bytes(b"")
    for name, value in reachable(own_served).items():
        monkeypatch.setenv(name, value)
    assert print_info(module) == 1
    said = capsys.readouterr().out
    assert "libpython none\n\nPrograms other than Python cannot use the module: " in said
    wanted = (
        f"apt-get install libpython{sysconfig.get_python_version()}" if whole else "install hem-provider anew"
    )
    assert wanted in said
    assert own_served.https in said


def test_info_numbers_slots_as_the_module_does_and_says_which_device_is_not_there(own_served, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[device]]\nname = "pinned"\nurl = "{NOBODY_THERE}"\nslot = 7\n'
        f'[[device]]\nname = "first"\nurl = "{own_served.https}"\nca_file = "{own_served.ca_file}"\n'
    )
    config.chmod(0o600)
    done = hem_pkcs11("info", HEM_CONFIG=str(config))
    assert done.returncode == 3, done.stderr  # one of them is not reached
    rows = [line.split(maxsplit=3) for line in done.stdout.splitlines() if "127.0.0.1" in line]
    assert [row[:3] for row in rows] == [["0", "first", own_served.https], ["7", "pinned", NOBODY_THERE]]
    assert rows[0][3].startswith("there: ")
    assert rows[1][3].startswith("not reached: ")
    assert "127.0.0.1" in rows[1][3]


def test_info_of_a_device_that_is_not_initialised_says_so(tmp_path):
    with ServedEmulator(tmp_path, init=False) as fresh:
        done = hem_pkcs11("info", **reachable(fresh))
    assert done.returncode == 0
    assert "there, and not initialised" in done.stdout


def test_info_says_that_a_certificate_is_not_trusted(own_served):
    done = hem_pkcs11("info", HEM_URL=own_served.https)
    assert done.returncode == 3
    assert "not reached: " in done.stdout
    assert "certificate" in done.stdout


def test_info_with_settings_that_cannot_be_used_fails_in_words():
    done = hem_pkcs11("info", HEM_URL="my.ence.do")
    assert done.returncode == 1
    assert "HEM_URL" in done.stderr


def test_info_without_any_device_says_what_to_set_and_fails():
    done = hem_pkcs11("info")
    assert done.returncode == 1
    assert "HEM_URL" in done.stdout
    assert str(module_path()) in done.stdout


def test_the_self_test_ticks_every_step_and_leaves_nothing_on_the_device(own_served):
    before = len(own_served.calls())
    done = hem_pkcs11("test", HEM_PASSPHRASE_FILE=str(own_served.passphrase_file), **reachable(own_served))
    assert done.returncode == 0, done.stderr
    steps = [line for line in done.stdout.splitlines() if line.startswith("✔")]
    for promised in ("initialise", "token", "session", "log in", "key pair", "sign", "verify", "delete"):
        assert any(promised in step for step in steps), promised
    assert "✘" not in done.stdout
    paths = [each["path"] for each in own_served.calls(before)]
    assert "/api/crypto/exdsa/sign" in paths
    assert sum(path.startswith("/api/keymgmt/create") for path in paths) == 1
    assert sum(path.startswith("/api/keymgmt/delete/") for path in paths) == 1
    assert keys_left(own_served) == []


def keys_left(own_served: ServedEmulator) -> list[str]:
    with connect(own_served.https, passphrase=own_served.passphrase, ca_file=own_served.ca_file) as hem:
        return [key.label for key in hem.keys if key.label.startswith(PREFIX)]


def test_a_wrong_passphrase_fails_at_the_login_in_words(own_served, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("not this one\n")
    done = hem_pkcs11("test", HEM_PASSPHRASE_FILE=str(wrong), **reachable(own_served))
    assert done.returncode == 4
    assert "✘ log in" in done.stdout
    assert "CKR_PIN_INCORRECT" in done.stderr
    assert "not this one" not in done.stdout + done.stderr


def test_a_device_that_does_not_answer_fails_in_words(own_served, tmp_path):
    done = hem_pkcs11("test", HEM_URL=NOBODY_THERE, HEM_PASSPHRASE_FILE=str(own_served.passphrase_file))
    assert done.returncode == 3
    assert "✘ find slot 0" in done.stdout
    assert "does not answer" in done.stderr


def test_a_failure_after_the_key_was_made_still_deletes_it(own_served, monkeypatch, capsys):
    from hem_provider.cli import main
    from hem_provider.cli.cryptoki import CryptokiError, Library

    def fail(*_):
        raise CryptokiError("C_Sign", 0x30)

    for name, value in reachable(own_served).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(own_served.passphrase_file))
    monkeypatch.setattr(Library, "sign", fail)
    before = len(own_served.calls())
    assert main.main(["pkcs11", "test"]) == 1
    assert "C_Sign answers CKR_DEVICE_ERROR" in capsys.readouterr().err
    paths = [each["path"] for each in own_served.calls(before)]
    assert sum(path.startswith("/api/keymgmt/delete/") for path in paths) == 1
    assert keys_left(own_served) == []


def test_without_a_passphrase_and_a_terminal_the_self_test_says_what_to_configure(own_served):
    done = hem_pkcs11("test", **reachable(own_served))
    assert done.returncode == 4
    assert "HEM_PASSPHRASE_FILE" in done.stderr


def test_the_self_test_asks_the_terminal_for_the_passphrase(own_served, monkeypatch, capsys):
    from hem_provider.cli import main

    asked = []
    for name, value in reachable(own_served).items():
        monkeypatch.setenv(name, value)
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or own_served.passphrase)
    assert main.main(["pkcs11", "test"]) == 0, capsys.readouterr().err
    assert asked == [f"Passphrase of HEM hem ({own_served.https}): "]


def test_an_unknown_device_is_told_with_those_there_are(own_served):
    done = hem_pkcs11("test", "--device", "other", **reachable(own_served))
    assert done.returncode == 5
    assert "'other'" in done.stderr


def is_listed(said: str) -> bool:
    """Whether our module is there by its name: p11-kit 0.25 gives the path a line of its own."""
    return (
        re.search(rf"^(?:module: hem\n +path|hem): {re.escape(str(module_path()))}$", said, re.MULTILINE)
        is not None
    )


def listed_modules(prefix: tuple[str, ...], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [*prefix, "p11-kit", "list-modules"], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@needs_p11_kit
def test_p11_kit_lists_the_module_after_an_installation_for_one_user(tmp_path):
    ordinary = as_ordinary_user()
    if os.geteuid() == 0 and not ordinary:
        pytest.skip("not run: p11-kit ignores a root user's own modules, and no other user can be had")
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    assert str(module_path()) not in listed_modules(ordinary, environment)
    done = subprocess.run(
        [*ordinary, sys.executable, "-m", "hem_provider.cli.main", "pkcs11", "install"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    file = tmp_path / "pkcs11" / "modules" / FILE_NAME
    assert done.returncode == 0, done.stderr
    assert str(file) in done.stdout
    assert is_listed(listed_modules(ordinary, environment))


@needs_p11_kit
def test_p11_kit_reads_the_directory_that_root_gets(tmp_path):
    copy = tmp_path / "etc"
    install(module_path(), copy / SYSTEM_DIRECTORY.relative_to("/etc"))
    inside = f'mount -t overlay overlay -o "lowerdir={copy}:/etc" /etc && exec p11-kit list-modules'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"not run: no other /etc can be shown to p11-kit here: {done.stderr.strip()}")
    assert is_listed(done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("uid", "config", "expected"),
    [
        (0, "/home/ada/.config", SYSTEM_DIRECTORY),
        (1000, "/home/ada/conf", Path("/home/ada/conf/pkcs11/modules")),
        (1000, "", Path("/home/ada/.config/pkcs11/modules")),
    ],
)
def test_the_default_directory_is_everybodys_for_root_and_ones_own_else(monkeypatch, uid, config, expected):
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", config)
    assert default_directory() == expected


def test_an_installation_replaces_its_own_file_and_no_other(tmp_path):
    file = install(Path("/old/libhem_pkcs11.so"), tmp_path)
    assert install(Path("/new/libhem_pkcs11.so"), tmp_path) == file
    assert "module: /new/libhem_pkcs11.so\n" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) & 0o022 == 0
    file.write_text("module: /somebody/elses.so\n")
    with pytest.raises(HemConfigError, match="--force"):
        install(Path("/new/libhem_pkcs11.so"), tmp_path)
    assert file.read_text() == "module: /somebody/elses.so\n"
    install(Path("/new/libhem_pkcs11.so"), tmp_path, force=True)
    assert "module: /new/libhem_pkcs11.so\n" in file.read_text()
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_a_link_is_never_written_through(tmp_path):
    target, directory = tmp_path / "target", tmp_path / "modules"
    directory.mkdir()
    target.write_text("precious")
    (directory / FILE_NAME).symlink_to(target)
    with pytest.raises(HemConfigError, match="--force"):
        install(Path("/new/libhem_pkcs11.so"), directory)
    install(Path("/new/libhem_pkcs11.so"), directory, force=True)
    assert target.read_text() == "precious"
    assert not (directory / FILE_NAME).is_symlink()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = hem_pkcs11("install", "--directory", str(tmp_path / "file" / "modules"))
    assert done.returncode == 1
    assert str(tmp_path / "file" / "modules" / FILE_NAME) in done.stderr
