"""asyncssh and paramiko with keys of a device: to a real sshd as clients, and as servers to the real ssh."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading

import asyncssh
import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from support.sshserver import USER, run_ssh, running_sshd

from hem_provider.adapters.asyncssh import HemSSHKey
from hem_provider.adapters.paramiko import HemPKey
from hem_provider.errors import (
    HemAuthenticationError,
    HemConnectionError,
    HemKeyNotFound,
    HemOperationFailed,
    KeyNotExportable,
    MessageTooLong,
)

KINDS = {
    "SECP256R1": "ecdsa-sha2-nistp256",
    "SECP384R1": "ecdsa-sha2-nistp384",
    "SECP521R1": "ecdsa-sha2-nistp521",
    "ED25519": "ssh-ed25519",
}
LIBRARIES = pytest.mark.parametrize("adapter", [HemSSHKey, HemPKey])


def line(key: HemSSHKey | HemPKey) -> str:
    """As in ``authorized_keys``."""
    if isinstance(key, HemPKey):
        return f"{key.get_name()} {key.get_base64()}\n"
    return key.export_public_key().decode()


def by_asyncssh(server, *keys) -> str:
    async def log_in() -> str:
        async with asyncssh.connect(
            "127.0.0.1", server.port, username=USER, known_hosts=str(server.known), config=None,
            agent_path=None, client_keys=list(keys),
        ) as connection:  # fmt: skip
            return str((await connection.run("echo logged in", check=True)).stdout)

    return asyncio.run(log_in())


def by_paramiko(server, key) -> str:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(server.known))
        client.connect("127.0.0.1", server.port, USER, pkey=key, allow_agent=False, look_for_keys=False)
        _, output, _ = client.exec_command("echo logged in")
        return str(output.read().decode())


def log_in(server, key) -> str:
    return by_paramiko(server, key) if isinstance(key, HemPKey) else by_asyncssh(server, key)


@pytest.fixture
def made(hem, request):
    """A key of a kind as a library's, whose token is at hand."""

    def make(adapter, kind="SECP256R1", label="ada"):
        key = hem.keys.create(kind, label=label, usage={"sign"})
        hem.login(scope=f"keymgmt:use:{key.kid}")
        return adapter(key)

    return make


@LIBRARIES
@pytest.mark.parametrize("kind", KINDS)
def test_a_login_to_sshd_is_one_call(hem, made, adapter, kind, tmp_path):
    key = made(adapter, kind)
    assert line(key).split()[0] == KINDS[kind]
    with running_sshd(tmp_path / "sshd", line(key)) as server:
        before = hem.statistics.calls
        assert log_in(server, key) == "logged in\n"
        assert hem.statistics.calls - before == 1


@LIBRARIES
def test_a_key_that_the_server_does_not_know_is_not_asked(hem, made, adapter, tmp_path):
    key = made(adapter)
    refused = paramiko.AuthenticationException if adapter is HemPKey else asyncssh.PermissionDenied
    with running_sshd(tmp_path / "sshd", "") as server, pytest.raises(refused):
        log_in(server, key)


class _Open(asyncssh.SSHServer):
    def begin_auth(self, _username: str) -> bool:
        return False


@contextlib.contextmanager
def asyncssh_server(*keys, **options):
    """Its port; who logs in needs nothing, and is greeted."""
    ready, loops = threading.Event(), []

    async def serve() -> None:
        def greet(process) -> None:
            process.stdout.write("by asyncssh\n")
            process.exit(0)

        listener = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Open, server_host_keys=list(keys), process_factory=greet,
            **options,
        )  # fmt: skip
        loops.extend((asyncio.get_running_loop(), asyncio.Event(), listener.get_port()))
        ready.set()
        await loops[1].wait()
        listener.close()
        await listener.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield loops[2]
    finally:
        loops[0].call_soon_threadsafe(loops[1].set)
        thread.join(30)


class _Greeter(paramiko.ServerInterface):
    def get_allowed_auths(self, _username):
        return "none"

    def check_auth_none(self, _username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind, _chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, _command):
        def greet() -> None:
            channel.sendall(b"by paramiko\n")
            channel.send_exit_status(0)
            channel.close()

        threading.Timer(0.1, greet).start()
        return True


