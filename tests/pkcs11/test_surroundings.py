"""The real library in programs that change their surroundings: rights, root directory, limits, files."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.log import _for_people
from support.emulator import ServedEmulator
from support.hosts import Host

from hem_provider.emulator.setup import initialise

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can change root and rights")
pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def ready(pin: str) -> tuple[str, ...]:
    """Commands up to a login."""
    return ("init", "open", f"login:{pin}", "find", "sign")


# --- raised privileges ----------------------------------------------------------------------------


@as_root
def test_a_host_that_gives_up_root_before_initialising_keeps_its_environment(
    runs: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Still root, since nobody else can read Python here, but hidden from debuggers as after setuid.
    assert runs.run("undump", "init", "tokens:1") == [0, 0, 0], runs.said
    assert "ignored" not in runs.said


@as_root
def test_a_set_group_id_host_ignores_the_environment_and_says_so(runs: Host, tmp_path: Path) -> None:
    raised = tmp_path / "host"
    shutil.copy(runs.program, raised)
    os.chown(raised, 0, NOBODY)
    raised.chmod(0o2755)
    runs.program = raised
    assert runs.run("init") == [0]
    (line,) = [each for each in runs.said.splitlines() if "ignored" in each]
    assert "raised privileges: the environment is ignored (HEM_CA_FILE, HEM_NAME, HEM_URL" in line


# --- names of files -------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_paths_with_umlauts_work_in_every_locale(
    runs: Host, emulator: ServedEmulator, tmp_path: Path, locale: str
) -> None:
    folder = tmp_path / "Schlüssel für Käthe"
    folder.mkdir()
    ca, secret, script = folder / "Zertifikät.pem", folder / "Paßwort", folder / "sprüche"
    shutil.copy(emulator.ca_file, ca)
    secret.write_text(emulator.passphrase)
    secret.chmod(0o600)
    script.write_text('#!/bin/sh\ntest "$1" = "grüße" && cat "$2"\n')
    script.chmod(0o700)
    device = f'[[device]]\nurl = "{emulator.https}"\nname = "demo"\nca_file = "{ca}"\n'
    for source in (
        f'passphrase_file = "{secret}"',
        f'passphrase_command = ["{script}", "grüße", "{secret}"]',
    ):
        config = folder / "ä.toml"
        config.write_text(f"{device}{source}\n")
        config.chmod(0o600)
        for name in ("HEM_URL", "HEM_CA_FILE", "HEM_NAME"):
            runs.environment.pop(name, None)
        assert runs.run("all-configured", HEM_CONFIG=str(config), LC_ALL=locale) == [0], runs.said


def test_an_emulator_below_a_folder_with_umlauts_works_in_every_locale(runs: Host, tmp_path: Path) -> None:
    folder = tmp_path / "Käthes Gerät"
    folder.mkdir()
    state, passphrase = folder / "gerät.hem", "correct horse"
    initialise(state, passphrase=passphrase, admin_passphrase="master")
    for name in ("HEM_URL", "HEM_CA_FILE", "HEM_NAME"):
        runs.environment.pop(name, None)
    for locale in ("C", "C.UTF-8"):
        commands = ("init", "tokens:1", "open", f"login:{passphrase}")
        assert set(runs.run(*commands, HEM_URL=f"emulator:{state}", LC_ALL=locale)) == {0}, runs.said


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_pkcs11_tool_takes_settings_with_umlauts(
    runs: Host, emulator: ServedEmulator, tmp_path: Path, locale: str
) -> None:
    folder = tmp_path / "Schlüssel"
    folder.mkdir()
    shutil.copy(emulator.ca_file, folder / "ca.pem")
    secret = folder / "Paßwort"
    secret.write_text(emulator.passphrase)
    secret.chmod(0o600)
    done = subprocess.run(
        ["pkcs11-tool", "--module", runs.library, "--login", "-O"],
        env={
            **runs.environment,
            "HEM_CA_FILE": str(folder / "ca.pem"),
            "HEM_PASSPHRASE_FILE": str(secret),
            "LC_ALL": locale,
        },
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Private Key Object" in done.stdout


# --- signals and descriptors ----------------------------------------------------------------------


def test_a_limit_on_the_size_of_files_does_not_kill_the_host(runs: Host, ready: tuple[str, ...]) -> None:
    commands = ("file-size:0", *ready, "write-signals", "finalize")
    assert set(runs.run(*commands)) == {0}, runs.said


def test_no_line_is_written_into_a_file_of_the_host(runs: Host, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    commands = (f"standard-error:{mine}", "init", "open", "login:wrong")
    assert runs.run(*commands)[-1] == CKR.PIN_INCORRECT
    assert mine.read_bytes() == b""
    assert runs.run(*commands, HEM_PKCS11_LOG="stderr")[-1] == CKR.PIN_INCORRECT
    assert b"does not accept the passphrase" in mine.read_bytes()


def test_a_log_that_is_a_fifo_makes_no_host_wait(runs: Host, tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo, 0o600)
    commands = ("init", "open", "login:wrong")
    assert runs.run(*commands, HEM_PKCS11_LOG=str(fifo))[-1] == CKR.PIN_INCORRECT  # nobody reads it
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert runs.run(*commands, HEM_PKCS11_LOG=f"{fifo}:debug")[-1] == CKR.PIN_INCORRECT
        assert b"does not accept the passphrase" in os.read(reading, 65536)
    finally:
        os.close(reading)


def test_the_c_layer_writes_no_line_into_a_file_of_the_host(runs: Host, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    alone = tmp_path / runs.library.name
    shutil.copy(runs.library, alone)  # its other half is missing
    runs.library = alone
    assert runs.run(f"standard-error:{mine}", "init") == [0, CKR.GENERAL_ERROR]
    assert mine.read_bytes() == b""
    assert runs.run(f"standard-error:{mine}", "init", HEM_PKCS11_LOG="stderr") == [0, CKR.GENERAL_ERROR]
    assert b"other half cannot be loaded" in mine.read_bytes()


def _network() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = socket.create_connection(server.getsockname())
        return host, server.accept()[0]


@pytest.mark.parametrize(("pair", "said"), [(_network, False), (socket.socketpair, True)])
@pytest.mark.parametrize("layer", ["python", "c"])
def test_no_line_is_written_into_a_connection_of_the_host(
    runs: Host,
    tmp_path: Path,
    pair: Callable[[], tuple[socket.socket, socket.socket]],
    said: bool,
    layer: str,
) -> None:
    """It has number 2 in a host that has closed its standard error; the journal's is a local socket."""
    library = runs.library
    if layer == "c":
        library = tmp_path / library.name
        shutil.copy(runs.library, library)  # its other half is missing
    mine, other = pair()
    with mine, other:
        subprocess.run(
            [str(runs.program), str(library), "init", "open", "login:wrong"],
            env=runs.environment, stdout=subprocess.DEVNULL, stderr=mine, timeout=240, check=False,
        )  # fmt: skip
        mine.shutdown(socket.SHUT_WR)
        assert (b"hem-pkcs11: " in other.recv(4096)) is said


