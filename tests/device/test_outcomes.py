"""What a client says after a change equals what the device has done, whatever happens to the request
or its answer; nothing is made twice, and nothing stale is believed afterwards."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from support.clocks import quick_clock
from support.passphrases import ADMIN, PASSPHRASE
from support.rig import Rig

from hem_provider import errors
from hem_provider.device import Hem, Role, connect
from hem_provider.emulator import EmulatedDevice, control, lifecycle
from hem_provider.errors import (
    HemAuthenticationError,
    HemError,
    HemOutcomePending,
    HemOutcomeUnknown,
    HemTimeout,
    HemTLSError,
)
from hem_provider.rest.initialisation import NewDevice
from hem_provider.rest.upgrade import Image

NEW = NewDevice(user="Ada", hostname="ada.ence.do")
IMAGE = b"hem-provider emulator image 9.9.9\n"


class World:
    """A device, a client, and what an operation needs to have been there before."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.hem: Hem = rig.connect()
        self.public = ed25519.Ed25519PrivateKey.generate().public_key()
        self.agreeing = self.key = self.pairing = None
        self.eid = ""
        self.boots = 0

    @property
    def state(self) -> Any:
        """The device's own state, read behind everybody's back."""
        with self.rig.device.model.transaction():
            return self.rig.device.model.state


@dataclass(frozen=True)
class Operation:
    """``act`` changes the device by the request ``endpoint``; ``happened`` reads whether it did."""

    name: str
    endpoint: str
    act: Callable[[World], Any]
    happened: Callable[[World], bool]
    prepare: Callable[[World], Any] = lambda _: None


def labelled(label: str) -> Callable[[World], bool]:
    def happened(world: World) -> bool:
        found = world.rig.labels().count(label)
        assert found <= 1, "made twice"
        return found == 1

    return happened


def with_key(world: World) -> None:
    world.key = world.hem.keys.create("ED25519", label="there")


def with_agreement(world: World) -> None:
    world.agreeing = world.hem.keys.create("CURVE25519", label="own")


def with_phone(world: World) -> None:
    world.pairing = world.hem.phones.begin()
    with world.rig.phone() as phone:
        phone.pair(json.loads(world.pairing.qr_text)["link"])


def with_paired_phone(world: World) -> None:
    with_phone(world)
    world.kid = world.pairing.wait(5)


def fresh(world: World) -> None:
    with world.rig.device.model.transaction():
        lifecycle.wipe(world.rig.device.model)
    world.hem.check_in()


def remember(world: World) -> None:
    world.eid = world.hem.admin.configuration().eid
    world.boots = world.state.boot.number
    world.before = world.rig.user_key()
    world.tls = world.state.tls


def with_login(world: World) -> None:
    remember(world)
    world.hem.login(scope="system:config")


def phones(world: World) -> int:
    return world.rig.connect().phones.list().__len__()


def initialise(world: World) -> None:
    world.hem.admin.initialize(NEW, passphrase="secret", master="owner")


