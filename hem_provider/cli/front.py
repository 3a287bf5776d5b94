"""The page that ``hem`` alone shows: its commands in groups of jobs, a line each.

It is made without loading them, and without ``click``, so that it is there at once.
"""

from __future__ import annotations

import os

from hem_provider.cli import commands

__all__ = ["ASKED", "OTHERS", "jobs", "names", "page", "place", "summary", "summary_of"]

#: Variable that the scripts of ``hem completion`` set: what the shell wants to know.
ASKED = "_HEM_COMPLETE"
#: Job → its commands, in the order in which they are shown, as far as they are there.
_JOBS = (
    ("Looking after the device", ("status", "doctor", "checkin", "log", "device", "exporter")),
    ("A new device, and who may use it", ("init", "passphrase", "phones")),
    ("Keys", ("keys",)),
    ("Files and secrets", ("sign", "verify", "encrypt", "decrypt", "seal", "open")),
    ("Certificates", ("csr", "certificate")),
    ("Keys for programs", ("agent", "ssh", "gpg", "scdaemon", "age", "keyring", "kms", "openssl", "pkcs11")),
    ("Trying and measuring", ("demo", "emulator", "bench")),
    ("This computer", ("config", "completion", "help")),
)
#: The job of commands that stand at none.
OTHERS = "More"
_HEAD = (
    "usage: hem [--version] [--help] COMMAND ...",
    "",
    "Use the keys of an Encedo HEM, a remote hardware key store.",
)
_FOOT = (
    "",
    "'hem COMMAND --help' tells what a command does, and its options;",
    "'hem help' explains errors, and has the documentation.",
)
_SUFFIX = ".py"


def names() -> list[str]:
    """The commands: each is a module of ``cli.commands``, which has ``command``."""
    files = os.listdir(commands.__path__[0])  # noqa: PTH208 - pathlib alone costs more than this page
    return sorted(
        each.removesuffix(_SUFFIX) for each in files if each.endswith(_SUFFIX) and not each.startswith("_")
    )


def summary(doc: str) -> str:
    """What the docstring of a command's module says that it does: its first line without the command."""
    return doc.lstrip().partition("\n")[0].partition("``: ")[2].rstrip('."').replace("``", "")


def place(name: str) -> str:
    """The job that a command is shown at."""
    return next((job for job, those in _JOBS if name in those), OTHERS)


def jobs() -> list[tuple[str, list[str]]]:
    """The jobs for which there are commands, and these."""
    there = names()
    listed = [name for _, those in _JOBS for name in those if name in there]
    found = [(job, [name for name in listed if place(name) == job]) for job, _ in _JOBS]
    found.append((OTHERS, [name for name in there if name not in listed]))
    return [(job, those) for job, those in found if those]


def page(columns: int) -> str:
    """The whole page, for a terminal of so many columns."""
    first = max(map(len, names())) + 4
    lines = [part for line in _HEAD for part in _wrapped(line, columns)]
    for job, those in jobs():
        lines += ["", f"{job}:"]
        for name in those:
            parts = _wrapped(summary_of(name), max(columns - first, 16))
            lines += [f"  {name:{first - 2}}{parts[0]}", *(" " * first + part for part in parts[1:])]
    lines += [part for line in _FOOT for part in _wrapped(line, columns)]
    return "\n".join(lines)


def summary_of(name: str) -> str:
    """The same of a command by its name, from its file."""
    path = os.path.join(commands.__path__[0], name + _SUFFIX)  # noqa: PTH118
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return summary(file.readline().removeprefix('"""'))


def _wrapped(text: str, columns: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
