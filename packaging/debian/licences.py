#!/usr/bin/python3
"""The package's copyright file: ours, and that of each Python package that it brings, as that says itself.

``licences.py SITE-PACKAGES OWN-FILE`` prints it. ``ValueError`` for one that says nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

#: What the compiled parts of packages hold of others.
_INSIDE = {
    "cffi": "libffi (MIT)",
    "cryptography": "OpenSSL (Apache-2.0) and Rust crates (MIT or Apache-2.0)",
    "grpcio": "BoringSSL, Abseil, c-ares, RE2, upb, utf8-range, xxHash and zlib (Apache-2.0, BSD, MIT, zlib)",
    "pynacl": "libsodium (ISC)",
}
_OURS = "hem-provider"


def licences(site: str) -> Iterator[str]:
    """A part of the file for each package in the folder."""
    for each in sorted(distributions(path=[site]), key=lambda each: each.metadata["Name"].lower()):
        name = each.metadata["Name"]
        if name.lower() == _OURS:
            continue
        yield f"{'=' * 78}\n{name} {each.version}: {_named(each)}"
        yield f"Source: https://pypi.org/project/{name}/{each.version}/"
        if name.lower() in _INSIDE:
            yield f"Its compiled parts hold {_INSIDE[name.lower()]}."
        for text in _texts(each):
            yield f"\n{text.strip()}"
        yield ""


def _named(package: Distribution) -> str:
    told = package.metadata
    classifiers = [each for each in told.get_all("Classifier") or () if each.startswith("License ::")]
    stated = told["License-Expression"] or "; ".join(each.rpartition(":: ")[2] for each in classifiers)
    named = stated or (told["License"] or "").strip().partition("\n")[0]
    if not named and not list(_texts(package)):
        raise ValueError(f"{told['Name']} does not say what its licence is")
    return named or "see below"


def _texts(package: Distribution) -> Iterator[str]:
    for file in package.files or ():
        inside = file.parts[0].endswith(".dist-info")
        if inside and file.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS")):
            yield Path(file.locate()).read_text("utf-8", "replace")


def main() -> int:
    """Print the whole file."""
    site, own = sys.argv[1:]
    print(Path(own).read_text("utf-8"))
    print("The Python packages below /usr/lib/hem-provider, with their own terms:\n")
    print("\n".join(licences(site)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