OPERATIONS = [
    Operation(
        "create",
        "POST /api/keymgmt/create",
        lambda w: w.hem.keys.create("SECP256R1", label="new"),
        labelled("new"),
    ),
    Operation(
        "create a secret key",
        "POST /api/keymgmt/create",
        lambda w: w.hem.keys.create("AES256", label="new"),
        labelled("new"),
    ),
    Operation(
        "derive",
        "POST /api/keymgmt/derive",
        lambda w: w.hem.keys.derive(
            w.agreeing, x25519.X25519PrivateKey.generate().public_key(), type="AES128", label="new"
        ),
        labelled("new"),
        with_agreement,
    ),
    Operation(
        "import",
        "POST /api/keymgmt/import",
        lambda w: w.hem.keys.import_public(w.public, label="new"),
        labelled("new"),
    ),
    Operation(
        "update",
        "POST /api/keymgmt/update",
        lambda w: w.hem.keys.update(w.key, label="new"),
        labelled("new"),
        with_key,
    ),
    Operation(
        "delete",
        "DELETE /api/keymgmt/delete",
        lambda w: w.hem.keys.delete(w.key),
        lambda w: "there" not in w.rig.labels(),
        with_key,
    ),
    Operation(
        "configure",
        "POST /api/system/config",
        lambda w: w.hem.admin.configure(user="Grace", disk0_sectors=4096),
        lambda w: w.state.config.user == "Grace",
    ),
    Operation(
        "passphrase",
        "POST /api/system/config",
        lambda w: w.hem.admin.change_passphrase("another"),
        lambda w: w.rig.user_key() != w.before,
        with_login,
    ),
    Operation(
        "wipe",
        "POST /api/system/config",
        lambda w: w.hem.admin.wipe(confirm=w.eid),
        lambda w: w.state.config is None,
        with_login,
    ),
    Operation("initialise", "POST /api/auth/init", initialise, lambda w: w.state.config is not None, fresh),
    Operation(
        "reboot",
        "GET /api/system/reboot",
        lambda w: w.hem.admin.reboot(),
        lambda w: w.state.boot.number > w.boots,
        with_login,
    ),
    Operation(
        "shutdown",
        "GET /api/system/shutdown",
        lambda w: w.hem.admin.shutdown(),
        lambda w: not w.state.powered,
        with_login,
    ),
    Operation(
        "unlock a disk",
        "GET /api/storage/unlock",
        lambda w: w.hem.admin.unlock_disk(1, writable=True),
        lambda w: w.state.boot.disks[1] == "rw",
    ),
    Operation(
        "lock a disk",
        "GET /api/storage/lock",
        lambda w: w.hem.admin.lock_disk(1),
        lambda w: w.state.boot.disks[1] == "-",
        lambda w: w.hem.admin.unlock_disk(1),
    ),
    Operation(
        "install firmware",
        "GET /api/system/upgrade/install_fw",
        lambda w: w.hem.admin.upgrade(Image.FIRMWARE, IMAGE),
        lambda w: w.state.firmware == "9.9.9",
    ),
    Operation(
        "install a dashboard",
        "GET /api/system/upgrade/install_ui",
        lambda w: w.hem.admin.upgrade(Image.DASHBOARD, IMAGE),
        lambda w: "ui" not in w.state.staged,
    ),
    Operation(
        "upload",
        "POST /api/system/upgrade/upload_ui",
        lambda w: w.hem.admin.upgrade(Image.DASHBOARD, IMAGE),
        lambda w: w.rig.count("GET /api/system/upgrade/install_ui") == 1,
    ),
    Operation(
        "check of an upload",
        "GET /api/system/upgrade/check_ui",
        lambda w: w.hem.admin.upgrade(Image.DASHBOARD, IMAGE),
        lambda w: w.rig.count("GET /api/system/upgrade/install_ui") == 1,
    ),
    Operation(
        "certificate",
        "POST /api/system/config",
        lambda w: w.hem.certificate.obtain_default(reboot=False),
        lambda w: w.state.tls != w.tls,
        with_login,
    ),
    Operation(
        "certificate and restart",
        "GET /api/system/reboot",
        lambda w: w.hem.certificate.obtain_default(),
        lambda w: w.state.boot.tls != w.tls,
        with_login,
    ),
    Operation(
        "pair",
        "POST /api/auth/ext/validate",
        lambda w: w.pairing.wait(5),
        lambda w: phones(w) == 1,
        with_phone,
    ),
    Operation(
        "unpair",
        "DELETE /api/keymgmt/delete",
        lambda w: w.hem.phones.remove(w.kid),
        lambda w: phones(w) == 0,
        with_paired_phone,
    ),
    Operation(
        "check in",
        "POST /api/system/checkin",
        lambda w: w.hem.check_in(),
        lambda w: w.state.boot.rtc_set,
        lambda w: w.rig.reboot(),
    ),
]

FAULTS: dict[str, dict[str, Any]] = {
    "request lost": {"name": "reset-before"},
    "answer lost": {"name": "reset-after"},
    "answer cut short": {"name": "truncate"},
    "a proxy lost the request": {"name": "status", "status": 502},
    "a proxy lost the answer": {"name": "status-after", "status": 502},
    "a proxy gave up before": {"name": "status", "status": 504},
    "a proxy gave up after": {"name": "status-after", "status": 504},
    "the device failed after": {"name": "status-after", "status": 500},
    "an answer without a body": {"name": "empty"},
    "an answer that is not JSON": {"name": "garbage"},
    "an answer without fields": {"name": "fieldless"},
    "an answer of wrong types": {"name": "wrong-types"},
}


@pytest.fixture
def world(rig, monkeypatch):
    made = World(rig)
    clock = quick_clock()
    made.hem.admin._clock = made.hem.certificate._clock = made.hem.phones.clock = clock
    return made


def outcome_of(world: World, operation: Operation) -> HemError | None:
    try:
        operation.act(world)
    except HemError as error:
        return error
    return None


