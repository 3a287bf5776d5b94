"""What a command costs while a user's agent runs: programs as people start them, over real TLS behind the
agent. Without a secret of their own, and with no disk to remember anything on where that is said."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.emulator import client_of
from support.engine import configuration, engine_library
from support.fake_agent import FakeAgent
from support.libraries import module_library

ROOT = Path(__file__).parents[2]
NOWHERE = "/proc/nowhere"


class Desk:
    """A user with an unlocked agent. ``run`` starts a program; ``calls`` and ``logins`` of the device then
    are those since ``before``."""

    def __init__(self, served, agent, key, home):
        self.served, self.agent, self.key, self.home = served, agent, key, home
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
        self.environment = clean | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "HEM_URL": served.https,
            "HEM_NAME": "office",
            "HEM_CA_FILE": str(served.ca_file),
        }
        self.message = home / "message"
        self.message.write_bytes(b"message")
        self.output = home / "output"

    def run(self, *command, **changes):
        done = subprocess.run(
            list(map(str, command)),
            env=self.environment | changes, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def cost(self, *command, **changes):
        """Calls and logins of a command."""
        before = len(self.served.calls())
        self.run(*command, **changes)
        return len(self.served.calls()) - before, self.served.logins(before)

    def verify(self):
        self.key.public_key(ec.EllipticCurvePublicKey).verify(
            self.output.read_bytes(), b"message", ec.ECDSA(hashes.SHA256())
        )


@pytest.fixture
def desk(served, _runtime_folder, tmp_path):
    with client_of(served, agent="never") as hem:
        kept = {each.label: each for each in hem.keys}
        key = kept.get("desk") or hem.keys.create(
            "SECP256R1", label="desk", usage={"sign"}, application_id=b"\xd1"
        )
        key.public_key()
        hem.sign(key.kid, b"once", "SHA256WithECDSA")  # the agent's token for it
        agent = FakeAgent(hem, Path(_runtime_folder, "hem", "agent.sock"), "office", served.https)
        agent.passphrase = served.passphrase
        yield Desk(served, agent, key, tmp_path)
        agent.stop()


def tool(*arguments):
    return ["pkcs11-tool", "--module", module_library(), *arguments]


def signing(desk, *arguments):
    rest = ["-m", "ECDSA-SHA256", "--signature-format", "openssl", "--input-file", desk.message]
    return tool("--sign", *rest, "--output-file", desk.output, *arguments)


@pytest.mark.parametrize("disk", [True, False], ids=["disk", "no disk"])
@pytest.mark.parametrize("pin", [True, False], ids=["PIN", "no PIN"])
def test_pkcs11_tool_signs_with_one_call(desk, disk, pin):
    given = ["--login", *(["--pin", desk.served.passphrase] if pin else [])]
    changes = {} if disk else {"XDG_CACHE_HOME": NOWHERE}
    command = signing(desk, "--id", "d1", *given)
    desk.run(*command, **changes)
    assert desk.cost(*command, **changes) == (1, 0)
    desk.verify()


def test_pkcs11_tool_lists_slots_and_objects_without_a_call(desk):
    for command in (tool("-L"), tool("-O"), tool("--login", "-O")):
        desk.run(*command)
        assert desk.cost(*command) == (0, 0)


def test_without_a_disk_the_public_halves_that_are_shown_are_read_anew(desk):
    """A public key of its own is no part of a listing, and no agent remembers it."""
    command, nothing = tool("--login", "-O"), {"XDG_CACHE_HOME": NOWHERE}
    desk.run(*command, **nothing)
    calls, logins = desk.cost(*command, **nothing)
    assert logins == 0
    assert {
        path.partition("/get/")[1] for path in (each["path"] for each in desk.served.calls()[-calls:])
    } == {"/get/"}


def test_openssl_signs_by_the_engine_with_one_call(desk):
    config = desk.home / "openssl.cnf"
    config.write_text(configuration(engine_library()))
    command = ["openssl", "dgst", "-sha256", "-engine", "hem", "-keyform", "engine", "-sign", "desk"]
    whole = [*command, "-out", desk.output, desk.message]
    desk.run(*whole, OPENSSL_CONF=str(config))
    assert desk.cost(*whole, OPENSSL_CONF=str(config)) == (1, 0)
    desk.verify()


PROGRAM = """
import sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
import hem_provider
with hem_provider.connect() as hem:
    key = hem.keys.find(label=sys.argv[2]) if sys.argv[1] == "label" else hem.keys.get(sys.argv[2])
    signature = key.private_key().sign(b"message", ec.ECDSA(hashes.SHA256()))
open("output", "wb").write(signature)
"""


@pytest.mark.parametrize("disk", [True, False], ids=["disk", "no disk"])
def test_a_program_finds_a_label_and_signs_with_one_call(desk, disk):
    changes = {"PYTHONPATH": str(ROOT)} | ({} if disk else {"XDG_CACHE_HOME": NOWHERE})
    command = [sys.executable, "-c", PROGRAM, "label", "desk"]
    desk.run(*command, **changes)
    assert desk.cost(*command, **changes) == (1, 0)
    desk.verify()


@pytest.mark.parametrize(("disk", "calls"), [(True, 1), (False, 2)], ids=["disk", "no disk"])
def test_a_program_takes_a_key_by_its_kid_and_signs(desk, disk, calls):
    """Without a disk what kind of key it is has to be asked for."""
    changes = {"PYTHONPATH": str(ROOT)} | ({} if disk else {"XDG_CACHE_HOME": NOWHERE})
    desk.run(*tool("--login", "-O"), **changes)  # which remembers what there is
    command = [sys.executable, "-c", PROGRAM, "kid", desk.key.kid]
    assert desk.cost(*command, **changes) == (calls, 0)
    desk.verify()


def test_keyring_gives_a_password_with_one_call_and_asks_nobody(desk):
    scripts = Path(sysconfig.get_path("scripts"))
    changes = {"PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring"}
    changes["XDG_DATA_HOME"] = str(desk.home / "data")
    desk.run(scripts / "hem", "keyring", "init", "--label", "vault", **changes)
    program = "import keyring; keyring.set_password('mail', 'ada', 'secret')"
    desk.run(sys.executable, "-c", program, **changes)
    command = [scripts / "keyring", "get", "mail", "ada"]
    assert desk.run(*command, **changes) == "secret\n"
    assert desk.cost(*command, **changes) == (1, 0)
