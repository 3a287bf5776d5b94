"""What tests with the real GnuPG share: a device, its owner, and others."""

from __future__ import annotations

import shutil

import pytest
from support.emulator import ServedEmulator
from support.gnupg import ADA, Desk, with_passphrase


@pytest.fixture(scope="session", autouse=True)
def _gnupg_is_there():
    if shutil.which("gpg") is None or shutil.which("gpg-agent") is None:
        pytest.skip("not run: GnuPG is not installed")


@pytest.fixture(scope="session")
def device(tmp_path_factory):
    """A served emulator that these tests share; they leave it usable."""
    with ServedEmulator(tmp_path_factory.mktemp("gpg-device")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def _owner(device):
    desk = Desk(with_passphrase(device))
    try:
        desk.run("hem", "gpg", "setup", "--name", ADA)
        yield desk
    finally:
        desk.close()


@pytest.fixture
def owner(_owner):
    """Whose certificate was set up on ``device``; shared by tests that leave it as it is."""
    return _owner


@pytest.fixture
def desks():
    """Makes users with homes of their own: ``desks(environment)``."""
    made = []

    def make(environment=None):
        made.append(Desk(environment))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def friend(desks, owner):
    """Somebody who has Ada's certificate, and no device."""
    desk = desks()
    desk.gpg("--import", data=owner.gpg("--export", owner.fingerprint))
    return desk
