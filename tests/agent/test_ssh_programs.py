"""OpenSSH, git and others with keys of a HEM by the ssh-agent: the programs themselves, a served device."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.emulator import ServedEmulator, client_of
from support.sshagent import exchange
from support.sshdaemon import Daemon, askpass

from hem_provider.agent.ssh.client import add_keys
from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.identities import SshKey
from hem_provider.agent.ssh.numbers import Number
from hem_provider.cli.main import main
from hem_provider.device import Hem
from tools.servers import free_port, served

KEYS = {
    "ed": "ED25519",
    "p256": "SECP256R1",
    "p384": "SECP384R1",
    "p521": "SECP521R1",
    "ca-ed": "ED25519",
    "ca-p256": "SECP256R1",
}
#: Each job is done with both.
BOTH = pytest.mark.parametrize("label", ["ed", "p256"])
USER = getpass.getuser()
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Iterator[ServedEmulator]:
    with ServedEmulator(tmp_path_factory.mktemp("device")) as running:
        yield running


@pytest.fixture(scope="module")
def device(emulator) -> Iterator[Hem]:
    """A device with these keys, and two that SSH has no use for."""
    with client_of(emulator) as hem:
        for label, kind in KEYS.items():
            hem.keys.create(kind, label=label, usage={"sign"})
        hem.keys.create("SECP256R1", label="agrees", usage={"derive"})
        hem.keys.create("SECP256K1", label="k256", usage={"sign"})
        yield hem


class Desk:
    """A user's place: a folder, an environment with the agent, and commands."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        self.folder = folder
        self.daemon = daemon
        self.agent = daemon.agent
        self.environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "HOME": str(folder),
            "USER": USER,
            "LC_ALL": "C.UTF-8",
            "SSH_AUTH_SOCK": str(daemon.agent),
        }

    def run(
        self, *command: str | Path, fails: bool = False, text: str | None = None, **variables: str
    ) -> str:
        done = subprocess.run(
            list(map(str, command)), env=self.environment | variables, cwd=self.folder, input=text,
            stdin=subprocess.DEVNULL if text is None else None, capture_output=True, text=True, timeout=60,
            check=False, start_new_session=True,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def public(self, label: str) -> Path:
        """A file with the public key, which the agent has told."""
        (line,) = [each for each in self.run("ssh-add", "-L").splitlines() if each.endswith(f" {label}")]
        path = self.folder / f"{label}.pub"
        path.write_text(f"{line}\n")
        return path


@pytest.fixture(scope="module")
def daemon(emulator, device) -> Iterator[Daemon]:
    with Daemon(emulator) as running:
        yield running


@pytest.fixture
def desk(daemon, tmp_path) -> Iterator[Desk]:
    yield Desk(tmp_path, daemon)
    exchange(daemon.agent, bytes([Number.REMOVE_ALL_IDENTITIES]))
    add_keys(daemon.agent, [], Constraints())


class Sshd:
    """A server on a free port of this host, for the user who runs the tests. ``lines`` are added to its
    configuration; ``host_key`` is the file of its key, with ``HostKeyAgent`` of the public one."""

    def __init__(self, desk: Desk, *lines: str, host_key: Path | None = None) -> None:
        self.desk, self.port = desk, free_port()
        self.folder = desk.folder / f"sshd-{self.port}"
        self.folder.mkdir()
        self.authorized = self.folder / "authorized_keys"
        if host_key is None:
            host_key = self.folder / "host_key"
            desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key)
        public = host_key if host_key.suffix == ".pub" else host_key.with_suffix(".pub")
        self.known = self.folder / "known_hosts"
        self.known.write_text(f"[127.0.0.1]:{self.port} {public.read_text()}")
        self.configuration = self.folder / "sshd_config"
        settings = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {host_key}", "PidFile none",
            f"AuthorizedKeysFile {self.authorized}", "StrictModes no", "UsePAM no", "PermitRootLogin yes",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "Subsystem sftp internal-sftp",
            *lines,
        ]  # fmt: skip
        self.configuration.write_text("\n".join(settings) + "\n")

    def options(self, *keys: Path, agent: bool = True) -> list[str]:
        """For ssh and scp: nothing of this machine but what is given."""
        path = self.folder / "ssh_config"
        lines = ["Host *", f"Port {self.port}", f"User {USER}", "BatchMode yes", "StrictHostKeyChecking yes"]
        lines += [f"UserKnownHostsFile {self.known}", "GlobalKnownHostsFile none", "IdentitiesOnly yes"]
        lines += [f"IdentityAgent {self.desk.agent}"] if agent else []
        lines += [f"IdentityFile {each}" for each in keys]
        path.write_text("\n".join(lines) + "\n")
        return ["-F", str(path)]

    @contextlib.contextmanager
    def running(self) -> Iterator[Sshd]:
        privileged = Path("/run/sshd")
        made = os.geteuid() == 0 and not privileged.exists()
        if made:
            privileged.mkdir(mode=0o755)
        try:
            if SSHD is None:
                pytest.skip("sshd is not installed")
            tried = subprocess.run(
                [SSHD, "-t", "-f", self.configuration], capture_output=True, text=True, check=False
            )
            assert tried.returncode == 0, tried.stderr
            with served(
                [SSHD, "-D", "-e", "-f", self.configuration], self.port,
                environment={"PATH": self.desk.environment["PATH"]}, folder=self.folder,
            ):  # fmt: skip
                yield self
        finally:
            if made:
                privileged.rmdir()

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()


