"""What a page leaves behind: a page with the heading "Undo" must leave neither a key nor a process, no file
that it does not name there, the reader's settings as they were, and the variables of the shell, too.

Keys are compared with those that were there before, on each device that the reader has configured; processes
are known by the mark that a page's shell hands on. What ``had_before`` writes are settings that a reader may
have had, for pages that change some.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.blocks import prose_of

__all__ = [
    "differing_files",
    "differing_variables",
    "files_of",
    "had_before",
    "has_undo",
    "keys_of",
    "processes_with",
    "without_undo",
]

_HEADING = "\n## Undo\n"
_SECONDS = 5.0
#: What programs keep in a home by themselves, whoever uses them; folders with all that is in them.
_OF_PROGRAMS = (
    ".cache", ".local", ".java", ".config/hem", ".ssh/known_hosts",
    ".gnupg/private-keys-v1.d", ".gnupg/pubring.kbx", ".gnupg/pubring.kbx~", ".gnupg/trustdb.gpg",
    ".gnupg/public-keys.d", ".gnupg/common.conf", ".gnupg/random_seed", ".gnupg/sshcontrol",
    ".gnupg/tofu.db",
)  # fmt: skip
#: The places of the reader's own, which programs fill as the system does.
_PLACES = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")
#: Variables that a shell sets by itself.
_OF_SHELLS = {"_", "OLDPWD", "SHLVL"}
_HAD = {
    ".gitconfig": """\
[user]
\tname = Grace
\temail = grace@example.org
\tsigningKey = 0123456789ABCDEF
[gpg]
\tformat = x509
[commit]
\tgpgSign = true
[tag]
\tgpgSign = false
""",
    ".ssh/allowed_signers": "grace@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGraceGrace\n",
    ".gnupg/gpg-agent.conf": "default-cache-ttl 300\nenable-ssh-support\n",
    ".gnupg/openpgp-revocs.d/OTHER.rev": "the certificate of another key\n",
}
_LISTING = """
import json
import hem_provider
from hem_provider.config.load import load_config

found = []
for device in load_config().devices:
    with hem_provider.connect(name=device.name) as hem:
        found += [f"{key.label} ({key.kid}) on {device.name}" for key in hem.keys]
print(json.dumps(found))
"""


def has_undo(text: str) -> bool:
    """Whether a page says how what it does is undone."""
    return _HEADING in text


def without_undo(text: str) -> str:
    """A page up to there, for tests that go on with what it made."""
    return text.partition(_HEADING)[0] + "\n"


def keys_of(environment: Mapping[str, str]) -> set[str]:
    """The keys of all devices that a reader with this environment has."""
    done = subprocess.run(
        [sys.executable, "-c", _LISTING],
        env={**environment, "HEM_AGENT": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def processes_with(mark: str, *, ended_within: float = _SECONDS) -> list[str]:
    """The command lines of what runs with this in its environment; what is told to end gets a moment."""
    until = time.monotonic() + ended_within
    while found := _running(mark.encode()):
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return found


def _running(mark: bytes) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command:  # a zombie has none
                    found.append(command.strip())
    return found


def had_before(home: Path) -> None:
    """The settings of a reader who has used git, GnuPG and SSH before."""
    for name, text in _HAD.items():
        file = home / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(text)


def files_of(folder: Path, environment: Mapping[str, str]) -> dict[str, bytes]:
    """What lies in the folder of a reader, which is the home as well, without what programs keep there; the
    text of settings, which are hidden."""
    places = [Path(environment[name]) for name in _PLACES if name in environment]
    return dict(_found(folder, [*places, *(folder / name for name in _OF_PROGRAMS)]))


def _found(folder: Path, others: list[Path]) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir() if folder.is_dir() else ():
        if each in others or each.name == "__pycache__":
            continue
        if each.is_dir() and not each.is_symlink():
            yield f"{each}/", b""
            yield from _found(each, others)
        else:
            hidden = any(part.startswith(".") for part in each.parts)
            yield str(each), each.read_bytes() if hidden and each.is_file() else b""


def differing_files(text: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """What a page made and left without naming it in its "Undo"; what it took of the settings, or changed."""
    told = set(re.findall(r"`([^`]+)`", prose_of(text.partition(_HEADING)[2])))
    made = [f"{each} is left" for each in after.keys() - before.keys() if Path(each).name not in told]
    gone = [f"{each} is gone" for each in before.keys() - after.keys() if "/." in each]
    changed = [f"{each} is changed" for each in before.keys() & after.keys() if before[each] != after[each]]
    return sorted(made + gone + changed)


def differing_variables(before: bytes, after: bytes) -> list[str]:
    """The exported variables that are not as they were, of two answers of ``env -0``."""
    first, last = (_variables(each) for each in (before, after))
    return sorted(
        f"{name}={last.get(name, '(not set)')}"
        for name in (first.keys() | last.keys()) - _OF_SHELLS
        if first.get(name) != last.get(name)
    )


def _variables(printed: bytes) -> dict[str, str]:
    lines = printed.decode(errors="replace").rstrip("\0").split("\0")
    return {name: value for name, _, value in (each.partition("=") for each in lines)}
