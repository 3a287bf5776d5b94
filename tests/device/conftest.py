"""Fixtures: an emulated device on the bench, and one over real TLS."""

from __future__ import annotations

import pytest
from support.emulator import ServedEmulator

from hem_provider.device import connect


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    emulator = ServedEmulator(tmp_path_factory.mktemp("served")).start()
    yield emulator
    emulator.stop()


@pytest.fixture
def over_tls(served):
    with connect(
        served.https,
        passphrase=served.passphrase,
        ca_file=served.ca_file,
        cloud_url=served.cloud,
        cloud_ca_file=served.ca_file,
    ) as device:
        yield device