def labels(desk: Desk) -> list[str]:
    """What is listed, in order."""
    done = subprocess.run(
        ["ssh-add", "-L"], env=desk.environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        assert "no identities" in done.stdout + done.stderr, done.stderr
        return []
    return [line.split(" ", 2)[2] for line in done.stdout.splitlines()]


def test_ssh_add_lists_the_keys_that_ssh_has_with_their_labels(desk, device):
    assert sorted(labels(desk)) == sorted(KEYS)
    listed = desk.run("ssh-add", "-l")
    for label, kind in KEYS.items():
        key = device.keys.find(label=label)
        fingerprint = SshKey(key.kid, label, kind, key.public_bytes()).fingerprint
        assert f"{fingerprint} {label} (" in listed


def test_the_agent_proves_each_key_to_openssh(desk):
    """``ssh-add -T`` signs by the agent and verifies by itself."""
    for label in KEYS:
        desk.run("ssh-add", "-T", desk.public(label))


def test_a_key_is_forgotten_and_shown_again_and_stays_on_the_device(desk, device):
    public = desk.public("ed")
    desk.run("ssh-add", "-d", public)
    assert "ed" not in labels(desk)
    desk.run("ssh-add", "-T", public, fails=True)
    desk.run("ssh-add", "-D")
    assert labels(desk) == []
    desk.run("ssh-add", "-s", "hem:ed", **NO_PIN)
    assert labels(desk) == ["ed"]
    desk.run("ssh-add", "-s", "hem", **NO_PIN)
    assert sorted(labels(desk)) == sorted(KEYS)
    desk.run("ssh-add", "-e", "hem:p256", **NO_PIN)
    assert sorted({*KEYS} - {"p256"}) == sorted(labels(desk))
    assert {each.label for each in device.keys} >= set(KEYS)


#: For ``ssh-add -s``, which asks for a PIN: none.
NO_PIN = {"SSH_ASKPASS": "/bin/true", "SSH_ASKPASS_REQUIRE": "force"}


def asked_by(program: str) -> dict[str, str]:
    return {"SSH_ASKPASS": program, "SSH_ASKPASS_REQUIRE": "force"}


def test_a_locked_agent_shows_and_signs_nothing_until_the_passphrase_comes(desk):
    public = desk.public("ed")
    (desk.folder / "other").mkdir()
    right, wrong = askpass(desk.folder, "echo open"), askpass(desk.folder / "other", "echo sesame")
    desk.run("ssh-add", "-x", **asked_by(right))
    assert labels(desk) == []
    desk.run("ssh-add", "-T", public, fails=True)
    desk.run("ssh-add", "-D", fails=True)
    desk.run("ssh-add", "-X", **asked_by(wrong), fails=True)
    assert labels(desk) == []
    desk.run("ssh-add", "-X", **asked_by(right))
    desk.run("ssh-add", "-T", public)


def test_an_agent_that_forgets_its_login_stays_locked_by_its_passphrase(desk):
    """``hem agent lock`` starts it anew, and the configured source unlocks the device, but not this."""
    right = askpass(desk.folder, "echo open")
    desk.run("ssh-add", "-x", **asked_by(right))
    before = len(desk.daemon.log.read_text())
    desk.daemon.calls.lock()
    desk.daemon.wait_until(lambda: desk.daemon.log.read_text()[before:].count("locked: on request") >= 2)
    desk.daemon.wait_until(desk.daemon.lists)
    desk.daemon.calls.unlock_by_source("office")
    assert labels(desk) == []
    desk.run("ssh-add", "-X", **asked_by(right))
    assert sorted(labels(desk)) == sorted(KEYS)


def test_private_keys_of_others_are_not_taken(desk):
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "foreign")
    assert "refused" in desk.run("ssh-add", "foreign", fails=True)
    assert sorted(labels(desk)) == sorted(KEYS)


