"""``hem status``, ``hem doctor`` and the metrics find the same of a device, by the same names."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.emulator import ServedEmulator
from support.exporter import configured, order, shorten_certificate, values_of

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
#: What doctor finds of this machine, which neither status nor metrics look at.
OF_THE_MACHINE = (
    "module-",
    "engine-",
    "provider-",
    "openssl-",
    "keyring-",
    "agent-",
    "registered-",
    "cloud-",
)
CLIMATE = {"temperature": 41.5, "humidity": "none"}


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        yield emulator


def hem(device, *arguments):
    done = subprocess.run(
        [*HEM, *arguments], env=configured(device, secret=False), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.stdout


def found_by_all(device):
    """(name, level) of what each finds; they have to find the same."""
    status = json.loads(hem(device, "status", "--json"))["findings"]
    by_status = {(each["name"], each["level"]) for each in status}
    checks = json.loads(hem(device, "doctor", "--no-login", "--json"))["checks"]
    by_doctor = {
        (each["name"], each["level"])
        for check in checks
        for each in check["findings"]
        if not each["name"].startswith(OF_THE_MACHINE)
    }
    values = values_of(hem(device, "exporter", "--once"))
    labels = [dict(labels) for name, labels in values if name == "hem_finding"]
    by_metrics = {(each["name"], each["level"]) for each in labels}
    assert by_status == by_metrics
    assert by_doctor == by_metrics
    return by_metrics


@pytest.mark.parametrize(
    ("orders", "undo", "names"),
    [
        ([], [], set()),
        (
            [("climate", {"temperature": 80, "humidity": 97})],
            [("climate", CLIMATE)],
            {("temperature-out-of-range", "warning"), ("humidity-out-of-range", "fault")},
        ),
        (
            [("climate", {"temperature": -5, "humidity": 3})],
            [("climate", CLIMATE)],
            {("temperature-out-of-range", "fault"), ("humidity-out-of-range", "warning")},
        ),
        (
            [("climate", {"fail_state": 3})],
            [("climate", {"fail_state": 0})],
            {("known-answer-test-failed", "fault"), ("entropy-failed", "fault")},
        ),
        (
            [("fault", {"name": "clock-error", "seconds": 600})],
            [("fault", {"name": "clock-error", "seconds": -600})],
            {("clock-ahead", "warning")},
        ),
        (
            [("fault", {"name": "clock-error", "seconds": -8000})],
            [("fault", {"name": "clock-error", "seconds": 8000})],
            {("clock-behind", "fault")},
        ),
    ],
    ids=["well", "hot and damp", "cold and dry", "failed tests", "ahead", "behind"],
)
def test_all_three_find_the_same(device, orders, undo, names):
    for action, parameters in orders:
        order(device, action, **parameters)
    try:
        assert found_by_all(device) == names
    finally:
        for action, parameters in undo:
            order(device, action, **parameters)


@pytest.mark.parametrize(("days", "level"), [(15, "warning"), (5, "fault")])
def test_all_three_judge_the_certificate_alike(device, days, level, monkeypatch):
    shorten_certificate(device, days, monkeypatch)
    assert found_by_all(device) == {("certificate-ends-soon", level)}


def test_humidity_stands_on_the_screen_where_the_device_tells_it(device):
    assert "humidity" not in hem(device, "status")
    order(device, "climate", humidity=55)
    assert "55 % humidity" in hem(device, "status")
    assert json.loads(hem(device, "status", "--json"))["humidity"] == 55
