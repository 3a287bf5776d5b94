"""Tables: laid out here where that is enough, by ``rich`` where not, and alike."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.cli import drawing

HEAD = ("label", "type", "KID")
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
rows = st.lists(st.tuples(plain, plain, plain), min_size=1, max_size=5)


@given(rows)
def test_both_ways_give_the_same_lines(table):
    shown = range(len(HEAD))
    wide = drawing._UNBROKEN
    assert drawing._plain(HEAD, table, shown, wide) == drawing._drawn(HEAD, table, shown, wide)


@pytest.mark.parametrize("cell", ["\x1b[31m", "a\nb", "漢字", "ż", "\x7f"])
def test_what_terminals_show_otherwise_is_left_to_rich_and_acts_on_none(cell, capsys):
    assert drawing._plain(HEAD, [(cell, "a", "b")], (0, 1, 2), 100) == []
    drawing.draw(HEAD, [(cell, "a", "b")])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("\n") == 2
    assert cell in out or ascii(cell)[1:-1] in out


def test_a_table_that_fits_is_made_without_rich():
    script = (
        "import sys; from hem_provider.cli.drawing import draw; draw(('a',), [('b',)] * 1000); "
        "sys.exit('rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "a\n" + "b\n" * 1000)
