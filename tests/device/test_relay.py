"""Requests of others with this session's login: what the agent sends to the device."""

from __future__ import annotations

import base64
import json

import pytest

from hem_provider import errors
from hem_provider.device.relay import Relay, name_of
from hem_provider.rest.wire import ConnectionLostError, NoTurnError


def sign(relay, kid, **options):
    body = {"kid": kid, "msg": base64.b64encode(b"x").decode(), "alg": "Ed25519"}
    settings = {"scopes": [f"keymgmt:use:{kid}"], "within": 30.0, "repeatable": False, **options}
    return relay.send("POST", "/api/crypto/exdsa/sign", body, **settings)


def test_the_answer_is_the_devices_own(hem):
    key = hem.keys.create("ED25519", label="k")
    reply = sign(Relay(hem), key.kid)
    assert reply.status == 200
    key.public_key().verify(base64.b64decode(json.loads(reply.body)["sign"]), b"x")


def test_so_is_a_refusal(hem):
    kid = "ab" * 16
    assert sign(Relay(hem), kid).status == 406
    assert sign(Relay(hem), kid, scopes=["keymgmt:list"]).status == 403
    assert sign(Relay(hem), kid, scopes=[]).status == 401


def test_a_restarted_device_is_logged_in_to_again(rig, hem):
    key = hem.keys.create("ED25519", label="k")
    relay = Relay(hem)
    assert not relay.holds([f"keymgmt:use:{key.kid}"])
    relay.authorise([f"keymgmt:use:{key.kid}"])
    assert relay.holds([f"keymgmt:use:{key.kid}"])
    rig.reboot()
    logins = hem.statistics.logins
    assert sign(relay, key.kid).status == 200
    assert hem.statistics.logins == logins + 1


def test_who_a_device_is_that_lost_its_clock_is_told_after_a_check_in(rig, hem):
    relay = Relay(hem)
    eid = relay.identity().eid
    rig.reboot()
    rig.requests.clear()
    assert relay.identity().eid == eid
    assert relay.identity().eid == eid
    assert rig.count("POST /api/system/checkin") == 1


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ConnectionLostError("x"), "ConnectionLostError"),
        (NoTurnError("x"), "NoTurnError"),
        (errors.HemUnreachable("x"), "HemUnreachable"),
        (errors.HemOutcomePending("x"), "HemOutcomePending"),
        (type("Own", (errors.HemTLSError,), {})("x"), "HemTLSError"),
    ],
)
def test_errors_are_named_between_agent_and_client(error, name):
    assert name_of(error) == name