def test_looking_at_a_socket_leaves_it_as_it_is() -> None:
    before = socket.getdefaulttimeout()
    mine, other = socket.socketpair()
    with mine, other:
        socket.setdefaulttimeout(5)
        try:
            assert _for_people(mine.fileno())
        finally:
            socket.setdefaulttimeout(before)
        assert os.get_blocking(mine.fileno())


# --- rights and the root directory ----------------------------------------------------------------


@as_root
def test_everything_works_in_another_root_directory(
    runs: Host, ready: tuple[str, ...], pin: str, tmp_path: Path
) -> None:
    commands = (*ready, f"chroot:{tmp_path}", "sign", f"operations:{pin}", "finalize", "init", "tokens:1")
    assert runs.run(*commands) == [0] * len(commands), runs.said


@as_root
def test_everything_works_when_the_root_directory_changes_right_after_initialising(
    runs: Host, pin: str, tmp_path: Path
) -> None:
    commands = ("init", f"chroot:{tmp_path}", "open", f"login:{pin}", "find", f"operations:{pin}")
    assert runs.run(*commands) == [0] * len(commands), runs.said


@as_root
def test_everything_works_after_giving_up_root_though_the_code_is_roots_alone(
    runs: Host, pin: str, tmp_path: Path
) -> None:
    commands = ("init", f"setuid:{NOBODY}", "open", f"login:{pin}", "find", f"operations:{pin}")
    assert runs.run(*commands) == [0] * len(commands), runs.said


@as_root
def test_a_host_without_home_and_without_an_entry_in_the_user_database_signs(runs: Host, pin: str) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        runs.environment.pop(name, None)
    commands = ("init", "setuid:54321", "open", f"login:{pin}", "find", "sign")
    assert runs.run(*commands) == [0] * len(commands), runs.said


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
def two(runs: Host, emulator: ServedEmulator, tmp_path: Path) -> Host:
    """Two devices are configured: the emulator by two names."""
    config = tmp_path / "two.toml"
    config.write_text(
        "".join(
            f'[[device]]\nurl = "{emulator.https}"\nname = "{name}"\nca_file = "{emulator.ca_file}"\n'
            for name in ("one", "two")
        )
    )
    config.chmod(0o600)
    for name in ("HEM_URL", "HEM_CA_FILE", "HEM_NAME"):
        runs.environment.pop(name)
    runs.environment["HEM_CONFIG"] = str(config)
    return runs


@as_root
def test_slots_are_asked_one_after_another_where_there_are_no_threads(two: Host) -> None:
    assert two.run("init", f"setuid:{NOBODY}", "processes:0", "tokens:2") == [0] * 4, two.said


def test_slots_are_asked_one_after_another_in_a_sandbox_without_threads(two: Host, pin: str) -> None:
    commands = ("sandbox", "init", "tokens:2", "open", f"login:{pin}", "find", "sign")
    assert set(two.run(*commands)) == {0}, two.said


@pytest.mark.parametrize(
    "flags", [CKF.LIBRARY_CANT_CREATE_OS_THREADS, CKF.LIBRARY_CANT_CREATE_OS_THREADS | CKF.OS_LOCKING_OK]
)
def test_a_host_that_forbids_threads_gets_none(two: Host, pin: str, flags: int) -> None:
    commands = (
        "count-threads",
        f"init-flags:{int(flags)}",
        "tokens:2",
        "open",
        f"login:{pin}",
        "find",
        "sign",
    )
    assert two.run(*commands, "threads-made:0") == [0] * 8, two.said


def test_a_host_that_allows_threads_has_slots_asked_at_once(two: Host) -> None:
    assert two.run("init", "count-threads", "tokens:2", "threads-made:2") == [0] * 4, two.said


def test_the_mode_of_what_is_made_is_the_hosts_own(runs: Host, tmp_path: Path) -> None:
    assert runs.run("init", f"standard-error:{tmp_path}/made") == [0, 0]
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600
