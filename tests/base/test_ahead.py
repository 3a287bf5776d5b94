"""Files that were read ahead serve where this process cannot see them any more, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hem_provider.config import ahead
from hem_provider.errors import HemConfigError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    ahead.keep(path, Path.read_bytes)
    yield path
    ahead.forget()


def test_what_was_not_read_is_unknown(tmp_path):
    ahead.keep(tmp_path / "absent", Path.read_bytes)
    assert ahead.out_of_sight(tmp_path / "absent", FileNotFoundError()) is None


def test_a_file_that_is_deleted_or_closed_to_its_reader_is_gone(path):
    assert ahead.out_of_sight(path, FileNotFoundError()) is None
    assert ahead.out_of_sight(path, PermissionError()) is None


def test_who_gave_up_rights_has_what_was_read_with_them(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert ahead.out_of_sight(path, PermissionError()) == b"content"
    assert ahead.out_of_sight(path, FileNotFoundError()) is None


def test_in_another_root_directory_there_is_what_was_read_in_the_old_one(path, monkeypatch):
    monkeypatch.setattr(ahead, "_root", lambda: (0, 0))
    assert ahead.out_of_sight(path, FileNotFoundError()) == b"content"


def test_a_reader_that_refuses_a_file_keeps_what_was_read_before(path):
    def refuse(_path: Path) -> bytes:
        raise HemConfigError("no")

    ahead.keep(path, refuse)
    assert bytes(ahead._seen[path].content) == b"content"


def test_what_is_forgotten_is_overwritten(path):
    content = ahead._seen[path].content
    ahead.forget()
    assert content == bytes(7)
    assert ahead.out_of_sight(path, PermissionError()) is None
