"""Each block of the documentation is run by a test, or says why not; the tests that are named run them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import blocks, pages

from tools.blocks import (
    PAGE,
    ROOT,
    Runner,
    all_blocks,
    blocks_of,
    drawn,
    names_of_pages,
    prose_of,
    register,
    runners_of,
)

BLOCKS = all_blocks()
RUNNERS = register()


def test_every_block_is_run_or_says_why_not():
    neither = [block for block in BLOCKS if not block.reason and not runners_of(block, RUNNERS)]
    assert [f"{block.page}:{block.line}" for block in neither] == []


def test_a_reason_is_one():
    for block in BLOCKS:
        assert not re.search(r"to ?do|later|not yet|\?", block.reason, re.IGNORECASE), block
        assert re.fullmatch(r"[a-z][a-z' ]+(: .{10,})?", block.reason) or not block.reason, block
        for file in re.findall(r"tests/[\w/]+\.py", block.reason):
            assert (ROOT / file).is_file(), block


def test_every_block_has_a_language():
    assert [f"{block.page}:{block.line}" for block in BLOCKS if not block.language] == []


def test_what_only_some_machines_run_says_what_they_need():
    for block in BLOCKS:
        if block.info not in (block.language, "") and block.kind != "file":
            assert re.fullmatch(r"console (since .*[\w.]|by (engine|provider))", block.info), block


@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: f"{runner.test} {' '.join(runner.kinds)}")
def test_a_test_that_is_named_is_there_and_has_something_to_run(runner, request):
    file, _, function = runner.test.partition("::")
    assert re.search(rf"^def {function}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    taken = [block for block in BLOCKS if runner.takes(block)]
    assert {block.kind for block in taken} == set(runner.kinds)
    assert all("*" in each or any(block.page == each for block in taken) for each in runner.pages)
    called = [each for each in whole_files(request) if each.nodeid.partition("[")[0] == runner.test]
    if called:  # else that file is not in this run
        reached = {
            page for each in called for page in blocks.due(runner.test, blocks.values_of(each), RUNNERS)
        }
        assert reached >= {block.page for block in taken}


def whole_files(request) -> list[pytest.Item]:
    """The tests of this run, unless it was asked for some of a file alone."""
    asked = request.config.option
    some = asked.keyword or asked.lf or any("::" in each for each in request.config.args)
    return [] if some else list(request.session.items)


def test_the_page_is_what_the_pages_and_the_register_say():
    assert PAGE.read_text("utf-8") == drawn(), "run: python -m tools.blocks"


def test_no_page_needs_a_helper_of_the_tests():
    for block in BLOCKS:
        if block.page != "docs/development/changing.md":
            found = re.search(r"^ *(?:from|import) (?:support|tests)\b", block.text, re.MULTILINE)
            assert not found, block.page


# --- that this would be seen ----------------------------------------------------------------------

TEXT = """\
before
```console
$ true
```
<!-- not run: asks a person: types a name -->
```console since curl 8
$ hem init
```
````python own.py
```
````
``` toml
a = 1
```
after
"""


def test_blocks_are_found_with_what_stands_around_them():
    found = blocks_of("x.md", TEXT)
    assert [(each.line, each.info, each.kind, each.text) for each in found] == [
        (2, "console", "console", "$ true\n"),
        (6, "console since curl 8", "console", "$ hem init\n"),
        (9, "python own.py", "file", "```\n"),
        (12, "toml", "toml", "a = 1\n"),
    ]
    assert [each.reason for each in found] == ["", "asks a person: types a name", "", ""]
    assert [each.condition for each in found] == ["", "since curl 8", "", ""]
    assert prose_of(TEXT).split() == ["before", "after"]
    with pytest.raises(ValueError, match="line 1: the block does not end"):
        blocks_of("x.md", "```\n")


def test_the_pages_are_all_of_them():
    assert set(names_of_pages()) >= {"README.md", "docs/agent.md", "docs/recipes/age.md", "docs/owner/log.md"}
    assert str(PAGE.relative_to(ROOT)) not in names_of_pages()


def test_a_test_that_leaves_out_a_block_fails():
    runner = Runner("x", ("docs/keyring.md",), ("console",))
    own = [(each.info, each.text) for each in blocks_of("docs/keyring.md") if runner.takes(each)]
    assert len(own) == 3
    assert blocks.not_run(runner, ["docs/keyring.md"], set(own)) == []
    [left] = blocks.not_run(runner, ["docs/keyring.md"], set(own[1:]))
    assert left.text == own[0][1]
    name = "tests/tools/test_guides.py::test_the_commands_of_a_guide_work_as_printed"
    values = {"page": "agent.md"}
    item = SimpleNamespace(nodeid=f"{name}[agent.md]", callspec=SimpleNamespace(params=values))
    blocks.begin("tests/tools/test_guides.py")
    with pytest.raises(AssertionError, match=r"docs/agent\.md:\d+, docs/agent\.md:\d+"):
        blocks.check(item)
    for each in blocks_of("docs/agent.md"):
        blocks.ran(each.info, each.text)
    blocks.check(item)


def test_a_file_is_run_where_a_command_names_it():
    for commands in ("python own.py 8443", "gunicorn own:app", "python o$x.py", "from own import a"):
        assert pages._names(commands, Path("own.py")), commands
    for commands in ("python other.py", "$own", "echo $x", "disown.py"):
        assert not pages._names(commands, Path("own.py")), commands


def test_every_test_is_looked_at(request):
    calls = request.config.hook.pytest_pyfunc_call.get_hookimpls()
    files = {getattr(each.plugin, "__file__", None) for each in calls}
    assert str(ROOT / "tests" / "conftest.py") in files


def test_a_parameter_tells_the_page():
    rows = [Runner("x", ("docs/agent.md",), ("console",)), Runner("x", ("docs/python.md",), ("python",))]
    assert blocks.due("x", ["engine", Path("docs/agent.md")], rows) == ["docs/agent.md"]
    assert blocks.due("x", ["../python"], rows) == ["docs/python.md"]
    assert blocks.due("x", ["engine"], rows) == []
    assert blocks.due("x", [], rows) == ["docs/agent.md", "docs/python.md"]
    assert blocks.due("x", ["engine"], rows[:1]) == ["docs/agent.md"]
    assert blocks.due("y", [], rows) == []
