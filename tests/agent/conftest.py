"""A running agent with an unlocked device and keys to use."""

from __future__ import annotations

import pytest
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of


@pytest.fixture(scope="session")
def device(tmp_path_factory):
    """A served emulator that all tests of agents share; they leave it usable."""
    with ServedEmulator(tmp_path_factory.mktemp("agent-device")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def keys(device):
    """Label → KID of keys on it."""
    with client_of(device) as hem:
        return {
            label: hem.keys.create(kind, label=label, usage=usage).kid
            for label, kind, usage in (
                ("web", "SECP256R1", {"sign"}),
                ("mail", "ED25519", None),
                ("work ed", "ED25519", None),
            )
        }


@pytest.fixture
def own_device(tmp_path):
    """A served emulator for a test that spoils it."""
    with ServedEmulator(tmp_path) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def _shared_agent(device, keys):
    with RunningAgent(device) as running:
        yield running


@pytest.fixture
def agent(_shared_agent):
    """Unlocked, with the usual rights; shared by all tests that leave it running."""
    yield _shared_agent.unlock()
    _shared_agent.close_clients()
    assert _shared_agent.process.poll() is None, _shared_agent.log.read_text()


@pytest.fixture
def own_agent(device, keys):
    """The same for a test that spoils it, or that wants it to know nothing yet."""
    with RunningAgent(device) as running:
        yield running.unlock()
