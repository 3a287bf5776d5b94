"""Where the compiled libraries of this installation are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from hem_provider.errors import HemConfigError

__all__ = ["MODULE", "module_path"]

MODULE = "libhem_pkcs11.so"


def module_path() -> Path:
    """The compiled PKCS#11 module of this installation.

    Raises ``HemConfigError`` when it was installed without it (a source tree that is not built).
    """
    spec = find_spec("hem_pkcs11")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        library = Path(place) / MODULE
        if library.is_file():
            return library
    raise HemConfigError(
        f"{MODULE} is not built; looked in {', '.join(places) or 'no place'}. "
        "In a source tree run: make setup"
    )
