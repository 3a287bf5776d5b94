"""The search for secrets in short: a program that lives long; and one that leaks on purpose."""

from __future__ import annotations

import os

import pytest

from campaign import secrets
from campaign.outcome import Effort
from campaign.secrets.marks import Mark, found_in

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into the memory of all")


@as_root
def test_a_long_life_keeps_what_the_documents_promise(tmp_path):
    outcome = secrets.search(Effort(tmp_path), ("module",))
    assert outcome.problems() == []
    rows = [row for table in outcome.tables for row in table.rows]
    used = [row for row in rows if "credential" in row[1] and row[2] == "memory while logged in"]
    assert {row[3] for row in used} == {"yes"}  # it is found where it is
    gone = [row for row in rows if "credential" in row[1] and "after C_" in row[2]]
    assert {(row[3], row[4]) for row in gone} == {("no", "not there")}
    assert len(gone) >= 2


@as_root
def test_what_leaks_is_found_at_every_place_and_what_fails_is_told(tmp_path, monkeypatch):
    def fails(_):
        raise RuntimeError("nothing was done")

    monkeypatch.setitem(secrets.PROGRAMS, "age", fails)
    problems = "\n".join(secrets.search(Effort(tmp_path), ("age", "leak")).problems())
    assert "age was not searched to its end: nothing was done" in problems
    for place in (
        "standard output", "standard error and log", "memory of one that keeps it", "file leaked",
        "command lines", "environments", "traffic with the device",
    ):  # fmt: skip
        assert f"passphrase in {place}: " in problems
    assert "secrets where the documents say that there are none: 7, promised: 0" in problems


@pytest.mark.parametrize("encode", ["utf-8", "utf-16-le", "utf-32-le"])
def test_a_mark_is_recognised_in_every_form(encode):
    mark = Mark.text("passphrase")
    assert found_in(b"before " + mark.value.decode().encode(encode) + b" after", mark)
    assert found_in(b"before " + mark.value.hex().upper().encode(), mark)
    assert not found_in(mark.value[:-1], mark)
