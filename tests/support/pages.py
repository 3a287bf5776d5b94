"""Runs the commands of a documentation page, as a reader would paste them, in one shell.

In a block ```` ```console ````, lines that begin with ``$ `` are commands and ``> `` continue them; other
lines are what the command prints: each must appear in its output, ``…`` standing for anything.
A block ```` ```python NAME ```` is a file of that name, which is there before the first command.
``!`` instead of ``$`` is a command that must fail. A block ```` ```console since … ```` needs something
newer than Debian 12 has and is run when asked for, ```` ```console by engine ```` (or ``provider``) where
that is OpenSSL's way; blocks of other kinds are not run, nor one with a comment ``<!-- not run: … -->``
before it. The port 8443 of a page and of its files is replaced by a free one. What is run is told to
``support.blocks``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.blocks import ran
from support.emulator import ServedEmulator
from support.once import sitecustomize as once
from support.undone import (
    differing_files,
    differing_variables,
    files_of,
    had_before,
    has_undo,
    keys_of,
    processes_with,
)

from tools.blocks import Block, blocks_of
from tools.servers import free_port

__all__ = ["FILE", "Step", "as_ordinary_user", "python_of", "reader_of", "run_page", "steps_of", "taken"]

FILE = re.compile(r"^```python (\S+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_MARK = "--- step"
_SECONDS = 60.0


@dataclass(slots=True)
class Step:
    """One command and what the page says it prints."""

    command: str
    fails: bool = False
    expected: list[str] = field(default_factory=list)


def reader_of(served: ServedEmulator, home: Path) -> dict[str, str]:
    """The environment of a reader with this home: a device, its passphrase, and ``hem`` in PATH."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "SOPS_"))}
    return clean | {
        "HOME": str(home),
        "HEM_URL": served.https,
        "HEM_CA_FILE": str(served.ca_file),
        "HEM_PASSPHRASE_FILE": str(served.passphrase_file),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }


def taken(page: Path, kind: str, holding: str = "") -> list[str]:
    """The blocks of a kind, with a text in them, for a test that runs them by itself."""
    found = [each for each in _blocks(page) if each.kind == kind and holding in each.text]
    assert found, f"{page.name} has no block of {kind} with {holding!r}"
    for each in found:
        ran(each.info, each.text)
    return [each.text for each in found]


def python_of(page: Path) -> str:
    """All Python of a page, at its own lines, so that a traceback or a type checker points into it."""
    lines = [""] * (page.read_text("utf-8").count("\n") + 1)
    for block in _blocks(page):
        if block.info == "python":
            ran(block.info, block.text)
            for number, line in enumerate(block.text.splitlines(), block.line):
                lines[number] = line
    return "\n".join(lines) + "\n"


def _blocks(page: Path) -> list[Block]:
    return [each for each in blocks_of(page.name, page.read_text("utf-8")) if not each.reason]


def _consoles(page: Path, newer: Callable[[str], bool] | bool, way: str) -> Iterator[Block]:
    for block in _blocks(page):
        if block.language != "console":
            continue
        kind, _, wanted = block.condition.partition(" ")
        if kind == "since" and not (newer(wanted) if callable(newer) else newer):
            continue
        if kind != "by" or wanted == way:
            yield block


def steps_of(page: Path, *, newer: Callable[[str], bool] | bool = False, way: str = "") -> list[Step]:
    """The commands of a page, in order; ``newer`` takes those with "since" as well, or those that it
    says, and ``way`` those of one way of OpenSSL."""
    steps: list[Step] = []
    for block in _consoles(page, newer, way):
        for line in block.text.splitlines():
            if line.startswith(("$ ", "! ")):
                steps.append(Step(line[2:], fails=line.startswith("!")))
            elif line.startswith("> ") or line == ">":
                steps[-1].command += "\n" + line[2:]
            elif steps and steps[-1].command.endswith("\\"):
                steps[-1].command += "\n" + line
            elif line.strip():
                steps[-1].expected.append(line)
    return steps


