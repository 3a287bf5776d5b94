"""The recipes and the guide run as printed: Python in this process, commands in a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keyring.core
import pytest
from support.pages import taken
from support.passphrases import PASSPHRASE
from support.undone import differing_files, files_of, has_undo

import hem_provider

DOCS = Path(__file__).parents[2] / "docs"
ROOT = DOCS.parent
PYTHON = ["recipes/keyring-program.md", "recipes/pynacl.md"]
CONSOLE = [
    "keyring.md",
    "recipes/keyring-import.md",
    "recipes/keyring-new-key.md",
    "recipes/keyring-pip-twine.md",
]

#: Another backend of keyring, which does not list its entries.
BACKEND = """
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return "bank geheim" if (service, username) == ("bank", "ada") else None
    def set_password(self, service, username, password):
        raise NotImplementedError
"""

FILES = {
    "token.txt": "pypi-AgEIcHlwaS5vcmc\n",
    "index-password.txt": "index geheim\n",
    "password.txt": "mail geheim\n",
    "old-passphrase.txt": "old geheim\n",
    "example_backend.py": BACKEND,
}


@pytest.mark.parametrize("page", PYTHON)
def test_the_code_of_a_recipe_runs(page, rig, monkeypatch, tmp_path):
    from hem_provider.adapters.keyring import HemKeyring
    from hem_provider.cli import main as cli

    monkeypatch.chdir(tmp_path)
    if page.startswith("recipes/keyring"):
        assert cli.main(["keyring", "init"]) == 0
        assert cli.main(["keyring", "init", "--vault", "billing.vault", "--label", "billing"]) == 0
        monkeypatch.setattr(keyring.core, "_keyring_backend", HemKeyring())
    code = taken(DOCS / page, "python")
    names: dict[str, object] = {"__name__": "recipe"}
    for number, block in enumerate(code, 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)  # noqa: S102
    assert rig.count("POST /api/crypto/") >= 1
    # The user's own vault was there before, and stays.
    _is_undone(page, before=["keyring"] if page.startswith("recipes/keyring") else [])


def _is_undone(page: str, before: list[str]) -> None:
    if has_undo((DOCS / page).read_text("utf-8")):
        with hem_provider.connect() as hem:
            assert [each.label for each in hem.keys] == before, f"{page} is undone"


@pytest.fixture
def shell(rig, tmp_path):
    """Runs a command line as the guide's reader would, in a home with what the recipes speak of."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name, content in FILES.items():
        (home / name).write_text(content)
    (home / "passphrase").write_text(f"{PASSPHRASE}\n")
    for each in home.iterdir():
        each.chmod(0o600)
    # The emulated device's identity is derived with few rounds, which only this process knows about.
    wrapper = home / "sitecustomize.py"
    wrapper.write_text("import hem_provider.rest.credential as c\nc.PBKDF2_ITERATIONS = 2\n")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HEM_", "XDG_", "KEYRING_"))}
    environment = {
        **inherited,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "HEM_URL": f"emulator:{rig.path}",
        "HEM_PASSPHRASE_FILE": str(home / "passphrase"),
        "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
        "PYTHONPATH": f"{home}:{ROOT}",
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], env=environment, cwd=home, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip

    run.home = home
    return run


def sessions(page: str) -> list[tuple[str, str]]:
    """Commands and the output printed below each."""
    found = []
    for block in taken(DOCS / page, "console"):
        for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def matches(printed: str, pattern: str) -> bool:
    """Whether output is as printed; ``…`` stands for anything within a line."""
    return re.fullmatch(re.escape(pattern).replace("…", "[^\n]*"), printed) is not None


def prepare(page: str, shell) -> None:
    if page == "recipes/keyring-import.md":
        entries = {("mail", "ada"): "mail geheim", ("forum", "ada"): "forum geheim"}
        lines = "; ".join(f"k.set_password({s!r}, {u!r}, {p!r})" for (s, u), p in entries.items())
        program = "from keyrings.alt.file import EncryptedKeyring; k = EncryptedKeyring(); "
        program += f"k.keyring_key = 'old geheim'; {lines}"
        # What keyrings.alt itself writes when its owner chooses a passphrase.
        program += "; k.set_password('keyring-setting', 'password reference', 'password reference value')"
        done = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", CONSOLE)
def test_the_commands_of_a_page_print_what_it_says(page, shell):
    prepare(page, shell)
    commands = sessions(page)
    assert commands
    places = {"XDG_DATA_HOME": str(shell.home / "data")}
    files = files_of(shell.home, places)
    for command, expected in commands:
        done = shell(command)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert matches(done.stdout, expected), f"{command}\n{done.stdout}"
    _is_undone(page, before=[])
    text = (DOCS / page).read_text("utf-8")
    assert not has_undo(text) or differing_files(text, files, files_of(shell.home, places)) == []


def test_a_vault_looks_as_the_page_shows_it(shell):
    """As its first commands leave it: the same lines, with other numbers."""
    for command, _ in sessions("keyring.md")[:3]:
        assert shell(command).returncode == 0
    [shown] = taken(DOCS / "keyring.md", "text")
    pattern = re.sub(r"[0-9a-f]{32,}", "[0-9a-f]+", re.sub(r"\w+…", r"\\S+", shown))
    written = (shell.home / "data" / "hem" / "keyring.vault").read_text()
    assert re.fullmatch(pattern, written), written
    key, entry = re.findall(r"^(?:key|mail ada) (\w+)", written, re.MULTILINE)
    assert key == entry


@pytest.mark.parametrize("page", [*PYTHON, *CONSOLE])
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / page
    for target in re.findall(r"\]\((?!https:)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).is_file(), target


def test_every_recipe_of_these_adapters_is_run():
    pages = {
        f"recipes/{path.name}"
        for path in (DOCS / "recipes").glob("*.md")
        if path.stem.startswith(("keyring", "pynacl"))
    }
    assert pages == {page for page in [*PYTHON, *CONSOLE] if page.startswith("recipes/")}


def test_the_guide_tells_of_every_action_and_nothing_else():
    from hem_provider.cli.keyring_actions import ACTIONS

    told = re.findall(r"^\| `hem keyring ([a-z]+)", (DOCS / "keyring.md").read_text(), re.MULTILINE)
    assert set(told) == set(ACTIONS)


def test_a_pattern_matches_only_what_it_says():
    assert matches("1 moved to key abc\n", "1 moved to key …\n")
    assert not matches("1 moved to key a\nb\n", "1 moved to key …\n")
    assert not matches("2 moved\n", "1 moved\n")