def prepared(world: World, operation: Operation) -> None:
    if operation.prepare not in (fresh,):
        remember(world)
    operation.prepare(world)
    world.rig.requests.clear()


#: Each of these with each operation in every run; the others in the long one.
ALWAYS = (
    "request lost", "answer lost", "a proxy gave up after", "an answer that is not JSON",
    "an answer without fields",
)  # fmt: skip


def cases() -> list[Any]:
    return [
        pytest.param(
            operation,
            fault,
            id=f"{operation.name}, {fault}",
            marks=() if fault in ALWAYS or operation.name in ("create", "passphrase") else pytest.mark.long,
        )
        for operation in OPERATIONS
        for fault in FAULTS
    ]


@pytest.mark.parametrize(("operation", "fault"), cases())
def test_success_is_told_if_and_only_if_it_happened(world, operation, fault):
    prepared(world, operation)
    world.rig.order(endpoint=operation.endpoint, count=1, **FAULTS[fault])
    error = outcome_of(world, operation)
    world.rig.clear()
    happened = operation.happened(world)
    if operation.name == "shutdown" and happened and error is not None:
        assert isinstance(error, HemOutcomeUnknown)  # off, or unreachable: nobody can tell
    elif isinstance(error, HemOutcomePending):
        assert not happened
    else:
        assert not isinstance(error, HemOutcomeUnknown), error
        assert (error is None) == happened, error


@pytest.mark.parametrize("fault", ["request lost", "answer lost", "a proxy gave up after"])
@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.name != "check of an upload"],  # which changes nothing
    ids=lambda each: each.name,
)
def test_an_outcome_that_cannot_be_seen_is_told_as_unknown(world, operation, fault):
    """The device stays away after the request: no error may claim to know."""
    prepared(world, operation)
    world.rig.order(endpoint=operation.endpoint, count=1, **FAULTS[fault])
    struck = []

    def cut_off():
        if struck:
            raise ConnectionResetError
        if world.rig.requests[-1].startswith(operation.endpoint):
            struck.append(1)

    world.rig.before_each = cut_off
    error = outcome_of(world, operation)
    world.rig.before_each = None
    assert isinstance(error, HemError)
    assert isinstance(error, HemOutcomeUnknown), error
    assert " is unknown (" in str(error)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again)) == (type(error), str(error)) == (type(copy.copy(error)), str(error))


def test_after_an_unknown_passphrase_change_neither_is_taken_for_granted(world):
    prepared(world, next(each for each in OPERATIONS if each.name == "passphrase"))
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    world.rig.order(endpoint="GET /api/auth/token", count=1, name="status", status=503)
    with pytest.raises(HemOutcomeUnknown, match="log in with the new one; if that is refused, with the old"):
        world.hem.admin.change_passphrase("another")
    assert not world.hem.logged_in
    with pytest.raises(HemAuthenticationError):
        world.hem.login(PASSPHRASE)
    world.hem.login("another")


def test_finding_out_about_a_passphrase_takes_two_logins_at_most(world):
    world.hem.login(scope="system:config")
    before = world.hem.statistics.logins
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-before")
    with pytest.raises(HemError, match="still the old one"):
        world.hem.admin.change_passphrase("another")
    assert world.hem.statistics.logins == before + 2
    assert world.hem.logged_in
    world.hem.admin.configuration()


def test_the_master_finds_out_about_a_new_passphrase_too(world):
    master = world.rig.connect(None)
    master.login(ADMIN, role=Role.MASTER, scope="system:config")
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-before")
    with pytest.raises(HemError, match="still the old one"):
        master.admin.change_passphrase("given")
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    master.admin.change_passphrase("given")
    world.rig.connect("given").login()


def test_the_master_cannot_see_certificates_and_is_told_so(world):
    master = world.rig.connect(None)
    master.login(ADMIN, role=Role.MASTER, scope="system:config")
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    with pytest.raises(HemOutcomeUnknown, match="installing it again does no harm"):
        master.certificate.obtain_default(reboot=False)


def test_a_lost_certificate_request_is_asked_for_again(world):
    world.hem.login(scope="system:config")
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    world.hem.certificate.obtain("office", address="192.168.7.1", reboot=False)
    world.rig.order(endpoint="POST /api/system/config", count=2, name="reset-after")
    with pytest.raises(HemOutcomeUnknown, match="only the last request counts"):
        world.hem.certificate.obtain("office", address="192.168.7.1", reboot=False)


