"""Where the compiled libraries of this installation are."""

from __future__ import annotations

import os

from hem_provider.errors import HemConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MODULE", "module_file", "module_path"]

MODULE = "libhem_pkcs11.so"


def module_path() -> Path:
    """The compiled PKCS#11 module of this installation.

    Raises ``HemConfigError`` when it was installed without it (a source tree that is not built).
    """
    from pathlib import Path

    return Path(module_file())


def module_file() -> str:
    """The same as text, for who has no time to load ``pathlib``."""
    try:
        import hem_pkcs11
    except ModuleNotFoundError:
        places = []
    else:
        places = list(hem_pkcs11.__path__)
    for place in places:
        library = os.path.join(place, MODULE)  # noqa: PTH118
        if os.path.isfile(library):  # noqa: PTH113
            return library
    raise HemConfigError(
        f"{MODULE} is not built; looked in {', '.join(places) or 'no place'}. "
        "In a source tree run: make setup"
    )
