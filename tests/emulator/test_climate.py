"""Temperature, humidity and what heat does; all of it can be set on a served device, too."""

from __future__ import annotations

import pytest

from hem_provider.emulator import control


def set_climate(rig, **parameters):
    return control.run(rig.device, "climate", parameters)


def status(rig):
    return rig.call("GET", "/api/system/status").json()


def test_a_device_is_warm_at_first_and_tells_no_humidity(rig):
    assert status(rig)["temp"] == 41.5
    assert "humidity" not in status(rig)


def test_values_hold_and_drift_by_the_hour_as_far_as_the_sensor_goes(rig):
    set_climate(rig, temperature="20", humidity=50, temperature_drift=10, humidity_drift=-2.5)
    rig.clock.now += 1800
    assert (status(rig)["temp"], status(rig)["humidity"]) == (25.0, 48.8)
    rig.clock.now += 100 * 3600
    assert (status(rig)["temp"], status(rig)["humidity"]) == (125.0, 0.0)


def test_what_is_not_given_stays_as_it_is_by_now(rig):
    set_climate(rig, temperature=20, temperature_drift=6)
    rig.clock.now += 3600
    found = set_climate(rig, humidity=40)
    expected = {"temperature": 26.0, "humidity": 40.0, "temperature_drift": 6.0, "humidity_drift": 0.0}
    assert found == expected | {"fail_state": 0}
    rig.clock.now += 3600
    assert status(rig)["temp"] == 32.0
    set_climate(rig, humidity="none")
    assert "humidity" not in status(rig)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("temperature", 126, "from -40 to 125"),
        ("temperature", "hot", "from -40 to 125"),
        ("temperature", "nan", "from -40 to 125"),
        ("temperature", "none", "from -40 to 125"),
        ("humidity", -1, "from 0 to 100"),
        ("humidity_drift", 1e9, "from -10000 to 10000"),
        ("temperature", True, "from -40 to 125"),
    ],
)
def test_a_value_that_no_sensor_shows_is_refused_and_changes_nothing(rig, name, value, accepted):
    with pytest.raises(control.ControlError, match=f"{name} is a number {accepted}, not {value!r}"):
        set_climate(rig, **{name: value})
    assert status(rig)["temp"] == 41.5


def test_another_name_is_refused_with_those_there_are(rig):
    with pytest.raises(control.ControlError, match="no 'pressure'; it has temperature, humidity"):
        set_climate(rig, pressure=1000)


def test_heat_latches_the_fail_state_with_its_event_and_refuses_operations(rig):
    token = rig.token("keymgmt:gen", seconds=7200)
    set_climate(rig, temperature=80, temperature_drift=7)
    assert create(rig, token) == 200
    rig.clock.now += 3600
    assert create(rig, token) == 409
    assert status(rig)["fls_state"] == 4
    with rig.device.model.transaction():
        lines = [line for _, line in rig.device.model.log_files.rows(rig.device.model.boot.log_file)]
    assert lines[-1].split("|")[2] == "8"
    set_climate(rig, temperature=60, temperature_drift=0)
    assert create(rig, token) == 200


def test_a_bit_that_was_ordered_does_not_go_by_cooling(rig):
    control.run(rig.device, "fault", {"name": "fls", "status": 4})
    set_climate(rig, temperature=20)
    assert status(rig)["fls_state"] == 4


def test_fail_state_bits_are_set_and_cleared_one_by_one(rig):
    def events():
        with rig.device.model.transaction():
            rows = rig.device.model.log_files.rows(rig.device.model.boot.log_file)
        return [line.split("|")[2] for _, line in rows[1:]]

    before = len(events())
    for bits in (0x0B, 0x09, 0xFF, 0):
        assert set_climate(rig, fail_state=bits)["fail_state"] == bits
        assert status(rig)["fls_state"] == bits
    assert events()[before:] == ["5", "8", "5", "8"]
    for bits in (-1, 256, "2", True):
        with pytest.raises(control.ControlError, match="fail_state is a whole number from 0 to 255"):
            set_climate(rig, fail_state=bits)


def create(rig, token):
    body = {"label": "x", "type": "AES128"}
    return rig.call("POST", "/api/keymgmt/create", body, token=token).status