def test_a_key_that_was_added_for_a_second_goes_by_itself(desk):
    desk.run("ssh-add", "-t", "1", "-s", "hem:ed", **NO_PIN)
    end = time.monotonic() + 20
    while "ed" in labels(desk) and time.monotonic() < end:
        time.sleep(0.1)
    assert sorted(labels(desk)) == sorted({*KEYS} - {"ed"})


@BOTH
def test_a_signature_is_made_after_a_person_has_said_yes(desk, label):
    public = desk.public(label)
    asked = desk.daemon.answers("exit 1")
    asked.unlink(missing_ok=True)
    desk.run("ssh-add", "-c", "-s", f"hem:{label}", **NO_PIN)
    desk.run("ssh-add", "-T", public, fails=True)
    assert asked.read_text().startswith(f"confirm\nAllow use of key {label}?\nKey fingerprint SHA256:")
    desk.daemon.answers("exit 0")
    desk.run("ssh-add", "-T", public)


@BOTH
def test_a_login_to_sshd_is_one_call_and_no_login_to_the_device(desk, label):
    public = desk.public(label)
    sshd = Sshd(desk)
    sshd.authorized.write_text(public.read_text())
    with sshd.running():
        desk.run("ssh-add", "-T", public)  # the key's token is the agent's from here on
        calls, logins = desk.daemon.counts
        assert "in by ssh" in desk.run("ssh", *sshd.options(public), "127.0.0.1", "echo in by ssh")
        assert desk.daemon.counts == (calls + 1, logins)
    sshd.authorized.write_text("")
    with sshd.running():
        assert "Permission denied" in desk.run("ssh", *sshd.options(public), "127.0.0.1", "true", fails=True)


@BOTH
def test_scp_copies_by_a_login_with_such_a_key(desk, label):
    public = desk.public(label)
    sshd = Sshd(desk)
    sshd.authorized.write_text(public.read_text())
    (desk.folder / "letter").write_text("Dear Ada")
    with sshd.running():
        desk.run("scp", *sshd.options(public), "letter", f"127.0.0.1:{desk.folder}/copy")
    assert (desk.folder / "copy").read_text() == "Dear Ada"


@BOTH
def test_a_server_has_its_host_key_in_the_device(desk, label):
    host_key = desk.public(label)
    sshd = Sshd(desk, f"HostKeyAgent {desk.agent}", host_key=host_key)
    user = desk.public("p384")
    sshd.authorized.write_text(user.read_text())
    with sshd.running():
        assert "by host key" in desk.run("ssh", *sshd.options(user), "127.0.0.1", "echo by host key")


