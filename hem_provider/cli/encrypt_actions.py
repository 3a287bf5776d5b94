"""What ``hem encrypt`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hem_provider.adapters.age.devicekeys import recipient_of
from hem_provider.adapters.age.files import encrypt as encrypted
from hem_provider.adapters.age.recipients import Recipient, check_together, parse, parse_lines
from hem_provider.cli.agekeys import named_keys
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.output import print_json
from hem_provider.cli.piping import STANDARD, check_output, input_from, output_to
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file

__all__ = ["encrypt"]

#: Bytes of a file of recipients: some hundred hybrid ones, of 2 KB each.
_MOST = 1024 * 1024
_MODE = 0o644


def encrypt(options: Given) -> int:
    """``hem encrypt``: its exit status."""
    names, file = _split(options)
    if options.json and options.output in (None, STANDARD) and not options.print_recipients:
        raise UsageFault("--json tells of a file: give --output FILE, since standard output has the JSON")
    for each in () if options.print_recipients else options.recipients_file:
        check_not_itself(options.output, each, "read for recipients")
    given = [*_typed(options.recipient), *_in_files(options.recipients_file)]
    if not options.print_recipients:
        what = "an encrypted file without --armor"
        check_output(options.output, force=options.force, what=what, binary=not options.armor)
        check_not_itself(options.output, file, "encrypted")
    try:
        recipients = check_together([*_of_device(names, options), *given])
    except ValueError as error:
        raise UsageFault(f"the keys do not go together: {error}") from None
    shown = [str(each) for each in recipients]
    if options.print_recipients:
        print_json({"recipients": shown}) if options.json else print(*shown, sep="\n")
        return 0
    with input_from(file) as source, output_to(options.output, force=options.force, mode=_MODE) as output:
        pieces = encrypted(source.stream.read, recipients, armor=options.armor)
        output.take(pieces, f"encrypting {source.name}", source.size)
    if options.json:
        print_json({"output": output.name, "size": output.written, "recipients": shown})
    return 0


def _split(options: Given) -> tuple[Sequence[str], str | None]:
    """The names of keys, and the file."""
    others = bool(options.recipient or options.recipients_file)
    words = list(options.words)
    if options.print_recipients:
        if not words and not others:
            raise UsageFault("say which keys to print: their labels, or -r and -R")
        return words, None
    if not words and not others:
        raise UsageFault("say for whom: KEY, -r AGE1... or -R FILE; then the file, or standard input comes")
    if len(words) + others < 2:
        return words, None
    *names, file = words or [None]
    if file not in (None, STANDARD) and not Path(str(file)).exists():
        raise UsageFault(f"{file}: there is no such file; the last word is the file, - is standard input")
    return [str(each) for each in names], file


def _typed(texts: Sequence[str]) -> Iterator[Recipient]:
    for number, text in enumerate(texts, 1):
        try:
            yield parse(text.strip())
        except ValueError as error:
            which = f" number {number}" if len(texts) > 1 else ""
            raise UsageFault(f"--recipient{which}: {error}") from None


def _in_files(paths: Sequence[str]) -> Iterator[Recipient]:
    for path in paths:
        data = read_file(Path(path), "file of recipients", limit=_MOST, trusted=False)
        if len(data) > _MOST:
            raise HemConfigError(f"{path}: more than {_MOST} bytes; no file of recipients is that large")
        try:
            text = data.decode("utf-8")
        except ValueError:
            raise HemConfigError(f"{path}: this is no text; a file of recipients has one a line") from None
        yield from parse_lines(text, path)


def _of_device(names: Sequence[str], options: Given) -> list[Recipient]:
    if not names:
        return []
    with named_keys(names, device=options.device, mobile=options.mobile) as found:
        return [recipient_of(*each) for each in found]
