"""Whose login it is: the agent's, the caller's own, or what is configured."""

from __future__ import annotations

import base64
import hmac
import json
import pickle
import threading

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.adapters.keyring.vault.opening import Opener
from hem_provider.config import load_config, login_source
from hem_provider.config.agentplace import Word
from hem_provider.config.login_source import CONFIGURABLE
from hem_provider.device import Kdf, asking, connect
from hem_provider.errors import (
    HemAuthenticationError,
    HemLoginRequired,
    HemOutcomeUnknown,
    HemProtocolError,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.rest import crypto, keymgmt
from hem_provider.rest.wire import ConnectionLostError

MODES = pytest.mark.parametrize("mode", ["auto", "always"])


@pytest.fixture
def agent(fake_agent):
    return fake_agent


@pytest.fixture
def key(agent, rig):
    made = agent.hem.keys.create("ED25519", label="k")
    agent.forget()
    rig.requests.clear()
    return made


def signs(hem, key):
    key.public_key().verify(hem.sign(key.kid, b"m", "Ed25519"), b"m")


def proofs(rig):
    return rig.count("POST /api/auth/token")


@MODES
def test_the_right_passphrase_is_known_by_the_agent(key, agent, rig, mode):
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent=mode) as hem:
        assert hem.logged_in
        assert not hem.session._reliance.relied
        for _ in range(3):
            signs(hem, key)
        assert hem.statistics.logins == 0
    assert agent.compared == 1


@MODES
def test_it_is_never_told_to_the_agent(key, agent, mode):
    bodies = []
    agent.before = lambda handler, path: bool(bodies.append((path, handler.body, dict(handler.lowered))))
    with connect(agent.url, name="office", agent=mode) as hem:
        hem.login(PASSPHRASE)
        signs(hem, key)
    assert [path.rpartition("/")[2] for path, _, _ in bodies] == ["pin", "pin", "sign"]
    assert PASSPHRASE not in repr(bodies)
    mac = base64.b64encode(hmac.digest(agent.key, PASSPHRASE.encode(), "sha256")).decode()
    assert json.loads(bodies[1][1]) == {"mac": mac}


def test_another_passphrase_is_for_the_device_to_judge(key, agent, rig):
    with connect(agent.url, name="office", passphrase="wrong") as hem:
        for _ in range(2):
            with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
                signs(hem, key)
            hem = connect(agent.url, name="office", passphrase="wrong")
    assert proofs(rig) == 2
    assert agent.lines == []


def test_it_is_compared_once(key, agent):
    agent.passphrase = "what the device took before"
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        for _ in range(5):
            signs(hem, key)
        hem.status()
        assert (agent.compared, hem.statistics.logins) == (1, 1)
    assert agent.lines == []


def test_threads_compare_it_once(key, agent):
    failed = []
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:

        def act():
            try:
                signs(hem, key)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=act) for _ in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert failed == []
    assert agent.compared == 1


@MODES
def test_login_with_the_right_passphrase_is_proven_by_the_agent(key, agent, rig, mode):
    with connect(agent.url, name="office", agent=mode) as hem:
        assert not hem.logged_in
        hem.login(PASSPHRASE)
        assert hem.logged_in
        signs(hem, key)
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)
        hem.logout()
        assert not hem.logged_in
        assert hem.session._reliance.given is None


def test_login_with_another_is_proven_by_the_device_and_an_earlier_login_stays(key, agent, rig):
    with connect(agent.url, name="office") as hem:
        hem.login(PASSPHRASE)
        with pytest.raises(HemAuthenticationError):
            hem.login("wrong")
        assert proofs(rig) == 1
        signs(hem, key)
        assert hem.statistics.logins == 1
        assert agent.lines == ["POST /api/crypto/exdsa/sign"]


def test_after_a_login_by_the_device_the_session_goes_on_by_itself(key, agent, rig):
    agent.passphrase = "another"
    with connect(agent.url, name="office") as hem:
        hem.login(PASSPHRASE)
        signs(hem, key)
        hem.status()
        assert agent.lines == []
        hem.logout()
        agent.passphrase = PASSPHRASE
        signs(hem, key)  # nobody gave anything: it is the agent's again
        assert agent.lines == ["POST /api/crypto/exdsa/sign"]


@pytest.mark.parametrize("way", [{"by_device": True}, {"kdf": Kdf.PBKDF2}])
def test_a_login_can_be_proven_by_the_device_all_the_same(key, agent, rig, way):
    with connect(agent.url, name="office") as hem:
        hem.login(PASSPHRASE, **way)
        assert hem.statistics.logins == 1
        signs(hem, key)
    assert agent.lines == []


