"""The hem command's own behaviour: versions, paths, errors for people."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hem_provider import __version__
from hem_provider.cli import main as cli
from hem_provider.errors import HemUnreachable


def hem(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hem_provider.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version_names_the_release():
    assert hem("--version").stdout == f"hem-provider {__version__}\n"


def test_the_version_needs_none_of_the_heavy_parts():
    program = (
        "import sys; sys.argv=['hem','--version']\n"
        "from hem_provider.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'requests', 'cryptography', 'ssl', 'cffi', 'hem_provider.rest'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


def test_the_modules_path_is_printed_and_exists():
    from pathlib import Path

    answer = hem("pkcs11", "path")
    assert answer.returncode == 0
    assert Path(answer.stdout.strip()).is_file()
    assert answer.stdout.strip().endswith("/libhem_pkcs11.so")


def test_without_a_compiled_module_the_path_says_what_to_run(monkeypatch, capsys):
    monkeypatch.setattr("hem_provider.cli.built.MODULE", "libabsent.so")
    assert cli.main(["pkcs11", "path"]) == 1
    assert "make setup" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["pkcs11"], ["--nonsense"]])
def test_wrong_usage_ends_with_status_2_and_says_what_there_is(arguments):
    answer = hem(*arguments)
    assert answer.returncode == 2
    assert "usage: hem" in answer.stderr


def test_every_command_is_listed_in_the_help():
    text = hem("--help").stdout
    assert all(name in text for name in cli.names())


@pytest.mark.parametrize("name", cli.names())
def test_every_command_explains_itself(name):
    answer = hem(name, "--help")
    assert answer.returncode == 0
    assert f"usage: hem {name}" in answer.stdout


def test_an_error_of_ours_is_one_line_for_people(monkeypatch, capsys):
    def fail():
        raise HemUnreachable("https://my.ence.do: connection refused")

    monkeypatch.setattr("hem_provider.cli.built.module_file", fail)
    assert cli.main(["pkcs11", "path"]) == 3
    assert capsys.readouterr().err == "hem: https://my.ence.do: connection refused\n"


def test_an_interrupted_command_ends_quietly(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("hem_provider.cli.built.module_file", interrupt)
    assert cli.main(["pkcs11", "path"]) == 130
    assert capsys.readouterr().err == ""