@pytest.mark.parametrize("name", ["create", "derive", "import", "update", "delete"])
def test_what_was_listed_is_not_believed_after_an_unknown_change(world, name):
    operation = next(each for each in OPERATIONS if each.name == name)
    prepared(world, operation)
    before = {each.kid: each.label for each in world.hem.keys}

    def blind():
        world.rig.order(endpoint=operation.endpoint, name="status-after", status=502)
        for look in ("POST /api/keymgmt/search", "GET /api/keymgmt/"):
            world.rig.order(endpoint=look, name="status", status=503)

    world.rig.fault(operation.endpoint, blind)
    with pytest.raises(HemOutcomeUnknown):
        operation.act(world)
    world.rig.clear()
    if world.key is not None and name == "update":
        assert world.key.label == "new"
    after = {each.kid: each.label for each in world.hem.keys}
    assert after != before
    assert sorted(after.values()) == sorted(
        each for each in world.rig.labels() if not each.startswith("TLS ")
    )


def test_a_key_whose_creation_is_unknown_is_never_asked_for_twice(world):
    world.rig.order(endpoint="POST /api/keymgmt/create", name="status-after", status=502)
    world.rig.order(endpoint="POST /api/keymgmt/search", name="status", status=503)
    world.rig.order(endpoint="GET /api/keymgmt/list", name="status", status=503)
    with pytest.raises(HemOutcomeUnknown, match="look for a key 'new' with the creation mark [0-9a-f]{16}"):
        world.hem.keys.create("SECP256R1", label="new")
    assert world.rig.count("POST /api/keymgmt/create") == 1
    assert world.rig.labels().count("new") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 409])
def test_a_refusal_is_no_doubt_and_costs_no_look(world, status):
    world.hem.login(scope="keymgmt:gen")
    world.rig.requests.clear()
    world.rig.order(endpoint="POST /api/keymgmt/create", name="status", status=status)
    with pytest.raises(HemError) as caught:
        world.hem.keys.create("SECP256R1", label="new")
    assert not isinstance(caught.value, HemOutcomeUnknown)
    assert world.rig.count("POST /api/keymgmt/search") == 0


def test_tls_that_fails_in_the_middle_of_an_answer_is_looked_after(world, monkeypatch):
    """Where TLS fails for good nothing was sent, and the error is told as it is."""
    channel = world.hem.rest.channel
    device = channel.device
    broken = [1]

    class Damaged:
        def send(self, request):
            reply = device().send(request)
            if request.path.startswith("/api/keymgmt/create") or len(broken) > 1:
                raise HemTLSError("TLS failed: bad record MAC")
            return reply

    world.hem.login(scope="keymgmt:gen")
    monkeypatch.setattr(channel, "device", Damaged)
    assert world.hem.keys.create("AES256", label="new").label == "new"
    assert world.rig.labels().count("new") == 1
    broken.append(1)
    with pytest.raises(HemTLSError, match=r"^TLS failed: bad record MAC$"):
        world.hem.keys.create("AES256", label="other")


def test_a_late_outcome_is_a_timeout_and_unknown(world):
    world.rig.fault("POST /api/keymgmt/create", TimeoutError)
    with pytest.raises(HemTimeout, match="no key was made so far") as caught:
        world.hem.keys.create("SECP256R1", label="new")
    assert isinstance(caught.value, HemOutcomeUnknown)


def test_the_error_tree_tells_of_unknown_outcomes():
    assert {"HemOutcomeUnknown", "HemOutcomePending"} <= set(errors.__all__)
    assert "HemOutcomeUnknown" in errors.__doc__


@pytest.mark.parametrize("name", ["hang-after", "reset-after", "truncate", "garbage", "status-after"])
def test_over_tls_too_a_change_is_told_as_made_when_it_was(served, name):
    with (
        EmulatedDevice(served.state) as device,
        connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file, timeout=1) as hem,
    ):

        def strike(endpoint: str) -> None:
            control.run(device, "fault", {"name": name, "endpoint": endpoint, "count": 1, "seconds": 1.5})

        if name != "hang-after":  # a new key may take its time
            strike("POST /api/keymgmt/create")
        key = hem.keys.create("ED25519", label="over TLS")
        strike("POST /api/keymgmt/update")
        hem.keys.update(key, label="renamed")
        assert [each.label for each in hem.keys if each.kid == key.kid] == ["renamed"]
        strike("DELETE /api/keymgmt/delete")
        hem.keys.delete(key)
        assert key.kid not in hem.keys
