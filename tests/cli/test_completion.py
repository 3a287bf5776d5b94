"""Shells complete commands, options, names of devices and labels of keys, without asking a device."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hem_provider.cli import candidates, front

#: Shell → a program that prints the candidates for the words ``$1 …``, of which the last is being typed.
PROGRAMS = {
    "bash": """
        eval "$(hem completion bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        compopt() { echo "$1 $2"; }
        _hem_completion hem
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        compdef() { }
        _describe() { print -rl -- ${completions_with_descriptions%%:*}; }
        compadd() { print -rl -- $completions; }
        _path_files() { echo -o default; }
        eval "$(hem completion zsh)"
        words=("$@"); CURRENT=$#
        _hem_completion hem
    """,
    "fish": """
        hem completion fish | source
        complete -C (string join ' ' -- $argv) | string replace -r '\\t.*' ''
    """,
}
INSTALLED = [shell for shell in PROGRAMS if shutil.which(shell)]


@pytest.fixture
def complete(rig, hem, monkeypatch, tmp_path):
    """Asks a shell for candidates. Two devices are configured; the keys of one are remembered."""
    for label in ("web", "web server", r"mail; rm -rf \,*"):
        hem.keys.create("ED25519", label=label, usage={"sign"})
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[device]]\nname = "office"\nurl = "emulator:{rig.path}"\n'
        '[[device]]\nname = "attic"\nurl = "https://127.0.0.1:1"\n'
    )
    config.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(config))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(shell: str, *words: str) -> list[str]:
        asked = [shell, "-c", PROGRAMS[shell], *(["x"] if shell != "fish" else []), *words]
        before = rig.count("")
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        assert rig.count("") == before
        return [line for line in done.stdout.splitlines() if line]

    return ask


@pytest.mark.parametrize("shell", INSTALLED)
def test_shells_complete_commands_options_and_values(shell, complete):
    assert sorted(complete(shell, "hem", "")) == front.names()
    assert complete(shell, "hem", "pkc") == ["pkcs11"]
    assert sorted(complete(shell, "hem", "pkcs11", "i")) == ["info", "install"]
    assert complete(shell, "hem", "ssh", "keys", "--dev") == ["--device"]
    assert sorted(complete(shell, "hem", "agent", "env", "--shell", "")) == ["csh", "fish", "sh"]
    assert complete(shell, "hem", "--vers") == ["--version"]


@pytest.mark.parametrize("shell", INSTALLED)
def test_shells_complete_configured_devices(shell, complete):
    assert sorted(complete(shell, "hem", "ssh", "keys", "--device", "")) == ["attic", "office"]
    assert complete(shell, "hem", "bench", "--device", "of") == ["office"]


@pytest.mark.parametrize("shell", INSTALLED)
def test_shells_complete_keys_that_are_remembered_of_the_device(shell, complete, remembered):
    asked = ["hem", "ssh", "keys", "--device", "office"]
    assert complete(shell, *asked, "ma") == [remembered[shell][0]]
    assert sorted(complete(shell, *asked, "web")) == ["web", remembered[shell][1]]
    assert complete(shell, *asked[:-1], "attic", "w") == []
    assert complete(shell, "hem", "ssh", "keys", "w") == []  # of which of the two?


@pytest.fixture
def remembered(rig):
    """The list of keys is on disk, as after any listing. What the shells insert for the two odd labels:
    zsh and fish quote by themselves what bash inserts as it is."""
    with rig.connect() as hem:
        assert len(list(hem.keys)) == 3
    plain = [r"mail; rm -rf \,*", "web server"]
    return {"bash": [r"mail\;\ rm\ -rf\ \\,\*", r"web\ server"], "zsh": plain, "fish": plain}


def test_bash_completes_what_stands_behind_an_equals_sign(complete):
    assert complete("bash", "hem", "ssh", "keys", "--device", "=", "of") == ["office"]
    assert sorted(complete("bash", "hem", "ssh", "keys", "--device", "=")) == ["attic", "office"]


def test_bash_completes_files_by_itself(complete):
    assert complete("bash", "hem", "keyring", "list", "--vault", "x") == ["-o default"]


def test_a_configuration_that_cannot_be_used_completes_nothing_and_says_nothing(complete, monkeypatch):
    monkeypatch.setenv("HEM_CONFIG", "/nowhere/config.toml")
    assert complete("bash", "hem", "ssh", "keys", "--device", "") == []
    assert complete("bash", "hem", "ssh", "keys", "w") == []


def test_a_script_is_printed_without_the_shell(tmp_path):
    program = [sys.executable, "-m", "hem_provider.cli.main", "completion"]
    for shell in PROGRAMS:
        done = subprocess.run(
            [*program, shell],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert front.ASKED in done.stdout
        assert done.stderr == ""


def test_a_label_that_looks_like_an_option_is_not_offered():
    assert [each for each in ("web", "-rf", "--yes", "a\x1bb") if candidates._typable(each)] == ["web"]
