"""``hem bench``: how long the operations of your own device take, and what of it is ours.

By default it only looks: status, login, listing. With ``--key`` it signs with a key of yours; with
``--make-keys`` it makes keys of its own, labelled ``hem-bench …``, uses them and deletes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hem_provider.cli.paths import path_argument
from hem_provider.errors import HemConfigError, HemUnreachable

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem, Key
    from hem_provider.measuring.bare import BareClient
    from hem_provider.measuring.measure import Case
    from hem_provider.measuring.subject import Subject

__all__ = ["add_parser"]

#: Made with ``--make-keys``: what is measured and quick to make.
_SIGNING = ("SECP256R1", "SECP384R1", "ED25519")
_MADE = (
    *_SIGNING, "CURVE25519", "MLKEM768", "SHA2-256",
    "AES256 aead", "AES256 cipher", "AES256 wrap", "AES256 mac",
)  # fmt: skip


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hem bench``."""
    parser = commands.add_parser(
        "bench", help="time your device's operations", description=__doc__.partition("\n\n")[2]
    )
    parser.add_argument("--device", metavar="NAME", help="configured device, if there are several")
    parser.add_argument(
        "--rounds", type=_rounds, default=10, metavar="N", help="times each operation is run (default 10)"
    )
    parser.add_argument(
        "--key", action="append", default=[], metavar="LABEL|KID", help="sign with this key; may be repeated"
    )
    parser.add_argument(
        "--make-keys", action="store_true", help="make keys for the purpose, and delete them at the end"
    )
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write every figure as JSON, too")
    parser.set_defaults(func=_run)


def _run(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from hem_provider.config import load_config
    from hem_provider.config.login_source import LoginSource, ask_passphrase, login_source
    from hem_provider.device.hem import Hem
    from hem_provider.measuring.figures import figures_of, plain
    from hem_provider.measuring.measure import interleave
    from hem_provider.measuring.subject import Subject

    with ExitStack() as stack:
        # What is measured is this way to the device, not an agent's.
        device = replace(load_config().device(options.device), agent="never")
        hem = stack.enter_context(Hem(device))
        if login_source(hem.config, may_ask=True) is LoginSource.PROMPT:
            hem.login(ask_passphrase(hem.config))
        keys = [_key(hem, each) for each in options.key]
        kinds = _MADE if options.make_keys else ()
        subject = stack.enter_context(Subject(hem, _bare(hem), kinds))
        cases = list(_cases(subject, keys))
        try:
            results = interleave(cases, options.rounds, subject.count, warm_up=1, watch=_watch)
        except OSError as error:  # of a bare request
            raise HemUnreachable(f"{hem.config.name}: {error}") from error
    figures = figures_of("device", results)
    print(f"{hem.config.name} at {hem.config.url}, {options.rounds} rounds; times in ms\n")
    print(plain(figures))
    if options.json is not None:
        _write(options.json, [each.document() for each in figures])
    return 0


def _cases(subject: Subject, keys: list[Key]) -> Iterator[Case]:
    from hem_provider.keytypes import MAX_MESSAGE
    from hem_provider.measuring.cases import device_cases, key_cases, signing_cases
    from hem_provider.measuring.cipher_cases import cipher_cases

    yield from device_cases(subject)
    for key in keys:
        yield from signing_cases(subject, key)
    if subject.keys:
        for name in _SIGNING:
            yield from signing_cases(subject, subject.keys[name])
        yield from key_cases(subject)
        yield from cipher_cases(subject, (16, MAX_MESSAGE))


def _key(hem: Hem, name: str) -> Key:
    """By KID, else by label; told as the user typed it."""
    try:
        return hem.keys.get(name)
    except ValueError:
        return hem.keys.find(label=name)


def _bare(hem: Hem) -> BareClient | None:
    """Requests that trust what the configuration trusts; ``None`` for a device not reached by HTTPS."""
    config = hem.config
    if not config.url.startswith("https://"):
        print("no bare requests to compare with: the device is not reached by HTTPS", file=sys.stderr)
        return None
    from hem_provider.measuring.bare import bare_client

    return bare_client(config)


def _write(path: Path, document: object) -> None:
    try:
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise HemConfigError(f"bench: --json {path}: {error.strerror}") from error


def _watch(rounds: Iterable[int], total: int) -> Iterator[int]:
    from hem_provider.cli.progress import progress

    return progress(rounds, total, "measuring")


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)
