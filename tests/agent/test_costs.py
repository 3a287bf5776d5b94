"""What the page says that a command costs with the agent and without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import client_of
from support.engine import configuration, engine_library
from support.libraries import module_library

from benchmarks.agentlab import served_ssh

ROOT = Path(__file__).parents[2]
#: Seconds of a call and of a login, as the page states them.
CALL, LOGIN = 0.25, 2.25
COST = re.compile(r"(\d+) calls?, (\d+) logins?: ([\d.]+) s")
PROGRAM = """
import hem_provider
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
with hem_provider.connect() as hem:
    hem.keys.find(label="letters").private_key().sign(b"message", ec.ECDSA(hashes.SHA256()))
"""


def rows():
    """Command → what it costs without and with the agent; ``None`` where there is no such way."""
    _, _, section = (ROOT / "docs" / "agent.md").read_text().partition("## What it saves")
    lines = [line.strip("|").split("|") for line in section.partition("\n## ")[0].splitlines()]
    cells_of = {
        cells[0].strip(): [each.strip() for each in cells[1:]] for cells in lines if cells[0].startswith(" `")
    }
    assert f"{CALL:g} s for a call and {LOGIN:g} s for a login" in " ".join(section.split())
    return {
        name: [found and found.groups() for found in map(COST.fullmatch, cells)]
        for name, cells in cells_of.items()
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory, device, keys):
    """With what the commands want: a key, a password, a message, a repository."""
    folder = tmp_path_factory.mktemp("home")
    with client_of(device) as hem:
        hem.keys.create("SECP256R1", label="letters", usage={"sign"}, application_id=b"\x01")
    (folder / "message").write_bytes(b"message")
    (folder / "openssl.cnf").write_text(configuration(engine_library()))
    return folder


class Desk:
    """A user's commands: ``agent`` is one that runs, or ``None``."""

    def __init__(self, home, device, agent):
        self._home, self._agent = home, agent
        place = home / ("without" if agent is None else "with")
        self._environment = {
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "OPENSSL_CONF": str(home / "openssl.cnf"),
            "PATH": os.environ["PATH"],
            "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
            "XDG_CACHE_HOME": str(place),
            "XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"],
            "XDG_DATA_HOME": str(home / "data"),
            "HEM_URL": device.https,
            "HEM_NAME": "k",
            "HEM_CA_FILE": str(device.ca_file),
        }
        if agent is None:
            self._environment |= {
                "HEM_AGENT": "never",
                "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
                "XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"],
            }
        else:
            self._environment |= {
                "HEM_AGENT": "always",
                "XDG_RUNTIME_DIR": str(agent.run),
                "SSH_AUTH_SOCK": str(agent.ssh_socket),
            }

    def run(self, *command):
        done = subprocess.run(
            list(map(str, command)), env=self._environment, cwd=self._home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


def commands(device, without):
    """How the page's commands are typed; a PIN is given where there is no agent."""
    tool = ["pkcs11-tool", "--module", module_library()]
    pin = ["--login", "--pin", device.passphrase] if without else []
    sign = ["--sign", "-m", "ECDSA-SHA256", "-i", "message", "-o", "signature", "--id", "01"]
    engine = ["openssl", "dgst", "-sha256", "-engine", "hem", "-keyform", "engine", "-sign", "letters"]
    scripts = Path(sys.executable).parent
    return {
        "`pkcs11-tool --sign --id 01`": [*tool, *pin, *sign],
        "`pkcs11-tool -O`": [*tool, "-O"],
        "`pkcs11-tool -L`": [*tool, "-L"],
        "`openssl dgst -engine hem -sign letters`": [*engine, "-out", "signature", "message"],
        "`keyring get mail ada`": [scripts / "keyring", "get", "mail", "ada"],
        "`connect()`, `find(label=…)`, `sign()` in Python": [sys.executable, "-c", PROGRAM],
    }


def cost(device, run):
    """Of the second run."""
    run()
    before = len(device.calls())
    run()
    calls, logins = len(device.calls()) - before, device.logins(before)
    return str(calls), str(logins), f"{(calls - 2 * logins) * CALL + logins * LOGIN:g}"


def test_commands_cost_what_the_page_says(device, agent, home):
    alone, desk = Desk(home, device, None), Desk(home, device, agent)
    hem = Path(sys.executable).with_name("hem")
    alone.run(hem, "keyring", "init", "--label", "the page's")
    alone.run(sys.executable, "-c", "import keyring; keyring.set_password('mail', 'ada', 'secret')")
    typed = commands(device, without=True), commands(device, without=False)
    measured = {
        name: [
            cost(device, lambda: alone.run(*typed[0][name])),  # noqa: B023 - called at once
            cost(device, lambda: desk.run(*typed[1][name])),  # noqa: B023
        ]
        for name in typed[0]
    }
    public = home / "letters.pub"
    public.write_text(desk.run(hem, "ssh", "keys", "letters"))
    with served_ssh(home / "sshd", public) as login:
        if login is None:
            pytest.skip("sshd is not installed")
        measured["`ssh server`"] = [None, cost(device, lambda: desk.run(*login(public)))]
    for name, value in (
        ("user.name", "Ada"), ("user.email", "ada@example.org"), ("gpg.format", "ssh"),
        ("user.signingkey", str(public)),
    ):  # fmt: skip
        desk.run("git", "config", "--global", name, value)
    desk.run("git", "init", "-q")
    commit = ("git", "commit", "-S", "-q", "--allow-empty", "-m", "a commit")
    measured["`git commit -S`"] = [None, cost(device, lambda: desk.run(*commit))]
    assert measured == rows()


def test_signing_costs_what_its_page_says(device, agent, home):
    page = (ROOT / "docs" / "owner" / "signing.md").read_text()
    hem = Path(sys.executable).with_name("hem")
    alone, desk = Desk(home, device, None), Desk(home, device, agent)
    for words, told in (
        (("sign", "--force"), "| `hem sign FILE --key KEY` | 4 calls, 1 login | 1 call |"),
        (("verify",), "| `hem verify FILE --key KEY` | 1 call, no login | none |"),
    ):
        command = (hem, *words, "message", "--key", "letters")
        counts = [cost(device, lambda: each.run(*command))[:2] for each in (alone, desk)]  # noqa: B023
        numbers = re.findall(r"\d+|no(?=ne| login)", told.partition("| ")[2])
        assert [int(each) for count in counts for each in count] == [
            int(each) if each != "no" else 0 for each in numbers
        ] + [0] * (4 - len(numbers))
        assert told in page
