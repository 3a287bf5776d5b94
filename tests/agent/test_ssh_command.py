"""``hem ssh``: public keys for people and files, lines that OpenSSH takes, keys shown again by an agent."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from support.passphrases import PASSPHRASE
from support.sshagent import AgentServer, exchange
from support.sshkeys import PRIVATE, certificate, yes

from hem_provider.agent.ssh.client import ssh_socket
from hem_provider.agent.ssh.identities import ssh_key
from hem_provider.agent.ssh.numbers import Number
from hem_provider.agent.ssh.wire import frame
from hem_provider.cli import main as cli
from hem_provider.sshwire import string

KEYS = {"ada": "ED25519", "web server": "SECP256R1", "twin": "SECP384R1"}


@pytest.fixture
def keys(rig, hem, monkeypatch, tmp_path_factory):
    """Keys of the configured device by their labels, "twin" being the label of two; and others."""
    passphrase = tmp_path_factory.mktemp("configured") / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    for label, kind in KEYS.items():
        hem.keys.create(kind, label=label, usage={"sign"})
    hem.keys.create("ED25519", label="twin", usage={"sign"})
    for label, kind, usage in (
        ("agrees", "SECP256R1", "derive"),
        ("k1", "SECP256K1", "sign"),
        ("aes", "AES256", "aead"),
    ):
        hem.keys.create(kind, label=label, usage={usage})
    return [each for each in map(ssh_key, hem.keys) if each is not None]


def run(*arguments: str, status: int = 0) -> None:
    assert cli.main(["ssh", *arguments]) == status


def test_the_public_keys_that_ssh_can_use_are_printed_as_lines_of_authorized_keys(keys, capsys):
    run("keys")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [each.line for each in keys]
    assert sorted(line.split(" ", 2)[2] for line in lines) == ["ada", "twin", "twin", "web server"]


def test_keys_are_named_by_label_or_kid_and_a_missing_one_is_an_error(keys, capsys):
    by_label = {each.label: each for each in keys}
    run("keys", "web server", by_label["ada"].kid)
    assert capsys.readouterr().out.splitlines() == [by_label["web server"].line, by_label["ada"].line]
    run("keys", "twin")
    assert len(capsys.readouterr().out.splitlines()) == 2
    for name, words in (
        ("nobody", "is not there"),
        ("agrees", "does not sign"),
        ("k1", "of a type that SSH"),
    ):
        run("keys", "ada", name, status=5)
        told = capsys.readouterr()
        assert told.out == ""
        assert f"key {name!r}" in told.err
        assert words in told.err


def test_as_json_each_key_has_what_programs_ask_for(keys, capsys):
    run("keys", "ada", "--json")
    (found,) = json.loads(capsys.readouterr().out)
    (ada,) = (each for each in keys if each.label == "ada")
    assert found == {
        "kid": ada.kid, "label": "ada", "type": "ED25519", "public_key": ada.line,
        "fingerprint": ada.fingerprint,
    }  # fmt: skip


def test_files_are_what_ssh_keygen_reads(keys, tmp_path, capsys):
    run("keys", "ada", "web server", "--directory", str(tmp_path))
    written = capsys.readouterr().out.splitlines()
    assert written == [f"{tmp_path}/hem-ada.pub", f"{tmp_path}/hem-web_server.pub"]
    for path in written:
        told = subprocess.run(
            ["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True
        ).stdout
        assert any(each.fingerprint in told for each in keys)
    twins = [each for each in keys if each.label == "twin"]
    run("keys", "twin", "--directory", str(tmp_path), status=1)
    assert "name them by their KIDs" in capsys.readouterr().err
    run("keys", *(each.kid for each in twins), "--directory", str(tmp_path))
    assert all((tmp_path / f"hem-{each.kid}.pub").read_text() == f"{each.line}\n" for each in twins)
    run("keys", "ada", "--directory", str(tmp_path / "none"), status=1)
    assert "there is no such directory" in capsys.readouterr().err


def effective(tmp_path: Path, text: str, host: str = "example.org") -> dict[str, list[str]]:
    """What ssh makes of lines of its configuration."""
    path = tmp_path / "config"
    path.write_text(text)
    command = ["ssh", "-G", "-F", str(path), host]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for name, _, value in (line.partition(" ") for line in told.splitlines()):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("folder", ["plain", "with space", "100%", "it's #1"])
def test_the_lines_for_ssh_name_the_agent_and_the_files(tmp_path, capsys, folder):
    agent, directory = tmp_path / folder / "a.sock", tmp_path / folder
    run("config", "ada", "web server", "--socket", str(agent), "--directory", str(directory))
    settings = effective(tmp_path, capsys.readouterr().out)
    escaped = str(directory).replace("%", "%%")  # ssh -G prints tokens of IdentityFile as they are
    assert settings["identityagent"] == [str(agent)]
    assert settings["identityfile"] == [f"{escaped}/hem-ada.pub", f"{escaped}/hem-web_server.pub"]
    assert settings["identitiesonly"] == ["yes"]


def test_without_a_key_the_agent_offers_all_for_the_servers_of_a_pattern(tmp_path, capsys):
    run("config", "--host", "*.example.org")
    text = capsys.readouterr().out
    assert effective(tmp_path, text, "www.example.org")["identityagent"] == [str(ssh_socket())]
    assert "identityagent" not in effective(tmp_path, text, "elsewhere.net")
    assert "IdentitiesOnly" not in text


def test_the_lines_for_sshd_are_taken_by_it(tmp_path, capsys):
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if sshd is None:
        pytest.skip("sshd is not installed")
    run("config", "--sshd", "host", "--socket", str(tmp_path / "a b.sock"), "--directory", str(tmp_path))
    lines = capsys.readouterr().out
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    path = tmp_path / "sshd_config"
    path.write_text(f"{lines}HostKey {tmp_path}/key\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it wants that directory of root's
    command = [sshd, "-T", "-f", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"hostkeyagent {tmp_path}/a b.sock" in told
    assert f"hostkey {tmp_path}/hem-host.pub" in told


@pytest.mark.parametrize("path", ['/a"b', "/a\\b", "/a\nb", "/${HOME}/x"])
def test_a_path_that_openssh_would_read_otherwise_is_refused(path, capsys):
    run("config", "--socket", path, status=1)
    assert "OpenSSH's configuration" in capsys.readouterr().err


def test_the_agents_socket_is_beside_the_other_one(monkeypatch):
    assert ssh_socket() == Path(os.environ["XDG_RUNTIME_DIR"], "hem", "ssh-agent.sock")
    monkeypatch.setenv("HEM_AGENT_SOCK", "/elsewhere/agent.sock")
    assert ssh_socket() == Path("/elsewhere/ssh-agent.sock")


@pytest.fixture
def agent(hem, keys):
    with AgentServer(ssh_socket(), hem, confirm=yes) as server:
        yield server


def listed(agent: AgentServer) -> int:
    (answer,) = exchange(agent.path, bytes([Number.REQUEST_IDENTITIES]))
    return int.from_bytes(answer[1:5], "big")


def test_forgotten_keys_are_shown_again_all_or_those_that_are_named(agent, keys, capsys):
    assert listed(agent) == 4
    exchange(agent.path, bytes([Number.REMOVE_ALL_IDENTITIES]))
    run("add", "ada", "twin")
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "ecdsa-sha2-nistp384 twin", "ssh-ed25519 ada", "ssh-ed25519 twin",
    ]  # fmt: skip
    assert listed(agent) == 3
    run("add")
    assert listed(agent) == 4


def test_what_the_agent_refuses_is_told_with_its_reason(agent, capsys, tmp_path):
    run("add", "nobody", status=1)
    assert "no key 'nobody'" in capsys.readouterr().err
    foreign = tmp_path / "foreign-cert.pub"
    blob = certificate(PRIVATE["ED25519"].public_key())
    foreign.write_text(f"ssh-ed25519-cert-v01@openssh.com {base64.b64encode(blob).decode()} ada\n")
    run("add", "--certificate", str(foreign), status=1)
    assert "of none of the keys" in capsys.readouterr().err
    exchange(agent.path, bytes([Number.LOCK]) + string("sesame"))
    run("add", "ada", status=1)
    assert "ssh-add -X" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("600", 600), ("90m", 5400), ("8h", 28800), ("1h30m", 5400), ("2d", 172800), ("1W", 604800)],
)
def test_life_times_are_written_as_openssh_writes_them(agent, keys, monkeypatch, text, seconds):
    now = 1000.0
    monkeypatch.setattr(agent.agent._shelf, "_clock", lambda: now)
    run("add", "ada", "--lifetime", text)
    now += seconds - 1
    assert listed(agent) == 4
    now += 1
    assert listed(agent) == 3


@pytest.mark.parametrize("text", ["0", "", "-1", "1y", "1.5h", "h", "99999999999"])
def test_other_life_times_are_refused(text, capsys):
    run("add", f"--lifetime={text}", status=1)
    assert "--lifetime" in capsys.readouterr().err


def test_a_file_that_is_no_certificate_is_refused(tmp_path, capsys):
    path = tmp_path / "x-cert.pub"
    for text in ("", "ssh-ed25519 AAAA ada\n", "no base64 at all\n", "\xff"):
        path.write_bytes(text.encode("latin-1"))
        run("add", "--certificate", str(path), status=1)
        assert f"{path}: {len(text)} bytes that are no certificate" in capsys.readouterr().err
    run("add", "--certificate", str(tmp_path / "none"), status=1)
    assert "No such file" in capsys.readouterr().err


def test_without_an_agent_the_command_to_start_one_is_told(capsys, tmp_path):
    run("add", "--socket", str(tmp_path / "none"), status=3)
    assert "No such file or directory); start it with: hem agent start" in capsys.readouterr().err
    run("add", "--socket", "/x" * 200, status=3)
    assert "too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 3),
        (frame(b"\x05"), 1),
        (frame(b"\x1d"), 1),
        (b"\xff\xff\xff\xff", 1),
        (frame(b"\x1d" + string("x")), 1),
    ],
)
def test_another_programs_agent_is_not_believed(answer, status, capsys):
    path = Path(os.environ["XDG_RUNTIME_DIR"], "other.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        run("add", "--socket", str(path), status=status)
        thread.join(20)
    path.unlink()
    assert capsys.readouterr().err.startswith("hem: ")
