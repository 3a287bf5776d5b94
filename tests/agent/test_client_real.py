"""Clients and the daemon itself: what each promises the other, over real TLS."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from support.agent import RunningAgent

from hem_provider.config import load_config
from hem_provider.device import Hem, connect
from hem_provider.errors import HemAuthenticationError, HemLoginRequired, HemScopeDenied, HemUnreachable


@pytest.fixture
def here(monkeypatch):
    """This process is a program of the agent's user; ``client`` as configured, without a login of its own."""

    def made(running, **settings):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(running.run))
        return connect(
            running.served.https,
            name="k",
            ca_file=running.served.ca_file,
            cloud_url=running.served.cloud,
            cloud_ca_file=running.served.ca_file,
            **settings,
        )

    return made


def costs(device, act):
    before = len(device.calls())
    act()
    return len(device.calls()) - before, device.logins(before)


def test_find_and_sign_are_one_call_and_no_login(agent, device, here):
    def act():
        with here(agent) as hem:
            key = hem.keys.find(label="mail")
            key.public_key()
            signature = hem.sign(key.kid, b"m", "Ed25519")
            key.public_key().verify(signature, b"m")

    act()
    assert costs(device, act) == (1, 0)


def test_one_of_many_keys_is_two_calls_and_no_login(agent, device, here):
    with here(agent, passphrase=device.passphrase) as hem:
        made = [hem.keys.create("AES128", label=f"many {number}").kid for number in range(35)]
    with here(agent) as hem:
        list(hem.keys)

    def act():
        with here(agent) as hem:
            assert hem.keys.find(label="many 20").kid == made[20]

    assert costs(device, act) == (2, 0)
    with here(agent, passphrase=device.passphrase) as hem:
        for kid in made:
            hem.keys.delete(kid)


def test_slots_objects_and_identity_are_no_call(agent, device, here):
    def act():
        with here(agent) as hem:
            assert hem.probe().eid
            assert hem.is_emulator
            assert hem.keys.search_anonymous() is not None
            assert len(list(hem.keys)) >= 3

    act()
    assert costs(device, act) == (0, 0)


def test_a_passphrase_is_compared_and_a_wrong_one_is_for_the_device(agent, device, here, keys):
    agent.calls.unlock("k", device.passphrase)  # by a passphrase, so that there is one to compare with
    with here(agent, passphrase=device.passphrase) as hem:
        hem.sign(keys["mail"], b"m", "Ed25519")
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)
    with here(agent) as hem:
        with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
            hem.login("wrong")
        assert hem.statistics.logins == 1
        assert hem.agent_ready
        hem.sign(keys["mail"], b"m", "Ed25519")
        assert hem.statistics.logins == 1


def test_rights_are_told_and_a_secret_of_ones_own_goes_round(agent, device, here):
    with here(agent) as hem, pytest.raises(HemScopeDenied, match="--allow make"):
        hem.keys.create("ED25519", label="mine")
    with here(agent, passphrase=device.passphrase) as hem:
        key = hem.keys.create("ED25519", label="mine")
        hem.keys.delete(key)
        assert hem.statistics.logins >= 1


def test_a_change_by_the_own_way_shows_at_once(agent, device, here):
    def labels():
        with here(agent) as hem:
            return {each.label for each in hem.keys}

    assert "passing" not in labels()
    with here(agent, passphrase=device.passphrase) as hem:
        key = hem.keys.create("ED25519", label="passing")
    assert "passing" in labels()
    with here(agent, passphrase=device.passphrase) as hem:
        hem.keys.delete(key.kid)
    assert "passing" not in labels()


def test_with_rights_everything_is_done_by_the_agent(device, here):
    options = [word for right in ("make", "delete", "admin") for word in ("--allow", right)]
    with RunningAgent(device, *options) as agent:
        agent.unlock()
        with here(agent, agent="always") as hem:
            key = hem.keys.create("ED25519", label="made")
            assert hem.keys.update(key, label="renamed").label == "renamed"
            assert [each.kid for each in hem.keys if each.label == "renamed"] == [key.kid]
            hem.keys.delete(key)
            assert hem.admin.configuration().hostname
            assert hem.statistics.logins == 0


def test_locked_and_stopped_agents_are_passed(device, here, keys):
    with RunningAgent(device, source=False) as agent:
        with here(agent) as hem:
            assert not hem.agent_ready
            with pytest.raises(HemLoginRequired, match="hem agent unlock"):
                hem.sign(keys["mail"], b"m", "Ed25519")
            agent.calls.unlock("k", device.passphrase)
            hem.sign(keys["mail"], b"m", "Ed25519")
            assert hem.statistics.logins == 0
            agent.calls.lock()
            with pytest.raises(HemLoginRequired, match="hem agent"):
                hem.sign(keys["mail"], b"m", "Ed25519")
        agent.wait_until(lambda: agent.status() is not None)
        with here(agent, agent="always") as hem:
            with pytest.raises((HemLoginRequired, HemUnreachable), match="hem agent"):
                hem.sign(keys["mail"], b"m", "Ed25519")
        with here(agent, passphrase_file=device.passphrase_file) as hem:
            hem.sign(keys["mail"], b"m", "Ed25519")
            assert hem.statistics.logins == 1
        agent.stop()
        with here(agent, agent="always") as hem:
            with pytest.raises(HemUnreachable, match="hem agent start"):
                hem.status()


def test_a_killed_agent_is_passed_in_the_middle_of_signing(device, here, keys):
    with RunningAgent(device) as agent:
        agent.unlock()
        failed, done = [], threading.Event()
        with here(agent, passphrase_file=device.passphrase_file) as hem:

            def act():
                try:
                    for _ in range(40):
                        hem.sign(keys["mail"], b"m", "Ed25519")
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=act) for _ in range(3)]
            for each in threads:
                each.start()
            os.kill(agent.pid, signal.SIGKILL)
            for each in threads:
                each.join(60)
            done.set()
            assert failed == []
            assert hem.statistics.logins == 1


def test_the_url_of_an_agent_reaches_it_wherever_it_is(agent, keys):
    with connect(f"unix:{agent.socket}#k") as hem:
        hem.sign(keys["mail"], b"m", "Ed25519")
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)


def test_another_name_for_the_same_device_is_served_and_another_device_is_not(agent, device, here, keys):
    here(agent).close()
    with connect(device.https, name="other", ca_file=device.ca_file, agent="always") as hem:
        hem.sign(keys["mail"], b"m", "Ed25519")
    with connect("https://127.0.0.1:1", name="k", agent="always") as hem:
        with pytest.raises(HemUnreachable, match="the agent has no device 'k' at https://127.0.0.1:1"):
            hem.status()


def test_the_agents_own_configuration_does_not_lead_it_to_itself(device, here, keys):
    with RunningAgent(device, settings='agent = "always"') as agent:
        agent.unlock()
        with here(agent, agent="always") as hem:
            hem.sign(keys["mail"], b"m", "Ed25519")


def test_programs_by_configuration(agent, device, monkeypatch, keys):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(agent.run))
    monkeypatch.setenv("HEM_CONFIG", str(agent.config))
    with Hem(load_config().device()) as hem:
        hem.sign(keys["mail"], b"m", "Ed25519")
        assert (hem.statistics.calls, hem.statistics.logins) == (1, 0)
    monkeypatch.setenv("HEM_AGENT", "never")
    with Hem(load_config().device()) as hem:
        hem.sign(keys["mail"], b"m", "Ed25519")
        assert hem.statistics.logins == 1
