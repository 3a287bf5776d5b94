"""What is checked before a commit is what ``make lint`` checks."""

from __future__ import annotations

import os
import re
import shutil
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
    assert len(recipe("checks")) >= 4
    assert hooks() == [*recipe("checks"), *recipe("audit")]
    assert re.search(r"^lint: checks audit$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_each_hook_looks_at_the_whole_tree_whatever_was_changed():
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    for setting in ("always_run: true", "pass_filenames: false", "language: system"):
        assert config.count(setting) == len(hooks()), setting


#: A product of which a test passes one module, or both.
SMALL = {
    "hem_provider/__init__.py": "",
    "hem_provider/whole.py": "def passed():\n    return True\n",
    "hem_provider/half.py": "def missed():\n" + "    print(1)\n" * 9,
}
TEST = "from hem_provider import half, whole\n\n\ndef test_it():\n    assert whole.passed()\n"


def under_the_floor(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run a test of a small product as ``make coverage`` does, with this project's settings and plugin."""
    for name in ("pyproject.toml", "tools/coverage_floor.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name, text in {**SMALL, "tests/base/test_small.py": test}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))}
    command = recipe("coverage")[-1].removeprefix("python ").split()
    return subprocess.run(
        [sys.executable, *command, "-q", "-p", "no:cacheprovider"],
        env=outside, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


FLOOR = re.compile(r"^coverage of lines and branches: \d+\.\d\d %; at least \d+ % is wanted$", re.MULTILINE)
WHERE = re.compile(r"^hem_provider/half\.py +\d+ +[1-9]\d* .*%$", re.MULTILINE)


def test_make_coverage_has_a_floor_that_fails_a_run_below_it_and_says_where(tmp_path):
    assert recipe("test") == ["-@python tools/audit.py", "python -m pytest -n 2"]
    assert recipe("coverage") == ["python -m pytest -p tools.coverage_floor -n 2"]
    done = under_the_floor(tmp_path, TEST)
    *_, summary = done.stdout.splitlines()
    assert " passed" in summary
    assert "failed" not in summary
    assert FLOOR.search(done.stdout)
    assert WHERE.search(done.stdout)
    assert done.returncode == 1


def test_a_run_that_passes_all_is_above_the_floor(tmp_path):
    done = under_the_floor(tmp_path, TEST + "    half.missed()\n")
    assert FLOOR.search(done.stdout)
    assert not WHERE.search(done.stdout)
    assert done.returncode == 0
