"""A set of keys against a model, while its devices die, hang, lie and come back."""

from __future__ import annotations

import json
import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.rigs import several
from support.traffic import LostReply, LostRequest

from hem_provider.device import recoveries
from hem_provider.errors import HemKeySetFailed
from hem_provider.keys import KeySet

COUNT = 3
PATIENCE, TIMEOUT, AWAY = 0.1, 1.0, 0.05
WELL, DEAD, REFUSING, LYING, HANGING = "well", "dead", "refusing", "lying", "hanging"
MESSAGES = st.binary(min_size=1, max_size=40)


def lie(line, body):
    """A signature of the right form that is of nothing."""
    if not line.endswith("exdsa/sign"):
        return body
    told = json.loads(body)
    told["sign"] = told["sign"][:-8] + "AAAAAA=="
    return json.dumps(told).encode()


class Set(RuleBasedStateMachine):
    """A well device signs for all; where there is none, each says why."""

    def __init__(self, folder):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        self.patch.setattr(recoveries, "_BREATH", 0.001)
        self.context = several(self.patch, folder, COUNT)
        self.rigs = self.context.__enter__()
        hems = [each.connect(name=f"d{number}") for number, each in enumerate(self.rigs)]
        made = [each.keys.create("ED25519", label="tokens") for each in hems]
        self.keys = KeySet(made, timeout=TIMEOUT, patience=PATIENCE, away=AWAY)
        self.keys.jwks()
        for key in made:  # every device is logged in: a login takes longer than patience here is
            key.private_key().sign(b"first")
        self.state = [WELL] * COUNT
        self.over = [threading.Event() for _ in self.rigs]

    def teardown(self):
        for place in range(COUNT):
            self.become(place, WELL)
        self.settle()
        self.context.__exit__(None, None, None)
        self.patch.undo()

    def settle(self):
        ends = time.monotonic() + 20
        while any(
            each.busy and self.state[place] != HANGING for place, each in enumerate(self.keys.standing())
        ):
            assert time.monotonic() < ends
            time.sleep(0.002)

    @rule(
        place=st.integers(0, COUNT - 1), state=st.sampled_from([WELL, WELL, DEAD, REFUSING, LYING, HANGING])
    )
    def become(self, place, state):
        rig, self.state[place] = self.rigs[place], state
        self.over[place].set()
        self.over[place] = over = threading.Event()
        rig.alter = lie if state == LYING else None
        rig.before_each = {
            DEAD: lambda: _raise(LostRequest("dead")),
            REFUSING: lambda: _raise(LostReply("refusing")),
            HANGING: lambda: over.wait(30),
        }.get(state)

    @rule(message=MESSAGES)
    def sign(self, message):
        self.check([self.outcome(message)], [message])

    @rule(messages=st.lists(MESSAGES, min_size=2, max_size=6, unique=True))
    def sign_at_once(self, messages):
        outcomes = [None] * len(messages)

        def one(number):
            outcomes[number] = self.outcome(messages[number])

        threads = [threading.Thread(target=one, args=(number,)) for number in range(len(messages))]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        self.check(outcomes, messages)

    @rule()
    def come_back(self):
        """All are well again: before long each of them signs, without anybody saying so."""
        for place in range(COUNT):
            self.become(place, WELL)
        ends, makers = time.monotonic() + 20, set()
        while len(makers) < COUNT:
            assert time.monotonic() < ends, self.keys.standing()
            makers.add(self.keys.sign(b"message")[1].kid)
            self.settle()

    def outcome(self, message):
        began = time.monotonic()
        try:
            made = self.keys.sign(message)
        except HemKeySetFailed as error:
            made = error
        return made, time.monotonic() - began

    def check(self, outcomes, messages):
        for (made, took), message in zip(outcomes, messages, strict=True):
            assert took < TIMEOUT + 2
            if WELL not in self.state:
                assert isinstance(made, HemKeySetFailed), (made, self.state)
                assert len(made.reasons) == COUNT
                continue
            assert not isinstance(made, Exception), (made, self.state)
            signature, key = made
            key.public_key().verify(signature, message)
            assert self.keys.verify(signature, message) == key
            assert self.state[self.keys.members.index(key)] == WELL
        self.settle()

    @invariant()
    def nobody_waits(self):
        assert len(self.keys.members) == COUNT


def _raise(error):
    raise error


def test_a_well_device_signs_for_all_whatever_the_others_do(tmp_path_factory):
    run_state_machine_as_test(
        lambda: Set(tmp_path_factory.mktemp("set")),
        settings=settings(max_examples=10, stateful_step_count=12),
    )