@MODES
def test_login_without_a_passphrase_is_the_agents(key, agent, rig, mode):
    with connect(agent.url, name="office", agent=mode) as hem:
        hem.login()
        assert hem.logged_in
        signs(hem, key)
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)


def test_login_without_a_passphrase_takes_the_one_at_hand(key, agent, rig):
    agent.passphrase = "another"
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        hem.login()
        assert hem.statistics.logins == 1
    assert agent.lines == []


def test_an_agent_that_a_phone_unlocked_takes_no_passphrase(key, agent, rig):
    agent.passphrase = None
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        signs(hem, key)
        assert hem.statistics.logins == 1
    with connect(agent.url, name="office") as hem:
        assert hem.agent_ready
        hem.login()
        signs(hem, key)
        assert hem.statistics.logins == 0
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent="always") as hem:
        with pytest.raises(HemLoginRequired, match="unlocked otherwise than by a passphrase"):
            signs(hem, key)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"key": 7}', b'{"key": "%"}', b'{"kay": "AA=="}'])
def test_an_agent_without_a_key_to_compare_with_is_no_agent_of_ours(key, agent, answer):
    agent.before = lambda handler, path: path.endswith("/pin") and not handler.answer(200, answer)
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        signs(hem, key)
        assert hem.statistics.logins == 1
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent="always") as hem:
        with pytest.raises(HemProtocolError, match="no key to compare with"):
            signs(hem, key)


def test_an_agent_that_locks_while_it_compares_is_locked(key, agent, rig):
    def lock(handler, path):
        return (
            path.endswith("/pin") and handler.command == "POST" and not handler.says(Word.LOCKED, "ten wrong")
        )

    agent.before = lock
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        signs(hem, key)
        assert hem.statistics.logins == 1
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent="always") as hem:
        with pytest.raises(HemLoginRequired, match="ten wrong; run: hem agent unlock"):
            signs(hem, key)


def test_the_agents_own_failure_to_log_in_is_told(key, agent, rig, tmp_path):
    """The passphrase was changed meanwhile: a source that fails is an error."""
    secret = tmp_path / "p"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    agent.word, agent.error, agent.says = (
        Word.ERROR,
        "HemAuthenticationError",
        "the device does not accept it",
    )
    with connect(agent.url, name="office", passphrase_file=secret) as hem:
        with pytest.raises(HemAuthenticationError, match="does not accept it"):
            signs(hem, key)
        assert hem.statistics.logins == 0


def test_a_secret_that_was_given_is_overwritten(key, agent):
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        signs(hem, key)
        lease = hem.session._reliance.given
        assert lease.read() == PASSPHRASE.encode()
        hem.logout()
        assert lease.ended
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        lease = hem.session._reliance.given
        hem.abandon()
        assert lease.ended


def test_nothing_of_it_is_shown_or_pickled(key, agent, office):
    office.login(PASSPHRASE)
    for each in (office, office.session, office.session._reliance.agent, office.session._reliance.given):
        assert PASSPHRASE not in repr(each)
    for each in (office.session, office.session._reliance.given):
        with pytest.raises(TypeError):
            pickle.dumps(each)


def test_another_way_to_the_device_is_never_the_agents(key, agent, rig):
    with (
        connect(agent.url, name="office", passphrase=PASSPHRASE) as hem,
        connect(agent.url, name="office") as plain,
    ):
        other = hem.session.over(plain.rest)
        other.run(keymgmt.list_keys())
        other.forget()
        assert plain.statistics.logins == 1
        signs(hem, key)  # what was given is there still
    assert agent.lines == ["POST /api/crypto/exdsa/sign"]


# --- the one order of sources ---------------------------------------------------------------


def test_the_agent_comes_before_what_is_configured(key, agent, rig, monkeypatch):
    monkeypatch.setattr(login_source, "passphrase_from_command", lambda _: pytest.fail("not asked"))
    with connect(agent.url, name="office", passphrase_command=["false"]) as hem:
        signs(hem, key)
        hem.login()
        assert hem.session.has_any_login
    with connect(agent.url, name="office", auth="mobile") as hem:
        signs(hem, key)
    assert rig.count("CLOUD") == 0