@contextlib.contextmanager
def paramiko_server(key):
    """Its port, for one client."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        with contextlib.suppress(EOFError, paramiko.SSHException, HemConnectionError):
            transport.start_server(server=_Greeter())
            transport.join(30)
        transport.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(30)
        listener.close()


def server_of(key):
    return paramiko_server(key) if isinstance(key, HemPKey) else asyncssh_server(key)


@LIBRARIES
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_has_its_host_key_in_the_device(hem, made, adapter, kind, tmp_path):
    key, known = made(adapter, kind, "host"), tmp_path / "known_hosts"
    with server_of(key) as port:
        known.write_text(f"[127.0.0.1]:{port} {line(key)}")
        before = hem.statistics.calls
        done = run_ssh(port, known)
        assert hem.statistics.calls - before == 1
    name = "paramiko" if adapter is HemPKey else "asyncssh"
    assert (done.returncode, done.stdout) == (0, f"by {name}\n"), done.stderr


@LIBRARIES
def test_ssh_does_not_connect_to_a_server_with_another_key(made, adapter, tmp_path):
    key, known = made(adapter, "ED25519", "host"), tmp_path / "known_hosts"
    with server_of(key) as port:
        known.write_text(f"[127.0.0.1]:{port} {line(made(adapter, 'ED25519', 'another'))}")
        done = run_ssh(port, known)
    assert done.returncode == 255
    assert "verification failed" in done.stderr


def issued(authority: HemSSHKey, key: asyncssh.SSHKey, principals: str = USER) -> asyncssh.SSHCertificate:
    return authority.generate_user_certificate(
        key, "ada@example.org", principals=principals, valid_after="-1m", valid_before="+1h"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_authority_in_the_device_issues_certificates_that_sshd_takes(hem, made, kind, tmp_path):
    authority = made(HemSSHKey, kind, "ca")
    own = asyncssh.generate_private_key("ssh-ed25519")
    before = hem.statistics.calls
    certificate = issued(authority, own)
    assert hem.statistics.calls - before == 1
    (tmp_path / "ca.pub").write_text(line(authority))
    lines = f"TrustedUserCAKeys {tmp_path}/ca.pub", "LogLevel VERBOSE"
    with running_sshd(tmp_path / "sshd", "", *lines) as server:
        assert by_asyncssh(server, (own, certificate)) == "logged in\n"
        assert "ID ada@example.org" in server.log


@LIBRARIES
@pytest.mark.parametrize("kind", ["SECP256R1", "ED25519"])
def test_a_key_of_the_device_logs_in_with_a_certificate(hem, made, adapter, kind, tmp_path):
    key, authority = made(adapter, kind), made(HemSSHKey, "ED25519", "ca")
    certificate = issued(authority, HemSSHKey(key.hem_key))
    (tmp_path / "ca.pub").write_text(line(authority))
    with running_sshd(tmp_path / "sshd", "", f"TrustedUserCAKeys {tmp_path}/ca.pub") as server:
        before = hem.statistics.calls
        if adapter is HemPKey:
            key.load_certificate(certificate.export_certificate().decode())
            assert by_paramiko(server, key) == "logged in\n"
        else:
            assert by_asyncssh(server, (key, certificate)) == "logged in\n"
        assert hem.statistics.calls - before == 1


def test_ssh_takes_a_server_by_a_certificate_of_an_authority_in_the_device(made, tmp_path):
    authority, host = made(HemSSHKey, "SECP384R1", "ca"), made(HemSSHKey, "SECP256R1", "host")
    certificate = authority.generate_host_certificate(host, "host", principals="127.0.0.1")
    known = tmp_path / "known_hosts"
    with asyncssh_server((host, certificate)) as port:
        known.write_text(f"@cert-authority [127.0.0.1]:{port} {line(authority)}")
        done = run_ssh(port, known)
    assert (done.returncode, done.stdout) == (0, "by asyncssh\n"), done.stderr


def test_a_certificate_that_is_too_long_for_the_device_is_refused(hem, made):
    authority = made(HemSSHKey, "ED25519", "ca")
    principals = ",".join(f"user-number-{number}" for number in range(150))
    before = hem.statistics.calls
    with pytest.raises(MessageTooLong, match="2048") as refused:
        issued(authority, asyncssh.generate_private_key("ssh-ed25519"), principals)
    assert refused.value.size > refused.value.limit
    assert hem.statistics.calls == before


@LIBRARIES
def test_what_is_signed_verifies_by_the_librarys_own_key(made, adapter):
    for kind in KINDS:
        key = made(adapter, kind, kind.lower())
        for number in range(8):  # r and s with and without leading zeros
            data = f"message {number}".encode()
            if adapter is HemPKey:
                signature = key.sign_ssh_data(data)
                own = paramiko.PKey.from_type_string(key.get_name(), key.asbytes())
                assert own.verify_ssh_sig(data, paramiko.Message(signature.asbytes()))
                assert key.verify_ssh_sig(data, paramiko.Message(signature.asbytes()))
                assert not key.verify_ssh_sig(b"other", paramiko.Message(signature.asbytes()))
            else:
                signature = key.sign(data, key.sig_algorithms[0])
                own = asyncssh.import_public_key(key.export_public_key())
                assert own.verify(data, signature)
                assert key.verify(data, signature)
                assert not key.verify(b"other", signature)


def test_keys_look_as_the_librarys_own_do(made):
    ours = made(HemPKey, "SECP521R1")
    own = paramiko.PKey.from_type_string(ours.get_name(), ours.asbytes())
    assert ours == own
    assert hash(ours) == hash(own)
    assert (ours.get_bits(), ours.fingerprint, ours.algorithm_name) == (521, own.fingerprint, "ECDSA")
    assert ours.can_sign()
    theirs = HemSSHKey(ours.hem_key)
    assert theirs.get_fingerprint() == own.fingerprint
    assert theirs.convert_to_public() == asyncssh.import_public_key(line(ours))
    assert theirs.export_public_key("pkcs8-pem").startswith(b"-----BEGIN PUBLIC KEY")
    assert theirs == HemSSHKey(ours.hem_key)
    assert theirs != asyncssh.import_public_key(line(ours))
    assert theirs in {HemSSHKey(ours.hem_key)}
    for each in (ours, theirs):
        assert ours.hem_key.kid in repr(each)


@LIBRARIES
@pytest.mark.parametrize("kind", ["SECP256K1", "ED448", "CURVE25519", "AES256", "SHA2-256", "MLDSA44"])
def test_a_key_that_ssh_does_not_have_is_refused_without_a_call(hem, adapter, kind):
    key = hem.keys.create(kind, label="no")
    before = hem.statistics.calls
    with pytest.raises(HemOperationFailed, match=f"{kind}.*SECP256R1, SECP384R1, SECP521R1, ED25519"):
        adapter(key)
    assert hem.statistics.calls == before


@LIBRARIES
def test_a_key_that_does_not_sign_is_refused_without_a_call(hem, adapter):
    agrees = hem.keys.create("SECP256R1", label="agrees", usage={"derive"})
    public = hem.keys.import_public(ed25519.Ed25519PrivateKey.generate().public_key(), label="theirs")
    hem.keys.refresh()
    for each, why in ((agrees, "was not made for 'sign'"), (public, "no private half")):
        key = next(found for found in hem.keys if found == each)
        before = hem.statistics.calls
        with pytest.raises(HemOperationFailed, match=why):
            adapter(key)
        assert hem.statistics.calls == before


@LIBRARIES
def test_messages_that_a_device_does_not_sign_are_refused_before_any_call(hem, made, adapter):
    key = made(adapter, "ED25519")
    sign = key.sign_ssh_data if adapter is HemPKey else lambda data: key.sign(data, b"ssh-ed25519")
    before = hem.statistics.calls
    with pytest.raises(MessageTooLong, match="2049.*2048"):
        sign(bytes(2049))
    assert hem.statistics.calls == before


@LIBRARIES
def test_a_key_that_is_gone_or_a_device_that_is_away_ends_the_login_with_that_error(
    hem, rig, made, adapter, tmp_path
):
    key = made(adapter)

    def away() -> None:
        raise ConnectionError("no route to the device")

    with running_sshd(tmp_path / "sshd", line(key)) as server:
        rig.before_each = away
        with pytest.raises(HemConnectionError, match="no route"):
            log_in(server, key)
        rig.before_each = None
        assert log_in(server, key) == "logged in\n"
        hem.keys.delete(key.hem_key)
        with pytest.raises(HemKeyNotFound, match=key.hem_key.kid):
            log_in(server, key)


@LIBRARIES
def test_a_wrong_passphrase_ends_the_login_with_that_error(rig, made, adapter, tmp_path):
    right = made(adapter)
    known = right.hem_key
    with rig.connect(passphrase="wrong") as other, running_sshd(tmp_path / "sshd", line(right)) as server:
        key = adapter(other.keys.told_of(known.kid, "SECP256R1", known.public_bytes()))
        with pytest.raises(HemAuthenticationError):
            log_in(server, key)


@LIBRARIES
def test_a_server_whose_device_is_away_closes_the_connection(rig, made, adapter, tmp_path):
    key, known = made(adapter, "ED25519", "host"), tmp_path / "known_hosts"

    def away() -> None:
        raise ConnectionError("no route to the device")

    with server_of(key) as port:
        known.write_text(f"[127.0.0.1]:{port} {line(key)}")
        rig.before_each = away
        done = run_ssh(port, known)
        rig.before_each = None
    assert done.returncode == 255
    assert done.stdout == ""


def test_the_private_half_is_not_given_away(made, tmp_path):
    theirs, ours = made(HemSSHKey, "ED25519"), made(HemPKey, "SECP256R1", "other")
    for refused in (
        lambda: theirs.export_private_key("openssh"),
        lambda: theirs.export_private_key("pkcs8-pem"),
        lambda: theirs.export_private_key("pkcs1-pem"),
        lambda: theirs.sign_raw(b"data", "sha256"),
        theirs.encode_agent_cert_private,
        lambda: ours.write_private_key(None),
        lambda: ours.write_private_key_file(tmp_path / "key"),
    ):
        with pytest.raises(KeyNotExportable, match="never leaves the device"):
            refused()
    with pytest.raises(asyncssh.KeyGenerationError):
        theirs.generate_x509_ca_certificate(theirs, "CN=ca")
    assert not (tmp_path / "key").exists()


def test_the_blob_is_what_openssh_has(made):
    key = made(HemSSHKey, "SECP384R1")
    assert base64.b64decode(line(key).split()[1]) == key.public_data
