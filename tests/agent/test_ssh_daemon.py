"""The ssh-agent in the daemon: its options, its devices, and clients that behave badly."""

from __future__ import annotations

import socket
import time

import pytest
from support.emulator import ServedEmulator, client_of
from support.sshagent import exchange
from support.sshdaemon import Daemon

from hem_provider.agent.ssh.client import add_keys
from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.identities import ssh_key
from hem_provider.agent.ssh.numbers import Number
from hem_provider.agent.ssh.wire import LARGEST_FRAME, frame
from hem_provider.errors import HemOperationFailed
from hem_provider.sshwire import Reader, string, uint32

LIST = bytes([Number.REQUEST_IDENTITIES])


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as running:
        with client_of(running) as hem:
            for label, kind in (("work ed", "ED25519"), ("work p256", "SECP256R1"), ("home", "ED25519")):
                hem.keys.create(kind, label=label, usage={"sign"})
        yield running


@pytest.fixture
def device(emulator):
    with client_of(emulator) as hem:
        yield hem


@pytest.fixture
def daemon(emulator):
    with Daemon(emulator) as running:
        yield running


@pytest.fixture(scope="module")
def shared_daemon(emulator):
    """For tests of what it is sent; how long ago it listed keys is another's affair."""
    with Daemon(emulator) as running:
        yield running


def rows(daemon: Daemon) -> list[tuple[bytes, str]]:
    reader = Reader(exchange(daemon.agent, LIST)[0])
    assert reader.byte("number") == Number.IDENTITIES_ANSWER
    return [(reader.string("blob"), reader.text("comment")) for _ in range(reader.uint32("count"))]


def labels(daemon: Daemon) -> list[str]:
    return sorted(comment for _, comment in rows(daemon))


def signs(daemon: Daemon, blob: bytes) -> bool:
    message = bytes([Number.SIGN_REQUEST]) + string(blob) + string(b"data") + uint32(0)
    return exchange(daemon.agent, message)[0][0] == Number.SIGN_RESPONSE


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["home", "work ed", "work p256"]),
        (["--ssh-prefix", "work"], ["work ed", "work p256"]),
        (["--keys", "*ed"], ["work ed"]),
        (["--keys", "h*", "--keys", "*256"], ["home", "work p256"]),
    ],
)
def test_the_keys_of_ssh_are_those_that_the_agent_was_started_for(emulator, options, shown):
    with Daemon(emulator, *options) as running:
        assert labels(running) == shown


def test_each_signature_is_confirmed_where_the_agent_was_started_so(emulator):
    with Daemon(emulator, "--ssh-confirm") as running:
        (blob, _), *_ = rows(running)
        running.answers("exit 1")
        assert not signs(running, blob)
        asked = running.answers("exit 0")
        assert signs(running, blob)
        assert asked.read_text().count("Asked for by process ") == 2


def test_keys_go_when_the_life_time_that_the_agent_was_started_with_is_over(emulator):
    with Daemon(emulator, "--ssh-lifetime", "1") as running:
        running.wait_until(lambda: labels(running) == [])
        add_keys(running.agent, ["home"], Constraints(lifetime=1000))
        time.sleep(1.1)
        assert labels(running) == ["home"]


def test_a_locked_device_is_no_empty_list(emulator):
    with Daemon(emulator, source=False) as running:
        assert exchange(running.agent, LIST) == [b"\x05"]
        assert "hem agent unlock" in running.log.read_text()
        with pytest.raises(HemOperationFailed, match="hem agent unlock"):
            add_keys(running.agent, [], Constraints())
        running.calls.unlock("office", emulator.passphrase)
        assert len(rows(running)) == 3


def test_keys_that_others_make_and_delete_are_noticed_when_they_are_asked_for(daemon, device):
    key = ssh_key(device.keys.create("ED25519", label="later", usage={"sign"}))
    try:
        assert "later" not in labels(daemon)
        assert add_keys(daemon.agent, ["later"], Constraints()) == ["ssh-ed25519 later"]
        assert "later" in labels(daemon)
        assert signs(daemon, key.blob)
    finally:
        device.keys.delete(key.kid)
    assert not signs(daemon, key.blob)
    assert "later" not in labels(daemon)


def test_listing_again_costs_no_call_and_a_signature_one(daemon):
    (blob, _), *_ = rows(daemon)
    assert signs(daemon, blob)
    calls, logins = daemon.counts
    for _ in range(3):
        rows(daemon)
    assert daemon.counts == (calls, logins)
    assert signs(daemon, blob)
    assert daemon.counts == (calls + 1, logins)


def sent(daemon: Daemon, data: bytes) -> bytes:
    """What comes back until the agent ends the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(daemon.agent))
        received = b""
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    return received


@pytest.mark.parametrize("length", [0, LARGEST_FRAME + 1, 2**32 - 1])
def test_a_frame_of_no_size_or_too_large_a_one_ends_the_connection_alone(shared_daemon, length):
    assert sent(shared_daemon, uint32(length)) == b""
    assert len(rows(shared_daemon)) == 3


def test_a_client_that_does_not_wait_for_answers_is_let_go(shared_daemon):
    sent(shared_daemon, frame(LIST) * 1000)
    assert "does not wait for answers" in shared_daemon.log.read_text()
    assert len(rows(shared_daemon)) == 3


def test_clients_that_say_half_of_something_or_nothing_keep_nobody_waiting(shared_daemon):
    silent = []
    try:
        for number in range(50):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(shared_daemon.agent))
            connection.sendall(frame(LIST)[: number % 5])
            silent.append(connection)
        assert len(rows(shared_daemon)) == 3
    finally:
        for each in silent:
            each.close()


def test_messages_over_one_connection_are_answered_in_order(shared_daemon):
    unknown, listing, query = exchange(
        shared_daemon.agent, b"\xc8", LIST, bytes([Number.EXTENSION]) + string("query")
    )
    assert (unknown, listing[0], query[0]) == (b"\x05", Number.IDENTITIES_ANSWER, Number.EXTENSION_RESPONSE)


def test_without_ssh_there_is_no_socket_of_it(emulator):
    with Daemon(emulator, "--no-ssh", listens=False) as running:
        assert not running.agent.exists()
