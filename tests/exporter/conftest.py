"""A device in the test's process, and what collects from it."""

from __future__ import annotations

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.config import device_from_url
from hem_provider.exporter.collecting import Collector


class Hours:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


@pytest.fixture
def hours():
    return Hours()


@pytest.fixture
def secret(tmp_path):
    """A file with the passphrase of the rig."""
    path = tmp_path / "secret"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def config(rig, secret):
    """The rig as a configured device."""
    return device_from_url(f"emulator:{rig.path}", name="k", passphrase_file=secret)


@pytest.fixture
def collector(config, hours):
    made = Collector(config, now=hours)
    yield made
    made.hem.logout()
    made.hem.close()
