"""Text of others is shown on one line, and does nothing to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hem_provider.printable import printable


@given(st.text())
def test_nothing_is_left_that_is_not_printable_and_nothing_else_is_changed(text):
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) is text.isprintable()
    assert printable(shown) == shown
    assert printable(text, "?") == "".join(each if each.isprintable() else "?" for each in text)


def test_an_escape_tells_which_character_it_was():
    assert printable("a\x1b[2J\n\u202e\x9b") == r"a\x1b[2J\n\u202e\x9b"