@BOTH
def test_an_authority_in_the_device_issues_certificates_for_users(desk, label):
    authority = desk.public(f"ca-{label}")
    sshd = Sshd(desk, f"TrustedUserCAKeys {authority}", "AuthorizedKeysFile none")
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "own")
    desk.run("ssh-keygen", "-Us", authority, "-I", "ada", "-n", USER, "-V", "+1h", "own.pub")
    with sshd.running():
        options = [*sshd.options(desk.folder / "own", agent=False), "-o", "IdentityAgent=none"]
        assert "by certificate" in desk.run("ssh", *options, "127.0.0.1", "echo by certificate")
    assert f"ID ada (serial 0) CA {'ED25519' if label == 'ed' else 'ECDSA'}" in sshd.log


@BOTH
def test_an_authority_in_the_device_issues_certificates_for_hosts(desk, label):
    authority, user = desk.public(f"ca-{label}"), desk.public("p521")
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "host")
    desk.run("ssh-keygen", "-Us", authority, "-I", "host", "-h", "-n", "127.0.0.1", "host.pub")
    server = Sshd(desk, f"HostCertificate {desk.folder}/host-cert.pub", host_key=desk.folder / "host")
    server.known.write_text(f"@cert-authority [127.0.0.1]:{server.port} {authority.read_text()}")
    server.authorized.write_text(user.read_text())
    with server.running():
        assert "proven" in desk.run("ssh", *server.options(user), "127.0.0.1", "echo proven")


@BOTH
def test_a_key_of_the_device_logs_in_with_a_certificate(desk, label):
    """By ``CertificateFile``, and by the agent alone when it shows the certificate."""
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ca")
    public = desk.public(label)
    desk.run("ssh-keygen", "-s", "ca", "-I", "ada", "-n", USER, public)
    certificate = desk.folder / f"{label}-cert.pub"
    sshd = Sshd(desk, f"TrustedUserCAKeys {desk.folder}/ca.pub", "AuthorizedKeysFile none")
    with sshd.running():
        options = [*sshd.options(public), "-o", f"CertificateFile={certificate}"]
        assert "by file" in desk.run("ssh", *options, "127.0.0.1", "echo by file")
        elsewhere = certificate.rename(desk.folder / "certificate")  # no name that ssh looks for
        no_identity = [*sshd.options(), "-o", "IdentitiesOnly=no"]
        desk.run("ssh", *no_identity, "127.0.0.1", "true", fails=True)
        assert main(["ssh", "add", label, "--certificate", str(elsewhere), "--socket", str(desk.agent)]) == 0
        assert "by agent" in desk.run("ssh", *no_identity, "127.0.0.1", "echo by agent")


