"""The soak in short: three processes and a restart; a day of simulated time; and that it can fail."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.clocks import Clock
from support.logs import verify
from support.traffic import LostReply, LostRequest

from campaign import soak
from campaign.outcome import Effort
from campaign.soak.growth import Sample, growth
from campaign.soak.timetable import HAPPENINGS, Attempt, Event, judged, plan
from campaign.soak.workers import class_of
from hem_provider.emulator import control
from hem_provider.errors import HemClockError, HemConnectionError, HemDeviceFault
from hem_provider.symmetric import open as unseal
from hem_provider.symmetric import seal

_THREE = ("python", "python-pkcs11", "openssl")
_ONE_REBOOT = ((2.0, "reboot", 0.0),)


def test_three_processes_and_a_restart(tmp_path):
    outcome = soak.soak(Effort(tmp_path), _THREE, 6, planned=_ONE_REBOOT, growing=False)
    assert outcome.problems() == []
    figures = {each.name: each.value for each in outcome.figures}
    assert figures["of them right"] > 10
    assert figures["uses of keys in the verified log"] > 5
    assert set(outcome.series[0].lines) >= {"agent", "python", "python-pkcs11"}


def test_a_worker_that_lies_fails_and_grows_is_told(tmp_path):
    outcome = soak.soak(Effort(tmp_path), ("liar",), 3, planned=())
    problems = "\n".join(outcome.problems())
    assert "a signature of ed over b'message' is not valid" in problems
    assert "ValueError: something of its own" in problems
    assert "wrong results: 1, promised: 0" in problems
    assert "unexplained errors: 1, promised: 0" in problems
    assert "growth of liar" in problems
    assert "uses of keys in the verified log" in problems


def attempt(began, ended, error="away", kind="python"):
    return Attempt(kind, "sign", began, ended, right=error == "", error=error)


def test_an_error_is_explained_by_an_event_that_it_meets_and_that_allows_it():
    events = [Event("unplugged", 100, 108), Event("agent restart", 200, 202), Event("clock unset", 300, 301)]

    def explained(*of):
        return judged([attempt(*of)], events)[attempt(*of)]

    assert explained(90, 101).name == "unplugged"  # its deadline reaches into it
    assert explained(110, 112).name == "unplugged"
    assert explained(80, 99) is None
    assert explained(112, 113) is None
    assert explained(103, 104, "login") is None
    assert explained(103, 104, "wrong") is None
    assert explained(200, 201) is None
    assert explained(200, 201, "away", "ssh").name == "agent restart"
    assert explained(300, 301, "clock") is None
    assert judged([attempt(103, 104, "")], events) == {}


def test_errors_of_hosts_are_told_apart_by_their_words():
    assert class_of("HemClockError: k: the device's clock is not set") == "clock"
    assert class_of("HemUnreachable: https://127.0.0.1:1: cannot reach the device") == "away"
    assert class_of("error: PKCS11 function C_Sign failed: rv = CKR_DEVICE_ERROR (0x30)") == "away"
    assert class_of("HemAuthenticationError: the device does not accept the passphrase") == "login"
    assert class_of("java.security.ProviderException: Token has been removed") == "other"


def test_an_hour_has_everything_and_the_agent_is_left_alone_in_between():
    planned = plan(3600)
    assert {name for _, name, _ in planned} == set(HAPPENINGS)
    assert [when for when, name, _ in planned if name == "agent restart"][-1] > 3000
    assert Counter(name for _, name, _ in planned)["agent restart"] == 2
    assert planned == sorted(planned)


@pytest.mark.parametrize(("kib", "files", "flat"), [(0, 0, True), (20, 0, False), (0, 1, False)])
def test_growth_is_seen_through_noise(kib, files, flat):
    noise = random.Random(1)  # noqa: S311 - noise
    found = growth(
        [Sample(n, 40_000 + kib * n + noise.randrange(300), 20 + files * (n // 20)) for n in range(300)]
    )
    assert found.flat is flat


# --- a day in the process ---

DAY = 24 * 3600


@pytest.fixture
def world(rig, monkeypatch):
    """Whose time passes when told to: ours, the device's, which goes 8 % fast, and that of the client's
    tokens."""
    clock, began = Clock(time.time()), time.monotonic()
    first = clock()
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(time, "monotonic", lambda: began + clock() - first)
    monkeypatch.setattr(time, "sleep", clock.advance)
    monkeypatch.setattr(rig.device.model, "host_time", clock)
    rig.quirk("Q19", "0.08")
    rig.clock = clock
    return rig


def happenings(rig):
    """What a day brings, in turn; each with the errors that it may bring to the next operation."""

    def cloud_down():
        rig.order(name="cloud-down")
        rig.reboot()

    def renewal():
        control.run(rig.device, "backend", {"newcrt": True})
        rig.check_in()
        rig.reboot()

    def failing_login():
        rig.reboot()
        rig.fault("POST /api/auth/token", 503)

    return (
        (rig.reboot, ()),
        (lambda: rig.order(name="clock-unset"), ()),
        (lambda: rig.fault("", LostRequest), (HemConnectionError,)),
        (lambda: rig.fault("POST /api/crypto", LostReply), ()),
        (cloud_down, (HemClockError, HemConnectionError)),
        (lambda: rig.order(name="clock-error", seconds=-1800), ()),
        (rig.power_cycle, ()),
        (renewal, ()),
        (failing_login, (HemDeviceFault,)),
    )


def test_a_day_of_a_fast_clock_passes_without_an_unexplained_error(world):
    """2 900 operations, one every 30 s, by a client that lives as long as the day; an event every 20 min."""
    rig = world
    hem = rig.connect()
    p256 = hem.keys.create("SECP256R1", label="p256", usage={"sign"}).private_key(ec.EllipticCurvePrivateKey)
    vault = hem.keys.create("AES256", label="aes", usage={"aead"})
    events, log_key = happenings(rig), hem.audit.key()
    allowed: tuple[type[Exception], ...] = ()
    done, failed, uses, happened = 0, [], 0, 0
    began = rig.clock()
    while rig.clock() < began + DAY:
        if rig.clock() - began >= happened * 1200:
            rig.clear()
            happens, allowed = events[happened % len(events)]
            happens()
            happened += 1
        message = f"message {done}".encode()
        try:
            if done % 2:
                assert unseal(vault, seal(vault, message)) == message
                uses += 2
            else:
                p256.public_key().verify(
                    p256.sign(message, ec.ECDSA(hashes.SHA256())), message, ec.ECDSA(hashes.SHA256())
                )
                uses += 1
            allowed = ()
        except Exception as error:
            if not isinstance(error, allowed):
                failed.append(f"{rig.clock() - began:.0f} s: {type(error).__name__}: {error}")
            rig.clear()
        done += 1
        rig.clock.advance(30)
    assert failed == []
    assert (done > 2800, happened) == (True, 72)
    assert hem.statistics.logins < 20 * happened
    rig.reboot()
    rig.check_in()
    finished = hem.audit.files()[:-1]
    records = [one for file in finished for one in verify(hem.audit.read(file).decode(), log_key)]
    assert sum(30 <= event <= 42 and result == 0 for event, result, *_ in records) >= uses
