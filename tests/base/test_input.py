"""A file that is read once: in blocks or whole, and whether it was changed meanwhile."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from hem_provider.errors import HemConfigError
from hem_provider.files.input import BLOCK, Input, refuse_fifo


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_are_all_of_it(tmp_path, size):
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    with Input(path) as source:
        assert (source.name, source.size) == ("file", size)
        assert b"".join(bytes(each) for each in source.blocks()) == data
        assert not source.changed()
    stream = io.BytesIO(data)
    with Input(None, stream) as source:
        assert (source.name, source.size) == (None, None)
        assert b"".join(bytes(each) for each in source.blocks()) == data
        assert not source.changed()
    assert not stream.closed


@pytest.mark.parametrize(("size", "got"), [(0, 0), (9, 9), (10, 10), (11, 11), (5000, 11)])
def test_content_ends_where_it_is_too_large(tmp_path, size, got):
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    with Input(path) as source:
        assert len(source.content(10)) == got


def test_a_stream_that_comes_in_parts_is_read_to_its_end(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def write():
        with path.open("wb", buffering=0) as file:
            for _ in range(5):
                file.write(b"part")

    writer = threading.Thread(target=write)
    writer.start()
    with Input(path) as source:
        assert (source.content(100), source.size, source.changed()) == (b"part" * 5, None, False)
    writer.join()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"longer than it was"),
        lambda path: os.utime(path, ns=(1, 1)),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("other")) and path.write_bytes(b"file"),
        lambda path: path.unlink() or path.mkdir(),
    ],
    ids=["written", "time", "removed", "replaced", "folder"],
)
def test_a_change_is_seen(tmp_path, change):
    path = tmp_path / "file"
    path.write_bytes(b"file")
    with Input(path) as source:
        assert not source.changed()
        change(path)
        assert source.changed()


def test_what_is_not_there_and_folders_are_no_input(tmp_path):
    for path in (tmp_path / "away", tmp_path):
        with pytest.raises(OSError, match=str(path)):
            Input(path)


def test_a_fifo_is_refused_and_a_pipe_of_a_shell_is_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(HemConfigError, match="it is a FIFO"):
        refuse_fifo(tmp_path / "fifo")
    reading, writing = os.pipe()
    os.write(writing, b"text")
    os.close(writing)
    pipe = Path(f"/dev/fd/{reading}")
    refuse_fifo(pipe)
    with Input(pipe) as source:
        assert source.content(10) == b"text"
    os.close(reading)
