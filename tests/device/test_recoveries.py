"""The device restarts, loses its clock, loses answers: each is cured at most once per operation."""

from __future__ import annotations

import logging

import pytest
from support.passphrases import PASSPHRASE
from support.traffic import LostReply, LostRequest

from hem_provider.auditlog.source import HemSource
from hem_provider.cli.gpg.shelf import DeviceShelf
from hem_provider.device.checkin import identified
from hem_provider.device.keyuri import parse_uri, serial_of
from hem_provider.device.relay import Relay
from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemConnectionError,
    HemDeviceFault,
    HemKeyNotFound,
    HemLoginRequired,
    HemNotInitialized,
    HemOperationFailed,
    HemTimeout,
    HemUnreachable,
)

CHALLENGE, LOGIN = "GET /api/auth/token", "POST /api/auth/token"
SIGN = "POST /api/crypto/exdsa/sign"


@pytest.fixture
def kid(hem):
    kid = hem.keys.create("ED25519", label="web").kid
    hem.sign(kid, b"warm", "Ed25519")
    return kid


def test_a_restart_that_loses_the_clock_is_cured_by_check_in_and_one_login(hem, rig, kid, caplog):
    rig.reboot()
    rig.requests.clear()
    with caplog.at_level(logging.INFO):
        hem.sign(kid, b"data", "Ed25519")
    assert rig.requests == [
        SIGN,
        CHALLENGE,
        "GET /api/system/checkin",
        "CLOUD POST /checkin",
        "POST /api/system/checkin",
        CHALLENGE,
        LOGIN,
        SIGN,
    ]
    assert "token is refused" in caplog.text
    assert "clock is not set" in caplog.text


def others_check_in(rig, times):
    """Let another program set the clock just before our answer reaches the device, so many times."""
    for _ in range(times):
        rig.fault("POST /api/system/checkin", rig.check_in)


def test_a_check_in_that_another_program_has_overtaken_is_begun_again(hem, rig, kid):
    """The device's clock is ahead, as after a day of 8 %: what we began is of its future then."""
    rig.set_clock(7000)
    rig.reboot()
    others_check_in(rig, 1)
    assert len(hem.sign(kid, b"data", "Ed25519")) == 64


def test_a_check_in_that_the_device_rejects_again_and_again_is_no_loop(rig):
    rig.reboot()
    for _ in range(5):
        rig.fault("POST /api/system/checkin", 401)
    with pytest.raises(HemClockError, match="the device rejects the cloud's check-in answer"):
        rig.connect(None).check_in()
    assert rig.count("POST /api/system/checkin") == 3


def test_a_cloud_that_refuses_is_asked_once(rig):
    rig.reboot()
    rig.fault("CLOUD POST /checkin", 401)
    with pytest.raises(HemClockError, match="the cloud service .* answers HTTP 401"):
        rig.connect(None).check_in()
    assert rig.count("CLOUD POST /checkin") == 1


@pytest.mark.parametrize("moment", [CHALLENGE, LOGIN, SIGN])
def test_a_restart_between_any_two_calls_is_cured(hem, rig, kid, moment):
    hem.session._tokens.clear()
    rig.fault(moment, rig.reboot)
    assert len(hem.sign(kid, b"data", "Ed25519")) == 64


def test_a_restart_is_cured_whatever_tokens_are_kept_for_the_call(hem, rig, kid):
    """One that was refused says nothing of the others for the same call: all are of before the restart."""
    hem.session.bearer(["keymgmt:get"])
    rig.reboot()
    assert hem.operations.fetch(kid).public == hem.keys.get(kid).public_bytes()
    assert rig.count(f"GET /api/keymgmt/get/{kid}") > 2


@pytest.mark.parametrize("seconds", [600, 9 * 3600, -86400])
def test_a_clock_that_somebody_sets_between_challenge_and_proof_makes_no_passphrase_wrong(rig, seconds):
    """A check-in by another client of a device whose clock was wrong is enough for it."""
    hem = rig.connect()
    rig.fault(LOGIN, lambda: rig.set_clock(seconds))
    list(hem.keys)
    assert rig.requests[:3] == [CHALLENGE, LOGIN, CHALLENGE]


ASKING = {
    "a copy of the log": lambda hem: HemSource(hem).device(),
    "a URI that names the serial number": lambda hem: parse_uri(
        f"pkcs11:serial={serial_of(identified(hem).eid)}"
    ).misfit(hem),
    "GnuPG's cards": lambda hem: DeviceShelf([hem]).cards(fresh=True),
    "the agent": lambda hem: Relay(hem).identity(),
}


@pytest.mark.parametrize("asks", ASKING)
def test_who_asks_what_a_device_is_checks_in_first_where_it_has_lost_its_clock(rig, asks):
    rig.power_cycle()
    ASKING[asks](rig.connect())
    assert rig.count("POST /api/system/checkin") == 1


