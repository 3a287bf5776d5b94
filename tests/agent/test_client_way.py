"""What goes through a user's agent, how, and what of it is a call."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest
from support.passphrases import ADMIN, PASSPHRASE
from support.statuses import STATUS

from hem_provider.config.agentplace import Field
from hem_provider.device import Role, connect
from hem_provider.errors import HemKeyNotFound
from hem_provider.rest import auth, configuration, crypto, initialisation, keymgmt, logger, system, upgrade
from hem_provider.rest import turns as turns_module
from hem_provider.rest.agentlink import Agent
from hem_provider.rest.auth import Challenge
from hem_provider.rest.credential import Credential
from hem_provider.rest.encoding import b64

KID = "ab" * 16
CHALLENGE = Challenge(b64(bytes(32)), b64(bytes(32)), "", b64(bytes(32)), 2**31, 0.0, 0.0)


def login_call():
    credential = Credential(bytes(31) + b"\1", eid="x", role=Role.USER)
    given = Challenge(b64(b"\x09" + bytes(31)), CHALLENGE.jti, "", CHALLENGE.eid, 2**31, 0.0, 0.0)
    return auth.login(given, credential, scope="keymgmt:list", lifetime=60)


@pytest.fixture
def agent(fake_agent):
    return fake_agent


@pytest.fixture
def key(agent):
    made = agent.hem.keys.create("ED25519", label="k")
    agent.hem.keys.create("ED25519", label="other")
    agent.forget()
    return made


@pytest.mark.parametrize(
    ("call", "through"),
    [
        (crypto.sign(KID, b"m", "Ed25519"), True),
        (keymgmt.list_keys(), True),
        (keymgmt.create(type="ED25519", label="k"), True),
        (keymgmt.delete(KID), True),
        (keymgmt.search_anonymously(b"PKCS11:h:"), True),
        (configuration.read(), True),
        (logger.list_files(), True),
        (system.status(), True),
        (system.version(), True),
        (auth.identity(), True),
        (auth.challenge(), False),
        (login_call(), False),
        (initialisation.challenge(), False),
        (system.begin_check_in(), False),
        (system.finish_check_in({}), False),
        (upgrade.upload(upgrade.Image.FIRMWARE, b"x"), False),
    ],
    ids=lambda value: getattr(value, "path", ""),
)
def test_logins_check_ins_uploads_and_initialisations_go_their_own_way(call, through):
    assert Agent.carries(call) is through


def test_a_signature_is_one_call_and_no_login(key, agent, office, rig):
    rig.requests.clear()
    key.public_key().verify(office.sign(key.kid, b"message", "Ed25519"), b"message")
    assert (office.statistics.calls, office.statistics.logins) == (1, 0)
    ((method, path, fields, body),) = agent.asked
    assert (method, path) == ("POST", "/api/crypto/exdsa/sign")
    assert fields[Field.DEVICE.lower()] == agent.url
    assert fields[Field.SCOPES.lower()] == f"keymgmt:use:{key.kid}"
    assert 29 < float(fields[Field.WITHIN.lower()]) < 30
    assert fields[Field.REPEATABLE.lower()] == "1"
    assert fields["cache-control"] == "no-cache"
    assert "authorization" not in fields
    assert b'"msg"' in body
    assert office.logged_in


def test_what_may_not_be_repeated_says_so_and_every_scope_that_will_do_is_named(key, agent, office):
    office.keys.create("AES256", label="new")
    office.operations.fetch(key.kid)
    made, got = agent.asked
    assert Field.REPEATABLE.lower() not in made[2]
    assert float(made[2][Field.WITHIN.lower()]) > 100  # as long as a new key may take
    assert got[2][Field.SCOPES.lower()].split() == [f"keymgmt:use:{key.kid}", "keymgmt:gen", "keymgmt:get"]


def test_status_version_and_identity_need_no_scope(agent, office):
    assert office.status().initialized
    assert office.version()
    assert office.probe().eid == agent.hem.probe().eid
    assert office.identity == agent.hem.identity
    assert [Field.SCOPES.lower() in fields for _, _, fields, _ in agent.asked] == [False] * 3
    assert office.statistics.logins == 0


def test_the_device_refuses_as_it_would_without_an_agent(key, agent, office):
    with pytest.raises(HemKeyNotFound, match="office: cannot sign with Ed25519: no key cdcd"):
        office.sign("cd" * 16, b"m", "Ed25519")
    with pytest.raises(HemKeyNotFound, match="no such key"):
        office.keys.delete("cd" * 16)


def test_no_turn_is_taken(key, agent, office, monkeypatch):
    def turn(*_, **__):
        raise AssertionError("the agent queues")

    monkeypatch.setattr(turns_module, "turn", turn)
    monkeypatch.setattr("hem_provider.rest.channel.turn", turn)
    # The agent's own end is in this process, too: it asks nobody.
    agent.before = lambda handler, path: path.endswith("/status") and not handler.answer(200, STATUS)
    assert office.status().uptime == 1


def test_threads_share_it_each_with_a_connection_of_its_own(key, agent, office):
    met = threading.Barrier(4, timeout=20)
    agent.before = lambda _, path: path.endswith("/sign") and bool(met.wait() < 0)
    failed = []

    def act():
        try:
            for _ in range(5):
                key.public_key().verify(office.sign(key.kid, b"m", "Ed25519"), b"m")
        except BaseException as error:
            failed.append(error)
            met.abort()

    threads = [threading.Thread(target=act) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert (office.statistics.calls, office.statistics.logins) == (20, 0)


def test_a_child_goes_on_with_connections_of_its_own(key, agent, office):
    office.sign(key.kid, b"m", "Ed25519")
    seen = []
    agent.before = lambda handler, _: seen.append(handler.connection.fileno()) is not None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(office.status().uptime).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert int(os.read(reader, 100)) >= 0
    os.close(reader)
    office.sign(key.kid, b"m", "Ed25519")
    assert agent.lines == [
        "POST /api/crypto/exdsa/sign",
        "GET /api/system/status",
        "POST /api/crypto/exdsa/sign",
    ]
    assert len(set(seen)) == 2


def test_what_the_agent_remembers_is_no_call(key, agent, office):
    assert len(office.keys) == 2
    assert (office.statistics.calls, office.statistics.remembered) == (1, 0)
    with connect(agent.url, name="office") as later:
        assert later.keys.find(label="k").kid == key.kid
        later.probe()
        assert (later.statistics.calls, later.statistics.remembered) == (1, 1)
    with connect(agent.url, name="office") as last:
        assert last.probe().eid
        assert (last.statistics.calls, last.statistics.remembered) == (0, 1)


def test_a_key_that_the_agent_does_not_remember_is_looked_for_on_the_device(key, agent, office):
    assert "late" not in {each.label for each in office.keys}
    late = agent.hem.keys.create("ED25519", label="late")  # which this agent has not noticed
    remembered = agent.memory.copy()
    for find in (
        lambda keys: keys.find(label="late"),
        lambda keys: keys[late.kid] if late.kid in keys else None,  # noqa: SIM401 - no mapping
    ):
        with connect(agent.url, name="office") as later:
            assert find(later.keys).kid == late.kid
            assert (later.statistics.calls, later.statistics.remembered) == (1, 1)
        agent.memory = remembered.copy()
    with connect(agent.url, name="office") as later:
        with pytest.raises(HemKeyNotFound):
            later.keys.find(label="never")
        assert "ef" * 16 not in later.keys
        assert later.statistics.calls <= 2


def test_an_agent_that_insists_on_its_memory_is_asked_no_more_than_twice(key, agent, office):
    page = b'{"total": 0, "listed": 0, "list": []}'
    agent.before = lambda handler, path: "/list/" in path and not handler.answer(200, page, {"Age": "1"})
    with pytest.raises(HemKeyNotFound):
        office.keys.find(label="k")
    assert "k" not in office.keys


def test_refreshing_asks_the_device(key, agent, office):
    len(office.keys)
    office.keys.refresh()
    len(office.keys)
    assert (office.statistics.calls, office.statistics.remembered) == (2, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda hem, _: hem.keys.create("ED25519", label="new"),
        lambda hem, key: hem.keys.delete(key),
        lambda hem, key: hem.keys.update(key, label="renamed"),
    ],
    ids=["create", "delete", "update"],
)
def test_what_a_program_changes_by_itself_is_listed_by_the_next_one(key, agent, office, change):
    len(office.keys)
    agent.denied = {"keymgmt:gen", "keymgmt:del", "keymgmt:upd"}
    with connect(agent.url, name="office", passphrase=PASSPHRASE) as maker:
        change(maker, key.kid)
        assert maker.statistics.logins > 0
    with connect(agent.url, name="office") as later:
        assert sorted(each.label for each in later.keys) == sorted(
            each.label for each in connected_afresh(agent.hem)
        )


def connected_afresh(hem):
    hem.keys.refresh()
    return list(hem.keys)


def test_the_master_goes_his_own_way(agent, office):
    office.login(ADMIN, role=Role.MASTER, scope="system:config")
    office.admin.configuration()
    assert agent.lines == []
    assert agent.compared == 0


def test_a_short_program_loads_neither_tls_nor_requests_and_derives_no_key(key, agent):
    program = f"""
    import sys
    def derive(*_):
        raise AssertionError("no key is derived")
    import hem_provider
    from hem_provider.rest import credential
    credential.pbkdf2_seed = derive
    hem = hem_provider.connect({agent.url!r}, name="office")
    key = hem.keys.get({key.kid!r})
    signature = key.private_key().sign(b"message")
    loaded = {{"requests", "urllib3", "hem_provider.rest.tls", "hem_provider.rest.http", "mnemonic"}}
    loaded |= {{"dataclasses", "inspect", "logging", "http.client", "email", "ssl"}}
    print(signature.hex(), hem.statistics.logins, sorted(loaded & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    signature, logins, loaded = done.stdout.split(maxsplit=2)
    key.public_key().verify(bytes.fromhex(signature), b"message")
    assert (logins, loaded.strip()) == ("0", "[]")


def test_without_an_agent_nothing_is_loaded_for_one():
    program = """
    import sys
    import hem_provider
    hem = hem_provider.connect("https://127.0.0.1:1", name="office", connect_timeout=1)
    assert not hem.agent_ready
    print("hem_provider.rest.unixsocket" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
