"""Whatever the streams of a command are, it ends with a line and a status, never with a traceback."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

from hem_provider.cli import terminal
from hem_provider.cli.progress import progress
from hem_provider.cli.steps import Steps
from hem_provider.config import DeviceConfig
from hem_provider.config.login_source import ask_passphrase
from hem_provider.errors import HemLoginRequired

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
#: Commands that print, one of each module.
PRINTING = [
    ["pkcs11", "path"],
    ["--help"],
    ["openssl", "config"],
    ["emulator", "faults"],
    ["emulator", "quirks"],
]


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator whose keys and calls are this module's."""
    emulator = ServedEmulator(tmp_path_factory.mktemp("served")).start()
    yield emulator
    emulator.stop()


@pytest.fixture(autouse=True, params=["", "1"], ids=["buffered", "unbuffered"])
def _buffering(monkeypatch, request):
    """Errors come with the write itself, or only when the stream is flushed."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


def run(*arguments, **options):
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "timeout": 60, **options}
    return subprocess.run([*HEM, *arguments], check=False, **options)


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_told_in_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        done = run(*arguments, stdout=full)
    assert (done.returncode, done.stderr) == (1, "hem: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_left_ends_the_command_quietly(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*arguments, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_both_streams_may_take_nothing(arguments):
    with Path("/dev/full").open("w") as full:
        done = run(*arguments, stdout=full, stderr=full)
    assert done.returncode == 1


def test_a_character_that_the_terminal_lacks_is_written_as_its_escape(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "HEM_URL": "https://127.0.0.1:9"}
    path = tmp_path / "ключ.pem"
    done = run("pkcs11", "info", env={**environment, "HEM_CA_FILE": str(path)})
    assert done.returncode == 3
    assert "Traceback" not in done.stdout + done.stderr
    assert "\\u043a" in done.stdout


def test_a_broken_url_is_told_in_one_line():
    done = run("pkcs11", "info", env={**os.environ, "HEM_URL": "https://[::1"})
    assert done.returncode == 1
    assert done.stderr == (
        "hem: HEM_URL: 'https://[::1'; accepted: https://HOST[:PORT], http://HOST[:PORT], emulator:PATH "
        "or unix:SOCKET#NAME of an agent's device\n"
    )


def test_info_ends_with_3_when_a_device_is_not_reached(own_served):
    nobody = {**os.environ, "HEM_URL": "https://127.0.0.1:9"}
    done = run("pkcs11", "info", env=nobody)
    assert done.returncode == 3
    assert "not reached" in done.stdout
    there = {**os.environ, "HEM_URL": own_served.https, "HEM_CA_FILE": str(own_served.ca_file)}
    assert run("pkcs11", "info", env=there).returncode == 0


def _read(terminal_end, again):
    while not select.select([terminal_end], [], [], 5)[0]:
        again()
    return os.read(terminal_end, 1024)


def typed(arguments, text, environment):
    """Run a command at a terminal and type; its status and what the terminal showed."""
    pid, terminal_end = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.execve(  # noqa: S606
            sys.executable, [*HEM, *arguments], environment
        )
    shown = b""
    while b"Passphrase of HEM" not in shown:
        shown += os.read(terminal_end, 1024)
    os.write(terminal_end, text)
    try:
        # Where the signal comes when Python is about to wait for a line it waits all the same, until it is
        # typed again.
        while chunk := _read(terminal_end, lambda: os.write(terminal_end, text)):
            shown += chunk
    except OSError:  # the child has closed its end
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal_end)
    return status, shown.decode()


def test_the_end_of_input_at_the_passphrase_prompt_is_told_in_one_line(own_served):
    environment = {**os.environ, "HEM_URL": own_served.https, "HEM_CA_FILE": str(own_served.ca_file)}
    for text in (b"\x04", b"\n"):
        status, shown = typed(["pkcs11", "test"], text, environment)
        assert status == 4
        assert "hem: no passphrase was typed" in shown
        assert "Traceback" not in shown


def test_an_interrupt_at_the_passphrase_prompt_ends_the_command_with_130(own_served):
    environment = {**os.environ, "HEM_URL": own_served.https, "HEM_CA_FILE": str(own_served.ca_file)}
    for command in (
        ["pkcs11", "test"],
        ["bench", "--rounds", "1"],
        ["ssh", "keys"],
        ["ssh", "keys", "--json"],
    ):
        status, shown = typed(command, b"\x03", environment)
        assert status == 130
        assert "Traceback" not in shown
        assert "hem: " not in shown.partition("Passphrase of HEM")[2]


@pytest.mark.parametrize("columns", ["40", "80"])
def test_pages_and_errors_are_the_same_in_the_locale_c(columns):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    here = {**os.environ, "COLUMNS": columns, "TERM": "dumb", "NO_COLOR": "1"}
    for arguments in (
        [],
        ["agent", "start", "--help"],
        ["emulator", "serve", "--help"],
        ["bench", "--rounds"],
    ):
        usual, odd = run(*arguments, env=here), run(*arguments, env=here | plain)
        assert (usual.returncode, usual.stdout, usual.stderr) == (odd.returncode, odd.stdout, odd.stderr)
        assert "\\u" not in odd.stdout + odd.stderr
    told = run("nonsé", env=here | plain)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr


def test_the_passphrase_prompt_takes_what_is_typed_and_does_not_show_it(own_served):
    environment = {**os.environ, "HEM_URL": own_served.https, "HEM_CA_FILE": str(own_served.ca_file)}
    status, shown = typed(["pkcs11", "test"], f"{own_served.passphrase}\n".encode(), environment)
    assert status == 0, shown
    assert own_served.passphrase not in shown


def test_nobody_is_asked_where_there_is_no_terminal(monkeypatch):
    config = DeviceConfig(url="https://h")
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(HemLoginRequired, match="no terminal to ask on"):
            ask_passphrase(config)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(HemLoginRequired, match="no terminal to ask on"):
        ask_passphrase(config)


class Terminal:
    """A stream that is a terminal."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("variables", "colours", "moves"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": ""}, True, True),
    ],
)
def test_colours_and_moving_lines_are_for_terminals_that_want_them(monkeypatch, variables, colours, moves):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    steps = Steps(lambda: (0, 0), stream)
    with steps.step("something"):
        pass
    assert ("\x1b[" in stream.text) == colours
    moving = Terminal()
    monkeypatch.setattr("hem_provider.cli.progress._EVERY_ON_TERMINAL", 0)
    monkeypatch.setattr("hem_provider.cli.progress._EVERY_ELSEWHERE", 0)
    assert list(progress(range(3), 3, "things", moving)) == [0, 1, 2]
    assert ("\r" in moving.text) == moves
    assert terminal.moving(stream) == moves


def test_progress_waits_for_its_first_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hem_provider.cli.progress.time.monotonic", lambda: now[0])

    def shown(first):
        stream = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        lines = []
        for _ in progress(range(20), 20, "things", stream, first=first):
            lines.append(stream.text.count("\r"))
            now[0] += 0.3
        return lines

    assert shown(1.0)[:5] == [0, 0, 0, 0, 1]
    assert shown(1.0)[-1] == 16
    assert shown(0.0)[:3] == [0, 1, 2]


def test_a_faults_file_that_is_none_is_named(tmp_path):
    for content, told in (
        ("[", "not JSON"),
        ("{}", "not a JSON list of faults"),
        ("[" * 100_000, "not JSON"),
        ('[{"name": "no-such-fault"}]', "fault 1: "),
        ("[5]", "not a JSON list of faults"),
    ):
        path = tmp_path / "faults.json"
        path.write_text(content)
        done = run("emulator", "serve", "--state", str(tmp_path / "d.hem"), "--faults", str(path))
        assert done.returncode == 1
        assert f"{path}: {told}" in done.stderr
        assert "Traceback" not in done.stderr
