"""A module is one idea: none is longer than a person reads at once, but tables."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Lines of code: what is neither empty nor a comment nor a docstring.
MOST = 300
#: Modules that are tables through and through, whatever their length.
TABLES = {"shim/hem_pkcs11/constants.py", "hem_provider/emulator/endpoints.py"}

MODULES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("hem_provider", "shim", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def lines_of_code(text: str) -> int:
    quiet = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            code -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(code)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_read_at_once(module):
    if module not in TABLES:
        assert lines_of_code((ROOT / module).read_text("utf-8")) <= MOST


def test_lines_of_code_are_counted_without_what_explains_them():
    assert lines_of_code('"""A module."""\n\n# why\nx = (\n    1\n)\n\n\ndef f():\n    """Says."""\n') == 4
