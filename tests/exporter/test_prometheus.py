"""A real Prometheus reads a real exporter of an emulated device behind real TLS, and its alerts fire."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.parse
import urllib.request

import pytest
from support.emulator import ServedEmulator, client_of
from support.exporter import configured, order, running, shorten_certificate

from tools import make_monitoring
from tools.servers import free_port, served

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus")


class Prometheus:
    def __init__(self, port):
        self._base = f"http://127.0.0.1:{port}/api/v1/"

    def ask(self, what, **parameters):
        """What its API answers."""
        with urllib.request.urlopen(
            f"{self._base}{what}?{urllib.parse.urlencode(parameters)}", timeout=30
        ) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        return told["data"]

    def value(self, query):
        found = self.ask("query", query=query)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def firing(self):
        """(alert, severity) of all that fire."""
        return {
            (each["labels"]["alertname"], each["labels"]["severity"]): each
            for each in self.ask("alerts")["alerts"]
            if each["state"] == "firing"
        }

    def wait_for(self, happened, seconds=60):
        ends = time.monotonic() + seconds
        while True:
            try:
                if happened():
                    return
            except OSError:
                pass  # it does not answer yet
            assert time.monotonic() < ends, (self.ask("alerts"), self.ask("targets"))
            time.sleep(0.2)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        with client_of(emulator) as hem:
            hem.keys.create("ED25519", label="one")
        yield emulator


@pytest.fixture(scope="module")
def exporter(device, tmp_path_factory):
    with running(configured(device), tmp_path_factory.mktemp("exporter"), "--interval", "1") as made:
        yield made


@pytest.fixture(scope="module")
def prometheus(exporter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(make_monitoring.RULES, folder)
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / make_monitoring.RULES.name)],
        "scrape_configs": [
            {"job_name": "hem", "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with served(command, port, environment=os.environ, folder=folder):
        yield Prometheus(port)


def test_it_reads_what_the_exporter_tells(prometheus):
    prometheus.wait_for(lambda: prometheus.value("hem_up") == 1)
    [target] = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert prometheus.value("hem_temperature_celsius") == 41.5
    assert prometheus.value('hem_keys{type="ED25519"}') == 1
    assert prometheus.value("sum(hem_call_duration_seconds_count)") >= 5
    assert prometheus.value("histogram_quantile(0.5, sum by (le) (hem_call_duration_seconds_bucket))") < 60
    assert prometheus.value("hem_certificate_expiry_timestamp_seconds - time()") > 80 * 86_400
    told = {each["metric"]: each for each in prometheus.ask("targets/metadata")}
    assert told["hem_temperature_celsius"]["type"] == "gauge"
    assert told["hem_call_duration_seconds"]["type"] == "histogram"


def test_its_rules_are_good_and_nothing_fires_for_a_healthy_device(prometheus):
    prometheus.wait_for(lambda: prometheus.value("hem_up") == 1)
    [group] = prometheus.ask("rules")["groups"]
    assert len(group["rules"]) == len(make_monitoring.alerts())
    prometheus.wait_for(
        lambda: all(each["health"] == "ok" for each in prometheus.ask("rules")["groups"][0]["rules"])
    )
    assert prometheus.firing() == {}


def test_an_alert_fires_when_the_device_gets_hot_and_ends_when_it_has_cooled(prometheus, device):
    order(device, "climate", temperature=80)
    prometheus.wait_for(lambda: ("HemTemperature", "warning") in prometheus.firing())
    alert = prometheus.firing()["HemTemperature", "warning"]
    assert alert["annotations"]["summary"] == "hem: temperature: 80 °C"
    order(device, "climate", temperature=86)
    prometheus.wait_for(lambda: ("HemTemperature", "critical") in prometheus.firing())
    assert ("HemTemperature", "warning") not in prometheus.firing()
    order(device, "climate", temperature=99)
    prometheus.wait_for(lambda: ("HemFailState", "critical") in prometheus.firing())
    assert prometheus.firing()["HemFailState", "critical"]["labels"]["state"] == "too-hot"
    order(device, "climate", temperature=40)
    prometheus.wait_for(lambda: prometheus.firing() == {})


def test_an_alert_fires_when_randomness_fails(prometheus, device):
    order(device, "climate", fail_state=2)
    prometheus.wait_for(lambda: ("HemEntropy", "critical") in prometheus.firing())
    assert ("HemFailState", "critical") not in prometheus.firing()
    order(device, "climate", fail_state=0)
    prometheus.wait_for(lambda: prometheus.firing() == {})


def test_alerts_fire_when_the_certificate_is_short_and_when_it_has_ended(device, tmp_path, monkeypatch):
    """What the exporter tells of it after its start, as Prometheus would judge it."""
    for days, severity in ((12, "warning"), (3, "critical")):
        shorten_certificate(device, days, monkeypatch)
        with running(configured(device), tmp_path, "--interval", "1") as exporter:
            left = exporter.value("hem_certificate_expiry_timestamp_seconds") - time.time()
            assert days - 1 < left / 86_400 <= days
            level = "fault" if severity == "critical" else "warning"
            assert exporter.value("hem_finding", name="certificate-ends-soon", level=level) == 1
    order(device, "fault", name="expired-certificate")
    with running(configured(device), tmp_path, "--interval", "1") as exporter:
        assert exporter.value("hem_up") == 0
        assert exporter.value("hem_certificate_expiry_timestamp_seconds") < time.time()
        assert exporter.value("hem_certificate_trusted") == 0
        assert exporter.value("hem_finding", name="certificate-expired", level="fault") == 1


def test_the_alert_of_an_ended_certificate_fires(prometheus, device, exporter):
    """It was good when the exporter started; the connection that fails has it looked at anew."""
    prometheus.wait_for(lambda: exporter.value("hem_up") == 0)
    prometheus.wait_for(lambda: ("HemCertificateEnds", "critical") in prometheus.firing())
