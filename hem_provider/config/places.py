"""Where the configuration is: the order of places, and which of them are not for this process."""

from __future__ import annotations

import os
from pathlib import Path

from hem_provider.files import config_home, named_path
from hem_provider.records import frozen
from hem_provider.trust import privileges_raised

__all__ = ["SYSTEM_FILE", "Place", "config_path", "is_there", "passed_over", "places"]

SYSTEM_FILE = Path("/etc/hem/config.toml")


def config_path() -> Path | None:
    """The file that would be read; ``None`` when the environment names the device instead."""
    if privileges_raised():
        return SYSTEM_FILE
    if explicit := os.environ.get("HEM_CONFIG"):
        return named_path(explicit)
    if os.environ.get("HEM_URL"):
        return None
    personal = _personal_file()
    if personal is None or _closed(personal) or (not is_there(personal) and is_there(SYSTEM_FILE)):
        return SYSTEM_FILE
    return personal


def _personal_file() -> Path | None:
    place = config_home()
    return None if place is None else place / "hem" / "config.toml"


def is_there(path: Path) -> bool:
    """Also true of what cannot be used: that is told when it is read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _closed(path: Path) -> bool:
    """Whether the file, or a directory on the way to it, belongs to somebody else who does not let
    this process in: then it was not meant for it."""
    try:
        owner = path.stat().st_uid
    except PermissionError:
        return True
    except OSError:
        return False
    return owner != os.geteuid() and not os.access(path, os.R_OK, effective_ids=True)


def passed_over() -> str:
    """Why the personal file was not looked at, for messages."""
    if privileges_raised():
        return ""
    personal = _personal_file()
    if personal is None:
        given = os.environ.get("HOME", "")
        return f"HOME={given!r} is no directory that user id {os.geteuid()} may search"
    return f"{personal} may not be read by user id {os.geteuid()}" if _closed(personal) else ""


@frozen
class Place:
    """Where a configuration may be: what the place is called, the file (``None``: there is none), how it is
    with it in words, and whether it is the one that counts."""

    called: str
    path: Path | None
    state: str
    counts: bool


def places() -> tuple[Place, ...]:
    """Every place, in the order in which they are looked at; one counts."""
    raised, personal = privileges_raised(), _personal_file()
    explicit, url = os.environ.get("HEM_CONFIG"), os.environ.get("HEM_URL")
    chosen = config_path()
    named = None if raised or not explicit else named_path(explicit)
    ignored = "ignored, since privileges are raised"
    system = "there" if is_there(SYSTEM_FILE) else "not there"
    rows = (
        ("$HEM_CONFIG", named, ignored if raised else _state(named) if explicit else "not set"),
        ("$HEM_URL", None, ignored if raised else "names the device; no file is read" if url else "not set"),
        ("personal", personal, ignored if raised else passed_over() or _state(personal)),
        ("system", SYSTEM_FILE, system),
    )
    wanted = {"$HEM_CONFIG": named is not None, "$HEM_URL": chosen is None}
    counting = next((called for called, here in wanted.items() if here), None)
    if counting is None:
        counting = "personal" if personal is not None and chosen == personal else "system"
    return tuple(Place(called, path, state, called == counting) for called, path, state in rows)


def _state(path: Path | None) -> str:
    return "there" if path is not None and is_there(path) else "not there"
