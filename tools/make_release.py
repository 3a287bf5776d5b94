"""Make a release of what is committed here: ``make release``.

    python -m tools.make_release [--dry-run] [--no-roots] [--output dist] [PYTHON…]

First it looks whether there is something to release: nothing here that is not committed, a section of
``CHANGELOG.md`` for the version that ``hem_provider/_version.py`` says, nothing left under *Unreleased*, and
no tag of that version. Then it makes ``dist/hem-provider-VERSION``, whole or not at all:

* the source release and a wheel for each interpreter here (``tools/make_wheels.py``),
* from bare roots, where they are tried as well (root is needed): a wheel for the Python of each Debian that
  is not here (``tools/try_wheels.py``), and the Debian packages (``tools/make_deb.py``),
* the documentation as a site, packed (``tools/make_site.py``),
* a CycloneDX list of what is installed with it, by cyclonedx-py,
* ``RELEASE.md``: what changed, and how all this is checked,
* ``SHA256SUMS`` of these, its signature, and the public key for that.

The tag ``vVERSION`` is made last, annotated with what changed and with the sums. ``--dry-run`` makes all but
the tag. Two runs for one commit by the same compiler and interpreters give the same sums; a signature is
never the same twice.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version

from hem_provider._version import __version__
from tools import make_deb, make_site, release_parts, try_wheels
from tools.make_wheels import ReleaseError, build, interpreters
from tools.roots import ROOT, check_can_make_roots, say

__all__ = ["Plan", "main", "make", "section_of"]

#: A heading of the changelog, ``## 1.2.0 - 2026-11-28`` or ``## Unreleased``, and all that belongs to it.
_SECTION = re.compile(r"^## (?P<title>[^\n]+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_DATED = re.compile(r"(?P<version>\S+) - (?P<day>\d{4}-\d\d-\d\d)")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is released: a version, what changed in it (Markdown), and the commit (40 hexadecimal digits)."""

    version: str
    changes: str
    commit: str

    @property
    def tag(self) -> str:
        """The tag's name."""
        return f"v{self.version}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="FOLDER")
    parser.add_argument("--dry-run", action="store_true", help="make everything but the tag")
    parser.add_argument(
        "--no-roots",
        action="store_true",
        help="leave out what is made in bare roots: Debian packages, wheels for Pythons that are not here",
    )
    parser.add_argument("python", nargs="*", help="interpreters to build wheels with")
    options = parser.parse_args(arguments)
    try:
        plan = planned()
        if not options.no_roots:
            check_can_make_roots()
        folder = make(
            plan, options.output, options.python or list(interpreters()), roots=not options.no_roots
        )
        say(f"{folder}: {len(list(folder.iterdir()))} files")
        if options.dry_run:
            say(f"{plan.tag}: not made (--dry-run)")
        else:
            tag(plan, folder)
            say(f"{plan.tag}: made, of {plan.commit[:12]}; git push origin {plan.tag} makes it known")
    except (ReleaseError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def planned() -> Plan:
    """What is to be released here. ``ReleaseError`` where it cannot be, with all reasons for that."""
    reasons = list(_reasons())
    if reasons:
        raise ReleaseError("\n       ".join(reasons))
    return Plan(__version__, section_of(__version__, _changelog()), _git("rev-parse", "HEAD"))


def _reasons() -> Iterator[str]:
    changed = _git("status", "--porcelain").splitlines()
    if changed:
        more = f", and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        named = ", ".join(each.split(maxsplit=1)[1] for each in changed[:_SHOWN])
        yield f"not committed: {named}{more}"
    try:
        if str(Version(__version__)) != __version__ or Version(__version__).local:
            raise InvalidVersion
    except InvalidVersion:
        yield f"hem_provider/_version.py: {__version__!r} is no version, such as 1.2.0 or 1.2.0rc1"
    if _git("tag", "--list", f"v{__version__}"):
        yield f"the tag v{__version__} exists: say another version in hem_provider/_version.py"
    try:
        section_of(__version__, _changelog())
    except ReleaseError as error:
        yield str(error)


def section_of(version: str, changelog: str) -> str:
    """What changed in a version. ``ReleaseError`` where the changelog has no dated section for it or an empty
    one, or something under *Unreleased* still, which no release would tell."""
    sections = {each["title"].strip(): each["text"].strip() for each in _SECTION.finditer(changelog)}
    if sections.get("Unreleased"):
        raise ReleaseError(
            f"CHANGELOG.md: what is under 'Unreleased' belongs to a version: '## {version} - YYYY-MM-DD'"
        )
    for title, text in sections.items():
        dated = _DATED.fullmatch(title)
        if dated is None or dated["version"] != version:
            continue
        try:
            date.fromisoformat(dated["day"])
        except ValueError:
            raise ReleaseError(f"CHANGELOG.md: '## {title}': there is no day {dated['day']}") from None
        if not text:
            raise ReleaseError(f"CHANGELOG.md: nothing stands below '## {title}'")
        return text
    raise ReleaseError(f"CHANGELOG.md: no section '## {version} - YYYY-MM-DD'")


def make(plan: Plan, output: Path, pythons: Sequence[str], *, roots: bool) -> Path:
    """The folder with everything, below ``output``; one of the same version is replaced once the new one is
    whole. Raises ``ReleaseError`` and ``RuntimeError`` where something cannot be built, or does not work."""
    target = output.resolve() / f"hem-provider-{plan.version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        made.mkdir()
        _fill(made, plan, pythons, roots=roots)
        if _git("rev-parse", "HEAD") != plan.commit:
            raise ReleaseError(f"another commit than {plan.commit[:12]} is here by now: begin again")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return target


def _fill(folder: Path, plan: Plan, pythons: Sequence[str], *, roots: bool) -> None:
    built = []
    for path in build(folder, pythons):
        say(f"built: {path.name}")
        built.append(path)
    if roots:
        built += [Path(shutil.copy(each, folder)) for each in _from_roots(built)]
    site = make_site.archive(folder, version=plan.version)
    say(f"built: {site.name}")
    with tempfile.TemporaryDirectory(prefix="hem-release-") as place:
        environment = release_parts.installed(Path(place) / "installed", pythons[0], built[1])
        listed = release_parts.list_parts(environment, folder, plan.version, built)
        say(f"listed: what is installed with it, in {listed.name}")
        notes = folder / "RELEASE.md"
        notes.write_text(release_parts.notes(plan.version, plan.changes), "utf-8")
        release_parts.write_sums(folder, [*built, site, listed, notes])
        signed = release_parts.sign_sums(environment, folder, Path(place))
    say(f"signed: in {signed.name}, by the module of {built[1].name} with a key of an emulated HEM")


def _from_roots(here: Sequence[Path]) -> Iterator[Path]:
    for release, python in try_wheels.RELEASES.items():
        if not any(f"-{python}-" in each.name for each in here):
            _, wheel = try_wheels.build(release)
            yield _tried(wheel, try_wheels.try_it(release, wheel))
    for release in make_deb.RELEASES:
        package = make_deb.build(release)
        yield _tried(package, make_deb.try_it(release, package))


def _tried(file: Path, said: str) -> Path:
    say(f"built: {file.name}, and tried: {said.count('tried: ')} things")
    return file


def tag(plan: Plan, folder: Path) -> None:
    """Make the annotated tag, which says what changed and the sums of all files."""
    sums = (folder / release_parts.SUMS).read_text("utf-8")
    message = f"hem-provider {plan.version}\n\n{plan.changes}\n\nSHA-256 of the release's files:\n\n{sums}"
    _git("tag", "--annotate", "--cleanup=whitespace", "--message", message, plan.tag, plan.commit)


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