def run_page(
    page: Path,
    *,
    environment: Mapping[str, str],
    folder: Path,
    newer: Callable[[str], bool] | bool = False,
    way: str = "",
    ordinary: bool = False,
    replacements: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> None:
    """Run the page in ``folder``, with texts of it replaced; raises ``AssertionError`` with the output where
    it differs from the page. ``way``: OpenSSL's; ``ordinary``: the page means readers who are not root;
    ``seconds``: what it may take; a page with an "Undo" must leave neither key nor process, nor a
    file that it does not name there, and the shell's variables as they were."""
    steps = steps_of(page, newer=newer, way=way)
    assert steps, f"{page.name} has no commands"
    port = str(free_port())
    replaced = {"8443": port, **(replacements or {})}

    def here(text: str) -> str:
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text

    mark = f"page-{uuid.uuid4()}"
    reader = {**once.environment(), **environment}
    undone = has_undo(page.read_text("utf-8"))
    before = keys_of(reader) if undone else set()
    if undone:
        had_before(folder)
    files = files_of(folder, reader) if undone else {}
    for name, content in FILE.findall(page.read_text()):
        (folder / name).write_text(here(content))
    with _processes_of(mark), tempfile.TemporaryDirectory() as told:
        script = ["exec 2>&1", f"env -0 > {told}/before"]
        for number, step in enumerate(steps):
            script += [here(step.command), f'echo "{_MARK} {number} $?"']
        script.append(f"env -0 > {told}/after")
        shell = subprocess.Popen(
            [*as_ordinary_user(required=ordinary), "bash"],
            env={**reader, "HEM_TEST_PAGE": mark}, cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            output, _ = shell.communicate("\n".join(script) + "\n", timeout=seconds)
        except subprocess.TimeoutExpired as late:
            shell.kill()
            with shell:  # it is waited for, and its pipes are closed
                pass
            printed = (late.stdout or b"").decode(errors="replace")
            raise AssertionError(f"{page.name} takes more than {seconds:.0f} s:\n{printed}") from None
        _check(page.name, steps, output.replace(port, "8443"))
        if undone:
            left = processes_with(f"HEM_TEST_PAGE={mark}")
            assert not left, f"{page.name} is undone, and runs: {left}"
            assert keys_of(reader) == before, f"{page.name} is undone, and its keys are not"
            differing = differing_files(page.read_text("utf-8"), files, files_of(folder, reader))
            assert not differing, f"{page.name} is undone, and not its files: {differing}"
            variables = [Path(told, name).read_bytes() for name in ("before", "after")]
            differing = differing_variables(*variables)
            assert not differing, f"{page.name} is undone, and not its variables: {differing}"
        for block in _consoles(page, newer, way):
            ran(block.info, block.text)
        commands = "\n".join(step.command for step in steps)
        for block in _blocks(page):
            if block.kind == "file" and _names(commands, Path(block.info.split()[1])):
                ran(block.info, block.text)


def _names(commands: str, file: Path) -> bool:
    """Whether commands name a file, or the module in it; a variable in a name stands for anything."""
    words = (word for word in re.findall(r"[\w.$-]+", commands) if not word.startswith("$"))
    patterns = {re.sub(r"\\\$\w+", r"\\w+", re.escape(word)) for word in words}
    return any(re.fullmatch(each, name) for each in patterns for name in (file.name, file.stem))


@functools.cache
def as_ordinary_user(*, required: bool = False) -> tuple[str, ...]:
    """What makes root run a command as readers do, since servers behave otherwise for root: a user namespace
    in which we are "daemon", whom every Debian has, and still own our files."""
    if os.geteuid() != 0:
        return ()
    prefix = ("unshare", "--user", "--map-user=1", "--map-group=1")
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    if tried.returncode == 0:
        return prefix
    if required:
        pytest.skip("not run: the tool treats root otherwise, and no other user can be had here (unshare)")
    return ()


def _check(name: str, steps: list[Step], output: str) -> None:
    rest = output
    for number, step in enumerate(steps):
        found = re.search(rf"^(.*?){_MARK} {number} (\d+)\n", rest, re.DOTALL)
        assert found, f"{name}: {step.command!r} was not reached:\n{output}"
        printed, status, rest = found[1], int(found[2]), rest[found.end() :]
        assert (status != 0) == step.fails, f"{name}: {step.command!r} ended with {status}:\n{output}"
        for line in step.expected:
            pattern = ".*".join(map(re.escape, line.strip().split("…")))
            assert re.search(pattern, printed), (
                f"{name}: {step.command!r} does not print {line!r}:\n{printed}"
            )


@contextlib.contextmanager
def _processes_of(mark: str) -> Iterator[None]:
    """Ends what the page left running: processes that carry its mark in their environment."""
    try:
        yield
    finally:
        wanted = f"HEM_TEST_PAGE={mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
