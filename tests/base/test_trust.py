"""Who may write our files, and whether the environment can be believed."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from hem_provider import trust
from hem_provider.errors import HemConfigError


@pytest.fixture(autouse=True)
def _ask_anew():
    trust.privileges_raised.cache_clear()
    yield
    trust.privileges_raised.cache_clear()


def test_an_ordinary_process_has_no_raised_privileges():
    assert not trust.privileges_raised()


def test_a_set_user_id_process_is_recognised(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert trust.privileges_raised()


@pytest.mark.parametrize(("value", "raised"), [(0, False), (1, True)])
def test_the_kernels_flag_decides(monkeypatch, value, raised):
    vector = struct.pack("LLLL", 6, 4096, 23, value)
    monkeypatch.setattr(Path, "read_bytes", lambda _self: vector)
    assert trust.privileges_raised() is raised


def test_a_hidden_flag_counts_as_raised(monkeypatch):
    def refuse(_self):
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert trust.privileges_raised()


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("x")
    os.chown(path, 12345, -1) if os.getuid() == 0 else monkeypatch.setattr(
        os, "geteuid", lambda: os.getuid() + 1
    )
    with pytest.raises(HemConfigError, match="belongs to user id"):
        trust.check_not_writable_by_others(path, "the file")


def test_a_link_is_followed_to_what_it_names(tmp_path):
    target = tmp_path / "target"
    target.write_text("x")
    target.chmod(0o666)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(HemConfigError, match=str(target)):
        trust.check_not_writable_by_others(link, "the file")
