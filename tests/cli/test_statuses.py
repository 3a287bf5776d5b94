"""Which exit status an error has, and how a command that prints JSON tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from hem_provider import errors
from hem_provider.cli import main as cli
from hem_provider.cli import statuses
from hem_provider.cli.commands import bench
from hem_provider.installation import update_command

#: Error → status; every other of the package is 1.
STATUSES = {
    errors.HemUnreachable: 3,
    errors.HemTimeout: 3,
    errors.HemTLSError: 3,
    errors.HemAuthenticationError: 4,
    errors.HemLoginRequired: 4,
    errors.HemApprovalDenied: 4,
    errors.HemApprovalTimeout: 4,
    errors.HemScopeDenied: 4,
    errors.HemKeyNotFound: 5,
    errors.HemDeviceNotConfigured: 5,
}


def made(name):
    kind = getattr(errors, name)
    return kind("so", size=1, limit=1) if kind is errors.MessageTooLong else kind("so")


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_its_status_and_is_told_in_one_line(name, capsys):
    manner = statuses.Manner()
    assert statuses.end(made(name), manner) == STATUSES.get(getattr(errors, name), 1)
    assert capsys.readouterr() == ("", "hem: so\n")


@pytest.mark.parametrize("name", errors.__all__)
def test_a_command_that_prints_json_prints_its_error_so(name, capsys):
    manner = statuses.Manner()
    manner.as_json = True
    status = statuses.end(made(name), manner)
    told = capsys.readouterr()
    assert json.loads(told.out) == {"error": name, "message": "so", "status": status}
    assert told.err == ""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (errors.HemKeyNotFound("hem: no key 'x'"), 5, "hem: no key 'x'\n"),
        (PermissionError(13, "Permission denied", "/a/file"), 1, "hem: /a/file: Permission denied\n"),
        (OSError("odd"), 1, "hem: odd\n"),
        (EOFError(), 1, "hem: the input ended before an answer was typed\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
    ],
)
def test_what_ends_a_command_is_told(error, status, told, monkeypatch, capfd):
    def fail(_options):
        raise error

    monkeypatch.setattr(bench, "_measure", fail)
    monkeypatch.setattr("hem_provider.cli.terminal.let_go", lambda _: None)
    assert cli.main(["bench"]) == status
    assert capfd.readouterr().err == told


@pytest.mark.parametrize("as_json", [False, True])
def test_a_fault_of_the_program_is_told_in_a_line_without_values(as_json, monkeypatch, capsys):
    def fail(*_):
        raise ValueError("secret")

    monkeypatch.delenv("HEM_DEBUG", raising=False)
    monkeypatch.setattr("hem_provider.cli.config_actions.effective", fail)
    assert cli.main(["config", "show", *(["--json"] if as_json else [])]) == 1
    told = capsys.readouterr()
    said = json.loads(told.out)["message"] if as_json else told.err
    assert "a fault of hem itself: ValueError in hem_provider.cli.config_actions, line" in said
    assert "secret" not in told.out + told.err
    assert (told.out if as_json else told.err).count("\n") == 1
    monkeypatch.setenv("HEM_DEBUG", "1")
    with pytest.raises(ValueError, match="secret"):
        cli.main(["config", "show"])


def test_a_fault_beside_a_package_that_is_too_old_is_told_as_that(monkeypatch, capsys):
    monkeypatch.delenv("HEM_DEBUG", raising=False)
    monkeypatch.setattr("hem_provider.cli.config_actions.effective", lambda *_: [].absent)
    monkeypatch.setattr(
        "hem_provider.installation.outdated", lambda: iter([("cryptography", "38.0.4", "45")])
    )
    assert cli.main(["config", "show"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("hem: cryptography 38.0.4 is installed, and hem-provider needs 45 or newer: ")
    assert said.endswith(f"{update_command(['cryptography>=45'])}\n")


@pytest.mark.parametrize("sign", ["\x1b[2J", "\x9b", "\u202e", "\n", "\udcff"])
def test_names_of_files_act_on_no_terminal(sign, capsys):
    assert statuses.end(FileNotFoundError(2, "No such file", f"a{sign}b"), statuses.Manner()) == 1
    said = capsys.readouterr().err
    assert said == f"hem: a{ascii(sign)[1:-1]}b: No such file\n"


def test_errors_of_usage_and_of_settings_are_json_where_that_is_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("HEM_URL", "nonsense")
    assert cli.main(["ssh", "keys", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["error"], document["status"]) == ("HemConfigError", 1)
    assert "HEM_URL" in document["message"]
    for typed in (["--json", "--devise"], ["--devise", "--json"]):
        assert cli.main(["ssh", "keys", *typed]) == 2
        told = capsys.readouterr()
        assert json.loads(told.out)["error"] == "UsageError"
        assert told.err == ""


def test_json_is_a_file_where_a_command_says_so(monkeypatch, capsys):
    monkeypatch.setenv("HEM_URL", "nonsense")
    assert cli.main(["bench", "--json", "figures.json"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("hem: HEM_URL: ")


def test_an_error_that_cannot_be_printed_as_json_is_told_in_a_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hem_provider.cli.main", "ssh", "keys", "--json", "--devise"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("hem: hem ssh keys has no option")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("where", "out", "said"),
    [(None, '{"error": "FileNotFoundError", "message": "x: gone", "status": 1}\n', ""),
     ("/dev/full", None, "hem: x: gone\n")],
)  # fmt: skip
def test_an_error_of_the_system_is_told_where_somebody_reads(where, out, said):
    script = (
        "import sys\nfrom hem_provider.cli import statuses\nmanner = statuses.Manner()\n"
        "manner.as_json = True\nprint('the result')\n"
        "sys.exit(statuses.end(FileNotFoundError(2, 'gone', 'x'), manner))"
    )
    with open(where, "w") if where else nullcontext(subprocess.PIPE) as stream:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=stream, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, said)
    assert done.stdout == (None if out is None else f"the result\n{out}")
