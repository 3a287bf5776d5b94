"""Time that is pressed: a day of the device in an hour of ours."""

from __future__ import annotations

import time

import pytest
from cryptography import x509
from support.clocks import Clock
from support.emulator import ServedEmulator, client_of
from support.rig import Rig, proof

from hem_provider.emulator import tls
from hem_provider.emulator.clock import PressedClock, rate_of
from hem_provider.rest import auth


def test_a_pressed_clock_goes_on_from_the_machines_time_or_later():
    machine = Clock(1000.0)
    pressed, later = PressedClock(24, clock=machine), PressedClock(24, since=5000.0, clock=machine)
    assert (pressed(), later()) == (1000.0, 5000.0)
    machine.advance(10)
    assert (pressed(), later()) == (1240.0, 5240.0)


@pytest.mark.parametrize("text", ["0.5", "3601", "nan", "-1", "fast", ""])
def test_a_rate_that_is_none_is_told(text):
    assert rate_of("24") == 24
    with pytest.raises(ValueError, match=f"1 to 3600 times as fast as the machine's, not {text!r}"):
        rate_of(text)


def test_tokens_end_by_the_pressed_clock_and_challenges_by_ours(tmp_path):
    machine = Clock()
    rig = Rig(tmp_path / "device.hem", clock=machine)
    rig.device.model.press_time(100)
    token, kept = rig.token("keymgmt:list", seconds=3600), proof(rig)
    machine.advance(35)
    assert rig.call("GET", "/api/keymgmt/list/0/15", token=token).status == 200
    assert rig.call("POST", "/api/auth/token", {"auth": kept}).status == 200
    late = proof(rig)
    machine.advance(2)
    assert rig.call("GET", "/api/keymgmt/list/0/15", token=token).status == 401
    machine.advance(60)
    assert rig.call("POST", "/api/auth/token", {"auth": late}).status == 401
    rig.close()


def device_ahead(hem):
    """Seconds by which the device's clock is ahead of the machine's."""
    return hem.session.run(auth.challenge()).offset


def test_a_served_device_follows_its_rate(tmp_path):
    with ServedEmulator(tmp_path, arguments=("--clock-rate", "600")) as served:
        with client_of(served, agent="never") as hem:
            first, began = device_ahead(hem), time.time()
            time.sleep(1.2)
            hem.keys.create("ED25519", label="k").private_key().sign(b"message")
            ahead = device_ahead(hem) - first
            passed = time.time() - began
    assert 599 * passed - 610 < ahead < 599 * passed + 610


def test_a_certificate_is_issued_at_the_time_of_its_world():
    authority = tls.make_authority()
    tomorrow = time.time() + 86400
    chain = tls.issue(authority, ("localhost",), now=tomorrow).chain
    leaf = x509.load_pem_x509_certificate(chain.encode())
    assert leaf.not_valid_before_utc.timestamp() == int(tomorrow) - 86400
