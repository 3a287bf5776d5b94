"""What stands in the way of an agent, and what becomes of a call then: with ``auto`` and with ``always``."""

from __future__ import annotations

import io
import logging
import socket

import pytest
from support.passphrases import PASSPHRASE

from hem_provider import errors
from hem_provider.config.agentplace import Word
from hem_provider.device import connect
from hem_provider.errors import (
    HemConnectionError,
    HemKeyNotFound,
    HemLoginRequired,
    HemOutcomeUnknown,
    HemProtocolError,
    HemRequestRefused,
    HemScopeDenied,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.rest import crypto
from hem_provider.rest.wire import ConnectionLostError, NoTurnError


@pytest.fixture
def agent(fake_agent):
    return fake_agent


@pytest.fixture
def key(agent):
    made = agent.hem.keys.create("ED25519", label="k")
    agent.forget()
    return made


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return path


def cut(handler, _=""):
    """The connection ends, without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def on(end, act):
    """For requests to paths with that end."""
    return lambda handler, path: path.endswith(end) and act(handler)


def absent(agent):
    agent.stop()


def refusing(agent):
    agent.stop()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(agent.path))  # a file that a dead agent has left
    left.close()


def answering(word):
    def arrange(agent):
        agent.word = word

    return arrange


#: What is arranged, and what ``always`` makes of it.
OBSTACLES = {
    "absent": (absent, HemUnreachable, r"no agent: .*agent\.sock: no such socket; run: hem agent start"),
    "refusing": (refusing, HemUnreachable, "no agent: .*: Connection refused; run: hem agent start"),
    "locked": (answering(Word.LOCKED), HemLoginRequired, "'locked'.*; run: hem agent unlock"),
    "unknown": (answering(Word.UNKNOWN), HemUnreachable, "'unknown'.*hem agent status"),
    "stopping": (answering(Word.STOPPING), HemUnreachable, "'stopping'.*; run: hem agent start"),
    "gone": (
        lambda agent: setattr(agent, "before", cut),
        ConnectionLostError,
        "the agent is gone: .*; run: hem agent start",
    ),
}
obstacle = pytest.mark.parametrize("name", OBSTACLES)


@pytest.fixture(autouse=True)
def _nothing_left(request, _runtime_folder):
    yield
    from pathlib import Path

    Path(_runtime_folder, "hem", "agent.sock").unlink(missing_ok=True)


@obstacle
def test_auto_goes_its_own_way_and_says_so_once(key, agent, rig, secret, name, caplog):
    OBSTACLES[name][0](agent)
    with caplog.at_level(logging.INFO, "hem_provider.agent"):
        with connect(agent.url, name="office", passphrase_file=secret) as hem:
            for _ in range(3):
                key.public_key().verify(hem.sign(key.kid, b"m", "Ed25519"), b"m")
            assert hem.statistics.logins == 1
    (told,) = [each for each in caplog.records if each.name == "hem_provider.agent"]
    assert told.levelno == logging.INFO
    assert told.getMessage().endswith("; going on without the agent")


@obstacle
def test_questions_without_a_login_go_their_own_way_too(agent, rig, name):
    OBSTACLES[name][0](agent)
    with connect(agent.url, name="office") as hem:
        assert hem.status().initialized
        assert hem.probe().eid == agent.hem.probe().eid
        assert not hem.agent_ready


@obstacle
def test_auto_without_a_login_of_its_own_says_what_became_of_the_agent(key, agent, name):
    arrange, _, told = OBSTACLES[name]
    arrange(agent)
    with connect(agent.url, name="office") as hem, pytest.raises(HemLoginRequired) as raised:
        hem.sign(key.kid, b"m", "Ed25519")
    assert "a login is needed" in str(raised.value)
    assert raised.match(told)


@obstacle
def test_always_says_what_to_type(key, agent, rig, secret, name):
    arrange, kind, told = OBSTACLES[name]
    arrange(agent)
    rig.requests.clear()
    with connect(agent.url, name="office", passphrase_file=secret, agent="always") as hem:
        for act in (
            lambda: hem.sign(key.kid, b"m", "Ed25519"),
            hem.status,
            hem.probe,
            lambda: hem.login(PASSPHRASE),
            hem.login,
        ):
            with pytest.raises(kind, match=told):
                act()
    assert rig.requests == []


def test_never_asks_nobody(key, agent, secret):
    with connect(agent.url, name="office", passphrase_file=secret, agent="never") as hem:
        hem.sign(key.kid, b"m", "Ed25519")
        assert not hem.agent_ready
        hem.login(PASSPHRASE)
    assert agent.lines == []
    assert agent.compared == 0


def test_an_agent_that_comes_back_is_used_again(key, agent, office):
    agent.stop()
    with pytest.raises(HemLoginRequired):
        office.sign(key.kid, b"m", "Ed25519")
    agent.start()
    office.sign(key.kid, b"m", "Ed25519")
    agent.stop()
    agent.start()  # the connection that was kept is dead
    office.sign(key.kid, b"m", "Ed25519")
    assert office.statistics.logins == 0


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_what_the_agent_has_no_right_to_is_told_in_its_words(key, agent, secret, mode):
    agent.denied = {"keymgmt:gen"}
    with connect(agent.url, name="office", passphrase_file=secret, agent=mode) as hem:
        with pytest.raises(
            HemScopeDenied,
            match="office .*start it with: hem agent start --allow make; or go without it: HEM_AGENT=never",
        ):
            hem.keys.create("ED25519", label="new")
        hem.sign(key.kid, b"m", "Ed25519")
        assert (hem.statistics.logins, hem.statistics.calls) == (0, 1)


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_it_is_done_by_the_callers_own_secret_and_the_rest_by_the_agent(key, agent, rig, mode):
    agent.denied = {"keymgmt:gen"}
    with connect(agent.url, name="office", passphrase=PASSPHRASE, agent=mode) as hem:
        for label in ("one", "two"):
            hem.keys.create("ED25519", label=label)
        assert hem.statistics.logins == 1
        agent.asked.clear()
        hem.sign(key.kid, b"m", "Ed25519")
        assert agent.lines == ["POST /api/crypto/exdsa/sign"]
        assert hem.statistics.logins == 1
    assert {"one", "two"} <= set(rig.labels())
    assert agent.compared == 1


ERRORS = [name for name in errors.__all__ if name != "MessageTooLong"]


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("name", [*ERRORS, "ConnectionLostError", "NoTurnError"])
def test_errors_of_the_way_to_the_device_are_told_as_they_are(key, agent, secret, name, mode):
    agent.word, agent.error, agent.says = Word.ERROR, name, "it\nis so"
    kind = {"ConnectionLostError": ConnectionLostError, "NoTurnError": NoTurnError}.get(name)
    with connect(agent.url, name="office", passphrase_file=secret, agent=mode) as hem:
        with pytest.raises(kind or getattr(errors, name), match="office .*: it is so") as raised:
            hem.sign(key.kid, b"m", "Ed25519")
        assert type(raised.value) is (kind or getattr(errors, name))
        assert hem.statistics.logins == 0


@pytest.mark.parametrize(
    ("sent", "code"), [("E-TLS-NAME", "E-TLS-NAME"), ("HemTLSError", "HemTLSError"), (7, "HemTLSError"),
                       ("E-\n", "HemTLSError"), (None, "HemTLSError")],
)  # fmt: skip
def test_the_kind_of_an_error_of_the_way_is_handed_on(key, agent, office, sent, code):
    told = {"error": "HemTLSError", "message": "so", "code": sent}
    agent.before = on("/sign", lambda handler: not handler.answer(502, told, word=Word.ERROR))
    with pytest.raises(errors.HemTLSError) as raised:
        office.sign(key.kid, b"m", "Ed25519")
    assert raised.value.code == code


@pytest.mark.parametrize("name", ["SystemExit", "", "MessageTooLong", "x" * 10_000, 7, None, ["HemError"]])
def test_an_error_of_no_known_name_is_an_answer_that_is_none(key, agent, office, name):
    agent.word, agent.error, agent.says = Word.ERROR, name, "strange"
    with pytest.raises(HemProtocolError, match="strange") as raised:
        office.sign(key.kid, b"m", "Ed25519")
    assert len(str(raised.value)) < 1000


def test_a_request_that_is_none_is_refused(key, agent, office):
    agent.word, agent.says = Word.REFUSED, "too large"
    with pytest.raises(HemRequestRefused, match="too large"):
        office.sign(key.kid, b"m", "Ed25519")


@pytest.mark.parametrize("message", ["", None, 7, ["x"], "x" * 100_000])
def test_a_word_that_is_not_known_is_no_answer(key, agent, office, message):
    agent.before = on("/sign", lambda handler: not handler.answer(200, {"message": message}, word="perhaps"))
    with pytest.raises(HemProtocolError, match="'perhaps', which is not known here") as raised:
        office.sign(key.kid, b"m", "Ed25519")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff", b"{" * 1000])
@pytest.mark.parametrize("word", [Word.LOCKED, Word.DENIED])
def test_words_count_whatever_stands_beside_them(key, agent, office, word, body):
    agent.before = on("/sign", lambda handler: not handler.answer(401, body, word=word))
    expected = HemLoginRequired if word == Word.LOCKED else HemScopeDenied
    with pytest.raises(expected, match=f"'{word}'"):
        office.sign(key.kid, b"m", "Ed25519")


def test_a_change_whose_answer_is_lost_is_looked_for_and_never_sent_twice(key, agent, rig, secret):
    def lose(handler):
        """It is carried out, then the agent is gone."""
        handler.wfile = io.BytesIO()
        agent.before = None
        handler.device("/api/keymgmt/create", dict(handler.lowered), handler.body)
        agent.stop()
        return cut(handler)

    agent.before = on("/create", lose)
    with connect(agent.url, name="office", passphrase_file=secret) as hem:
        made = hem.keys.create("ED25519", label="once")
        assert hem.keys.find(label="once").kid == made.kid
    assert rig.labels().count("once") == 1
    assert rig.count("POST /api/keymgmt/create") == 2  # with that of the fixture


def test_a_change_that_was_lost_before_it_was_made_is_not_made(key, agent, rig, secret):
    agent.before = on("/create", lambda handler: agent.stop() or cut(handler))
    with connect(agent.url, name="office", passphrase_file=secret) as hem:
        with pytest.raises(HemUnreachable, match="no key was made"):
            hem.keys.create("ED25519", label="once")
    assert "once" not in rig.labels()


def test_where_nobody_can_look_the_outcome_is_unknown(key, agent, office):
    agent.before = on("/create", lambda handler: agent.stop() or cut(handler))
    with connect(agent.url, name="office", agent="always") as hem:
        with pytest.raises(HemOutcomeUnknown, match="once"):
            hem.keys.create("ED25519", label="once")


def test_looks_after_a_doubt_are_never_answered_from_memory(key, agent, rig):
    rig.fault("POST /api/keymgmt/create", ConnectionError)
    with connect(agent.url, name="office") as hem:
        with pytest.raises(HemConnectionError, match="no key was made"):
            hem.keys.create("ED25519", label="once")
    looks = [fields for method, path, fields, _ in agent.asked if path == "/api/keymgmt/search"]
    assert looks
    assert {fields.get("cache-control") for fields in looks} == {"no-cache"}


def test_a_repeatable_call_that_was_lost_goes_its_own_way(key, agent, rig, secret):
    rig.requests.clear()
    agent.before = on("/sign", cut)
    with connect(agent.url, name="office", passphrase_file=secret) as hem:
        key.public_key().verify(hem.sign(key.kid, b"m", "Ed25519"), b"m")
        assert hem.statistics.logins == 1
    assert rig.count("POST /api/crypto/exdsa/sign") == 1


def test_a_verdict_that_is_lost_is_none_where_the_device_answers(agent, rig, office):
    """As by the own way: a device that drops the connection at a false signature says so."""
    kid = agent.hem.keys.create("MLDSA44", label="pq").kid
    agent.word, agent.error = Word.ERROR, "ConnectionLostError"
    call = crypto.mldsa_verify(kid, b"m", bytes(2420))

    def first_only(handler, path):
        if path.endswith("/verify"):
            return False
        agent.word = ""
        return False

    agent.before = first_only
    assert office.session.run(call) is False


def test_nothing_was_sent_where_no_turn_came(agent, office):
    agent.word, agent.error = Word.ERROR, "NoTurnError"
    with pytest.raises(HemTimeout):
        office.session.run(crypto.mldsa_verify("ab" * 16, b"m", bytes(2420)))


def test_a_key_that_is_gone_is_not_found(agent, office):
    with pytest.raises(HemKeyNotFound):
        office.sign("ab" * 16, b"m", "Ed25519")


@pytest.mark.parametrize("made", [True, False])
def test_a_repeatable_change_that_was_lost_is_looked_for_before_it_goes_its_own_way(
    key, agent, rig, secret, made
):
    def lose(handler):
        agent.before = None
        if made:
            handler.wfile = io.BytesIO()
            handler.device("/api/keymgmt/update", dict(handler.lowered), handler.body)
        agent.stop()
        return cut(handler)

    agent.before = on("/update", lose)
    with connect(agent.url, name="office", passphrase_file=secret) as hem:
        assert hem.keys.update(key.kid, label="renamed").label == "renamed"
    assert "renamed" in rig.labels()
    assert rig.count("POST /api/keymgmt/update") == 1


def test_it_may_have_been_made_where_nobody_can_look(key, agent, rig):
    agent.before = on("/update", lambda handler: agent.stop() or cut(handler))
    with connect(agent.url, name="office", agent="always") as hem:
        with pytest.raises(HemOutcomeUnknown, match="whether the key was changed is unknown"):
            hem.keys.update(key.kid, label="renamed")
