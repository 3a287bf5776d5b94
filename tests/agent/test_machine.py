"""A running agent against a model of it, whatever its users, its device and its owner do."""

from __future__ import annotations

import base64
import hmac
import signal
from contextlib import suppress
from http.client import HTTPException

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.agent import RunningAgent, sign_body
from support.emulator import ServedEmulator, client_of

from hem_provider.config.agentplace import Word
from hem_provider.emulator import EmulatedDevice, control
from hem_provider.errors import HemAuthenticationError

LIST = "/devices/k/api/keymgmt/list/0/15"
SIGN = "/devices/k/api/crypto/exdsa/sign"
STATUS = "/devices/k/api/system/status"
ALGORITHMS = {"mail": "Ed25519", "web": "SHA256WithECDSA"}
PASSPHRASES = ("correct horse battery staple", "another one altogether")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("machine-device"), passphrase=PASSPHRASES[0]) as served:
        yield served


@pytest.fixture(scope="module")
def keys(emulator):
    """Label → KID and public key."""
    with client_of(emulator) as hem:
        made = {
            "mail": hem.keys.create("ED25519", label="mail"),
            "web": hem.keys.create("SECP256R1", label="web", usage={"sign"}),
        }
        return {label: (key.kid, key.public_key()) for label, key in made.items()}


def verify(label, public, signature, message):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    more = () if label == "mail" else (ec.ECDSA(hashes.SHA256()),)
    public.verify(signature, message, *more)


@pytest.fixture(scope="module")
def running(emulator, keys):
    """One agent for all courses; each begins with it unlocked and ends with it as it was."""
    with RunningAgent(emulator, source=False) as started:
        yield started


COURSE = (
    ("sign", {"label": "mail", "message": b"1"}),
    ("sign", {"label": "web", "message": b"2"}),
    ("restart_device", {"how": "reboot"}),
    ("sign", {"label": "web", "message": b"3"}),
    ("offer_pin", {"right": False}),
    ("unlock", {"right": False}),
    ("offer_pin", {"right": True}),
    ("lock", {}),
    ("sign", {"label": "mail", "message": b"4"}),
    ("offer_pin", {"right": True}),
    ("look", {}),
    ("unlock", {"right": False}),
    ("restart_device", {"how": "power-cycle"}),
    ("unlock", {"right": True}),
    ("list_keys", {}),
    ("change_passphrase", {}),
    ("offer_pin", {"right": True}),
    ("list_keys", {}),
    ("sign", {"label": "mail", "message": b"5"}),
    ("unlock", {"right": True}),
    ("sign", {"label": "mail", "message": b"6"}),
    ("restart", {"how": signal.SIGKILL}),
    ("sign", {"label": "mail", "message": b"7"}),
    ("unlock", {"right": True}),
    ("restart", {"how": signal.SIGTERM}),
    ("look", {}),
)


def test_one_course_with_everything_in_it(running, emulator, keys):
    machine = model(running, emulator, keys)()
    machine.begin()
    machine.it_says_what_it_is()
    for name, arguments in COURSE:
        takes_client = name in ("sign", "list_keys", "look", "offer_pin")
        getattr(machine, name)(**({"client": 0} if takes_client else {}), **arguments)
        machine.it_says_what_it_is()
    machine.leave(client=1, rudely=True)
    machine.teardown()


