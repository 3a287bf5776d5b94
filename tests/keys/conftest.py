"""Fixtures: keys are tried over real TLS, except where a test needs to put faults into the device."""

from __future__ import annotations

import pytest
from support.emulator import client_of


@pytest.fixture(scope="session")
def _login(served):
    with client_of(served) as device:
        yield device


@pytest.fixture
def logged_in(_login):
    """One login over TLS for all tests of keys; what a test makes is deleted after it."""
    _login.keys.refresh()
    yield _login
    for key in list(_login.keys):
        _login.keys.delete(key)


@pytest.fixture
def hem(request):
    """``logged_in``, or a client of the rig for tests that use that."""
    if "rig" in request.fixturenames:
        with request.getfixturevalue("rig").connect() as device:
            yield device
    else:
        yield request.getfixturevalue("logged_in")
