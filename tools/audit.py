"""Whether a weakness is known of any package that this project needs when it runs: ``make audit``.

Asks PyPI by ``pip-audit`` about the versions that are installed here, of this project with all of its extras
and of what those need in turn. Ends with 1 and a line for each weakness. Where the index cannot be reached
within 20 s it says so and ends with 0: a missing network is no weakness.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Final

from packaging.requirements import Requirement

__all__ = ["ACCEPTED", "examine", "main", "needed", "report"]

_PROJECT: Final = "hem-provider"
#: Seconds for all of it.
_PATIENCE: Final = 20.0
#: Weaknesses that do not concern us: identifier → why not.
ACCEPTED: Final[Mapping[str, str]] = {}


def needed(name: str = _PROJECT, extras: frozenset[str] = frozenset({"all"})) -> dict[str, str]:
    """Package → installed version, of everything that ``name`` needs with these extras, itself left out.
    What is not installed is left out."""
    found: dict[str, str] = {}
    ahead, seen = [(name, extras)], set()
    while ahead:
        this = ahead.pop()
        if this in seen:
            continue
        seen.add(this)
        for wanted in _requirements(*this):
            plain = re.sub(r"[-_.]+", "-", wanted.name).lower()
            try:
                version = distribution(plain).version
            except PackageNotFoundError:
                continue
            if plain != name:
                found[plain] = version
            ahead.append((plain, frozenset(wanted.extras)))
    return found


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def examine(packages: Mapping[str, str], *, patience: float = _PATIENCE) -> Any:
    """What ``pip-audit`` prints of these; ``ConnectionError`` says why there is nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in sorted(packages.items()))
        file.flush()
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            file.name,
            "--no-deps",
            "--disable-pip",
        ]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"no answer within {patience:g} s") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConnectionError(last) from None


def report(found: Any, accepted: Mapping[str, str] = ACCEPTED) -> list[str]:
    """A line for each weakness that is not accepted."""
    lines = []
    for package in found["dependencies"]:
        for each in package.get("vulns", ()):
            if accepted.keys().isdisjoint({each["id"], *each.get("aliases", ())}):
                fixed = ", ".join(each["fix_versions"]) or "no version yet"
                lines.append(f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}")
    return lines


def main() -> int:
    """Ask and tell."""
    packages = needed()
    try:
        lines = report(examine(packages))
    except ConnectionError as error:
        print(f"audit: the index was not reached, so {len(packages)} packages are not looked up: {error}")
        return 0
    for line in lines:
        print(f"audit: {line}")
    print(f"audit: {len(packages)} packages looked up, {len(lines)} with a known weakness")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
