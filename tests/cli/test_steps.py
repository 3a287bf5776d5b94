"""Steps and tables as people see them."""

from __future__ import annotations

import io

import pytest

from hem_provider.cli.steps import Steps
from hem_provider.measuring.table import table


class Terminal(io.StringIO):
    encoding = "UTF-8"


class Plain(io.StringIO):
    encoding = "ANSI_X3.4-1968"


def test_a_step_gets_a_tick_its_time_and_its_calls():
    totals = [0, 0]
    stream = Terminal()
    steps = Steps(lambda: (totals[0], totals[1]), stream)
    with steps.step("log in"):
        totals[:] = [2, 1]
    with steps.step("sign"):
        totals[:] = [3, 1]
    assert "✔ log in  0.00 s" in stream.getvalue()
    rows = [line.split("  ") for line in steps.summary().splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[2] == ["log in", "0.00 s", "2", "1"]
    assert cells[3] == ["sign", "0.00 s", "1", "0"]
    assert cells[5] == ["together", "0.00 s", "3", "1"]


def test_a_failed_step_is_marked_and_its_error_goes_on():
    stream = Terminal()
    steps = Steps(lambda: (0, 0), stream)
    with pytest.raises(OSError, match="broken"), steps.step("do it"):
        raise OSError("broken")
    assert "✘ do it" in stream.getvalue()


def test_a_terminal_without_unicode_gets_words():
    stream = Plain()
    with Steps(lambda: (0, 0), stream).step("do it"):
        pass
    assert stream.getvalue().startswith("ok do it")


def test_a_table_is_as_wide_as_its_widest_cell():
    text = table(("a", "n"), [("long cell", "1"), ("x", "22")], right=(1,))
    assert text.splitlines() == ["a           n", "---------  --", "long cell   1", "x          22"]
