"""OpenSSH with gpg-agent as its agent, and the key for logins in a device."""

from __future__ import annotations

import subprocess

import pytest
from support.gnupg import Desk, with_passphrase

from benchmarks.agentlab import served_ssh


@pytest.fixture(scope="module")
def shell(device, _owner):
    """Ada, whose gpg-agent is her ssh-agent, and the line of her key."""
    desk = Desk(with_passphrase(device))
    try:
        desk.run("hem", "gpg", "import")
        desk.configure("enable-ssh-support")
        desk.run("gpg-connect-agent", "/bye")
        desk.environment["SSH_AUTH_SOCK"] = (
            desk.run("gpgconf", "--list-dirs", "agent-ssh-socket").decode().strip()
        )
        desk.line = desk.run("ssh-add", "-L").decode()
        yield desk
    finally:
        desk.close()


def test_the_key_is_offered_and_is_the_certificates(shell):
    assert shell.line.startswith("ssh-ed25519 ")
    assert "cardno:" in shell.line
    exported = shell.run("gpg", "--export-ssh-key", "ada@example.org").decode()
    assert exported.split()[1] == shell.line.split()[1]


def test_a_login_to_a_server_works(shell, tmp_path):
    public = tmp_path / "ada.pub"
    public.write_text(shell.line)
    with served_ssh(tmp_path / "sshd", public) as login:
        if login is None:
            pytest.skip("not run: sshd is not installed")
        shell.run(*login(public))


def test_files_are_signed_for_ssh_keygen(shell, tmp_path):
    public, letter = tmp_path / "ada.pub", tmp_path / "letter"
    public.write_text(shell.line)
    letter.write_text("Dear Grace\n")
    shell.run("ssh-keygen", "-Y", "sign", "-f", public, "-n", "file", letter)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {shell.line}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "ada@example.org", "-n", "file"]
    done = subprocess.run(
        [*verify, "-s", f"{letter}.sig"],
        input=letter.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