def test_a_wrong_passphrase_is_told_after_one_proof(rig):
    """The challenge that shows that nothing happened to the device is good for the next try."""
    hem = rig.connect("not this one")
    with pytest.raises(HemAuthenticationError):
        list(hem.keys)
    assert rig.requests == [CHALLENGE, LOGIN, CHALLENGE]
    hem.login(PASSPHRASE)
    assert rig.requests == [CHALLENGE, LOGIN, CHALLENGE, LOGIN]


def test_a_token_that_is_refused_again_and_again_is_no_loop(hem, rig, kid):
    for _ in range(5):
        rig.fault(SIGN, 401)
    with pytest.raises(HemAuthenticationError):
        hem.sign(kid, b"data", "Ed25519")
    assert rig.count(SIGN) == 3  # the fixture's, the first and one more


def test_a_restart_after_a_probe_is_cured(rig):
    hem = rig.connect()
    hem.probe()
    rig.reboot()
    hem.login()
    assert hem.statistics.logins == 2


def test_a_clock_set_by_somebody_else_after_a_probe_is_cured(rig):
    rig.set_clock(600)
    hem = rig.connect()
    hem.probe()
    rig.connect().check_in()  # the kept challenge's nonce is of another time now
    hem.login()
    assert hem.statistics.logins == 2


def test_a_child_does_not_use_the_challenge_its_parent_keeps(rig, monkeypatch):
    hem = rig.connect()
    hem.probe()
    monkeypatch.setattr("hem_provider.device.proving.os.getpid", lambda: -1)
    hem.login()
    assert rig.requests == [CHALLENGE, CHALLENGE, LOGIN]


def test_a_passphrase_is_derived_once_per_login(rig, monkeypatch):
    from hem_provider.device import login as session

    derived = []

    def counting(secret, eid, kdf, inner=session.seed_from):
        derived.append(eid)
        return inner(secret, eid, kdf)

    monkeypatch.setattr(session, "seed_from", counting)
    hem = rig.connect(None)
    hem.probe()
    rig.reboot()
    hem.login(PASSPHRASE)
    list(hem.keys)
    assert len(derived) == 1


def test_a_logout_during_a_login_leaves_no_token(hem, rig):
    rig.fault(LOGIN, hem.logout)
    with pytest.raises(HemLoginRequired):
        len(hem.keys)
    assert not hem.session.holds(["keymgmt:list"])
    assert not hem.logged_in


def test_a_drifting_clock_does_not_matter_as_tokens_are_asked_for_in_device_time(rig):
    rig.set_clock(3 * 24 * 3600)
    hem = rig.connect()
    hem.login()
    assert (rig.count(LOGIN), rig.count("CLOUD")) == (1, 0)


def test_a_login_refused_while_the_clocks_differ_is_tried_again_after_check_in(rig):
    rig.set_clock(400)
    rig.fault(LOGIN, 401)
    hem = rig.connect()
    hem.login()
    assert (rig.count(LOGIN), rig.count("CLOUD")) == (2, 1)


def test_a_wrong_passphrase_is_told_once_and_not_tried_again(rig):
    hem = rig.connect("wrong")
    with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
        hem.login()
    assert rig.count(LOGIN) == 1


def test_a_wrong_passphrase_after_a_probe_leaves_a_challenge_for_the_next_try(rig):
    hem = rig.connect(None)
    hem.probe()
    for _ in range(2):
        with pytest.raises(HemAuthenticationError):
            hem.login("wrong")
    rig.requests.clear()
    hem.login(PASSPHRASE)
    assert rig.requests == [LOGIN]


