"""How this checkout does on each Debian: ``make test-systems``, as root.

``python -m tools.test_systems [SYSTEM…] [--suite SUITE]… [--publish]`` makes a bare root of each system
below ``$HEM_ROOTS`` (``/var/tmp/hem-roots``; it stays there for the next time), clones what is committed here
into it, and runs ``make demo`` and the suites of ``tests/pkcs11``, ``tests/openssl``, ``tests/tools``,
``tests/cli`` and ``tests/gpg``. It prints a table of what each system has and how each did, and
``--publish`` writes it into ``docs/platforms.md``. What a system has is asked in its root; nothing is known
of it before but its name.

One root runs at a time; logs lie beside the roots, ``SYSTEM.log``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools.options import one_of
from tools.roots import Bare, check_can_make_roots, say

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "platforms.md"
SUITES = ("pkcs11", "openssl", "tools", "cli", "gpg")
#: The page's table stands between these.
MARKS = ("<!-- tools/test_systems.py writes from here -->", "<!-- to here -->")


@dataclass(frozen=True)
class System:
    """A release, and what of another one is put on it."""

    release: str
    #: Packages from experimental.
    newer: tuple[str, ...] = ()


SYSTEMS = {
    "bookworm": System("bookworm"),
    "trixie": System("trixie"),
    "sid": System("sid"),
    "openssl-4": System("sid", ("openssl", "libssl-dev")),
}
#: Column of the table → how a root is asked for it.
ASKED = {
    "Python": "python3 -c 'import platform; print(platform.python_version())'",
    "OpenSSL": "openssl version | cut -d' ' -f2",
    **{
        title: f"dpkg-query -W -f '${{Version}}' {package} 2>/dev/null | sed 's/^[0-9]*://; s/[-+~].*//'"
        for title, package in {
            "OpenSC": "opensc",
            "GnuTLS": "gnutls-bin",
            "p11-kit": "p11-kit",
            "pkcs11-provider": "pkcs11-provider",
            "GnuPG": "gpg",
        }.items()
    },
}
#: Packages for the suites that not every release has.
_WHERE_THERE_ARE = ("pkcs11-provider",)


@dataclass
class Outcome:
    """What one system has, and how it did."""

    system: str
    #: Suite → when it was run.
    runs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    demo: str = ""
    #: Suite → passed, failed, skipped.
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    #: Suite, and why tests of it were skipped → how many.
    skipped: dict[str, dict[str, int]] = field(default_factory=dict)

    def forget(self, suite: str) -> None:
        """What is known of a suite."""
        for known in (self.counts, self.skipped, self.runs):
            known.pop(suite, None)
        self.failures = [each for each in self.failures if not each.startswith(f"tests.{suite}.")]

    @property
    def good(self) -> bool:
        """Whether all that was run passed, and something was."""
        return self.demo == "✓" and bool(self.counts) and not any(each[1] for each in self.counts.values())


def root_of(name: str) -> Bare:
    """The root of a system."""
    return Bare(name, SYSTEMS[name].release, SYSTEMS[name].newer)


def tried(name: str, suites: Sequence[str]) -> Outcome:
    """Make the root, and run the demo and these suites in it; what is known of the others stays."""
    bare, outcome = root_of(name), last_of(name)
    bare.make()
    run = datetime.date.today().isoformat()
    say(f"{name}: commit {bare.place()}")
    say(f"{name}: make demo")
    said = bare.inside("make demo 2>&1; echo status $?", check=False)
    outcome.demo = "✓" if said.rstrip().endswith("status 0") else "✗"
    packages = (
        "grep -v '^#' .ci/debian-packages-test; for each in " + " ".join(_WHERE_THERE_ARE)
        + "; do apt-cache show $each >/dev/null 2>&1 && echo $each; done; true"
    )  # fmt: skip
    bare.inside(f"make setup && sh .ci/packages $({packages})")
    outcome.versions = {title: bare.inside(ask, check=False).strip() for title, ask in ASKED.items()}
    say(f"{name}: {', '.join(f'{each} {version}' for each, version in outcome.versions.items() if version)}")
    for suite in suites:
        outcome.forget(suite)
        outcome.runs[suite] = run
    results = bare.path / "tmp" / "results.xml"
    results.unlink(missing_ok=True)
    command = [".venv/bin/python", "-m", "pytest", "-q", "-n", "2", "-rfE", "--junitxml=/tmp/results.xml"]
    bare.inside(shlex.join([*command, *(f"tests/{each}" for each in suites)]), check=False)
    if results.exists():
        count(outcome, results)
    (bare.roots / f"{name}.json").write_text(json.dumps(asdict(outcome)))
    return outcome


def count(outcome: Outcome, results: Path) -> None:
    """What pytest wrote, by suite."""
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314
        suite = re.sub(r"^tests\.", "", case.get("classname", "")).partition(".")[0]
        passed, failed, skipped = outcome.counts.get(suite, (0, 0, 0))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            outcome.failures.append(f"{case.get('classname')}::{case.get('name')}")
        elif skip is not None:
            skipped += 1
            why = skip.get("message", "").removeprefix("not run: ").partition("\n")[0]
            reasons = outcome.skipped.setdefault(suite, {})
            reasons[why] = reasons.get(why, 0) + 1
        else:
            passed += 1
        outcome.counts[suite] = (passed, failed, skipped)


def table(outcomes: list[Outcome]) -> str:
    """The page's table, and below it what was skipped and why."""
    titles = ["system", *ASKED, "`make demo`", *(f"`tests/{each}`" for each in SUITES)]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for each in outcomes:
        cells = [each.system, *(each.versions.get(title) or "–" for title in ASKED), each.demo or "–"]
        cells += [_cell(*each.counts[suite]) if suite in each.counts else "–" for suite in SUITES]
        lines.append(f"| {' | '.join(cells)} |")
    for each in outcomes:
        runs = {run: [suite for suite in SUITES if each.runs.get(suite) == run] for run in each.runs.values()}
        told = "; ".join(f"{', '.join(suites)}: {run}" for run, suites in sorted(runs.items()))
        reasons: Counter[str] = Counter()
        for counted in each.skipped.values():
            reasons.update(counted)
        left = "; ".join(f"{why} ({times})" for why, times in sorted(reasons.items()))
        lines += ["", f"{each.system}. {told}."]
        lines[-1] += f" Not run: {left}." if left else ""
        lines[-1] += f" Failed: {', '.join(each.failures)}." if each.failures else ""
    return "\n".join(lines)