def test_an_unlocked_agent_is_a_login(agent):
    with connect(agent.url, name="office") as hem:
        assert hem.session.has_any_login
    agent.word = Word.LOCKED
    with connect(agent.url, name="office") as hem:
        assert not hem.session.has_any_login
    with connect(agent.url, name="office", passphrase_command=["false"]) as hem:
        assert hem.session.has_any_login
    with connect(agent.url, name="office", agent="always", passphrase_command=["false"]) as hem:
        assert not hem.session.has_any_login


def test_a_person_is_asked_where_an_agent_that_was_relied_on_is_locked_by_now(key, agent, monkeypatch):
    asked = []
    monkeypatch.setattr(login_source, "can_ask", lambda: True)
    monkeypatch.setattr(asking, "ask_passphrase", lambda config: asked.append(config.name) or PASSPHRASE)
    with connect(agent.url, name="office") as hem:
        signs(hem, key)
        asking.log_in(hem)
        assert asked == []
        agent.word = Word.LOCKED
        monkeypatch.setattr(type(hem), "agent_ready", False)  # else it is asked every other second only
        asking.log_in(hem)
        assert asked == ["office"]


def test_nobody_is_asked_in_vain_where_only_an_agent_may_log_in(key, agent, monkeypatch):
    monkeypatch.setattr(login_source, "can_ask", lambda: True)
    monkeypatch.setattr(asking, "ask_passphrase", lambda config: pytest.fail(f"asked for {config.name}"))
    agent.word = Word.LOCKED
    with connect(agent.url, name="office", agent="always") as hem:
        asking.log_in(hem)
        with pytest.raises(HemLoginRequired, match="locked"):
            signs(hem, key)


def test_whether_it_is_ready_is_not_asked_at_every_turn(agent, office):
    asked = []
    agent.before = lambda _, path: bool(asked.append(path))
    assert all(office.agent_ready for _ in range(10))
    assert len(asked) == 1
    assert agent.lines == []


@pytest.fixture
def configured(agent, monkeypatch):
    monkeypatch.setenv("HEM_URL", agent.url)
    monkeypatch.setenv("HEM_NAME", "office")
    monkeypatch.setattr(login_source, "can_ask", lambda: True)
    return load_config().device()


@pytest.mark.parametrize("unlocked", [True, False])
def test_the_keyring_asks_nobody_while_the_agent_is_unlocked(configured, agent, monkeypatch, unlocked):
    typed = []
    monkeypatch.setattr("getpass.getpass", lambda _: typed.append(1) or PASSPHRASE)
    if not unlocked:
        agent.word = Word.LOCKED
    opener = Opener()
    hem = opener.device(None, None)
    agent.word = ""
    assert hem.status().initialized
    opener.close()
    assert typed == ([] if unlocked else [1])


def test_the_error_without_any_source_names_the_agent_too(agent):
    agent.stop()
    with connect(agent.url, name="office") as hem:
        with pytest.raises(HemLoginRequired) as raised:
            hem.login()
    assert CONFIGURABLE in str(raised.value)
    assert "hem agent start" in str(raised.value)


def test_a_login_that_cannot_be_had_settles_nothing(agent, rig):
    """An agent that is gone and a device that is away: of the change nothing was sent."""
    agent.stop()
    rig.fault("GET /api/auth/token", ConnectionError)
    rig.fault("GET /api/auth/token", ConnectionError)
    rig.requests.clear()
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as hem:
        with pytest.raises(ConnectionLostError):
            hem.keys.create("ED25519", label="new")
    assert set(rig.requests) == {"GET /api/auth/token"}
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent="always") as hem:
        with pytest.raises(HemUnreachable, match="hem agent start"):
            hem.keys.create("ED25519", label="new")


def test_an_agent_that_hangs_while_it_compares_gives_no_verdict_and_no_doubt(key, agent):
    ended = threading.Event()
    agent.before = lambda _, path: path.endswith("/pin") and not ended.wait(30)
    settings = {"passphrase": PASSPHRASE, "timeout": 1, "connect_timeout": 0.2}
    with connect(agent.url, name="office", **settings) as hem:
        signs(hem, key)
        assert hem.statistics.logins == 1
    for act in (
        lambda hem: hem.session.run(crypto.mldsa_verify("ab" * 16, b"m", bytes(2420))),
        lambda hem: hem.keys.create("ED25519", label="new"),
    ):
        with connect(agent.url, name="office", agent="always", **settings) as hem:
            with pytest.raises(HemTimeout, match="/pin: no answer within 0.2 s") as raised:
                act(hem)
            assert not isinstance(raised.value, HemOutcomeUnknown)
    ended.set()
    assert agent.lines == []