def test_a_configured_passphrase_put_right_is_read_again(rig, tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("wrong\n")
    file.chmod(0o600)
    hem = rig.connect(None, passphrase_file=file)
    with pytest.raises(HemAuthenticationError, match="does not accept"):
        hem.login()
    assert not hem.logged_in
    file.write_text(PASSPHRASE + "\n")
    hem.login()


def test_a_refused_passphrase_given_in_code_is_not_offered_again(rig):
    hem = rig.connect("wrong")
    with pytest.raises(HemAuthenticationError, match="does not accept"):
        len(hem.keys)
    with pytest.raises(HemLoginRequired):
        len(hem.keys)
    assert rig.count(LOGIN) == 1


@pytest.mark.parametrize("source", [{}, {"auth": "mobile"}], ids=["file", "phone"])
def test_nothing_that_is_configured_takes_the_place_of_a_refused_passphrase(rig, tmp_path, source):
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    hem = rig.connect("wrong", passphrase_file=file, **source)
    with pytest.raises(HemAuthenticationError, match="does not accept"):
        len(hem.keys)
    for _ in range(2):
        with pytest.raises(HemLoginRequired, match="that was given was not accepted"):
            len(hem.keys)
    assert rig.count(LOGIN) == 1
    assert not hem.logged_in
    with pytest.raises(HemAuthenticationError, match="does not accept"):
        hem.login("wrong as well")
    with pytest.raises(HemLoginRequired, match="that was given was not accepted"):
        len(hem.keys)
    hem.login(PASSPHRASE)
    assert len(hem.keys) == 0


@pytest.mark.parametrize("again", ["login", "logout"])
def test_the_configured_passphrase_is_used_where_that_is_asked_for(rig, tmp_path, again):
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    hem = rig.connect("wrong", passphrase_file=file)
    with pytest.raises(HemAuthenticationError):
        len(hem.keys)
    getattr(hem, again)()
    assert len(hem.keys) == 0


def test_a_given_passphrase_that_is_no_longer_the_devices_is_not_replaced_either(rig, tmp_path):
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    hem = rig.connect(None, passphrase_file=file)
    hem.login(PASSPHRASE)
    rig.fault(LOGIN, 401)
    rig.fault(LOGIN, 401)
    with pytest.raises(HemAuthenticationError, match="does not accept"):
        hem.keys.create("SECP256R1", label="x")
    with pytest.raises(HemLoginRequired, match="that was given"):
        hem.keys.create("SECP256R1", label="x")


def test_a_wrong_passphrase_on_a_drifting_device_ends_too(rig):
    rig.set_clock(400)
    hem = rig.connect("wrong")
    with pytest.raises(HemAuthenticationError):
        hem.login()
    assert rig.count(LOGIN) == 2


def test_when_the_check_in_fails_both_reasons_are_told(rig):
    rig.set_clock(400)
    rig.fault("CLOUD", LostRequest)
    with pytest.raises(HemAuthenticationError, match=r"clocks differ by (399|400|401) s.*check-in"):
        rig.connect("wrong").login()
    rig.reboot()
    rig.fault("CLOUD", LostRequest)
    with pytest.raises(HemClockError, match="check-in failed"):
        rig.connect().login()


def test_a_wrong_new_passphrase_leaves_the_login_as_it_was(hem, rig, kid):
    with pytest.raises(HemAuthenticationError):
        hem.login("wrong")
    rig.requests.clear()
    hem.sign(kid, b"data", "Ed25519")
    assert rig.requests == [SIGN]


def test_logout_forgets_everything(hem, kid):
    hem.logout()
    with pytest.raises(HemAuthenticationError, match="a login is needed"):
        hem.sign(kid, b"data", "Ed25519")


def test_a_role_that_the_secret_does_not_have_is_refused(rig):
    from support.passphrases import ADMIN, PASSPHRASE

    from hem_provider.device import Role

    hem = rig.connect(None)
    hem.login(ADMIN, role=Role.MASTER, scope="system:config")
    with pytest.raises(HemAuthenticationError, match="role"):
        rig.connect(None).login(PASSPHRASE, role=Role.MASTER)


def test_a_wiped_device_is_another_device_and_asks_for_a_new_login(hem, rig, kid):
    from hem_provider.emulator import lifecycle

    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    with pytest.raises(HemNotInitialized):
        hem.sign(kid, b"data", "Ed25519")


def test_a_device_fault_says_which(hem, rig, kid):
    rig.fls(0x04 | 0x02)
    with pytest.raises(HemDeviceFault, match="random number source failed, too hot"):
        hem.sign(kid, b"data", "Ed25519")


@pytest.mark.parametrize("loss", [LostReply, LostRequest])
def test_a_lost_connection_is_repeated_once_where_that_is_safe(hem, rig, kid, loss):
    rig.fault(SIGN, loss)
    hem.sign(kid, b"data", "Ed25519")
    rig.fault(SIGN, loss)
    rig.fault(SIGN, loss)
    with pytest.raises(HemConnectionError):
        hem.sign(kid, b"data", "Ed25519")


def test_a_login_is_not_repeated_blindly(rig):
    rig.fault(LOGIN, LostReply)
    with pytest.raises(HemConnectionError):
        rig.connect().login()
    assert rig.count(LOGIN) == 1


CREATE = "POST /api/keymgmt/create"


def test_a_lost_reply_to_create_never_makes_a_second_key(hem, rig):
    rig.fault(CREATE, LostReply)
    key = hem.keys.create("SECP256R1", label="web", application_id=b"mine")
    assert rig.count(CREATE) == 1
    assert (key.label, key.application_id) == ("web", b"mine")
    assert [each.kid for each in rig.connect().keys] == [key.kid]


def test_a_lost_create_that_made_nothing_says_so(hem, rig):
    rig.fault(CREATE, LostRequest)
    with pytest.raises(HemConnectionError, match="no key was made"):
        hem.keys.create("SECP256R1", label="web")
    assert rig.count(CREATE) == 1
    assert list(rig.connect().keys) == []


def test_a_create_without_any_answer_in_time_is_looked_up_too(hem, rig):
    rig.fault(CREATE, TimeoutError)
    with pytest.raises(HemTimeout, match="no key was made so far"):
        hem.keys.create("SECP256R1", label="web")


def test_when_the_device_stays_away_the_error_names_the_mark_to_look_for(hem, rig):
    rig.fault(CREATE, LostReply)
    rig.fault("POST /api/keymgmt/search", LostRequest)
    rig.fault("POST /api/keymgmt/search", LostRequest)
    with pytest.raises(
        HemConnectionError, match=r"whether the key was made is unknown.*mark [0-9a-f]{16}"
    ) as caught:
        hem.keys.create("SECP256R1", label="web")
    mark = str(caught.value).split("mark ")[1][:16]
    [key] = rig.connect().keys
    assert bytes.fromhex(mark) in key.descr


def test_a_lost_reply_to_delete_is_a_success(hem, rig, kid):
    rig.fault("DELETE", LostReply)
    hem.keys.delete(kid)
    assert list(hem.keys) == []
    with pytest.raises(HemKeyNotFound):
        hem.keys.delete(kid)


def test_a_refusal_says_which_of_its_reasons_it_was(hem, rig, kid):
    from cryptography.hazmat.primitives.asymmetric import ec

    unlisted = rig.connect()
    agreeing = hem.keys.create("SECP256R1", label="a", usage={"derive"})
    public = hem.keys.import_public(ec.generate_private_key(ec.SECP256R1()).public_key(), label="p")
    for client, key, algorithm, reason in (
        (hem, kid, "SHA256WithECDSA", "of type ED25519; ED25519 keys do Ed25519, Ed25519ph, Ed25519ctx"),
        (unlisted, kid, "SHA256WithECDSA", "of type ED25519; ED25519 keys do Ed25519"),
        (hem, agreeing.kid, "SHA256WithECDSA", "of type SECP256R1; it was not made for 'sign'"),
        (
            unlisted,
            agreeing.kid,
            "SHA256WithECDSA",
            "of type SECP256R1; it was not made for this use",
        ),
        (hem, public.kid, "SHA256WithECDSA", "of type SECP256R1; only its public half is on the device"),
    ):
        with pytest.raises(HemOperationFailed, match=f"key {key} is there, {reason}"):
            client.sign(key, b"data", algorithm)
    with pytest.raises(HemOperationFailed, match="keys of type ED25519 do not do that"):
        hem.ecdh(kid, kid)
    with pytest.raises(HemKeyNotFound, match="no key 0123"):
        hem.sign("0123456789abcdef" * 2, b"data", "Ed25519")


def test_a_key_deleted_behind_our_back_is_not_found(hem, rig, kid):
    private = hem.keys.get(kid).private_key()
    rig.connect().keys.delete(kid)
    with pytest.raises(HemKeyNotFound, match=kid):
        private.sign(b"data")


def test_verify_on_the_device_tells_invalid_from_missing(hem, kid):
    signature = hem.sign(kid, b"data", "Ed25519")
    assert hem.verify(kid, b"data", signature, "Ed25519")
    assert not hem.verify(kid, b"other", signature, "Ed25519")
    with pytest.raises(HemKeyNotFound):
        hem.verify("0123456789abcdef" * 2, b"data", signature, "Ed25519")
    with pytest.raises(HemOperationFailed, match="ED25519 keys do"):
        hem.verify(kid, b"data", signature, "SHA256WithECDSA")


class Refusing:
    """A transport that cannot connect for the first ``times`` requests."""

    def __init__(self, inner, times):
        self.inner, self.times = inner, times

    def send(self, request):
        if self.times:
            self.times -= 1
            raise HemUnreachable("refused by the test")
        return self.inner.send(request)

    def close(self):
        self.inner.close()


def test_a_device_that_answered_a_moment_ago_gets_a_second_chance_to_connect(hem, monkeypatch):
    monkeypatch.setattr("hem_provider.device.recoveries._BREATH", 0.0)
    hem.status()
    carriers = hem.rest.channel._carriers.get()
    carriers._device = Refusing(carriers.device(), 1)
    before = hem.statistics.calls
    hem.status()
    assert hem.statistics.calls - before == 2
    carriers._device = Refusing(carriers.device(), 2)
    with pytest.raises(HemUnreachable):
        hem.status()


def test_a_device_that_is_away_is_told_at_once(rig):
    hem = rig.connect()
    carriers = hem.rest.channel._carriers.get()
    carriers._device = Refusing(carriers.device(), 1)
    with pytest.raises(HemUnreachable):
        hem.status()
    assert hem.statistics.calls == 1
