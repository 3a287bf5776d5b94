"""pkcs11-provider for OpenSSL 3 while a user's agent runs: no PIN in the configuration, the URI or the
environment, and nobody at a terminal."""

from __future__ import annotations

import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from support.agent import RunningAgent
from support.emulator import client_of
from support.pages import run_page
from tools.test_nginx import nginx
from tools.test_p11_kit import PREFIX
from tools.test_provider import PAGE, PLACE, PROVIDER, pytestmark

from hem_provider.cli.openssl_files import provider_configuration, provider_key_file

__all__ = ["pytestmark"]

DIGEST = ("dgst", "-sha256", "-sign", "pkcs11:object=web;type=private", "-out", "output", "message")
#: What pkcs11-provider says from 1.3 on where a token needs no PIN.
NOTICE = "Please check your Hardware token for an out of band authentication request"
RAW = ("pkeyutl", "-sign", "-rawin", "-in", "message", "-out", "output", "-inkey")
#: Each signs once.
COMMANDS = {
    "dgst": DIGEST,
    "pkeyutl": (*RAW, "pkcs11:object=web;type=private", "-digest", "sha256"),
    "pkeyutl, Ed25519": (*RAW, "pkcs11:object=ed;type=private"),
    "req": ("req", "-new", "-key", "pkcs11:object=web;type=private", "-subj", "/CN=web", "-out", "output"),
}


def _without_none(variables):
    return {name: value for name, value in variables.items() if value is not None}


class Desk:
    """A user whose programs know the agent alone."""

    def __init__(self, served, running, module, environment, folder):
        self.served, self.home = served, folder
        (folder / "openssl.cnf").write_text(provider_configuration(PROVIDER, module))
        (folder / "message").write_bytes(b"message")
        ours = {name: value for name, value in environment.items() if name != "HEM_PASSPHRASE_FILE"}
        self.environment = ours | {
            "OPENSSL_CONF": str(folder / "openssl.cnf"),
            "HEM_NAME": "k",
            "HEM_AGENT_SOCK": str(running.socket),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        with client_of(served, agent="never") as hem:
            self._public = {label: hem.keys.find(label=label).public_key() for label in ("web", "ed")}

    def run(self, command, **changes):
        done = subprocess.run(
            ["openssl", *command], env=_without_none(self.environment | changes), cwd=self.home,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            start_new_session=True,  # no terminal that a PIN could be asked at
        )  # fmt: skip
        done.stderr = done.stderr.replace(NOTICE, "")
        return done

    def cost(self, command, **changes):
        """Calls and logins of a command that works."""
        before = len(self.served.calls())
        done = self.run(command, **changes)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return len(self.served.calls()) - before, self.served.logins(before)

    def verify(self, name):
        output = (self.home / "output").read_bytes()
        if name == "req":
            request = x509.load_pem_x509_csr(output)
            assert request.is_signature_valid
            assert request.public_key() == self._public["web"]
        elif "Ed25519" in name:
            key = self._public["ed"]
            assert isinstance(key, ed25519.Ed25519PublicKey)
            key.verify(output, b"message")
        else:
            self._public["web"].verify(output, b"message", ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def agent(keyed):
    with RunningAgent(keyed) as running:
        yield running.unlock()


@pytest.fixture
def desk(keyed, agent, module, device_environment, tmp_path):
    return Desk(keyed, agent, module, device_environment, tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_signature_costs_one_call_and_no_login(desk, name):
    desk.cost(COMMANDS[name])
    assert desk.cost(COMMANDS[name]) == (1, 0)
    desk.verify(name)


@pytest.fixture
def locked(desk, agent, tmp_path):
    """The same after ``hem agent lock``; ``fails`` runs a command that must, and returns what it said."""
    desk.cost(DIGEST)
    (tmp_path / "output").unlink()
    agent.calls.lock()
    agent.wait_until(lambda: agent.status() is not None)

    def fails(command, **changes):
        before = len(desk.served.calls())
        done = desk.run(command, **changes)
        output = tmp_path / "output"
        assert done.returncode != 0
        assert not output.exists() or not output.read_bytes()
        assert desk.served.logins(before) == 0
        return done.stderr

    return fails


@pytest.mark.parametrize("way", ["auto", "always"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_protected_token_says_that_the_agent_is_locked(locked, desk, tmp_path, name, way):
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[device]]\nurl = "{desk.served.https}"\nname = "k"\n'
        f'ca_file = "{desk.served.ca_file}"\nprotected = true\nagent = "{way}"\n'
    )
    config.chmod(0o600)
    said = locked(COMMANDS[name], HEM_CONFIG=str(config), HEM_URL=None, HEM_NAME=None, HEM_CA_FILE=None)
    assert "C_Login: CKR_PIN_INCORRECT: no PIN was given" in said
    assert "the agent is locked for this device (on request): hem agent unlock" in said
    assert "Enter" not in said


def test_any_other_token_has_openssl_ask_for_the_pin(locked):
    said = locked(DIGEST)
    assert "Enter PIN for PKCS#11 Token (Slot 0 - k at https://" in said
    # OpenSSL 4 says "find or decode".
    assert re.search(r"Could not find (or decode )?private key from pkcs11:object=web;type=private", said)


@pytest.fixture
def with_pin(keyed, tmp_path):
    """A command whose URI brings the passphrase."""
    (tmp_path / "pin").write_text(keyed.passphrase)
    uri = f"pkcs11:object=web;type=private?pin-source=file:{tmp_path}/pin"
    return ("dgst", "-sha256", "-sign", uri, "-out", "output", "message")


def test_a_pin_of_the_uri_does_while_the_agent_is_locked(locked, desk, with_pin):
    assert desk.cost(with_pin)[1] >= 1
    desk.verify("dgst")


def test_where_the_agent_is_asked_for_always_no_pin_does(locked, with_pin):
    said = locked(with_pin, HEM_AGENT="always")
    assert "C_Login: CKR_PIN_INCORRECT: k (https://" in said
    assert "hem agent unlock" in said


def test_nginx_needs_no_passphrase_file(certificates, desk, tmp_path):
    """Its workers open sessions of their own, before and after a reload; each handshake is a signature."""
    (tmp_path / "web.key").write_text(provider_key_file("pkcs11:object=web;type=private"))
    with nginx(certificates, desk.environment, tmp_path, f"{tmp_path}/web.key") as server:
        server.handshake()
        server.reload()
        for _ in range(4):
            server.handshake()
        before = len(desk.served.calls())
        for _ in range(8):
            server.handshake()
        assert (len(desk.served.calls()) - before, desk.served.logins(before)) == (8, 0)
        assert server.errors == []


@pytest.mark.skipif(PREFIX is None, reason="not run: needs p11-kit 0.25 (HEM_TEST_P11_KIT=prefix)")
def test_the_commands_of_the_agents_page_work_as_printed(bare_environment, tmp_path):
    run_page(
        PAGE.with_name("agent-programs.md"),
        environment=bare_environment | {"PATH": f"{PREFIX}/bin:{bare_environment['PATH']}"},
        folder=tmp_path, newer=True, ordinary=True,
        replacements={PLACE: str(PROVIDER), "/usr/lib/*/pkcs11": f"{PREFIX}/lib/*/pkcs11"},
    )  # fmt: skip
