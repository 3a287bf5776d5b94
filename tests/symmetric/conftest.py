"""Fixtures: an emulated device, and keys on it."""

from __future__ import annotations

import pytest


@pytest.fixture
def calls(hem):
    """Count the device calls of one operation, the login apart."""

    used = set()

    def count(key, operation, *arguments):
        if key.kid not in used:
            used.add(key.kid)
            hem.login(scope=f"keymgmt:use:{key.kid}")
        before = hem.statistics.calls
        result = operation(*arguments)
        return result, hem.statistics.calls - before

    return count
