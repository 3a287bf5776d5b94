"""Files of other keyring backends that are no such file."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from hem_provider.adapters.keyring.sources import SourceError, listed_names


@pytest.mark.parametrize("kind", ["fifo", "folder", "binary", "no section"])
def test_a_file_of_entries_that_cannot_be_read_is_told_and_makes_nobody_wait(tmp_path, kind):
    path = tmp_path / "entries"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff\xfe" if kind == "binary" else b"x = 1\n")
    with pytest.raises(SourceError, match=str(path)):
        listed_names(SimpleNamespace(file_path=str(path)))


def test_a_file_of_entries_that_is_not_there_has_none(tmp_path):
    assert listed_names(SimpleNamespace(file_path=tmp_path / "none")) == []
