"""The story of README.md works as printed, pasted block by block into one shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.blocks import ran

from tools.blocks import blocks_of
from tools.story import README, WAYS, Block, installing, outcomes, script, story

SECONDS = 120.0
VENV = Path(sys.executable).parent


@pytest.fixture
def shell(tmp_path, tmp_path_factory):
    """The environment of somebody who has installed nothing but ``.venv``, and the folder of the story."""
    folder = tmp_path / "a folder"  # its blank must not break what is pasted
    folder.mkdir()
    (folder / ".venv").symlink_to(VENV.parent)
    runtime = tmp_path_factory.mktemp("run")
    runtime.chmod(0o700)
    environment = {
        "HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
        "SHELL": "/bin/bash", "XDG_RUNTIME_DIR": str(runtime),
    }  # fmt: skip
    yield environment, folder
    for command in (["agent", "stop"], ["emulator", "stop"]):  # what a story that failed has left
        words = [VENV / "hem", *command]
        subprocess.run(words, env=environment, cwd=folder, capture_output=True, check=False)


@pytest.fixture
def privileged_folder():
    """The story makes it where root runs it; the system has it from its start."""
    folder = Path("/run/sshd")
    there = folder.exists()
    yield
    if os.geteuid() == 0 and not there and folder.exists():
        folder.rmdir()


@pytest.mark.usefixtures("privileged_folder")
def test_the_story_works_from_top_to_bottom_and_leaves_nothing(shell):
    environment, folder = shell
    if not Path("/usr/sbin/sshd").exists():
        pytest.skip("not run: sshd is not installed (Debian: openssh-server)")
    pasted = [each for each in story() if not each.of_root]
    done = subprocess.run(
        ["bash"], input=script(pasted), env=environment, cwd=folder, stdout=subprocess.PIPE, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    found = outcomes(pasted, done.stdout)
    assert [each.wrong for each in found if each.wrong] == [], done.stdout
    assert len(found) == len(pasted) == 9
    texts = {each.commands for each in pasted} | {
        "".join(f"{line}\n" for line in each.shown) for each in pasted
    }
    for block in blocks_of("README.md"):
        if block.text in texts:
            ran(block.info, block.text)
    assert [each.name for each in folder.iterdir()] == [".venv"]
    assert sum("Verified OK" in each.printed for each in found) == 2


def test_from_the_first_line_to_the_verified_signature_are_five_commands():
    first, then = installing("checkout")[0], story()[0]
    lines = [*first.commands.splitlines(), *then.commands.splitlines()]
    assert then.shown[-1] == "Verified OK"
    assert not [line for line in lines if re.search(r"&&|;|\\$", line)]
    assert len(lines) <= 5


def test_every_block_is_of_the_story_or_of_a_way_to_install():
    blocks = re.findall(r"^```(?:sh)\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    ways = [each.commands for way in WAYS for each in installing(way)]
    assert blocks[0] == "make demo\nmake test\n"
    assert ways[0] == "make demo\n"
    assert sorted(blocks[1:]) == sorted([*ways[1:], *(each.commands for each in story())])
    assert [each.of_root for each in installing("wheel")] == [True, False]
    assert sum(each.of_root for each in story()) == 1


def test_what_a_block_prints_is_compared_in_order_and_failures_are_named():
    pasted = [
        Block("echo one; echo two\n", ("one", "t…o")),
        Block("echo two; echo one\n", ("one", "two")),
        Block("false\necho on\n", ("on",)),
        Block("false | cat\n"),
        Block("exit 3\n"),
        Block("echo never\n"),
    ]
    done = subprocess.run(["bash"], input=script(pasted), capture_output=True, text=True, check=False)
    found = outcomes(pasted, done.stdout)
    assert [each.wrong for each in found] == [
        None, "it does not print 'two'", "failed: false", "failed: cat", "it did not end",
    ]  # fmt: skip
    assert found[0].ended <= found[1].ended
