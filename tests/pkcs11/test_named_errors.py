"""A line of the module's log names what ``hem help`` explains: the return value, and the kind of failure."""

from __future__ import annotations

import pytest
from hem_pkcs11.constants import CKR
from hem_pkcs11.log import Log
from hem_pkcs11.module import _explain

from hem_provider import errors


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (errors.HemTLSError("so", code="E-TLS-NAME"), "C_Sign: CKR_DEVICE_ERROR: so (hem help E-TLS-NAME)"),
        (errors.HemTimeout("so"), "C_Sign: CKR_DEVICE_ERROR: so"),
    ],
)
def test_a_line_names_return_value_and_kind(error, line, tmp_path, monkeypatch):
    log = Log()
    log.configure({"HEM_PKCS11_LOG": f"{tmp_path / 'log'}:error"}, trusted=True)
    monkeypatch.setattr("hem_pkcs11.module.log", log)
    _explain("C_Sign", CKR.DEVICE_ERROR, error, None)
    log.close()
    assert (tmp_path / "log").read_text().rstrip("\n").endswith(f"hem-pkcs11: {line}")
