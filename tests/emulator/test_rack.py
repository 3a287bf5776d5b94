"""An EPA's chips: devices of their own under host names of their own, one process, one backend."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.passphrases import ADMIN, PASSPHRASE
from support.rig import Rig

from hem_provider.cli import main as cli
from hem_provider.device import connect
from hem_provider.emulator import EmulatedDevice, control
from hem_provider.emulator.rack import Rack, open_chips
from hem_provider.emulator.wsgiclient import call

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node7", "not NODE:CHIPS with 1 to 10 chips"),
        ("node7:0", "1 to 10 chips"),
        ("node7:11", "1 to 10 chips"),
        ("node7:+3", "1 to 10 chips"),
        ("Node:3", "lower-case letters"),
        (":3", "lower-case letters"),
        ("a.b:3", "lower-case letters"),
        ("-a:3", "lower-case letters"),
        (f"{'a' * 64}:3", "1 to 63"),
    ],
)
def test_what_is_no_node_with_chips_is_refused_with_what_is(text, message):
    with pytest.raises(ValueError, match=message):
        Rack.parse(text)


def test_names_of_chips_are_those_of_the_delivery_note():
    rack = Rack.parse("node7:10")
    assert [rack.host(label) for label in rack.labels][::9] == [
        "c1.node7.cloud.ence.do",
        "c10.node7.cloud.ence.do",
    ]


@pytest.fixture
def chips(tmp_path):
    opened = open_chips(tmp_path / "rack", Rack("node7", 3))
    yield opened
    for device in opened:
        device.close()


def config_of(device):
    with device.model.transaction():
        return device.model.config


def check_in(device, by):
    """The device's check-in by way of another's cloud."""
    check = call(device.device, "GET", "/api/system/checkin").json()
    checked = call(by.cloud, "POST", "/checkin", check).json()
    return call(device.device, "POST", "/api/system/checkin", checked).json()["status"]


def initialise(device, host):
    rig = Rig.__new__(Rig)
    rig.device = device
    rig.initialise(hostname=host)


def test_each_chip_is_a_device_of_its_own_under_one_authority(chips, tmp_path):
    found = set()
    for device in chips:
        with device.model.transaction():
            state = device.model.state
            found.add((state.factory.serial, state.identity.private, state.identity.log_key))
            assert (state.factory.model, state.knobs.ca) == ("epa", chips[0].model.store.load().knobs.ca)
    assert len(found) == 3
    assert sorted(path.name for path in (tmp_path / "rack").glob("*.hem")) == ["c1.hem", "c2.hem", "c3.hem"]
    assert (tmp_path / "rack").stat().st_mode & 0o777 == 0o700
    assert call(chips[1].device, "GET", "/api/system/version").json()["hwv"].startswith("EPA")


def test_a_chip_in_use_is_not_opened_under_another_name_nor_a_ppa_as_a_chip(chips, tmp_path):
    initialise(chips[0], "c1.node7.cloud.ence.do")
    with pytest.raises(
        ValueError, match=r"c1\.hem is in use as c1\.node7\.cloud\.ence\.do, not as c1\.node8"
    ):
        open_chips(tmp_path / "rack", Rack("node8", 3))
    EmulatedDevice(tmp_path / "other.hem").close()
    (tmp_path / "ppa").mkdir()
    (tmp_path / "other.hem").rename(tmp_path / "ppa" / "c1.hem")
    with pytest.raises(ValueError, match="is a PPA, not a chip of an EPA"):
        open_chips(tmp_path / "ppa", Rack("node7", 1))
    with pytest.raises(ValueError, match="an EPA's state is a folder"):
        open_chips(tmp_path / "ppa" / "c1.hem", Rack("node7", 1))


def test_an_order_reaches_the_device_of_that_instance_by_whichever_port(chips):
    for number, device in enumerate(chips, 1):
        initialise(device, f"c{number}.node7.cloud.ence.do")
    second = config_of(chips[1]).instance_id
    control.run(chips[2], "backend", {"instance": second.upper(), "action": "R"})
    assert [check_in(device, chips[0]) for device in chips] == ["OK", "R", "OK"]
    assert [check_in(chips[1], by) for by in chips] == ["R"] * 3
    control.run(chips[2], "backend", {"instance": second, "action": "OK"})
    assert check_in(chips[1], chips[0]) == "OK"


def test_an_order_for_one_instance_locks_that_device_alone_and_goes_before_the_order_for_all(chips):
    for number, device in enumerate(chips, 1):
        initialise(device, f"c{number}.node7.cloud.ence.do")
    first = config_of(chips[0]).instance_id
    done = control.run(chips[0], "backend", {"instance": first, "action": "L"})
    assert done["orders"] == {first: "L"}
    control.run(chips[0], "backend", {"action": "R"})
    assert [check_in(device, chips[2]) for device in chips] == ["L", "OK", "OK"]
    assert config_of(chips[0]).user_key == b""
    assert config_of(chips[1]).user_key != b""


def test_a_device_that_is_wiped_has_another_instance_and_no_order(rig):
    instance = control.run(rig.device, "state")["instance"]
    control.run(rig.device, "backend", {"instance": instance, "action": "R"})
    assert rig.check_in() == "R"
    control.run(rig.device, "reset", {"how": "wipe"})
    assert control.run(rig.device, "state")["instance"] is None
    rig.initialise()
    assert rig.check_in() == "OK"


def test_a_device_that_trusts_no_backend_obeys_no_order(rig):
    rig.configure(trusted_backend=False)
    instance = control.run(rig.device, "state")["instance"]
    control.run(rig.device, "backend", {"instance": instance, "action": "W"})
    assert rig.check_in() == "W"
    assert config_of(rig.device) is not None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"instance": "my device", "action": "L"},
            "the UUID that the device's settings show, not 'my device'",
        ),
        ({"instance": "00000000-0000-4000-8000-000000000000"}, "needs an action"),
        ({"instance": "00000000-0000-4000-8000-000000000000", "action": "X"}, "orders one of"),
    ],
)
def test_a_faulty_order_is_refused(rig, parameters, message):
    with pytest.raises(control.ControlError, match=message):
        control.run(rig.device, "backend", parameters)
    assert control.run(rig.device, "backend")["orders"] == {}


def test_the_backend_tells_of_newer_firmware_and_dashboard(rig):
    control.run(rig.device, "backend", {"newfw": True, "newui": True})
    check = rig.call("GET", "/api/system/checkin").json()
    answer = rig.call("POST", "/api/system/checkin", rig.cloud("POST", "/checkin", check).json()).json()
    assert set(answer) == {"status", "newfws", "newuis"}


@pytest.fixture
def served(tmp_path):
    """Three chips behind real TLS: the place of each, by its host name."""
    for name, secret in (("user", PASSPHRASE), ("admin", ADMIN)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    command = [sys.executable, "-m", "hem_provider.emulator", "serve", "--state", str(tmp_path / "rack")]
    command += ["--epa", "node7:3", "--init", "--latency", "none", "--access-log", str(tmp_path / "log")]
    command += ["--control", str(tmp_path / "control")]
    command += [
        "--passphrase-file",
        str(tmp_path / "user"),
        "--admin-passphrase-file",
        str(tmp_path / "admin"),
    ]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT)
    assert process.stdout is not None
    places = {}
    for _ in range(3):
        line = process.stdout.readline()
        assert line.startswith("ready "), (tmp_path / "said").read_text()
        found = dict(word.split("=", 1) for word in line.split()[1:])
        places[found["name"]] = found
    yield places
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.stdout.close()


def test_every_chip_is_reached_by_its_name_and_shows_a_certificate_for_it(served, tmp_path, monkeypatch):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: resolve("127.0.0.1" if host in served else host, *rest, **more),
    )
    monkeypatch.setenv("HEM_AGENT", "never")
    identities = set()
    for host, place in served.items():
        settings = {
            "ca_file": place["ca"],
            "cloud_url": served["c1.node7.cloud.ence.do"]["cloud"],
            "cloud_ca_file": place["ca"],
        }
        url = f"https://{host}:{place['https'].rpartition(':')[2]}"
        with connect(url, passphrase=PASSPHRASE, **settings) as hem:
            hem.check_in()
            hem.keys.create("ED25519", label=host.partition(".")[0])
            identities.add(hem.probe().eid)
            assert hem.status().hostname in (None, host)
            assert hem.admin.configuration().hostname == host
    assert len(identities) == 3
    for number, place in enumerate(served.values(), 1):
        with EmulatedDevice(place["state"]) as device, device.model.transaction():
            repository = device.model.repository
            labels = [each.label for each in repository.read(repository.slots()) if each.modes]
            assert labels == [f"c{number}"]
    ports = {json.loads(line)["port"] for line in (tmp_path / "log").read_text().splitlines()}
    assert {f"{host} https" for host in served} <= ports
    assert "c1.node7.cloud.ence.do cloud" in ports
    assert sorted(path.name for path in tmp_path.glob("control*")) == [
        "control.c1",
        "control.c2",
        "control.c3",
    ]


def test_what_serve_says_is_a_configuration(served, tmp_path):
    import tomllib

    said = (tmp_path / "said").read_text()
    assert f"127.0.0.1 {' '.join(served)}" in said
    tables = [line[2:] for line in said.splitlines() if line.startswith("  ")]
    text = "\n".join(tables[tables.index("[[device]]") :])
    devices = tomllib.loads(text)["device"]
    assert [device["name"] for device in devices] == ["c1", "c2", "c3"]
    for device, (host, place) in zip(devices, served.items(), strict=True):
        assert device["url"] == f"https://{host}:{place['https'].rpartition(':')[2]}"
    file = tmp_path / "config.toml"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "config", "check"],
        env={**os.environ, "HEM_CONFIG": str(file)},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_init_makes_the_chips_which_work_in_the_process_too(tmp_path, capsys, monkeypatch):
    for name in ("user", "admin"):
        (tmp_path / name).write_text(f"{name} passphrase")
        (tmp_path / name).chmod(0o600)
    files = ["--passphrase-file", tmp_path / "user", "--admin-passphrase-file", tmp_path / "admin"]
    words = ["emulator", "init", "--state", tmp_path / "rack", "--epa", "n:2", *files]
    assert cli.main([str(word) for word in words]) == 0
    assert "initialised as c2.n.cloud.ence.do, clock set" in capsys.readouterr().err
    with connect(f"emulator:{tmp_path / 'rack' / 'c2.hem'}", passphrase="user passphrase") as hem:
        assert hem.admin.configuration().hostname == "c2.n.cloud.ence.do"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epa", "n:2", "--model", "ppa"], "--model ppa does not go with it"),
        (["--epa", "n:99"], "1 to 10 chips"),
    ],
)
def test_what_does_not_go_with_a_set_is_refused(tmp_path, capsys, words, message):
    assert cli.main(["emulator", "serve", "--state", str(tmp_path / "rack"), *words]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "rack").exists()


def test_a_folder_is_no_state_file_of_one_device(tmp_path, capsys):
    assert cli.main(["emulator", "reset", "--state", str(tmp_path), "--reboot"]) == 1
    assert f"a chip of an EPA is a file in it: {tmp_path / 'c1.hem'}" in capsys.readouterr().err