@BOTH
def test_files_are_signed_and_verified_by_ssh_keygen(desk, label):
    public = desk.public(label)
    letter = desk.folder / "letter"
    letter.write_text("Dear Ada\n" * 10_000)
    desk.run("ssh-keygen", "-Y", "sign", "-f", public, "-n", "file", letter)
    (desk.folder / "allowed").write_text(f"ada@example.org {public.read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "ada@example.org", "-n", "file", "-s"]
    assert "Good" in desk.run(*verify, f"{letter}.sig", text=letter.read_text())
    desk.run(*verify, f"{letter}.sig", text="Dear Bob", fails=True)


@pytest.mark.parametrize("label", ["p384", "p521"])
def test_signatures_of_the_larger_curves_verify_in_openssh(desk, label):
    for number in range(20):  # r and s with and without leading zeros
        (desk.folder / "file").write_text(str(number))
        (desk.folder / "file.sig").unlink(missing_ok=True)
        desk.run("ssh-keygen", "-Y", "sign", "-f", desk.public(label), "-n", "x", "file")
        desk.run("ssh-keygen", "-Y", "check-novalidate", "-n", "x", "-s", "file.sig", text=str(number))


@BOTH
def test_git_signs_commits_and_tags_and_verifies_them(desk, label):
    public = desk.public(label)
    (desk.folder / "allowed").write_text(f"ada@example.org {public.read_text()}")
    (desk.folder / ".gitconfig").write_text(
        f"[user]\n name = Ada\n email = ada@example.org\n signingkey = {public}\n[gpg]\n format = ssh\n"
        f'[gpg "ssh"]\n allowedSignersFile = {desk.folder}/allowed\n[commit]\n gpgsign = true\n'
    )
    work = desk.folder / "work"
    desk.run("git", "init", "-q", work)
    desk.run("git", "-C", work, "commit", "-q", "--allow-empty", "-m", "first")
    desk.run("git", "-C", work, "tag", "-s", "-m", "one", "v1")
    assert 'Good "git" signature for ada@example.org' in desk.run("git", "-C", work, "verify-commit", "HEAD")
    assert 'Good "git" signature for ada@example.org' in desk.run("git", "-C", work, "verify-tag", "v1")


@BOTH
def test_a_forwarded_agent_signs_on_the_second_hop(desk, label):
    public = desk.public(label)
    sshd = Sshd(desk)
    sshd.authorized.write_text(public.read_text())
    with sshd.running():
        outer = sshd.options(public)
        inner = desk.folder / "inner"
        inner.write_text(Path(outer[1]).read_text().replace(f"IdentityAgent {desk.agent}\n", ""))
        hop = f"ssh-add -L && ssh -F {inner} 127.0.0.1 echo second hop"
        printed = desk.run("ssh", "-A", *outer, "127.0.0.1", hop)
        assert "second hop" in printed
        assert public.read_text() in printed


def test_nothing_is_added_by_a_forwarded_agent(desk):
    """Else a host that is logged in to could lift the conditions of keys."""
    forgotten, user = desk.public("ed"), desk.public("p384")
    sshd = Sshd(desk)
    sshd.authorized.write_text(user.read_text())
    desk.run("ssh-add", "-d", forgotten)
    add = "SSH_ASKPASS=/bin/true SSH_ASKPASS_REQUIRE=force ssh-add -s hem"
    with sshd.running():
        desk.run("ssh", "-A", *sshd.options(user), "127.0.0.1", add, fails=True)
    assert "keys are added on this host only" in desk.daemon.log.read_text()
    assert "ed" not in labels(desk)


@BOTH
def test_paramiko_logs_in_by_the_agent(desk, label, monkeypatch):
    import paramiko

    monkeypatch.setenv("SSH_AUTH_SOCK", str(desk.agent))
    sshd = Sshd(desk)
    sshd.authorized.write_text(desk.public(label).read_text())
    agent = paramiko.Agent()
    key = next(each for each in agent.get_keys() if each.comment == label)
    with sshd.running(), paramiko.SSHClient() as client:
        client.load_host_keys(str(sshd.known))
        client.connect("127.0.0.1", sshd.port, USER, pkey=key, allow_agent=False, look_for_keys=False)
        _, output, _ = client.exec_command("echo by paramiko")
        assert output.read() == b"by paramiko\n"
    agent.close()


@BOTH
def test_asyncssh_logs_in_by_the_agent(desk, label):
    import asyncssh

    sshd = Sshd(desk)
    public = desk.public(label)
    sshd.authorized.write_text(public.read_text())

    async def log_in() -> object:
        async with asyncssh.connect(
            "127.0.0.1", sshd.port, username=USER, known_hosts=str(sshd.known), config=None,
            agent_path=str(desk.agent), agent_identities=[str(public)], client_keys=[],
        ) as connection:  # fmt: skip
            return (await connection.run("echo by asyncssh", check=True)).stdout

    with sshd.running():
        assert asyncio.run(log_in()) == "by asyncssh\n"


def test_a_certificate_that_is_too_long_for_the_device_is_refused_and_the_log_says_so(desk):
    authority = desk.public("ca-ed")
    desk.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "own")
    names = ",".join(f"user-number-{number}" for number in range(150))
    issue = ["ssh-keygen", "-Us", authority, "-I", "many", "-n", names, "own.pub"]
    assert "agent refused operation" in desk.run(*issue, fails=True)
    (line,) = [each for each in desk.daemon.log.read_text().splitlines() if "'many'" in each]
    assert "WARNING" in line
    assert "issue the user certificate 'many' for 'user-number-0', " in line
    assert "and 145 more" in line
    assert "2048" in line
