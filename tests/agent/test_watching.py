"""Whoever only watches keeps no agent from being idle, and has none unlock itself."""

from __future__ import annotations

import asyncio

import pytest

from hem_provider.agent.door import Door, LockedError, Wanted
from hem_provider.agent.http import Question
from hem_provider.agent.options import Options
from hem_provider.agent.service import Service
from hem_provider.config import device_from_url

LIST = "/api/keymgmt/list/0/15"


class Agent:
    """A locked device with a source, which fails, and what happens to it."""

    def __init__(self):
        self.heard = []
        self.door = Door(device_from_url("https://127.0.0.1:1", name="k"), Options(), self._unlock)
        self.service = Service(
            {"k": self.door},
            status=lambda: {"devices": []},
            lock=lambda _: None,
            stop=lambda: None,
            touched=lambda: self.heard.append("used"),
            watched=lambda: self.heard.append("watched"),
        )

    async def _unlock(self, _):
        self.heard.append("source")

    def ask(self, method, path, **headers):
        """The status of the answer."""
        fields = {f"hem-{name}": value for name, value in headers.items()}
        return asyncio.run(self.service.answer(Question(method, path, fields, b"", 1, ()))).status


@pytest.fixture
def agent():
    made = Agent()
    yield made
    made.door.close()


@pytest.mark.parametrize(
    ("path", "headers", "heard"),
    [
        (f"/devices/k{LIST}", {"scope": "keymgmt:list"}, ["used", "source"]),
        (f"/devices/k{LIST}", {"scope": "keymgmt:list", "watching": "1"}, ["watched"]),
        (f"/devices/k{LIST}", {"scope": "keymgmt:list", "watching": "0"}, ["used", "source"]),
        ("/devices/k/pin", {}, ["used", "source"]),
        ("/devices/k/pin", {"watching": "1"}, ["watched"]),
    ],
)
def test_a_device_is_unlocked_for_who_uses_it_alone(agent, path, headers, heard):
    assert agent.ask("GET", path, **headers) == 401  # locked, in every case
    assert agent.heard == heard


def test_looking_at_its_state_is_no_use_of_it(agent):
    assert agent.ask("GET", "/status") == 200
    assert agent.heard == ["watched"]


def test_the_door_itself_asks_no_source_for_who_watches(agent):
    with pytest.raises(LockedError):
        asyncio.run(agent.door.ask(Wanted("GET", LIST, scopes=("keymgmt:list",), watching=True)))
    assert agent.heard == []
