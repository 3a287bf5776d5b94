"""The real library in a C program that loads it as hosts do, in friendly and hostile surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKR
from support.emulator import ServedEmulator
from support.hosts import COMPILER, Host, copied, fake_python, libpython, name_home

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("key")
def test_a_host_that_loads_locally_signs(runs: Host, pin: str) -> None:
    commands = ("init", "open", f"login:{pin}", "find", "sign", "pipe", "finalize")
    assert runs.run(*commands) == [0] * 7, runs.said


@pytest.mark.usefixtures("key")
def test_a_device_that_trickles_its_answer_costs_a_call_no_more_than_its_deadline(
    runs: Host, pin: str, emulator: ServedEmulator
) -> None:
    command = [sys.executable, "-m", "hem_provider.emulator", "faults", "--state", str(emulator.state)]

    def order(*words: str) -> None:
        subprocess.run([*command, *words], check=True, capture_output=True)

    order("slow", "--endpoint", "POST /api/crypto/exdsa/sign", "--seconds", "300")
    try:
        begun = time.monotonic()
        commands = ("init", "open", f"login:{pin}", "find", "sign", "finalize")
        assert runs.run(*commands, HEM_TIMEOUT="3") == [0, 0, 0, 0, CKR.DEVICE_ERROR, 0], runs.said
        assert time.monotonic() - begun < 60
    finally:
        order("clear")
    assert "3 s (timeout)" in runs.said


def test_nothing_answers_before_initialising_and_after_finalising(runs: Host) -> None:
    none = int(CKR.CRYPTOKI_NOT_INITIALIZED)
    assert runs.run("open", "finalize", "sign", "init", "finalize", "open") == [none, none, none, 0, 0, none]


def test_before_initialising_python_is_not_even_started(runs: Host, tmp_path: Path) -> None:
    runs.library = copied(runs.library, tmp_path)  # no packages beside it: starting would say so
    assert runs.run("open") == [CKR.CRYPTOKI_NOT_INITIALIZED]
    assert runs.said.count("hem-pkcs11") == 0


@pytest.mark.usefixtures("key")
def test_hostile_python_variables_have_no_effect(runs: Host, pin: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for name in (
        "hashlib",
        "ssl",
        "os",
        "encodings/__init__",
        "hem_pkcs11/__init__",
        "sitecustomize",
        "json",
    ):
        module = trap / f"{name}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("import posix\nposix.write(2, b'TRAPPED')\nposix._exit(99)\n")
    result = runs.run(
        "init",
        "open",
        f"login:{pin}",
        "find",
        "sign",
        PYTHONPATH=str(trap),
        PYTHONHOME=str(trap),
        PYTHONSTARTUP=str(trap / "os.py"),
        PYTHONUSERBASE=str(trap),
        PYTHONDEVMODE="1",
        PYTHONMALLOC="debug",
        PATH=f"{trap}:{os.environ['PATH']}",
    )
    assert result == [0] * 5, runs.said
    assert "TRAPPED" not in runs.said


def test_a_library_without_its_packages_answers_an_error(runs: Host, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "hem_pkcs11"
    runs.library = copied(runs.library, place)
    assert runs.run("init", "init", "open") == [
        CKR.GENERAL_ERROR,
        CKR.GENERAL_ERROR,
        CKR.CRYPTOKI_NOT_INITIALIZED,
    ]
    assert str(place.parent) in runs.said


def test_a_python_that_cannot_start_answers_an_error(runs: Host, tmp_path: Path) -> None:
    runs.library = copied(runs.library, tmp_path / "hem_pkcs11", package=True)
    name_home(runs.library.parent, fake_python(tmp_path / "python", libpython()) / "bin")
    assert runs.run("init", "open") == [CKR.GENERAL_ERROR, CKR.CRYPTOKI_NOT_INITIALIZED]
    assert "cannot start" in runs.said


def test_a_host_with_another_python_version_is_refused_with_a_way_out(runs: Host, tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text(
        'const char *Py_GetVersion(void); const char *Py_GetVersion(void) { return "3.99.1 (x)"; }'
    )
    other = tmp_path / "libother.so"
    subprocess.run([*COMPILER, "-shared", "-fPIC", str(source), "-o", str(other)], check=True)
    assert runs.run("init", "open", LD_PRELOAD=str(other)) == [
        CKR.GENERAL_ERROR,
        CKR.CRYPTOKI_NOT_INITIALIZED,
    ]
    assert "3.99.1" in runs.said
    assert "p11-kit server" in runs.said


def test_a_host_with_a_libpython_that_is_none_is_refused_in_words(runs: Host, tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("int nothing_of_python;")
    other = tmp_path / "libpython3.99.so"
    subprocess.run([*COMPILER, "-shared", "-fPIC", str(source), "-o", str(other)], check=True)
    assert runs.run("init", LD_PRELOAD=str(other)) == [CKR.GENERAL_ERROR]
    assert f"{other}, and the Python in it cannot be used: it has no Py_GetVersion" in runs.said


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_a_search_path_that_others_may_write_is_refused(runs: Host, tmp_path: Path, mode: int) -> None:
    place = tmp_path / "hem_pkcs11"
    runs.library = copied(runs.library, place)
    place.chmod(0o755)
    path = place / "search-path"
    path.write_text(f"{ROOT}\n{ROOT / 'shim'}\n")
    path.chmod(mode)
    assert runs.run("init") == [CKR.GENERAL_ERROR]
    assert "chmod go-w" in runs.said
    path.chmod(0o644)
    place.chmod(0o777)
    assert runs.run("init") == [CKR.GENERAL_ERROR]


def test_the_message_goes_where_the_log_variable_says(runs: Host, tmp_path: Path) -> None:
    runs.library = copied(runs.library, tmp_path / "hem_pkcs11")
    log = tmp_path / "log"
    runs.run("init", HEM_PKCS11_LOG=f"{log}:debug")
    assert "cannot be loaded" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("key")
def test_unloading_and_loading_again_works(runs: Host, pin: str) -> None:
    once = ("load", "init", "open", f"login:{pin}", "find", "sign", "finalize", "unload")
    assert set(runs.run(*once, *once)) == {0}, runs.said


@pytest.mark.usefixtures("key")
def test_finalising_in_an_exit_handler_is_harmless(runs: Host, pin: str) -> None:
    assert set(runs.run("init", "open", f"login:{pin}", "atexit", "find", "sign")) == {0}, runs.said


@pytest.mark.usefixtures("key")
def test_a_forked_child_starts_anew_and_the_parent_goes_on(runs: Host, pin: str) -> None:
    commands = ("init", "open", f"login:{pin}", "find", "sign", f"fork-sign:{pin}", "sign")
    assert set(runs.run(*commands)) == {0}, runs.said


@pytest.mark.usefixtures("key")
def test_forks_under_threads_never_hang(runs: Host, pin: str) -> None:
    commands = ("init", "open", f"login:{pin}", "find", "sign", "fork:30,4", "sign")
    assert set(runs.run(*commands)) == {0}, runs.said


@pytest.mark.usefixtures("key")
def test_children_of_a_busy_parent_can_sign(runs: Host, pin: str) -> None:
    commands = ("init", "open", f"login:{pin}", "find", "sign", f"fork-threads-sign:{pin}")
    assert set(runs.run(*commands)) == {0}, runs.said


def test_a_wrong_passphrase_is_an_incorrect_pin(runs: Host) -> None:
    assert runs.run("init", "open", "login:not this one")[2] == CKR.PIN_INCORRECT


def test_an_unreachable_device_is_no_token(runs: Host) -> None:
    answers = runs.run("init", "open", HEM_URL="https://127.0.0.1:9")
    assert answers == [0, CKR.TOKEN_NOT_PRESENT]


def test_an_untrusted_certificate_is_no_token_and_said_in_words(runs: Host, tmp_path: Path) -> None:
    runs.environment.pop("HEM_CA_FILE")
    answers = runs.run("init", "open", HEM_PKCS11_LOG="stderr:warning")
    assert answers == [0, CKR.TOKEN_NOT_PRESENT]
    assert "certificate" in runs.said


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("[[device]]\nurl = 5\n", 0o644, "line 2"),
        ("[[device]\n", 0o644, "TOML"),
        ('[[device]]\nurl = "https://my.ence.do"\n', 0o666, "chmod go-w"),
    ],
)
def test_a_bad_configuration_is_an_error_said_in_words(
    runs: Host, tmp_path: Path, text: str, mode: int, words: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(mode)
    runs.environment.pop("HEM_URL")
    runs.environment.pop("HEM_CA_FILE")
    assert runs.run("init", "open", HEM_CONFIG=str(file)) == [CKR.GENERAL_ERROR, CKR.CRYPTOKI_NOT_INITIALIZED]
    assert words in runs.said


def test_nothing_configured_is_no_slot(runs: Host) -> None:
    runs.environment.pop("HEM_URL")
    runs.environment.pop("HEM_CA_FILE")
    runs.environment.pop("HEM_NAME")
    assert runs.run("init", "open") == [0, CKR.TOKEN_NOT_PRESENT]


PYTHON_HOST = """
import ctypes, sys, types
{before}
module = ctypes.CDLL({library!r})
print(hex(module.C_Initialize(None)))
"""


def python_host(library: Path, environment: dict[str, str], before: str, *flags: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, *flags, "-c", PYTHON_HOST.format(library=str(library), before=before)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.strip(), done.stderr


def test_a_python_host_of_the_same_version_is_served(library: Path, environment: dict[str, str]) -> None:
    assert python_host(library, environment, "")[0] == "0x0"


def test_a_python_host_that_lacks_our_packages_gets_them_from_our_path(
    library: Path, environment: dict[str, str]
) -> None:
    # -S: no site-packages of its own
    assert python_host(library, environment, "", "-S", "-E")[0] == "0x0"


def test_a_python_host_with_old_packages_is_refused_by_name(
    library: Path, environment: dict[str, str]
) -> None:
    before = "old = sys.modules['cryptography'] = types.ModuleType('old'); old.__version__ = '38.0.4'"
    answer, said = python_host(library, environment, before)
    assert answer == hex(CKR.GENERAL_ERROR)
    assert "cryptography 38.0.4" in said
