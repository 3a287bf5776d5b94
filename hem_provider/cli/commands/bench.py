"""``hem bench``: time your device's operations.

By default it only looks: status, login, listing. With ``--key`` it signs with a key of yours; with
``--make-keys`` it makes keys of its own, labelled ``hem-bench ...``, uses them and deletes them.

Example: hem bench --rounds 50 --key web
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hem_provider.cli.candidates import key_labels
from hem_provider.cli.options import FILE, Whole, device_option, mobile_option
from hem_provider.cli.shape import Command, Given, given
from hem_provider.errors import HemConfigError, HemUnreachable

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem, Key
    from hem_provider.measuring.bare import BareClient
    from hem_provider.measuring.measure import Case
    from hem_provider.measuring.subject import Subject

__all__ = ["command"]

#: Made with ``--make-keys``: what is measured and quick to make.
_SIGNING = ("SECP256R1", "SECP384R1", "ED25519")
_MADE = (
    *_SIGNING, "CURVE25519", "MLKEM768", "SHA2-256",
    "AES256 aead", "AES256 cipher", "AES256 wrap", "AES256 mac",
)  # fmt: skip


@click.command("bench", cls=Command, help=__doc__)
@device_option()
@mobile_option()
@click.option(
    "--rounds",
    type=Whole(1, 10_000),
    default=10,
    metavar="N",
    help="times each operation is run (default 10)",
)
@click.option(
    "--key",
    multiple=True,
    metavar="LABEL|KID",
    shell_complete=key_labels,
    help="sign with this key; may be repeated",
)
@click.option("--make-keys", is_flag=True, help="make keys for the purpose, and delete them at the end")
@click.option("--json", type=FILE, metavar="FILE", help="write every figure as JSON, too")
@given
def command(options: Given) -> int:
    """Measure, and print a table."""
    return _measure(options)


def _measure(options: Given) -> int:
    from hem_provider.cli.choosing import named_key
    from hem_provider.cli.login import logged_in
    from hem_provider.measuring.figures import figures_of, plain
    from hem_provider.measuring.measure import interleave
    from hem_provider.measuring.subject import Subject

    with ExitStack() as stack:
        # What is measured is this way to the device, not an agent's.
        hem = stack.enter_context(logged_in(options.device, mobile=options.mobile, agent=False))
        keys = [named_key(hem, each) for each in options.key]
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
