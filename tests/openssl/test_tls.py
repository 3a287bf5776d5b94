"""TLS by openssl's own server and client, with HEM keys on both sides."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.servers import free_port, served

ENGINE = "-engine hem -keyform engine"


@contextlib.contextmanager
def server(environment: dict[str, str], folder: Path, options: str) -> Iterator[int]:
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-rev", *options.split()]
    with served(command, port, environment=environment, folder=folder):
        yield port


def speak(
    environment: dict[str, str], folder: Path, port: int, options: str
) -> subprocess.CompletedProcess[str]:
    """Connects, says a word, and returns what s_client shows; its exit status tells of the handshake."""
    with subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-verify_return_error", *options.split()],
        env=environment, cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            client.stdin.write("desrever\n")
            client.stdin.flush()
        said = ""
        while client.stdout is not None and (line := client.stdout.readline()):
            said += line
            if "reversed" in line:
                break
        out, err = client.communicate(timeout=30)
        return subprocess.CompletedProcess([], client.returncode, said + out, err)


@pytest.mark.parametrize(
    ("label", "version"),
    [("web", "tls1_2"), ("web", "tls1_3"), ("ca", "tls1_3"), ("p521", "tls1_3"),
     ("ed", "tls1_2"), ("ed", "tls1_3")],
)  # fmt: skip
def test_a_server_proves_itself_with_each_kind_of_key(environment, certificates, tmp_path, label, version):
    with server(environment, tmp_path, f"{ENGINE} -key {label} -cert {certificates}/{label}.crt") as port:
        said = speak(environment, tmp_path, port, f"-{version} -CAfile {certificates}/{label}.crt")
    assert "reversed" in said.stdout, said.stderr


@pytest.mark.parametrize(("label", "version"), [("web", "tls1_2"), ("web", "tls1_3"), ("ed", "tls1_3")])
def test_a_client_proves_itself(environment, certificates, tmp_path, label, version):
    own = f"{certificates}/{label}.crt"
    demands = f"{ENGINE} -key ca -cert {certificates}/ca.crt -Verify 1 -verify_return_error -CAfile {own}"
    with server(environment, tmp_path, demands) as port:
        trust = f"-{version} -CAfile {certificates}/ca.crt"
        said = speak(environment, tmp_path, port, f"{trust} {ENGINE} -key {label} -cert {own}")
        assert "reversed" in said.stdout, said.stderr
        assert "reversed" not in speak(environment, tmp_path, port, trust).stdout


def test_a_tls_1_2_client_behind_a_long_chain_is_refused_with_the_reason(
    openssl, environment, certificates, tmp_path
):
    """It signs the whole handshake so far, with the server's certificates: more than the device takes."""
    names = ",".join(f"DNS:a-name-to-make-it-long-{number}.example.org" for number in range(60))
    openssl("req -x509 -newkey ed25519 -nodes -keyout long.key -subj /CN=long -out long.crt -addext",
            f"subjectAltName={names}")  # fmt: skip
    with server(
        environment, tmp_path, f"-key long.key -cert long.crt -Verify 1 -CAfile {certificates}/web.crt"
    ) as port:
        own = f"-CAfile long.crt {ENGINE} -key web -cert {certificates}/web.crt"
        old = speak(environment, tmp_path, port, f"-tls1_2 {own}")
        assert "message of wrong length" in old.stderr
        assert "reversed" not in old.stdout
        assert "reversed" in speak(environment, tmp_path, port, f"-tls1_3 {own}").stdout


def test_ephemeral_and_peer_keys_are_openssls_own(environment, certificates, keyed, tmp_path):
    """The engine is the default of the process, and the device sees one signature and no other key."""
    with server(environment, tmp_path, f"{ENGINE} -key web -cert {certificates}/web.crt") as port:
        before = len(keyed.calls())
        said = speak(environment, tmp_path, port, f"-CAfile {certificates}/web.crt -curves P-256")
    assert "reversed" in said.stdout
    used = [call["path"] for call in keyed.calls(before) if call["path"].startswith("/api/crypto")]
    assert used == ["/api/crypto/exdsa/sign"]
