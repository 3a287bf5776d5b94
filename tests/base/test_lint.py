"""What is checked before a commit is what ``make lint`` checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, without the folder of the virtual environment."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found is not None, target
    return [line.strip().replace("$(BIN)/", "") for line in found[1].splitlines()]


def hooks() -> list[str]:
    """The commands of the hooks, likewise."""
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    return [entry.replace(".venv/bin/", "") for entry in re.findall(r"^ +entry: (.*)$", config, re.MULTILINE)]


def test_the_hooks_before_a_commit_are_the_commands_of_make_lint():
    assert len(recipe("lint")) >= 4
    assert hooks() == recipe("lint")


def test_each_hook_looks_at_the_whole_tree_whatever_was_changed():
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    for setting in ("always_run: true", "pass_filenames: false", "language: system"):
        assert config.count(setting) == len(hooks()), setting


def test_make_test_has_a_floor_that_fails_a_run_below_it_and_says_where():
    assert recipe("test") == ["python -m pytest -p tools.coverage_floor -n 2"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tools.coverage_floor",
        "-n",
        "2",
    ]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    done = subprocess.run(
        [*command, "tests/base/test_waiting.py"],
        env=outside, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    *_, summary = done.stdout.splitlines()
    assert " passed" in summary
    assert "failed" not in summary
    assert re.search(
        r"^coverage of lines and branches: \d+\.\d\d %; at least \d+ % is wanted$", done.stdout, re.MULTILINE
    )
    assert re.search(r"^hem_provider/\S+\.py +\d+ +[1-9]\d* .*%$", done.stdout, re.MULTILINE)
    assert done.returncode == 1
