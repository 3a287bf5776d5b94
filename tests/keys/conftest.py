"""Fixtures: keys are tried over real TLS, except where a test needs to put faults into the device."""

from __future__ import annotations

import pytest
from support.emulator import client_of


@pytest.fixture(scope="session")
def logged_in(served):
    with client_of(served) as device:
        yield device


@pytest.fixture
def over_tls(logged_in):
    logged_in.keys.refresh()
    yield logged_in
    for key in list(logged_in.keys):
        logged_in.keys.delete(key)


@pytest.fixture
def hem(request):
    """Over TLS, or on the bench for tests that use it."""
    if "bench" in request.fixturenames:
        with request.getfixturevalue("bench").connect() as device:
            yield device
    else:
        yield request.getfixturevalue("over_tls")
