"""``hem exporter`` in a process of its own, over a served device, with and without an agent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from support.agent import RunningAgent, sign_body
from support.emulator import ServedEmulator, client_of
from support.exporter import configured, order, running, values_of

from hem_provider.installation import install_command

HEM = [sys.executable, "-m", "hem_provider.cli.main"]


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """Shared by the tests that leave it usable; it has a key."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        with client_of(emulator) as hem:
            hem.keys.create("ED25519", label="a secret name", usage={"sign"})
        yield emulator


@pytest.fixture
def own_device(tmp_path):
    with ServedEmulator(tmp_path) as emulator:
        yield emulator


def hem(*arguments, **environment):
    return subprocess.run(
        [*HEM, "exporter", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


def device_calls(served, since=0):
    return [f"{each['method']} {each['path']}" for each in served.calls(since) if each["port"] != "cloud"]


def test_once_prints_the_page_for_programs_that_read_files(device):
    done = hem("--once", **configured(device))
    assert (done.returncode, done.stderr) == (0, "")
    values = values_of(done.stdout)
    assert values["hem_up", frozenset({("device", "hem")})] == 1
    assert values["hem_keys", frozenset({("device", "hem"), ("type", "ED25519")})] == 1
    assert "secret" not in done.stdout
    assert device.passphrase not in done.stdout
    assert 'label="a secret name"' in hem("--once", "--labels", **configured(device)).stdout


def test_however_many_read_it_one_call_an_interval_is_made(device, tmp_path):
    with running(configured(device), tmp_path, "--interval", "3600") as exporter:
        exporter.page()
        before = len(device.calls())
        threads = [threading.Thread(target=exporter.page) for _ in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(device.calls()) == before
    with running(configured(device), tmp_path, "--interval", "1") as exporter:
        exporter.page()
        before = len(device.calls())
        time.sleep(1.2)
        threads = [threading.Thread(target=exporter.page) for _ in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert device_calls(device, before) == ["GET /api/system/status"]


def test_nothing_runs_and_nothing_is_asked_while_nobody_reads_it(device, tmp_path):
    with running(configured(device), tmp_path, "--interval", "1") as exporter:
        exporter.page()
        time.sleep(0.5)
        calls, ticks, switches = len(device.calls()), exporter.ticks, exporter.switches
        time.sleep(2.5)
        assert len(device.calls()) == calls
        assert exporter.ticks - ticks <= 1
        assert exporter.switches == switches


def test_a_device_that_is_away_at_the_start_is_told_of_when_it_comes(own_device, tmp_path):
    environment = configured(own_device)
    port = own_device.https.rsplit(":", 1)[1]
    own_device.stop()
    with running(environment, tmp_path, "--interval", "1") as exporter:
        assert exporter.value("hem_up") == 0
        assert exporter.value("hem_finding", name="unreachable", level="fault") == 1
        own_device._arguments, own_device._init = ("--https-port", port), False
        own_device.start()
        exporter.wait_until(lambda: exporter.value("hem_up") == 1)
        assert exporter.value("hem_temperature_celsius") == 41.5
        own_device.stop()
        exporter.wait_until(lambda: exporter.value("hem_up") == 0)
        assert exporter.value("hem_temperature_celsius") is None
        assert exporter.value("hem_failures_total", kind="unreachable") >= 1


def test_a_slow_device_keeps_nobody_waiting_longer_than_he_says(own_device, tmp_path):
    with running(configured(own_device), tmp_path, "--interval", "1") as exporter:
        assert exporter.value("hem_up") == 1
        order(own_device, "fault", name="stall", seconds=20, count=1, endpoint="GET /api/system/status")
        time.sleep(1.2)
        began = time.monotonic()
        values = values_of(exporter.page(X_Prometheus_Scrape_Timeout_Seconds="1"))
        assert time.monotonic() - began < 5
        up = frozenset({("device", "hem")})
        assert values["hem_up", up] == 1  # as it was asked last, a moment ago
        assert values["hem_collection_timestamp_seconds", up] < time.time() - 1


def test_garbage_sent_to_its_port_ends_nothing(device, tmp_path):
    with running(configured(device), tmp_path) as exporter:
        for data in (os.urandom(4096), b"\0" * 100_000, b"GET /metrics", b"\r\n" * 1000):
            with socket.create_connection(("127.0.0.1", exporter.port), 10) as raw:
                raw.sendall(data)
        assert exporter.value("hem_up") == 1


def test_a_signal_ends_it_also_while_a_device_keeps_it_waiting(own_device, tmp_path):
    with running(configured(own_device), tmp_path, "--interval", "1") as exporter:
        order(own_device, "fault", name="stall", seconds=60, count=1, endpoint="GET /api/system/status")
        exporter.page(X_Prometheus_Scrape_Timeout_Seconds="0.5")
        began = time.monotonic()
        exporter.process.send_signal(signal.SIGINT)
        assert exporter.process.wait(20) == 0
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--listen", "0.0.0.0:0"], 2, "others would reach it, without a login and without TLS"),
        (["--listen", "somewhere"], 2, "'somewhere' is no address to listen at"),
        (["--interval", "0"], 2, "'0' is not a number of seconds from 1 to"),
        (["--interval", "1.5"], 2, "'1.5' is not a number of seconds"),
        (["--self-test", "-1"], 2, "'-1' is not a number of seconds from 0"),
        (["--device", "nobody"], 5, "nobody"),
        (["--listen", "127.0.0.1:0", "extra"], 2, "extra"),
    ],
)
def test_what_is_typed_wrong_is_told_in_a_line(device, arguments, status, said):
    done = hem(*arguments, **configured(device))
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(device):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = hem("--listen", f"127.0.0.1:{port}", **configured(device))
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: it cannot listen there: Address already in use" in done.stderr


def test_a_package_that_is_missing_is_named(device, tmp_path):
    (tmp_path / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError('gone', name='prometheus_client')\n"
    )
    done = hem("--once", **{**configured(device), "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "'hem exporter' needs the extra 'exporter', which is not installed" in done.stderr
    assert done.stderr.rstrip().endswith(install_command("exporter"))
    assert "prometheus_client" in done.stderr


# --- with an agent -----------------------------------------------------------------------------------


def by(agent, **settings):
    """The environment of an exporter of whoever runs the agent, without a passphrase of its own."""
    return {**agent.environment, **settings}


def test_what_all_programs_ask_through_the_agent_is_counted(device, tmp_path):
    with RunningAgent(device, source=False) as agent:
        agent.calls.unlock("k", device.passphrase)
        client = agent.client()
        [kid] = [
            each["kid"]
            for each in client("GET", "/devices/k/api/keymgmt/list/0/15", scope="keymgmt:list")[2]["list"]
            if each["label"] == "a secret name"
        ]
        for _ in range(7):
            status, _, _ = client(
                "POST", "/devices/k/api/crypto/exdsa/sign", sign_body(kid), scope=f"keymgmt:use:{kid}"
            )
            assert status == 200
        client("GET", "/devices/k/api/nonsense/of/mine", scope=f"keymgmt:use:{kid}")
        with running(by(agent), tmp_path, "--interval", "1") as exporter:
            assert exporter.value("hem_agent_up") == 1
            assert exporter.value("hem_agent_unlocked", device="k") == 1
            assert exporter.value("hem_login_available", device="k") == 1
            assert exporter.value("hem_agent_waiting_requests") == 0
            count = "hem_call_duration_seconds_count"
            sign = {"by": "agent", "method": "POST", "endpoint": "/api/crypto/exdsa/sign"}
            assert exporter.value(count, **sign) == 7
            assert exporter.value(count, by="agent", endpoint="other") == 1
            assert exporter.value("hem_failures_total", by="agent", kind="status-404") == 1
            assert exporter.value("hem_logins_total", by="agent") == agent.device["logins"]
            assert exporter.value("hem_keys", type="ED25519") == 1
            # The exporter's own calls went through the agent, too.
            assert exporter.value(count, by="exporter", endpoint="/api/system/status") is None
            assert kid not in exporter.page()
            agent.stop()
            exporter.wait_until(lambda: exporter.value("hem_agent_up") == 0)
            assert exporter.value("hem_agent_unlocked") is None
            assert exporter.value("hem_up") == 1  # by its own way


def test_a_locked_agent_is_told_of_and_is_not_unlocked(device, tmp_path):
    with RunningAgent(device) as agent:  # with a passphrase file: it would unlock itself for whoever asks
        agent.unlock().calls.lock()
        agent.wait_until(lambda: (agent.status() or {}).get("devices", [{}])[0].get("state") == "locked")
        environment = by(agent, HEM_CONFIG="", HEM_URL=device.https, HEM_CA_FILE=str(device.ca_file))
        del environment["HEM_CONFIG"]
        with running(environment, tmp_path, "--interval", "1") as exporter:
            assert exporter.value("hem_up") == 1
            assert exporter.value("hem_login_available") == 0
            assert exporter.value("hem_agent_unlocked") == 0
            assert exporter.value("hem_selftest_failures") is None
            assert agent.device["state"] == "locked"


def test_an_agent_that_is_watched_is_as_idle_as_it_is(device, tmp_path):
    with RunningAgent(device, "--idle", "3", source=False) as agent:
        agent.calls.unlock("k", device.passphrase)
        with running(by(agent), tmp_path, "--interval", "1", "--self-test", "0") as exporter:
            assert exporter.value("hem_agent_unlocked") == 1
            ends = time.monotonic() + 20
            while exporter.value("hem_agent_unlocked") != 0:
                assert time.monotonic() < ends, "reading the metrics keeps the agent awake"
                time.sleep(0.3)
            exporter.wait_until(lambda: exporter.value("hem_login_available") == 0)
            assert exporter.value("hem_up") == 1


def test_several_devices_are_told_apart(device, tmp_path, tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("second"), arguments=("--model", "epa")) as second:
        config = tmp_path / "config.toml"
        config.write_text(
            "".join(
                f'[[device]]\nname = "{name}"\nurl = "{each.https}"\nca_file = "{each.ca_file}"\n'
                f'passphrase_file = "{each.passphrase_file}"\n'
                for name, each in (("stick", device), ("rack", second))
            )
        )
        config.chmod(0o600)
        environment = {**os.environ, "HEM_CONFIG": str(config)}
        with running(environment, tmp_path) as exporter:
            assert exporter.value("hem_up", device="stick") == exporter.value("hem_up", device="rack") == 1
            assert exporter.value("hem_device_info", device="stick", model="PPA") == 1
            assert exporter.value("hem_device_info", device="rack", model="EPA") == 1
            assert exporter.value("hem_disk_size_bytes", device="rack") is None
            assert exporter.value("hem_log_problems", device="rack") is None  # it keeps no files
            assert exporter.value("hem_selftest_failures", device="rack") == 0
        with running(environment, tmp_path, "--device", "rack") as exporter:
            assert exporter.value("hem_up") == 1
