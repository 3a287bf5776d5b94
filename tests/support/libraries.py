"""The libraries under test, built in the checkout when they are not current, or as somebody built them."""

from __future__ import annotations

import os
from pathlib import Path

import build_module
import pytest
from openssl import build_engine

__all__ = ["engine_library", "module_library"]

SHIM = Path(__file__).parents[2] / "shim"
#: A folder with both, ready: of ``make test-asan``. Read at once, as tests empty their environment later.
READY = os.environ.get("HEM_TEST_LIBRARIES")


def module_library() -> Path:
    """The PKCS#11 module."""
    if READY:
        return Path(READY) / "libhem_pkcs11.so"
    return build_module.build(SHIM / "hem_pkcs11", in_place=True)


def engine_library() -> Path:
    """The OpenSSL engine, which is beside the module."""
    if READY:
        return Path(READY) / "libhem_engine.so"
    module_library()
    if not build_engine.has_engines():
        pytest.skip("not run: this OpenSSL has no engines")
    return build_engine.build(SHIM / "hem_pkcs11", in_place=True)
