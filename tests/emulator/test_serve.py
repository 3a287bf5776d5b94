"""The emulator behind real sockets: ready line, TLS, framing, stopping."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.request

import pytest
from support.emulator import ServedEmulator

from hem_provider.emulator import EmulatedDevice, control, setup


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator that no other test has called."""
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


def exchange(url: str, request: bytes) -> bytes:
    """Send raw bytes over plain HTTP and read until the server closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        parts = []
        while data := connection.recv(65536):
            parts.append(data)
    return b"".join(parts)


def test_status_over_tls_verifies_with_the_ca_file_and_says_emulator(own_served):
    context = ssl.create_default_context(cafile=str(own_served.ca_file))
    with urllib.request.urlopen(f"{own_served.https}/api/system/status", context=context) as answer:
        assert json.loads(answer.read())["fls_state"] == 0
        assert answer.headers["Server"].startswith("hem-provider-emulator/")
        assert answer.headers["Connection"] == "close"


def test_the_device_port_speaks_tls_1_3_only(own_served):
    context = ssl.create_default_context(cafile=str(own_served.ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host, port = own_served.https.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_hostname=host)


def test_a_client_of_older_tls_is_alerted_and_the_reason_is_told_once(own_served):
    context = ssl.create_default_context(cafile=str(own_served.ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host, port = own_served.https.removeprefix("https://").split(":")
    for _ in range(2):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            with pytest.raises(ssl.SSLError, match="protocol version"):
                context.wrap_socket(connection, server_hostname=host)
    told = (own_served.folder / "emulator.err").read_text()
    assert told.count(f"port {port}: a client offers no TLS 1.3, which this port speaks") == 1


def test_a_served_device_is_slow_at_logins_as_hardware_is_unless_told_otherwise(tmp_path):
    from hem_provider.cli import emulator_serving as actions
    from hem_provider.cli.commands.emulator import command
    from hem_provider.cli.shape import Given

    for arguments, throttled in (
        ([], True),
        (["--latency", "none"], False),
        (["--latency", "ppa"], True),
        (["--latency", "none", "--quirk", "Q21=on"], True),
    ):
        words = ["--state", str(tmp_path / "s"), *arguments]
        options = Given(**command.commands["serve"].make_context("serve", words).params)
        with EmulatedDevice(tmp_path / "s") as device:
            actions.prepare(device, options)
            assert control.run(device, "quirks")["Q21"] is throttled


def test_a_clock_that_runs_fast_does_so_served_and_in_the_process(own_served):
    def ahead(answer):
        return json.loads(answer.partition(b"\r\n\r\n")[2])["time"] - time.time()

    request = b"GET /api/system/status HTTP/1.1\r\nHost: x\r\n\r\n"
    with EmulatedDevice(own_served.state) as device:
        control.run(device, "quirk", {"name": "Q19", "value": "3600"})
        time.sleep(0.2)
        served = ahead(exchange(own_served.http, request))
        with device.model.transaction():
            inside = device.model.now() - time.time()
        control.run(device, "quirk", {"name": "Q19", "value": "0"})
        setup.check_in(device)
    assert 600 < served <= inside
    assert abs(ahead(exchange(own_served.http, request))) < 5


def test_the_418_status_line_has_an_empty_reason(own_served):
    answer = exchange(
        own_served.http, b"POST /api/keymgmt/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert answer.startswith(b"HTTP/1.1 418 \r\n")


@pytest.mark.parametrize(("size", "status"), [(7300, b"400"), (7301, b"413")])
def test_7300_bytes_pass_the_size_check_and_7301_do_not(own_served, size, status):
    head = f"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    answer = exchange(own_served.http, head + b"x" * size)
    assert answer.split()[1] == status
    assert b"Connection: close" in answer


def test_chunked_bodies_and_missing_lengths_are_411(own_served):
    chunked = b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    missing = b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\n\r\n"
    assert exchange(own_served.http, chunked).split()[1] == b"411"
    assert exchange(own_served.http, missing).split()[1] == b"411"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/system/status HTTP/1.1\r\n\r\n",
        b"GET /api/system/status HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
)
def test_malformed_requests_are_400_and_closed(own_served, request_bytes):
    assert exchange(own_served.http, request_bytes).startswith(b"HTTP/1.1 400 ")


def test_expect_100_continue_is_honoured(own_served):
    host, port = own_served.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_the_access_log_counts_calls_and_logins(own_served):
    since = len(own_served.calls())
    exchange(own_served.http, b"GET /api/system/status HTTP/1.1\r\nHost: x\r\n\r\n")
    (entry,) = own_served.calls(since)
    assert (entry["port"], entry["method"], entry["path"], entry["status"]) == (
        "http",
        "GET",
        "/api/system/status",
        200,
    )
    assert own_served.logins(since) == 0


def test_sigterm_stops_it_cleanly_and_the_state_survives(tmp_path):
    first = ServedEmulator(tmp_path).start()
    assert first.stop() == 0
    with ServedEmulator(tmp_path, init=False) as second:
        context = ssl.create_default_context(cafile=str(second.ca_file))
        with urllib.request.urlopen(f"{second.https}/api/auth/token", context=context) as answer:
            assert json.loads(answer.read())["lbl"] == "Emulator"


def test_it_comes_up_at_the_ports_of_the_first_time_unless_told_or_taken(tmp_path):
    def places(*arguments):
        with ServedEmulator(tmp_path, init=False, arguments=arguments) as served:
            return served.https, served.http, served.cloud

    first = places()
    with ServedEmulator(tmp_path, init=False) as served:
        assert (served.https, served.http, served.cloud) == first
        beside = places()  # of a second server of the same device
    assert not set(beside) & set(first)
    assert not set(places("--https-port", "0", "--http-port", "0", "--cloud-port", "0")) & set(first)
    assert places() == first
    told = places("--https-port", beside[0].rpartition(":")[2])
    assert told == (beside[0], *first[1:])
    assert places() == told


def test_what_killed_ones_left_is_removed_at_the_next_start_and_no_key_lies_on_a_disk(
    tmp_path, monkeypatch, template
):
    import os
    import shutil
    import tempfile

    from hem_provider.emulator.server import EmulatorServer, Ports

    def refuse(*_arguments, **_named):
        raise AssertionError("a key in a temporary file, which a kill leaves there")

    state = tmp_path / "device.hem"
    shutil.copy(template, state)
    old, young = (tmp_path / f".device.hem.ca.pem.{number}.tmp" for number in (1, 2))
    for each in (old, young):
        each.write_text("x")
    os.utime(old, (time.time() - 100,) * 2)
    if hasattr(os, "memfd_create"):
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    server = EmulatorServer(EmulatedDevice(state), ports=Ports())
    server.start()
    server.stop()
    assert (old.exists(), young.exists()) == (False, True)


def test_where_there_is_no_memory_file_a_certificate_is_loaded_all_the_same(tmp_path, monkeypatch):
    import os

    from hem_provider.emulator import tls
    from hem_provider.emulator.server import load_context

    monkeypatch.delattr(os, "memfd_create", raising=False)
    material = tls.issue(tls.make_authority(), ("localhost",))
    assert load_context(material, ssl.TLSVersion.TLSv1_2).cert_store_stats() is not None
