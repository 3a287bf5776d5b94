"""What tries the story in bare roots: it says what went otherwise, and its table stands in its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools import roots, try_story
from tools import test_systems as systems
from tools.story import installing, script, story

ROOT = Path(__file__).parents[2]


class Root:
    """In the place of a bare root: it is asked what is run in it, and answers as the reader's shell."""

    ran: list[str]
    says: dict[str, str]
    folder: str

    def __init__(self, name, _release):
        self.path = Path(Root.folder) / name
        self.roots = Path(Root.folder)

    def renew(self):
        (self.path / "srv").mkdir(parents=True)

    def place(self):
        pass

    def inside(self, command, **_):
        if not command.endswith("< /srv/pasted.sh"):
            Root.ran.append(command)
            return ""
        pasted = (self.path / "srv" / "pasted.sh").read_text()
        user = command.partition("runuser -u ")[2].partition(" ")[0]
        Root.ran.append(f"{user}: {pasted.splitlines()[0]}")
        return Root.says.get(pasted, "")


@pytest.fixture
def root(monkeypatch, tmp_path):
    Root.folder, Root.ran, Root.says = str(tmp_path), [], {}
    monkeypatch.setattr(try_story, "Bare", Root)
    return Root


def printed(blocks, seconds, missing=None):
    """What a shell prints in which they all go well, but for one."""
    lines = []
    for number, block in enumerate(blocks):
        lines += [] if number == missing else [line.replace("…", "so") for line in block.shown]
        lines.append(f"--- block {number} ended {seconds + number}.5")
    return "\n".join(lines) + "\n"


def pasted(way):
    return [each for each in (*installing(way), *story()) if not each.of_root]


def test_a_story_that_goes_as_printed_is_told_with_its_seconds(root, monkeypatch, tmp_path):
    monkeypatch.setattr(try_story.time, "time", lambda: 1000.0)
    wheel = tmp_path / "hem_provider-1-cp311.whl"
    wheel.touch()
    root.says[script(pasted("wheel"))] = printed(pasted("wheel"), 1040)
    run = try_story.tried("bookworm", "wheel", "ada", wheel)
    assert (run.wrong, run.signed) == ((), 42)
    assert run.ended == 40 + len(pasted("wheel"))
    as_root = [each for each in root.ran if each.startswith("apt-get")]
    assert as_root == [*(each.commands for each in story() if each.of_root), installing("wheel")[0].commands]


def test_who_is_not_root_has_root_install_what_is_told_and_what_is_left_behind_is_wrong(root):
    root.says["make demo\n"] = "setup: Debian packages are missing; run: sudo apt-get install gcc opensc\n"
    root.says[script(pasted("checkout"))] = printed(pasted("checkout"), 10_000_000_000)
    root.says["git status --porcelain"] = "?? letter.txt\n"
    run = try_story.tried("trixie", "checkout", "ada", None)
    assert "apt-get install gcc opensc -y" in root.ran
    assert run.wrong == ("left behind: ?? letter.txt",)
    assert not (Path(root.folder) / "trixie-checkout-story").exists()


def test_what_does_not_show_or_does_not_end_is_named_by_its_first_line(root):
    found = pasted("checkout")
    root.says[script(found)] = printed(found, 10_000_000_000, missing=1)
    run = try_story.tried("trixie", "checkout", "root", None)
    assert run.wrong == (f"{found[1].commands.splitlines()[0]}: it does not print {found[1].shown[0]!r}",)
    root.says[script(found)] = printed(found[:1], 10_000_000_000)
    run = try_story.tried("trixie", "checkout", "root", None)
    assert run.wrong == (f"{found[1].commands.splitlines()[0]}: it did not end",)


def test_the_table_has_a_row_for_each_release_and_way_and_is_written_between_its_marks(monkeypatch, tmp_path):
    runs = [
        try_story.Run("bookworm", "wheel", "ada", "2026-01-31", 42, 50),
        try_story.Run("trixie", "checkout", "root", "2026-02-01", 0, 9, ("make demo: failed",)),
    ]
    text = try_story.table(runs)
    assert "| Debian 12 | a wheel | – | ✓ signature verified after 42 s, all done after 50 s |" in text
    assert "| Debian 13 | a checkout | ✗ make demo: failed | – |" in text
    assert text.endswith("Run: 2026-01-31, 2026-02-01.")
    page = tmp_path / "platforms.md"
    page.write_text(systems.PAGE.read_text("utf-8"))
    before, mark, rest = page.read_text("utf-8").partition(try_story.MARKS[0])
    assert try_story.MARKS[1] in rest
    monkeypatch.setattr(systems, "PAGE", page)
    systems.publish(text, try_story.MARKS)
    after = rest.partition(try_story.MARKS[1])[2]
    assert page.read_text("utf-8") == f"{before}{mark}\n\n{text}\n\n{try_story.MARKS[1]}{after}"


def test_runs_of_before_are_kept_with_their_words(tmp_path):
    run = try_story.Run("bookworm", "wheel", "ada", "2026-01-31", 42, 50, ("left behind: x",))
    file = tmp_path / "story.json"
    assert try_story.earlier(file) == []
    file.write_text(json.dumps([try_story.asdict(run)]))
    assert try_story.earlier(file) == [run]


def test_who_is_not_root_is_told_before_anything_is_done(monkeypatch):
    monkeypatch.setattr(roots.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(roots.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit, match="root is needed"):
        try_story.main()


def test_a_release_that_there_is_not_is_refused_with_those_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "tools.try_story", "woody"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no release woody; there are: bookworm, trixie" in done.stderr
