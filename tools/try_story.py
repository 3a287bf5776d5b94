"""Try the story of README.md as its readers do: ``make story``, as root.

``python -m tools.try_story [RELEASE…] [--way WAY]… [--publish]`` goes through it in fresh bare roots of
Debian 12 and 13, from a checkout of what is committed here and from the wheel that is built of it, as root
and as another user. The blocks are pasted as printed, into one shell, and what shows then is compared. It
tells the seconds to the first signature that OpenSSL verified, and to the end, downloads included;
``--publish`` writes them into ``docs/platforms.md``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import shlex
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.options import one_of
from tools.roots import INSTALL, PLACE, Bare, check_can_make_roots, say
from tools.story import WAYS, installing, outcomes, script, story
from tools.test_systems import publish
from tools.try_wheels import build

__all__ = ["MARKS", "RELEASES", "USERS", "Run", "earlier", "main", "table"]

RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
#: Who reads → the user.
USERS = {"root": "root", "another user": "ada"}
#: The table stands between these.
MARKS = ("<!-- tools/try_story.py writes from here -->", "<!-- to here: the story -->")
#: Where a reader has the wheel.
_FOLDER = "/srv/story"
_PASTED = "/srv/pasted.sh"
_VERIFIED = "Verified OK"


@dataclass(frozen=True)
class Run:
    """One reader's. ``signed``, ``ended``: seconds from the first line; ``wrong``: what went otherwise."""

    release: str
    way: str
    user: str
    day: str
    signed: int
    ended: int
    wrong: tuple[str, ...] = ()


class _Desk:
    """A fresh root with what README.md takes for granted, and a reader in it."""

    def __init__(self, release: str, user: str, wheel: Path | None) -> None:
        way = "checkout" if wheel is None else "wheel"
        self.bare, self._user = Bare(f"{release}-{way}-story", release), user
        self._folder = PLACE if wheel is None else _FOLDER
        self.bare.renew()
        if wheel is None:
            self.bare.inside(f"{INSTALL} make git python3")
            self.bare.place()
        else:
            place = self.bare.path / _FOLDER.lstrip("/")
            place.mkdir()
            shutil.copy(wheel, place)
        self.bare.inside(f"useradd --create-home ada; chown -R {user}: {self._folder}")

    def paste(self, commands: str) -> str:
        """What the reader's shell prints, which reads the commands as from a terminal."""
        Path(f"{self.bare.path}{_PASTED}").write_text(commands)
        home = "/root" if self._user == "root" else f"/home/{self._user}"
        # What pip has kept of others' runs is not there for somebody who is new.
        shell = ["runuser", "-u", self._user, "--", "env", f"HOME={home}", "PIP_NO_CACHE_DIR=1", "bash"]
        return self.bare.inside(f"cd {self._folder}; {shlex.join(shell)} < {_PASTED}", check=False)


def tried(release: str, way: str, user: str, wheel: Path | None) -> Run:
    """The story, from the first line to the last."""
    desk = _Desk(release, user, wheel)
    try:
        for block in story():
            if block.of_root:  # before, since the shell of the story waits for nobody
                desk.bare.inside(block.commands)
        began = time.time()
        for block in installing(way):
            if block.of_root:
                desk.bare.inside(block.commands)
        if way == "checkout" and user != "root":  # who is told what Debian has
            missing = re.search(r"run: sudo (apt-get install .+)", desk.paste(installing(way)[0].commands))
            if missing is None:
                raise RuntimeError(f"{release}: make demo does not say which packages are missing")
            desk.bare.inside(f"{missing[1]} -y")
        pasted = [each for each in (*installing(way), *story()) if not each.of_root]
        found = outcomes(pasted, desk.paste(script(pasted)))
        left = desk.paste("git status --porcelain" if way == "checkout" else "ls --ignore='*.whl'")
    finally:
        shutil.rmtree(desk.bare.path, ignore_errors=True)
    wrong = [f"{each.block.commands.splitlines()[0]}: {each.wrong}" for each in found if each.wrong]
    wrong += [f"left behind: {line}" for line in left.splitlines()]
    signed = next((each.ended for each in found if _VERIFIED in each.block.shown), began)
    day = datetime.date.today().isoformat()
    ended = max(each.ended for each in found)
    return Run(release, way, user, day, round(signed - began), round(ended - began), tuple(wrong))


def table(runs: list[Run]) -> str:
    """The page's: a row for each release and way."""
    cells = {(each.release, each.way, each.user): _cell(each) for each in runs}
    titles = ["system", "from", *(f"as {who}" for who in USERS)]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for release, called in RELEASES.items():
        for way in WAYS:
            row = [called, f"a {way}", *(cells.get((release, way, user), "–") for user in USERS.values())]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", f"Run: {', '.join(sorted({each.day for each in runs})) or 'never'}."])


def _cell(run: Run) -> str:
    if run.wrong:
        return f"✗ {'; '.join(run.wrong)}"
    return f"✓ signature verified after {run.signed} s, all done after {run.ended} s"


def earlier(file: Path) -> list[Run]:
    """Those of runs before."""
    told = json.loads(file.read_text()) if file.exists() else []
    return [Run(**each | {"wrong": tuple(each["wrong"])}) for each in told]


def main() -> int:
    """As the module's docstring says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = one_of("release", RELEASES)
    parser.add_argument("releases", nargs="*", type=known, help=f"default: {', '.join(RELEASES)}")
    parser.add_argument("--way", action="append", choices=WAYS, help="this alone; default: all")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/platforms.md")
    options = parser.parse_args()
    check_can_make_roots()
    good = True
    file = Bare("story", "").roots / "story.json"
    for release in options.releases or RELEASES:
        for way in options.way or WAYS:
            wheel = build(release)[-1] if way == "wheel" else None
            for user in USERS.values():
                say(f"{release}: from a {way}, as {user}")
                run = tried(release, way, user, wheel)
                say(_cell(run))
                good = good and not run.wrong
                same = (run.release, run.way, run.user)
                others = [each for each in earlier(file) if (each.release, each.way, each.user) != same]
                file.write_text(json.dumps([asdict(each) for each in (*others, run)]))
    text = table(earlier(file))
    say(text)
    if options.publish:
        publish(text, MARKS)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
