"""The PKCS#11 module with a user's agent: presence, PIN, and the token's flag."""

from __future__ import annotations

import pytest
from hem_pkcs11.constants import CKA, CKF, CKM, CKO, CKR, CKU
from hem_pkcs11.module import Module
from hem_pkcs11.values import Mechanism, pack_ulong
from support.passphrases import ADMIN, PASSPHRASE

from hem_provider.config import Config, DeviceConfig, Pkcs11Config
from hem_provider.config.agentplace import Word
from hem_provider.device import Hem

PIN = PASSPHRASE.encode()
RW = int(CKF.SERIAL_SESSION | CKF.RW_SESSION)


class Host:
    """A program that uses the module for the device ``office``."""

    def __init__(self, url, *, login_cache=300.0, **settings):
        device = DeviceConfig(url=url, name="office", **settings)
        config = Config(devices=(device,), pkcs11=Pkcs11Config(login_cache=login_cache))
        self.module = Module(load_config=lambda: config, open_device=Hem)
        self.ok("C_Initialize", None)

    def ok(self, name, *arguments):
        rv, result = self.module.call(name, *arguments)
        assert rv == CKR.OK, f"{name}: {rv!r}"
        return result

    def rv(self, name, *arguments):
        return self.module.call(name, *arguments)[0]

    def session(self):
        return self.ok("C_OpenSession", 0, RW, False, False)

    def find(self, session, *template):
        self.ok("C_FindObjectsInit", session, list(template))
        found = self.ok("C_FindObjects", session, 100)
        self.ok("C_FindObjectsFinal", session)
        return found

    def signed(self, session, **names):
        template = [(CKA[name], value) for name, value in names.items()]
        (key,) = self.find(session, (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)), *template)
        self.ok("C_SignInit", session, Mechanism(CKM.EDDSA), key)
        return self.ok("C_Sign", session, b"m", 64)

    @property
    def hem(self):
        return self.module.slot(0).hem

    @property
    def flags(self):
        return self.ok("C_GetTokenInfo", 0).flags

    def end(self):
        self.ok("C_Finalize", False)


@pytest.fixture
def agent(fake_agent):
    return fake_agent


@pytest.fixture
def key(agent, rig):
    made = agent.hem.keys.create("ED25519", label="k", application_id=b"\x01")
    agent.forget()
    rig.requests.clear()
    return made


@pytest.fixture
def host(agent):
    hosts = []

    def made(**settings):
        hosts.append(Host(agent.url, **settings))
        return hosts[-1]

    yield made
    for each in hosts:
        each.end()


