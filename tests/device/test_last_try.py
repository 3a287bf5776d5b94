"""What an operation says when several of its requests end badly: the worst that may have happened."""

from __future__ import annotations

import pytest

from hem_provider.device import connect
from hem_provider.errors import (
    HemAuthenticationError,
    HemDeviceFault,
    HemOutcomeUnknown,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.rest import crypto, keymgmt
from hem_provider.rest.auth import Bearer
from hem_provider.rest.settle import Change
from hem_provider.rest.wire import ConnectionLostError, NoTurnError, Reply

KID = "0" * 32
STATUS = b'{"fls_state":0,"uptime":1,"ctx":0,"inited":true}'


class Scripted:
    """A transport that ends each request as it is told to."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.sent = []

    def send(self, request):
        self.sent.append(f"{request.method} {request.path}")
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    def close(self):
        pass


@pytest.fixture
def session(monkeypatch):
    def made(*ends):
        hem = connect("emulator:/run/example", passphrase="x")
        transport = Scripted(*ends)
        hem.rest.channel._carriers.get()._device = transport
        monkeypatch.setattr(hem.session, "bearer", lambda scopes: Bearer("a token", scopes, "U", 2**33))
        return hem.session, transport

    return made


def test_a_change_that_was_sent_is_in_doubt_although_the_last_try_reached_nobody(session):
    run, transport = session(ConnectionLostError("lost"), HemUnreachable("away"))
    change = Change(made="it was changed", undone="it was not", see="look at it", look=None)
    with pytest.raises(HemOutcomeUnknown):
        run.run(keymgmt.update(KID, label="new", descr=b""), change)
    assert transport.sent == ["POST /api/keymgmt/update"] * 2


def test_a_verification_that_was_never_sent_is_no_verdict(session, monkeypatch):
    run, transport = session()

    def busy(_):
        raise NoTurnError("busy (nothing was sent)")

    monkeypatch.setattr(run._channel, "turn", busy)
    with pytest.raises(HemTimeout, match="nothing was sent"):
        run.run(crypto.mldsa_verify(KID, b"m", bytes(2420)))
    assert transport.sent == []


def test_a_fault_is_told_as_it_was_when_the_status_cannot_be_had(session):
    run, transport = session(Reply(503, {}, b""), Reply(500, {}, b""))
    with pytest.raises(HemDeviceFault, match="crypto/exdsa/sign") as told:
        run.run(crypto.sign(KID, b"m", "SHA256WithECDSA"))
    assert told.value.status == 503
    assert transport.sent == ["POST /api/crypto/exdsa/sign", "GET /api/system/status"]


def test_an_explained_fault_keeps_its_status(session):
    run, _ = session(Reply(503, {}, b""), Reply(200, {}, STATUS.replace(b":0,", b":4,", 1)))
    with pytest.raises(HemDeviceFault, match="too hot") as told:
        run.run(crypto.sign(KID, b"m", "SHA256WithECDSA"))
    assert told.value.status == 503


def test_no_refused_token_is_kept(session, monkeypatch):
    run, transport = session(Reply(401, {}, b""), Reply(401, {}, b""))
    dropped = []
    monkeypatch.setattr(run._tokens, "drop", lambda bearer: dropped.append(bearer.text))
    with pytest.raises(HemAuthenticationError):
        run.run(crypto.sign(KID, b"m", "SHA256WithECDSA"))
    assert dropped == ["a token", "a token"]
    assert len(transport.sent) == 2