def _cell(passed: int, failed: int, skipped: int) -> str:
    told = f"✗ {failed} of {passed + failed}" if failed else f"✓ {passed}"
    return f"{told}, {skipped} not run" if skipped else told


def last_of(name: str) -> Outcome:
    """What is known of a system from runs before."""
    file = root_of(name).roots / f"{name}.json"
    return Outcome(**json.loads(file.read_text())) if file.exists() else Outcome(name)


def known() -> list[Outcome]:
    """That of each system, in the order of the table."""
    return [each for each in map(last_of, SYSTEMS) if each.runs]


def publish(text: str, marks: tuple[str, str] = MARKS) -> None:
    """Write the table into its page."""
    before, _, rest = PAGE.read_text("utf-8").partition(marks[0])
    _, _, after = rest.partition(marks[1])
    PAGE.write_text(f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{after}", "utf-8")


def main() -> int:
    """As the module's docstring says."""
    parser = argparse.ArgumentParser(description="how this checkout does on each Debian")
    known_system = one_of("system", SYSTEMS)
    parser.add_argument("systems", nargs="*", type=known_system, help=f"default: all of {', '.join(SYSTEMS)}")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/platforms.md")
    parser.add_argument("--table", action="store_true", help="run nothing: show what the last runs gave")
    parser.add_argument("--suite", action="append", choices=SUITES, help="these alone; default: all")
    options = parser.parse_args()
    outcomes = []
    if not options.table:
        check_can_make_roots()
        for name in options.systems or SYSTEMS:
            outcomes.append(tried(name, options.suite or SUITES))
            say(table(outcomes[-1:]))
    text = table(known())
    say(text)
    if options.publish:
        publish(text)
    return 0 if all(each.good for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
