"""Every fault that the emulator can play is diagnosed by its name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from support.emulator import ServedEmulator

from hem_provider.cli import doctor_actions
from hem_provider.cli import main as cli
from hem_provider.cli.doctor.checking import Patient, run_all
from hem_provider.cli.doctor.order import CHECKS
from hem_provider.cli.doctor.report import exit_status
from hem_provider.device.health import ANSWERED, FAIL_STATES, Level
from hem_provider.emulator import EmulatedDevice, control
from hem_provider.emulator.faults import FAULTS, FaultKind
from hem_provider.emulator.setup import check_in
from tools.servers import free_port

STATUS = "GET /api/system/status"
#: Fault → the name of what is found, where, and parameters of the fault. A fault that is not here has no
#: diagnosis.
DIAGNOSES = {
    "reset-before": ("connection-reset", "status", {}),
    "reset-after": ("connection-reset", "status", {}),
    "truncate": ("answer-cut-short", "status", {}),
    "slow": ("answers-slowly", "status", {"seconds": 3.0}),
    "stall": ("answers-slowly", "status", {"seconds": 3.0}),
    "hang": ("no-answer", "status", {"seconds": 60.0}),
    "hang-after": ("no-answer", "status", {"seconds": 60.0}),
    "status": ("device-error", "status", {}),
    "status-after": ("device-error", "status", {}),
    "empty": ("answer-empty", "status", {}),
    "garbage": ("answer-not-json", "status", {}),
    "fieldless": ("answer-without-fields", "status", {}),
    "wrong-types": ("answer-of-wrong-types", "status", {}),
    "cloud-down": ("cloud-unreachable", "cloud", {}),
    "install-busy": ("installation-in-progress", "secure-element", {}),
    "repository-full": ("repository-full", "self-test", {}),
    "fls": ("entropy-failed", "state", {}),
    "clock-error": ("clock-ahead", "clock", {}),
    "clock-unset": ("clock-unset", "clock", {}),
    "expired-certificate": ("certificate-expired", "certificate", {}),
    "lost-certificate": ("certificate-lost", "certificate", {}),
    "unprovisioned": ("unprovisioned", "secure-element", {}),
}
#: The checks of the device itself; those of the machine have their own tests.
OF_DEVICE = CHECKS[: [each.name for each in CHECKS].index("log") + 1]


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


@pytest.fixture
def sick(device, monkeypatch):
    """Lets fate strike, and looks what is found: name of the check → its outcome. The device is as new
    afterwards."""
    for name, value in {
        "URL": device.https,
        "CA_FILE": device.ca_file,
        "PASSPHRASE_FILE": device.passphrase_file,
        "CLOUD_URL": device.cloud,
        "CLOUD_CA_FILE": device.ca_file,
        "TIMEOUT": "4",
    }.items():
        monkeypatch.setenv(f"HEM_{name}", str(value))
    emulated = EmulatedDevice(device.state)
    with emulated.model.transaction():
        before = emulated.model.state

    def strike(command="fault", **parameters):
        if parameters:
            control.run(emulated, command, parameters)
        patient = Patient(SimpleNamespace(device=None, mobile=False, no_login=False))
        try:
            return {outcome.check.name: outcome for outcome in run_all(OF_DEVICE, patient)}
        finally:
            patient.close()

    strike.device = emulated
    yield strike
    with emulated.model.transaction():
        emulated.model.state = before
    check_in(emulated)
    emulated.close()


def faults_of(outcomes):
    """Names of all that is found."""
    return [finding.name for outcome in outcomes.values() for finding in outcome.findings]


def test_every_fault_has_a_diagnosis():
    assert set(DIAGNOSES) == set(FAULTS)


def test_a_device_without_faults_has_no_findings(sick):
    outcomes = sick()
    assert faults_of(outcomes) == []
    assert {each.state for each in outcomes.values()} <= {"ok", "not-used"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_diagnosed_by_name_where_it_is(sick, fault):
    name, check, parameters = DIAGNOSES[fault]
    if FAULTS[fault].kind is FaultKind.REQUEST:
        parameters = {"endpoint": STATUS, **parameters}
    outcomes = sick(name=fault, **parameters)
    (found,) = [each for each in outcomes[check].findings if each.name == name]
    assert found.cause
    assert found.advice
    if check == "status" and found.level is Level.FAULT:
        assert exit_status(list(outcomes.values())) == (1 if name in ANSWERED else 3)
        assert name in ANSWERED or "hem device" not in found.advice
    earlier = [outcome for outcome in outcomes.values() if outcome.check.name != check and outcome.findings]
    assert earlier == [], "the first cause alone is told"


@pytest.mark.parametrize("bit", FAIL_STATES)
def test_every_bit_of_the_fail_state_is_diagnosed(sick, bit):
    outcomes = sick(name="fls", status=bit)
    name, _ = FAIL_STATES[bit]
    assert [each.name for each in outcomes["state"].findings] == [name]
    assert outcomes["state"].findings[0].level is Level.FAULT


@pytest.mark.parametrize("text", ["atecc_1", "atecc_4"])
def test_a_secure_element_that_fails_is_diagnosed(sick, text):
    outcomes = sick("quirk", name="Q33", value=text)
    assert faults_of(outcomes) == ["secure-element-failed"]


@pytest.mark.parametrize("seconds", [-7200.0, -90.0, 90.0, 7200.0])
def test_a_clock_that_is_off_is_told_and_hinders_no_login(sick, seconds):
    outcomes = sick(name="clock-error", seconds=seconds)
    (found,) = outcomes["clock"].findings
    assert found.name == ("clock-ahead" if seconds > 0 else "clock-behind")
    assert found.level == (Level.FAULT if abs(seconds) > 3600 else Level.WARNING)
    assert outcomes["login"].state == "ok"


def test_what_depends_on_a_failed_check_is_not_tried_and_says_why(sick):
    outcomes = sick(name="clock-unset")
    for name in ("login", "scopes", "self-test", "secure-element", "log"):
        assert (outcomes[name].state, outcomes[name].told) == ("not-tried", "clock failed")
    calls = sick.device.model  # the emulated device's own clock is as it was: nothing was cured secretly
    with calls.transaction():
        assert not calls.boot.rtc_set


#: Where else a request can be struck → the check that tells it.
PLACES = {
    "GET /api/system/checkin": "cloud",
    "GET /api/auth/token": "login",
    "POST /api/auth/token": "login",
    "GET /api/keymgmt/list": "scopes",
    "GET /api/system/config": "scopes",
    "GET /api/logger/key": "scopes",
    "GET /api/system/selftest": "self-test",
    "GET /api/system/config/attestation": "secure-element",
    "GET /api/logger/list": "log",
}


@pytest.mark.parametrize("endpoint", PLACES)
@pytest.mark.parametrize("fault", ["reset-before", "status", "garbage"])
def test_a_request_that_is_struck_is_told_by_the_check_that_made_it(sick, fault, endpoint):
    outcomes = sick(name=fault, endpoint=endpoint)
    hit = [outcome.check.name for outcome in outcomes.values() if outcome.state == "fault"]
    assert hit[:1] == [PLACES[endpoint]]


def test_another_server_at_the_address_is_no_device(sick, monkeypatch):
    monkeypatch.setenv("HEM_URL", f"https://127.0.0.1:{free_port()}")
    outcomes = sick()
    assert faults_of(outcomes) == ["unreachable"]
    monkeypatch.setenv("HEM_URL", "https://no-such-host.invalid")
    assert faults_of(sick()) == ["name-unknown"]


def test_a_certificate_that_is_not_trusted_says_why(sick, device, monkeypatch):
    port = device.https.rpartition(":")[2]
    monkeypatch.setenv("HEM_URL", f"https://127.0.0.2:{port}")
    assert faults_of(sick()) in (["certificate-wrong-name"], ["unreachable"])
    monkeypatch.setenv("HEM_URL", device.https)
    monkeypatch.setenv("HEM_PIN_SHA256", "0" * 64)
    assert faults_of(sick()) == ["certificate-other-key"]
    monkeypatch.delenv("HEM_PIN_SHA256")
    monkeypatch.delenv("HEM_CA_FILE")
    assert faults_of(sick()) == ["certificate-foreign-ca"]


def test_an_expired_certificate_is_renewed_by_fix(sick, device, monkeypatch, capsys):
    """Which takes a login, a restart and a check-in."""
    monkeypatch.setattr(doctor_actions, "CHECKS", OF_DEVICE)
    control.run(sick.device, "fault", {"name": "expired-certificate"})
    control.run(sick.device, "backend", {"newcrt": True})
    assert cli.main(["doctor"]) == 3
    assert "hem doctor --fix renews it" in capsys.readouterr().out
    assert cli.main(["doctor", "--fix", "--yes"]) == 0
    told = capsys.readouterr().out
    assert "renew: the new certificate runs until " in told
    control.run(sick.device, "backend", {"newcrt": False})


def test_a_renewal_that_is_not_offered_says_so(sick, monkeypatch, capsys):
    monkeypatch.setattr(doctor_actions, "CHECKS", OF_DEVICE)
    control.run(sick.device, "fault", {"name": "expired-certificate"})
    assert cli.main(["doctor", "--fix", "--yes"]) == 3
    assert "the cloud has no new certificate yet; nothing was changed" in capsys.readouterr().out
