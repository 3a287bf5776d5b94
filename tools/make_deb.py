"""Debian packages, each built in a bare root of its release, and tried in another: ``make deb``, as root.

``python -m tools.make_deb [RELEASE…] [--no-try]`` builds what is committed here by ``packaging/debian``
(debhelper and dh-virtualenv), holds it against lintian, and leaves it in ``dist/``. Then it installs that in
a fresh root and tries it as ``tools/try_deb.sh`` says: the demo, the module by p11-kit and GnuTLS, the
engine, an upgrade, removal and purge.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from hem_provider._version import __version__
from tools.options import one_of
from tools.roots import INSTALL, ROOT, Bare, check_can_make_roots, say

__all__ = ["RELEASES", "build", "try_it"]

#: Release → what its packages' versions end with, so that an upgrade of Debian upgrades them.
RELEASES = {"bookworm": "deb12", "trixie": "deb13"}
DIST = ROOT / "dist"
_TOOLS = "build-essential debhelper dh-virtualenv lintian"
_BUILD = """\
set -e
rm -rf /build && mkdir -p /build/source && git archive HEAD | tar -x -C /build/source
cd /build/source && cp -r packaging/debian debian
apt-get build-dep -y -qq --no-install-recommends .
cat > debian/changelog <<END
hem-provider ({version}) {release}; urgency=medium

  * What changed is in CHANGELOG.md.

 -- {maintainer}  {date}
END
export SOURCE_DATE_EPOCH={epoch}
dpkg-buildpackage -b -us -uc
# It says so where it is run by root.
runuser -u nobody -- lintian --fail-on error,warning /build/*.changes
"""


def version_of(release: str) -> str:
    """The version of this checkout's package for a release."""
    return f"{__version__}-1~{RELEASES[release]}"


def maintainer() -> str:
    """Who makes the packages, as ``control`` has it: the name is that of the project's authors."""
    text = (ROOT / "packaging" / "debian" / "control").read_text("utf-8")
    (found,) = re.findall(r"^Maintainer: (.*)$", text, re.MULTILINE)
    return str(found)


def build(release: str) -> Path:
    """Build the package; where it is. ``RuntimeError`` with the end of what was said where that fails."""
    bare = Bare(f"{release}-deb", release)
    bare.make()
    say(f"{release}: building the package of {bare.place()}")
    bare.inside(f"{INSTALL} {_TOOLS}")
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct %cD"]
    epoch, _, date = (
        subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip().partition(" ")
    )
    script = _BUILD.format(
        version=version_of(release), release=release, date=date, epoch=epoch, maintainer=maintainer()
    )
    bare.inside(script)
    (built,) = (bare.path / "build").glob("*.deb")
    DIST.mkdir(exist_ok=True)
    return Path(shutil.copy(built, DIST / built.name))


def try_it(release: str, package: Path) -> str:
    """Install it in a fresh root, and try it there; what was said, of which each line that begins with
    ``tried:`` is something that was tried. ``RuntimeError`` at the first that fails."""
    bare = Bare(f"{release}-try", release)
    bare.renew()
    shutil.copy(package, bare.path / "root" / "hem-provider.deb")
    shutil.copy(ROOT / "tools" / "try_deb.sh", bare.path / "root")
    try:
        return bare.inside("sh /root/try_deb.sh /root/hem-provider.deb")
    finally:
        shutil.rmtree(bare.path, ignore_errors=True)


def main() -> int:
    """As the module's docstring says."""
    parser = argparse.ArgumentParser(description="build Debian packages, and try them")
    known = one_of("release", RELEASES)
    parser.add_argument("releases", nargs="*", type=known, help=f"default: {', '.join(RELEASES)}")
    parser.add_argument("--no-try", action="store_true", help="build alone")
    options = parser.parse_args()
    check_can_make_roots()
    for release in options.releases or RELEASES:
        package = build(release)
        say(f"{package.relative_to(ROOT)}: {package.stat().st_size / 1e6:.1f} MB, lintian has nothing to say")
        if not options.no_try:
            said = try_it(release, package)
            say("\n".join(line for line in said.splitlines() if line.startswith("tried:")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
