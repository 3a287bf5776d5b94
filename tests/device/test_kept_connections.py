"""Connections that the device keeps are used again; one that is dead does no harm."""

from __future__ import annotations

import pytest
from device.test_tls import server, tls_server
from support.calls import send
from support.emulator import ServedEmulator
from support.statuses import status_answer

from hem_provider.device import connect
from hem_provider.errors import HemConnectionError
from hem_provider.rest import directhttp
from hem_provider.rest.fairlock import FairLock

__all__ = ["tls_server"]  # a fixture


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("keeping"), arguments=("--keep-alive",)) as emulator:
        yield emulator


@pytest.fixture
def hem(keeping):
    with connect(keeping.https, passphrase=keeping.passphrase, ca_file=keeping.ca_file) as device:
        yield device


def handshakes(hem):
    return hem.rest.channel._carriers.get().device()._context.handshakes


def test_requests_that_may_be_repeated_share_a_connection(hem):
    for _ in range(5):
        hem.status()
    assert handshakes(hem) == 1


def test_logins_creating_and_deleting_get_connections_of_their_own(hem):
    hem.status()
    hem.keys.delete(hem.keys.create("AES128", label="short-lived"))
    hem.status()
    # The status and the first challenge share one; then come proof, create, challenge (on create's),
    # proof and delete; the last status goes over what delete left.
    assert (handshakes(hem), hem.statistics.calls) == (5, 8)


def test_a_connection_idle_for_long_is_not_used_again(hem, monkeypatch):
    monkeypatch.setattr("hem_provider.rest.http._KEEP", -1.0)
    hem.status()
    hem.status()
    assert handshakes(hem) == 2


def test_a_closing_device_gets_a_connection_for_each_request(served):
    with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem:
        hem.status()
        hem.status()
        assert handshakes(hem) == 2


OK = status_answer()
CREATED = status_answer(body=b'{"kid":"00112233445566778899aabbccddeeff"}')


def test_a_kept_connection_that_dies_is_replaced_once_and_then_none_is_kept(tls_server):
    context, pin = tls_server
    seen = []

    def answer(connection):
        seen.append(connection.recv(10_000))
        connection.sendall(OK)
        if b"Connection: close" not in seen[-1]:
            connection.recv(10_000)  # the next request comes, and is met with the end of the connection

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        for _ in range(4):
            send(hem, "GET", "/api/system/status")
        assert hem.statistics.calls == 5
    assert [b"Connection: close" in each for each in seen] == [False, True, True, True]


def test_what_may_not_be_repeated_is_never_sent_over_a_kept_connection(tls_server):
    context, pin = tls_server

    def answer(connection):
        connection.recv(10_000)
        connection.sendall(CREATED)
        connection.recv(10_000)

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        for _ in range(3):
            send(hem, "POST", "/api/keymgmt/create", {"a": "b"})
        assert (hem.statistics.calls, handshakes(hem)) == (3, 3)


def test_an_answer_cut_short_is_still_told_when_it_may_not_be_repeated(tls_server):
    context, pin = tls_server

    def answer(connection):
        connection.recv(10_000)

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        with pytest.raises(HemConnectionError):
            send(hem, "POST", "/api/keymgmt/create", {"a": "b"})
        assert hem.statistics.calls == 1


def test_a_tls_session_is_taken_once_and_resumed_for_all(served):
    with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem:
        sessions = set()
        for _ in range(5):
            hem.status()
            sessions.add(id(hem.rest.channel._carriers.get().device()._context.session))
        assert len(sessions) == 1
        assert id(None) not in sessions


def test_a_server_that_resumes_nothing_costs_a_bounded_number_of_sessions(tls_server, monkeypatch):
    monkeypatch.setattr("hem_provider.rest.tls._MOST_TAKEN", 3)
    context, pin = tls_server
    context.num_tickets = 0

    def answer(connection):
        connection.recv(10_000)
        connection.sendall(status_answer(b"Connection: close"))

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        kept = []
        for _ in range(5):
            send(hem, "GET", "/api/system/status")
            kept.append(hem.rest.channel._carriers.get().device()._context.session is not None)
    assert kept == [True, True, True, False, False]


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "new"])
def test_the_thread_before_goes_on_once_a_request_leaves(keeping, served, keeps, monkeypatch):
    """And not when it has been answered: its own answer is looked at meanwhile."""
    emulator = keeping if keeps else served
    told = []
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        hem.status()
        under_way = FairLock.under_way
        monkeypatch.setattr(FairLock, "under_way", lambda lock: (told.append("leaves"), under_way(lock)))
        read_answer = directhttp.read_answer
        monkeypatch.setattr(
            directhttp, "read_answer", lambda *a, **b: (told.append("answer"), read_answer(*a, **b))[1]
        )
        hem.status()
    assert told[:2] == ["leaves", "answer"]
