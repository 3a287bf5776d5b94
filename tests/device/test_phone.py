"""Pairing a phone and logging in by it; the phone is the emulator's."""

from __future__ import annotations

import json

import pytest
from support.traffic import LostRequest

from hem_provider.errors import (
    HemApprovalDenied,
    HemApprovalTimeout,
    HemAuthenticationError,
    HemConnectionError,
    HemOperationFailed,
    HemTimeout,
)
from hem_provider.rest import external


@pytest.fixture
def paired(hem, rig):
    pairing = hem.phones.begin()
    with rig.phone() as phone:
        phone.pair(json.loads(pairing.qr_text)["link"])
    return pairing.wait(5)


@pytest.fixture
def mobile(rig, paired):
    device = rig.connect(None, auth="mobile")
    device.session.mobile.poll = 0.0
    rig.requests.clear()
    return device


def test_the_qr_code_holds_what_the_app_wants_in_its_order(hem):
    pairing = hem.phones.begin()
    shown = json.loads(pairing.qr_text)
    assert list(shown) == ["link", "hash", "user", "email", "hostname"]
    assert shown["link"] == pairing.link
    assert shown["user"] == "Emulator"


def test_a_paired_phone_is_listed_hidden_among_keys_and_can_be_removed(hem, paired):
    [phone] = hem.phones.list()
    assert phone.kid == paired
    assert phone.label
    assert list(hem.keys) == []
    assert hem.keys.get(paired).hidden
    hem.phones.remove(paired)
    assert hem.phones.list() == []
    with pytest.raises(HemOperationFailed, match="not a paired phone"):
        hem.phones.remove(paired)


def test_a_pairing_that_is_refused_or_never_answered_ends(hem, rig):
    pairing = hem.phones.begin()
    with pytest.raises(HemTimeout):
        pairing.wait(0)
    with rig.phone() as phone:
        phone.refuse_pairing(pairing.link)
    with pytest.raises(HemOperationFailed, match="refused or has expired"):
        pairing.wait(5)


def test_an_approved_login_signs(mobile, hem, rig):
    key = hem.keys.create("ED25519", label="k")
    rig.requests.clear()
    mobile.sign(key.kid, b"data", "Ed25519")
    assert mobile.statistics.logins == 1
    before = mobile.statistics.calls
    mobile.sign(key.kid, b"more", "Ed25519")
    assert mobile.statistics.calls - before == 1  # the approval's token is kept


def test_a_refusal_and_a_silence_are_distinct(mobile, rig):
    rig.phone_answers("refuse")
    with pytest.raises(HemApprovalDenied, match="refused on the phone"):
        mobile.login()
    assert issubclass(HemApprovalDenied, HemAuthenticationError)
    rig.phone_answers("ignore")
    mobile.session.mobile.wait = 0.05
    with pytest.raises(HemApprovalTimeout, match="within 0.05 s"):
        mobile.login()
    assert issubclass(HemApprovalTimeout, HemTimeout)
    assert rig.count("CLOUD DELETE /notify/event/") == 1  # withdrawn


def test_without_a_paired_phone_nobody_is_asked(rig):
    alone = rig.connect(None, auth="mobile")
    with pytest.raises(HemApprovalDenied, match="no phone is paired"):
        alone.login()
    assert rig.count("CLOUD POST /notify/event/new") == 0


def test_an_unset_clock_is_cured_by_check_in(mobile, rig):
    rig.reboot()
    mobile.login()
    assert rig.count("CLOUD POST /checkin") == 1


def test_a_device_ahead_of_the_broker_is_cured_by_check_in(mobile, rig):
    rig.set_clock(60)
    mobile.login()
    assert rig.count("CLOUD POST /checkin") == 1
    assert rig.count("CLOUD POST /notify/event/new") == 2


def test_a_request_is_withdrawn_when_waiting_breaks_off(mobile, rig):
    rig.phone_answers("ignore")
    rig.fault("CLOUD GET /notify/event/check", LostRequest)
    with pytest.raises(HemConnectionError):
        mobile.login()
    assert rig.count("CLOUD DELETE /notify/event/") == 1


def test_texts_the_device_would_drop_are_refused():
    with pytest.raises(ValueError, match="note: 129 characters; accepted: 1 to 128"):
        external.request(epk="x", scope="s", note="n" * 129)
    with pytest.raises(ValueError, match="scope: 1024 characters"):
        external.request(epk="x", scope="s" * 1024)


def test_a_paired_phones_record_is_read_as_published():
    from hem_provider.device.phones import _phone
    from hem_provider.rest.encoding import b64, unb64
    from hem_provider.rest.keymgmt import KeyRecord

    descr = unb64("RVhUQUlEBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=")  # vector D, device API §10.7
    record = KeyRecord("28fa8f122e253585da7e11b37b616ed1", "ECDH,CURVE25519", "Test phone", descr, 1, 1)
    assert _phone(record).pid == b64(bytes([5]) * 32)
