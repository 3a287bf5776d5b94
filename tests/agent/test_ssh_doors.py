"""Keys of several devices for the ssh-agent: what is wrong with one hides no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.sshkeys import PRIVATE, key_of, signed

from hem_provider.agent.answers import Answers
from hem_provider.agent.ssh.doors import DoorKeys
from hem_provider.agent.ssh.identities import SshKey
from hem_provider.device.key import Key
from hem_provider.errors import (
    HemAnswerFault,
    HemApprovalDenied,
    HemAuthenticationError,
    HemError,
    HemKeyNotFound,
    HemLoginRequired,
    HemScopeDenied,
    HemUnreachable,
)
from hem_provider.keytypes import parse_attributes


class Listed(Key):
    """A key of this process as a device lists it. ``failure`` is raised where its public half is read."""

    def __init__(self, key: SshKey, failure: HemError | None = None) -> None:
        attributes = parse_attributes(f"PKEY,ExDSA,{key.type}")
        super().__init__(None, None, key.kid, label=key.label, descr=b"", attributes=attributes)
        self._public = None if failure else key.public
        self.failure = failure

    @property
    def known_public(self) -> bytes | None:
        return self._public

    def public_bytes(self) -> bytes:
        if self.failure:
            raise self.failure
        return super().public_bytes()


class Hem:
    """A device's keys; ``failure`` is raised by whatever is asked of it."""

    def __init__(self, *listed: Listed) -> None:
        self.listed = list(listed)
        self.failure: HemError | None = None
        self.logged_in = True
        self.count = 0
        self.keys = self

    def refresh(self) -> None:
        self.count += 1

    def __iter__(self) -> Any:
        if self.failure:
            raise self.failure
        return iter(self.listed)

    def sign(self, kid: str, data: bytes, _algorithm: str) -> bytes:
        if self.failure:
            raise self.failure
        return signed(next(kind for kind in PRIVATE if key_of(kind).kid == kid), data)


class Door:
    """What is asked of a door, without threads."""

    def __init__(self, name: str, *listed: Listed) -> None:
        self.name, self.hem = name, Hem(*listed)
        self.answers = Answers()
        self.is_unlocked, self.unlocks = True, False
        self.reason = "it was not unlocked yet"
        self.denied: frozenset[str] = frozenset()

    async def check_keys(self, kids: frozenset[str]) -> None:
        if kids & self.denied:
            raise HemScopeDenied("the agent lets nobody use it")

    async def try_source(self) -> None:
        self.is_unlocked = self.unlocks

    async def in_turn(self, work: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        return work()

    def lock(self, reason: str) -> None:
        self.is_unlocked, self.reason = False, reason


@pytest.fixture
def doors() -> dict[str, Door]:
    office = Door("office", Listed(key_of("ED25519", "ed")), Listed(key_of("SECP256R1", "p256")))
    spare = Door("spare", Listed(key_of("SECP384R1", "p384")))
    return {each.name: each for each in (office, spare)}


def labels(keys: DoorKeys, **how: bool) -> list[str]:
    return [f"{each.device}:{each.label}" for each in asyncio.run(keys.keys(**how))]


EVERY = ["office:ed", "office:p256", "spare:p384"]


def test_keys_of_all_devices_are_there_and_each_signs_on_its_own(doors):
    keys = DoorKeys(doors, ())
    assert labels(keys) == EVERY
    for key in asyncio.run(keys.keys()):
        made = asyncio.run(keys.sign(key, b"data", key.algorithm))
        assert key.signature(made, b"data")


@pytest.mark.parametrize("failure", [HemUnreachable("spare: no route"), HemLoginRequired("spare: no login")])
def test_a_device_that_is_away_or_locked_hides_no_other(doors, caplog, failure):
    doors["spare"].hem.failure = failure
    keys = DoorKeys(doors, ())
    assert labels(keys) == EVERY[:2]
    assert "keys are left out: spare: " in caplog.text
    doors["office"].hem.failure = HemUnreachable("office: no route")
    with pytest.raises(HemUnreachable, match="office"):
        labels(keys, fresh=True)


def test_a_key_with_a_misshapen_public_half_hides_no_other(doors, caplog):
    doors["spare"].hem.listed.append(Listed(key_of("SECP521R1", "bad"), HemAnswerFault("key bad: misshapen")))
    assert labels(DoorKeys(doors, ())) == EVERY
    assert "a key is left out: key bad: misshapen" in caplog.text


def test_a_list_is_good_until_something_is_changed_by_the_agent_or_it_is_asked_for_anew(doors):
    keys, office = DoorKeys(doors, ()), doors["office"]
    labels(keys)
    labels(keys)
    assert office.hem.count == 1
    office.answers.forget()
    labels(keys)
    labels(keys)
    assert office.hem.count == 2
    labels(keys, fresh=True)
    assert office.hem.count == 3


def test_a_key_that_the_device_has_no_more_ends_the_list(doors):
    keys, office = DoorKeys(doors, ()), doors["office"]
    key = asyncio.run(keys.keys())[0]
    office.hem.failure = HemKeyNotFound("office: no key")
    with pytest.raises(HemKeyNotFound):
        asyncio.run(keys.sign(key, b"data", key.algorithm))
    office.hem.failure = None
    labels(keys)
    assert office.hem.count == 2


def test_a_key_whose_label_is_allowed_no_more_does_not_sign(doors):
    """The list that ssh is offered may be older than that."""
    keys, office = DoorKeys(doors, ()), doors["office"]
    key = asyncio.run(keys.keys())[0]
    office.denied = frozenset({key.kid})
    with pytest.raises(HemScopeDenied):
        asyncio.run(keys.sign(key, b"data", key.algorithm))


def test_a_locked_device_is_unlocked_where_it_can_be_and_shows_nothing_from_memory(doors):
    keys, office = DoorKeys(doors, ()), doors["office"]
    labels(keys)
    office.is_unlocked = False
    assert labels(keys) == EVERY[2:]
    office.unlocks = True
    assert labels(keys) == EVERY


def test_a_login_that_is_refused_locks_the_device_but_not_a_person_who_says_no(doors):
    keys, office = DoorKeys(doors, ()), doors["office"]
    key = asyncio.run(keys.keys())[0]
    office.hem.logged_in = False
    office.hem.failure = HemApprovalDenied("refused on the phone")
    with pytest.raises(HemApprovalDenied):
        asyncio.run(keys.sign(key, b"data", key.algorithm))
    assert office.is_unlocked
    office.hem.failure = HemAuthenticationError("the passphrase was changed")
    with pytest.raises(HemLoginRequired, match=r"the passphrase was changed\): hem agent unlock"):
        asyncio.run(keys.sign(key, b"data", key.algorithm))
    assert not office.is_unlocked


def test_only_keys_that_the_agent_was_started_for_are_there(doors):
    assert labels(DoorKeys(doors, ("p*",))) == EVERY[1:]
