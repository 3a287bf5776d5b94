"""The device restarts, or its clock jumps, before each request of each operation in turn; every
operation still succeeds, and nothing is done twice."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from support.passphrases import PASSPHRASE


def create(hem, key):
    made = hem.keys.create("ED25519", label="new")
    hem.keys.delete(made)


def public(hem, key):
    hem.keys.get(key.kid).public_key()


def listing(hem, key):
    hem.keys.refresh()
    assert key.kid in [each.kid for each in hem.keys]


def sign(hem, key):
    private = hem.keys.find(label="own").private_key()
    private.public_key().verify(private.sign(b"data"), b"data")


def update(hem, key):
    hem.keys.update(key.kid, label="other")
    hem.keys.update(key.kid, label="own")


def imports(hem, key):
    hem.keys.delete(hem.keys.import_public(ed25519.Ed25519PrivateKey.generate().public_key(), label="p"))


def derive(hem, key):
    own = hem.keys.create("CURVE25519", label="a")
    made = hem.keys.derive(own, x25519.X25519PrivateKey.generate().public_key(), type="AES128", label="d")
    hem.keys.delete(made)
    hem.keys.delete(own)


def configure(hem, key):
    hem.admin.configure(user="Emulator")
    assert hem.admin.configuration().user == "Emulator"


def passphrase(hem, key):
    hem.admin.change_passphrase("another one")


OPERATIONS = [create, public, listing, sign, update, imports, derive, configure, passphrase]


MISHAPS = {
    "restart": lambda rig: rig.reboot(),
    "clock nine hours ahead": lambda rig: rig.set_clock(9 * 3600),
    "clock a day behind": lambda rig: rig.set_clock(-24 * 3600),
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_mishap_before_any_request_is_survived(hem, rig, mishap, operation, tmp_path, monkeypatch):
    key = hem.keys.create("ED25519", label="own")
    kids = {each.kid for each in hem.keys}
    moment = 0
    while True:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{moment}"))
        client = rig.connect("another one" if operation is passphrase and moment else PASSPHRASE)
        rig.requests.clear()
        at = moment
        seen = []

        def happen(at=at, seen=seen):
            seen.append(1)
            if len(seen) - 1 == at:
                MISHAPS[mishap](rig)

        rig.before_each = happen
        operation(client, key)
        rig.before_each = None
        if len(seen) <= moment:  # the operation has no such request: all were tried
            break
        moment += 1
    assert moment >= 3
    assert {
        each.kid for each in rig.connect("another one" if operation is passphrase else PASSPHRASE).keys
    } == kids