@pytest.mark.parametrize("pin", [None, PIN], ids=["no PIN", "the PIN"])
def test_the_second_program_signs_with_one_call_and_no_login(key, agent, host, pin, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # nothing is kept on disk
    for calls in (3, 1):  # who it is, what there is, the signature
        one = host()
        session = one.session()
        one.ok("C_Login", session, CKU.USER, pin)
        key.public_key().verify(one.signed(session, ID=b"\x01"), b"m")
        assert (one.hem.statistics.calls, one.hem.statistics.logins) == (calls, 0)
        one.end()
        one.end = lambda: None


def test_the_second_look_at_slots_and_objects_is_no_call(key, agent, host, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    for calls in (2, 0):
        one = host()
        one.ok("C_GetSlotList", True, None)
        assert one.ok("C_GetTokenInfo", 0).label == "office (EMULATOR)"
        assert len(one.find(one.session())) >= 1
        assert one.hem.statistics.calls == calls


def test_a_wrong_pin_is_for_the_device_to_judge(key, agent, host, rig):
    one = host()
    session = one.session()
    assert one.rv("C_Login", session, CKU.USER, b"wrong") == CKR.PIN_INCORRECT
    assert one.hem.statistics.logins == 1
    assert one.flags & CKF.USER_PIN_COUNT_LOW
    one.ok("C_Login", session, CKU.USER, PIN)
    assert one.hem.statistics.logins == 1
    assert not one.flags & CKF.USER_PIN_COUNT_LOW


def test_the_login_cache_spares_the_agent_too(key, agent, host):
    one = host()
    session = one.session()
    for _ in range(4):
        one.ok("C_Login", session, CKU.USER, PIN)
        one.signed(session, ID=b"\x01")
        one.ok("C_Logout", session)
        assert one.rv("C_Login", session, CKU.USER, b"wrong") == CKR.PIN_INCORRECT
        one.ok("C_Login", session, CKU.USER, PIN)
        one.ok("C_Logout", session)
    assert agent.compared < 12


def test_without_a_login_cache_each_login_asks_the_agent(key, agent, host):
    one = host(login_cache=0)
    session = one.session()
    for times in (1, 2, 3):
        one.ok("C_Login", session, CKU.USER, PIN)
        one.ok("C_Logout", session)
        assert agent.compared == times
    assert one.hem.statistics.logins == 0
    assert not one.hem.logged_in


def test_what_the_agent_may_not_do_is_done_by_the_pin(key, agent, host, rig):
    agent.denied = {"keymgmt:del"}
    for pin, rv in ((None, CKR.USER_NOT_LOGGED_IN), (PIN, CKR.OK)):
        one = host()
        session = one.session()
        one.ok("C_Login", session, CKU.USER, pin)
        found = one.find(session, (CKA.LABEL, b"k"))
        done = one.rv("C_DestroyObject", session, found[0])
        assert (done == CKR.OK) == (rv == CKR.OK), done
    assert "k" not in rig.labels()


def test_the_security_officer_goes_his_own_way(agent, host):
    one = host()
    one.ok("C_Login", one.session(), CKU.SO, ADMIN.encode())
    assert one.hem.statistics.logins == 1
    assert agent.compared == 0


def test_a_changed_pin_is_proven_by_the_device(key, agent, host, rig):
    one = host()
    session = one.session()
    one.ok("C_Login", session, CKU.USER, PIN)
    assert one.rv("C_SetPIN", session, b"wrong", b"new passphrase") == CKR.PIN_INCORRECT
    one.ok("C_SetPIN", session, PIN, b"new passphrase")
    one.ok("C_Logout", session)
    agent.passphrase = "new passphrase"
    one.hem.logout()
    assert one.rv("C_Login", session, CKU.USER, b"new passphrase") == CKR.OK


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("state", ["unlocked", "locked", "absent"])
def test_the_token_says_whether_programs_need_a_pin(agent, host, state, protected):
    if state == "locked":
        agent.word = Word.LOCKED
    if state == "absent":
        agent.stop()
    flagged = bool(host(protected=protected).flags & CKF.PROTECTED_AUTHENTICATION_PATH)
    assert flagged == (protected or state == "unlocked")


def test_no_pin_while_the_agent_is_locked_is_an_incorrect_one(key, agent, host, capfd):
    agent.word = Word.LOCKED
    one = host(protected=True)
    session = one.session()
    assert one.rv("C_Login", session, CKU.USER, None) == CKR.PIN_INCORRECT
    agent.word = ""
    one.ok("C_Login", session, CKU.USER, None)
    one.signed(session, ID=b"\x01")


def test_a_key_that_was_made_meanwhile_is_found(key, agent, host):
    first = host()
    session = first.session()
    first.ok("C_Login", session, CKU.USER, None)
    assert len(first.find(session)) >= 2
    agent.hem.keys.create("ED25519", label="late", application_id=b"\x02")
    later = host()
    session = later.session()
    later.ok("C_Login", session, CKU.USER, None)
    assert len(later.signed(session, ID=b"\x02")) == 64
    assert len(later.signed(session, LABEL=b"late")) == 64


def test_a_device_that_is_away_is_no_token(key, agent, host):
    agent.word, agent.error, agent.says = Word.ERROR, "HemUnreachable", "no route"
    one = host()
    assert one.rv("C_OpenSession", 0, RW, False, False) == CKR.TOKEN_NOT_PRESENT
    agent.word = ""
    one.module.slot(0).presence.doubt()
    one.session()
