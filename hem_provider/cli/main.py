"""Entry point of the ``hem`` command; only the chosen subcommand's module is loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from hem_provider._version import __version__
from hem_provider.cli import front, statuses, terminal
from hem_provider.cli.front import names

__all__ = ["main", "names"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed, 2 usage, 3 no device was reached, 4 refused
    (login, scope, approval), 5 not found, all but the first told in one line on standard error; 130
    interrupted. ``statuses`` says which error is which."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal.prepare()
    manner = statuses.Manner()
    try:
        status = _answer(arguments, manner)
        sys.stdout.flush()
    except statuses.ENDINGS as error:
        return statuses.end(error, manner)
    except ImportError as error:
        return statuses.end(_of_an_extra(error, arguments), manner)
    except Exception as error:  # a fault of ours
        if os.environ.get(statuses.DEBUG):
            raise
        return statuses.end(_of_an_old_package(error), manner)
    return status


def _of_an_extra(error: ImportError, arguments: Sequence[str]) -> Exception:
    """What to tell where a package is missing or too old: the extra that brings it, if one does."""
    from hem_provider.errors import HemConfigError
    from hem_provider.installation import explained

    told = explained(error, f"'hem {arguments[0]}'" if arguments else "hem")
    if told is None and os.environ.get(statuses.DEBUG):
        raise error
    return error if told is None else HemConfigError(told, code="E-EXTRA")


def _of_an_old_package(error: Exception) -> Exception:
    """What to tell where something failed that does not: the package beside us that is too old, if one is."""
    from hem_provider.errors import HemConfigError
    from hem_provider.installation import outdated, update_command

    old = list(outdated())
    if not old:
        return error
    told = ", ".join(
        f"{name} {found} is installed, and hem-provider needs {needed} or newer"
        for name, found, needed in old
    )
    return HemConfigError(
        f"{told}: {update_command(f'{name}>={needed}' for name, _, needed in old)}", code="E-OLD-PACKAGE"
    )


def _answer(arguments: list[str], manner: statuses.Manner) -> int:
    at_once = None if front.ASKED in os.environ else _AT_ONCE.get(tuple(arguments))
    if at_once is not None:
        print(at_once())
        return statuses.DONE
    from hem_provider.cli.root import run

    return run(arguments, manner)


def _page() -> str:
    return front.page(terminal.columns(sys.stdout))


def _path() -> str:
    from hem_provider.cli.built import module_file

    return module_file()


#: What scripts and people wait for, answered before ``click`` is loaded: that alone takes longer than
#: Python's own start. ``click`` knows the same commands, for their help and whatever else is typed with them.
_AT_ONCE: Mapping[tuple[str, ...], Callable[[], str]] = {
    (): _page,
    ("-h",): _page,
    ("--help",): _page,
    ("--version",): lambda: f"hem-provider {__version__}",
    ("pkcs11", "path"): _path,
}


if __name__ == "__main__":
    sys.exit(main())
