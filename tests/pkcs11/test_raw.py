"""The built library by raw calls: keys that end under an operation, pointers and lengths that are wrong,
and a login that nobody uses any more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.passphrases import PASSPHRASE

RAW = Path(__file__).with_name("raw.py")
ROOT = Path(__file__).parents[2]
Run = Callable[..., list[list[str]]]


@pytest.fixture
def raw(library: Path, device_core: Any, device_state: Path, tmp_path: Path) -> Run:
    """Runs a case and gives its lines as words; ``login_cache`` in seconds."""

    def run(case: str, login_cache: float = 300) -> list[list[str]]:
        config = tmp_path / "config.toml"
        config.write_text(
            f"[pkcs11]\nlogin_cache = {login_cache}\n"
            f'[[device]]\nname = "raw"\nurl = "emulator:{device_state}"\n'
        )
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
        done = subprocess.run(
            [sys.executable, str(RAW), str(library), PASSPHRASE, case],
            env=clean | {
                "HEM_CONFIG": str(config),
                "HEM_PKCS11_LOG": "stderr:error",
                "PYTHONPATH": f"{ROOT}:{ROOT / 'shim'}",
                "PYTHONFAULTHANDLER": "1",
            },
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split() for line in done.stdout.splitlines()]

    return run


def test_no_result_is_made_under_a_key_that_was_overwritten(raw: Run) -> None:
    assert raw("ends") == [
        ["hmac", "true"],
        ["forged", "SIGNATURE_INVALID"],
        ["message", "true"],
        ["owner", "true"],
        ["logout", "OPERATION_NOT_INITIALIZED"],
        ["cmac", "true"],
    ]


def test_messages_write_into_no_memory_but_what_their_parameters_offer(raw: Run) -> None:
    refused = ["MECHANISM_PARAM_INVALID", "whole"]
    assert raw("messages") == [
        *([what, name, *refused] for what in ("Encrypt", "Decrypt") for name in ("iv", "tag", "none")),
        ["constant", "true"],
        ["constant", "true"],
    ]


def test_a_missing_pointer_ends_the_operation(raw: Run) -> None:
    *operations, no_session, finalized, no_info = raw("nulls")
    assert len(operations) == 8
    assert {tuple(answers) for _, *answers in operations} == {("ARGUMENTS_BAD", "OPERATION_NOT_INITIALIZED")}
    assert no_session == ["no-session", "SESSION_HANDLE_INVALID"]
    assert finalized == ["finalized", "CRYPTOKI_NOT_INITIALIZED"]
    assert no_info == ["no-info", "CRYPTOKI_NOT_INITIALIZED"]


def test_lengths_beyond_the_output_or_the_mode_are_refused_before_the_data_are_read(raw: Run) -> None:
    assert dict(raw("lengths")) == {
        "0x80000000": "BUFFER_TOO_SMALL",
        "0x1000000000": "DATA_LEN_RANGE",
        "0x400000000000": "DATA_LEN_RANGE",
        "0x1000000000000": "ARGUMENTS_BAD",
        "0x8000000000000000": "ARGUMENTS_BAD",
    }


def test_the_kept_login_is_overwritten_in_time_though_no_call_comes(raw: Run) -> None:
    before, kept, later = raw("idle", login_cache=3)
    assert int(before[0]) >= 2  # the credential, and what a PIN is compared with
    assert before[1] == "READABLE"
    assert kept == ["kept", "READABLE"]
    assert later == ["later", "overwritten"]


def test_where_the_host_forbids_threads_any_call_ends_the_kept_login_in_time(raw: Run) -> None:
    before, threads, later = raw("threadless", login_cache=1)
    assert before[1] == "READABLE"
    assert threads == ["threads", "1"]
    assert later == ["later", "overwritten"]


def test_a_forked_child_has_overwritten_the_secrets_of_its_parent(raw: Run) -> None:
    child, parent = raw("fork")
    assert int(child[1]) >= 3  # and the session key
    assert child[2:] == ["overwritten", "CRYPTOKI_NOT_INITIALIZED"]
    assert parent == ["parent", "READABLE", "true"]