@pytest.mark.parametrize(
    ("examples", "steps"),
    [(3, 6), pytest.param(20, 40, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
)
def test_an_agent_does_what_its_model_says_in_any_order(running, emulator, keys, examples, steps):
    # Without shrinking: each step takes its time, and the last course is told.
    limits = settings(max_examples=examples, stateful_step_count=steps, phases=[Phase.generate])
    run_state_machine_as_test(model(running, emulator, keys), settings=limits)


def model(running, emulator, keys):
    class Agent(RuleBasedStateMachine):
        clients = Bundle("clients")

        @initialize(target=clients)
        def begin(self):
            self.device_has = self.agent_has = None
            for each in PASSPHRASES:
                with suppress(HemAuthenticationError):
                    running.calls.unlock("k", each)
                    self.device_has = each
            assert self.device_has is not None
            self.agent_has = self.device_has
            self.wrong = 0
            self.unlocked = True
            self.open = []
            return multiple(*(self.opened() for _ in range(2)))

        def opened(self):
            self.open.append(running.client())
            return len(self.open) - 1

        def ask(self, client, *arguments, **fields):
            """With a new connection where the former agent has taken it along."""
            try:
                return self.open[client](*arguments, **fields)
            except (OSError, HTTPException):
                self.open[client].close()
                self.open[client] = running.client()
                return self.open[client](*arguments, **fields)

        def expected(self, answer):
            """Whether it was 200 as it has to be; else locked, as it has to be."""
            status, headers, content = answer
            if self.unlocked and self.agent_has == self.device_has:
                assert status == 200, content
                return True
            # An agent whose passphrase was changed at the device finds that out, and is locked then.
            self.unlocked = False
            assert (status, headers["hem-agent"]) == (401, Word.LOCKED), content
            return False

        @rule(target=clients)
        def connect(self):
            return self.opened()

        @rule(client=consumes(clients), rudely=st.booleans())
        def leave(self, client, rudely):
            if rudely:
                with suppress(OSError):
                    self.open[client].connection.sock.send(b"GET /status HT")
            self.open[client].close()

        @rule(
            client=clients,
            label=st.sampled_from(sorted(ALGORITHMS)),
            message=st.binary(min_size=1, max_size=50),
        )
        def sign(self, client, label, message):
            kid, public = keys[label]
            body = sign_body(kid, message, ALGORITHMS[label])
            answer = self.ask(client, "POST", SIGN, body, scope=f"keymgmt:use:{kid}")
            if self.expected(answer):
                verify(label, public, base64.b64decode(answer[2]["sign"]), message)

        @rule(client=clients)
        def list_keys(self, client):
            answer = self.ask(client, "GET", LIST, scope="keymgmt:list", fresh="")
            if self.expected(answer):
                assert {kid for kid, _ in keys.values()} <= {each["kid"] for each in answer[2]["list"]}

        @rule(client=clients)
        def look(self, client):
            assert self.ask(client, "GET", STATUS)[0] == 200  # which nobody has to log in for

        @rule()
        def lock(self):
            running.calls.lock()
            running.wait_until(lambda: running.status() is not None)
            self.unlocked, self.wrong = False, 0

        @rule(right=st.booleans())
        def unlock(self, right):
            if right:
                running.calls.unlock("k", self.device_has)
                self.unlocked, self.agent_has, self.wrong = True, self.device_has, 0
            else:
                with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
                    running.calls.unlock("k", "wrong")

        @precondition(lambda self: self.wrong < 2)
        @rule(client=clients, right=st.booleans())
        def offer_pin(self, client, right):
            status, headers, content = self.ask(client, "GET", "/devices/k/pin")
            if not self.unlocked:
                assert (status, headers["hem-agent"]) == (401, Word.LOCKED)
                return
            assert status == 200
            passphrase = self.agent_has if right else "wrong"
            mac = hmac.digest(base64.b64decode(content["key"]), passphrase.encode(), "sha256")
            told = {"mac": base64.b64encode(mac).decode()}
            status, headers, _ = self.ask(client, "POST", "/devices/k/pin", told)
            self.wrong = 0 if right else self.wrong + 1
            assert (status, headers.get("hem-agent")) == ((200, None) if right else (403, Word.DENIED))
            assert running.device["wrong_pins"] == self.wrong

        @rule(how=st.sampled_from([signal.SIGTERM, signal.SIGKILL]))
        def restart(self, how):
            running.signal(how)
            running.process.wait(20)
            running.start()
            self.unlocked, self.wrong = False, 0

        @rule(how=st.sampled_from(["reboot", "power-cycle"]))
        def restart_device(self, how):
            with EmulatedDevice(emulator.state) as device:
                control.run(device, "reset", {"how": how})

        @rule()
        def change_passphrase(self):
            """At the device, by somebody else; its restart ends the tokens that are out."""
            new = next(each for each in PASSPHRASES if each != self.device_has)
            emulator.passphrase = self.device_has
            with client_of(emulator) as hem:
                hem.admin.change_passphrase(new)
                hem.admin.reboot()
            self.device_has = new
            self.restart_device("reboot")

        @invariant()
        def it_says_what_it_is(self):
            if hasattr(self, "unlocked"):
                assert running.device["state"] == ("unlocked" if self.unlocked else "locked")

        def teardown(self):
            if not hasattr(self, "open"):
                return
            for each in self.open:
                each.close()
            running.wait_until(lambda: running.open_files <= 24)
            assert running.threads <= 8
            log = running.log.read_text()
            assert "Traceback" not in log
            assert "the agent failed" not in log

    return Agent
