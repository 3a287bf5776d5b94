"""The pages of the documentation, where this installation has them: beside the code, or in a checkout's
``docs``."""

from __future__ import annotations

import os
from pathlib import Path

import hem_provider

__all__ = ["find", "folder", "names", "title"]

#: Where ``shim/build_commands.py`` puts them, in the package.
_INSTALLED = "_docs"
#: Folders in the order in which a page is looked for by its last name alone.
_ORDER = ("", "owner", "recipes", "reference", "development")
_COMMANDS = "reference/commands/"
_SUFFIX = ".md"


def folder() -> Path | None:
    """Where the pages are; ``None`` where there are none, as in a copy of the code alone."""
    package = Path(hem_provider.__file__).parent
    places = (package / _INSTALLED, package.parent / "docs")
    return next((each for each in places if (each / f"reference/errors{_SUFFIX}").is_file()), None)


def names() -> list[str]:
    """Of all pages, as ``recipes/nginx``, in the order in which they are looked for."""
    place = folder()
    if place is None:
        return []
    found = [each.relative_to(place).with_suffix("").as_posix() for each in place.rglob(f"*{_SUFFIX}")]
    return sorted(found, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    above = os.path.dirname(name)  # noqa: PTH120 - names are no paths
    return _ORDER.index(above) if above in _ORDER else len(_ORDER)


def find(word: str) -> Path | None:
    """The page of a name, or of a last part of one; of a folder's that on what is in it. ``docs/`` before
    and ``.md`` and an anchor behind may be there."""
    bare = word.strip().lower().partition("#")[0]
    place, name = folder(), bare.removeprefix("docs/").removesuffix(_SUFFIX).strip("/")
    if place is None or not name:
        return None
    known = {each.lower(): each for each in names()}
    found = known.get(name) or known.get(f"{name}/index")
    found = found or next((each for low, each in known.items() if _is_last(name, low)), None)
    return None if found is None else place / f"{found}{_SUFFIX}"


def _is_last(name: str, page: str) -> bool:
    """Whether ``name`` is the last part of a page's. Those on commands are the commands' own."""
    return page.endswith(f"/{name}") and not page.startswith(_COMMANDS)


def title(name: str) -> str:
    """The heading of a page."""
    place = folder()
    assert place is not None  # noqa: S101 - who has a name has pages
    with (place / f"{name}{_SUFFIX}").open(encoding="utf-8") as file:
        return next((line[2:].strip() for line in file if line.startswith("# ")), name)
