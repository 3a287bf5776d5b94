"""Programs beside ``hem`` that others start by their name: what each says of itself, for ``--help`` and for
its page of the manual, and how all of them begin and end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from hem_provider._version import __version__
from hem_provider.cli import statuses, terminal
from hem_provider.records import frozen

__all__ = ["PROGRAMS", "Program", "run"]


@frozen
class Program:
    """``summary``: in one line. ``usage``: the arguments that others give it. ``about``: who starts it and
    why, in paragraphs. ``steps``: what a person types instead, and what it does."""

    summary: str
    usage: str
    about: Sequence[str]
    steps: Mapping[str, str]

    def help(self, name: str) -> str:
        """What a person sees who starts it."""
        width = max(map(len, self.steps)) + 2
        lines = [
            f"{name} is {self.about[0]}",
            *(f"  {typed:{width}}{does}" for typed, does in self.steps.items()),
        ]
        return "\n".join(lines) + "\n"


#: Name → what it is.
PROGRAMS: Mapping[str, Program] = {
    "age-plugin-hem": Program(
        "decrypt age files with keys of an Encedo HEM",
        "--age-plugin=STATE-MACHINE",
        (
            "started by age, rage and sops, for identities AGE-PLUGIN-HEM-1...",
            "It speaks age's plugin protocol on standard input and output.",
        ),
        {
            "hem age identity KEY -o key.txt": "make an identity",
            "age --decrypt -i key.txt FILE": "use it",
        },
    ),
    "sigstore-kms-hem": Program(
        "sign with keys of an Encedo HEM for cosign",
        "v1 REQUEST",
        (
            "started by cosign and other programs of sigstore's, for keys hem://KEY",
            "It speaks sigstore's protocol for KMS plugins: REQUEST is JSON, the message comes on standard "
            "input, and the response goes to standard output. KEY is a label, a KID, or a PKCS#11 URI. A "
            "login comes from hem agent, a phone, or a configured passphrase file or command.",
        ),
        {
            "hem keys create P-256 --label release --use sign": "make a key",
            "cosign sign-blob --key hem://release FILE": "use it",
        },
    ),
}


def run(name: str, argv: Sequence[str] | None, serve: Callable[[list[str]], int]) -> int:
    """The exit status of a program: what ``serve`` gives for its arguments. ``--version`` and ``--help`` are
    answered here, and errors told in one line as those of ``hem`` are."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal.prepare()
    try:
        if arguments == ["--version"]:
            print(f"{name} {__version__}")
            return statuses.DONE
        if arguments == ["--help"]:
            print(PROGRAMS[name].help(name), end="")
            return statuses.DONE
        return serve(arguments)
    except statuses.ENDINGS as error:
        return statuses.end(error, statuses.Manner())
    except Exception as error:  # a fault of ours
        if os.environ.get(statuses.DEBUG):
            raise
        return statuses.end(error, statuses.Manner())
