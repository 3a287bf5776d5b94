"""Where this user's files are: the directories of the XDG base directory specification.

A variable counts when it is an absolute path; else the directory is below the home, and where no home is
known there is no such place: nothing is ever read or made below the working directory unless somebody
named it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.files.folders import make_private
from hem_provider.trust import privileges_raised

__all__ = ["cache_home", "config_home", "data_home", "home", "named_path", "runtime_folder", "runtime_place"]

#: Where the system makes a runtime directory for each user who is logged in.
_RUNTIME_HOMES = "/run/user"


def home() -> Path | None:
    """``$HOME`` when it is an absolute path that this process may search, else the home in the
    user database; ``None`` where neither is.

    A daemon that was started from a root shell and gave up root still has root's ``HOME``: that
    counts as if it were not there. So does every home in a process with raised privileges.
    """
    if privileges_raised():
        return None
    given = os.environ.get("HOME", "")
    if os.path.isabs(given) and _may_be_searched(given):  # noqa: PTH117 - what is not absolute is no path
        return Path(given)
    return _home_in_database(None)


def _home_in_database(user: str | None) -> Path | None:
    import pwd  # asks the system's user database, which few processes need

    try:
        found = pwd.getpwnam(user).pw_dir if user is not None else pwd.getpwuid(os.geteuid()).pw_dir
    except (KeyError, ValueError, UnicodeEncodeError):
        return None
    return Path(found) if os.path.isabs(found) and _may_be_searched(found) else None  # noqa: PTH117


def _may_be_searched(folder: str) -> bool:
    """False for a directory that is closed to this process; what does not exist is not closed."""
    try:
        mode = os.stat(folder).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(mode) and os.access(folder, os.X_OK, effective_ids=True)


def config_home() -> Path | None:
    """``$XDG_CONFIG_HOME``, else ``~/.config``."""
    return _base("XDG_CONFIG_HOME", ".config")


def data_home() -> Path | None:
    """``$XDG_DATA_HOME``, else ``~/.local/share``."""
    return _base("XDG_DATA_HOME", ".local/share")


def cache_home() -> Path | None:
    """``$XDG_CACHE_HOME``, else ``~/.cache``."""
    return _base("XDG_CACHE_HOME", ".cache")


def runtime_folder() -> str | None:
    """``hem`` below ``$XDG_RUNTIME_DIR``, else below ``/run/user/UID``, else ``/tmp/hem-UID``: a folder that
    nobody else may write, made where it is missing.

    ``None`` where there is no safe one, and in a process with raised privileges.
    """
    return None if privileges_raised() else _private(runtime_place())


def runtime_place() -> str:
    """Where ``runtime_folder`` is to be, safe or not. No I/O but to look for it."""
    runtime = _runtime_home()
    return f"{runtime}/hem" if runtime else f"/tmp/hem-{os.geteuid()}"  # noqa: S108 - checked


def _runtime_home() -> str | None:
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(given):  # noqa: PTH117 - what is not absolute is no path
        # Not another user's, kept from a root shell.
        return given if os.access(given, os.X_OK, effective_ids=True) else None
    usual = f"{_RUNTIME_HOMES}/{os.geteuid()}"  # of a job of cron, or after su
    try:
        return usual if os.lstat(usual).st_uid == os.geteuid() else None
    except OSError:
        return None


def _private(folder: str) -> str | None:
    try:
        make_private(folder)
    except OSError:
        return None
    return folder


def _base(variable: str, below_home: str) -> Path | None:
    if privileges_raised():
        return None
    given = os.environ.get(variable, "")
    if os.path.isabs(given):  # noqa: PTH117 - the specification: a relative one is invalid and ignored
        return Path(given)
    found = home()
    return None if found is None else found / below_home


def named_path(text: str) -> Path:
    """A path that somebody wrote down, where no shell has replaced a leading ``~`` or ``~USER``.

    Raises ``HemConfigError`` for an unknown home and for a zero byte: a directory called ``~`` is
    never meant (``./~`` names one).
    """
    if "\0" in text:
        raise HemConfigError(f"{text!r} is no path: it has a zero byte")
    if not text.startswith("~"):
        return Path(text)
    user, _, rest = text[1:].partition("/")
    found = _home_in_database(user) if user and not privileges_raised() else home() if not user else None
    if found is None:
        raise HemConfigError(f"{text!r}: no home is known for {'~' + user!r}; write the whole path")
    return found / rest.lstrip("/")
