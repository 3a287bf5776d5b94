"""What ``hem log collect`` and ``hem log verify --copy`` do."""

from __future__ import annotations

import errno
import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from hem_provider.auditlog.checking import ORDINARY, CopyReport, verify_copy
from hem_provider.auditlog.collecting import AWAY, Collector
from hem_provider.auditlog.copy import CopyWriter, LogCopy, usual_folder
from hem_provider.auditlog.entry import Entry
from hem_provider.auditlog.looked import note_look
from hem_provider.auditlog.progress import known_of, note
from hem_provider.auditlog.sealing import check_key, seal
from hem_provider.auditlog.source import HemSource
from hem_provider.cli.choosing import named_key
from hem_provider.cli.log_actions import NONE_CLOSED
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, FAILED, NotThere, UsageFault
from hem_provider.cli.ticks import mark
from hem_provider.cli.wording import counted
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.printable import printable
from hem_provider.waiting import CLOCK

__all__ = ["SCOPE", "Patience", "collect", "copy_of", "looks", "verify"]

SCOPE = "logger:get"
#: Longest pause between two looks at what is away or full, in seconds, unless more was asked for.
_LONGEST = 3600
#: What is known is noted after so many files.
_NOTED = 256
_HEX = re.compile("[0-9a-fA-F]{64}")
#: Problems of a copy that are told to people.
_TOLD = 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def copy_of(folder: Path | None, device: str | None) -> LogCopy:
    """The copy in ``folder``, or the one of a configured device. ``HemConfigError``."""
    return LogCopy(folder or usual_folder(load_config().device(device).name))


def collect(options: Given) -> int:
    """``hem log collect``: its exit status."""
    config = load_config().device(options.device)
    copy = LogCopy(options.to or usual_folder(config.name))
    with copy.writing() as writer, ExitStack() as stack:
        run = _Run(config, copy, writer, stack, options)
        if options.every is None:
            return run.told()
        say(f"{config.name}: every {options.every} s what is new of the log goes to {copy.folder}")
        for _ in looks(options.every, run.patience):
            run.look_on()
    return DONE


def looks(every: int, patience: Patience) -> Iterator[None]:
    """One item at once, and then one each time that so many seconds have passed, unless ``patience`` waits
    longer."""
    for _ in CLOCK.looks(math.inf, every):
        if patience.is_over():
            yield


class Patience:
    """Of many looks at ``device``, one ``every`` so many seconds: what may pass is told once, and waited for,
    longer each time; unless it is ``lasting`` it is raised."""

    def __init__(self, device: str, every: int, *, lasting: bool = True) -> None:
        self._device, self._every, self._lasting = device, every, lasting
        self._trouble = 0  # looks in a row that failed
        self._rest = 0  # looks that are not made

    def is_over(self) -> bool:
        """Whether it is time for a look; asked once for each that is due."""
        self._rest -= 1
        return self._rest < 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._trouble = 0
        if error is None or not self._lasting:
            return False
        if isinstance(error, AWAY):
            text = str(error)
        elif isinstance(error, OSError) and error.errno in _FULL:
            text = f"{error.strerror}; it goes on when there is room"
        else:
            return False
        self._trouble += 1
        if self._trouble == 1:
            say(printable(text if text.startswith(self._device) else f"{self._device}: {text}"))
        longest = max(1, _LONGEST // self._every)
        self._rest = min(2 ** min(self._trouble, 20), longest) - 1
        return True


class _Run:
    """Looks at one device, into one copy."""

    def __init__(
        self, config: DeviceConfig, copy: LogCopy, writer: CopyWriter, stack: ExitStack, options: Given
    ) -> None:
        self._config, self._copy, self._writer, self._stack = config, copy, writer, stack
        self._options = options
        self._noted: object = None
        self._learn()
        self._hem: Hem | None = None
        self._key: Key | None = None  # that seals
        self._files = 0
        self._own: list[Entry] = []
        self.patience = Patience(config.name, options.every or _LONGEST)
        self._added = 0

    def _append(self, entries: Sequence[Entry]) -> list[Entry]:
        added = self._writer.append(entries)
        self._own += [each for each in added if each.own is not None and each.own.name not in ORDINARY]
        self._added += len(added)
        return added

    def _read(self, _: str) -> None:
        self._files += 1
        if self._files % _NOTED == 0:
            self._note()

    def _note(self) -> None:
        self._known.tip = self._writer.tip
        if self._noted != (state := (self._known.tip, self._known.shut)):
            note(self._copy, self._known)
            self._noted = state

    def look(self) -> None:
        """Collect what is new. What calls raise, and ``OSError``."""
        began = time.time()
        self._files = self._added = 0
        self._own = []
        try:
            if self._hem is None:  # once for all looks
                login = logged_in(self._config.name, mobile=self._options.mobile, scope=SCOPE)
                self._hem = self._stack.enter_context(login)
            if self._options.sign is not None and self._key is None:
                self._key = named_key(self._hem, self._options.sign)
                check_key(self._key)
            self._collector.collect(HemSource(self._hem), reread=self._options.reread, read=self._read)
            if self._key is not None and not self._is_sealed():
                self._collector.note(seal(self._hem, self._key, self._writer.tip))
        except AWAY as error:
            self._collector.away(error)  # of a login; that a look failed is noted already
            self._note()
            raise
        except OSError:
            self._learn()  # anew: something may be known that could not be kept
            raise
        self._note()
        note_look(self._copy, began)

    def _is_sealed(self) -> bool:
        last = self._copy.last()
        return last is None or (last.own is not None and last.own.name == "sealed")

    def _learn(self) -> None:
        self._known = known_of(self._copy)
        self._collector = Collector(self._known, self._append)

    def look_on(self) -> None:
        """The same of many looks: a device that is away and a disk that is full are told once, and waited
        for."""
        with self.patience:
            self._look()
            for each in self._own:
                _say_own(each)
            if self._added:
                say(f"{self._config.name}: {counted(self._added, 'new line')}")

    def _look(self) -> None:
        try:
            self.look()
        except BaseException:  # what was noticed before is in the copy, and not told again by the next look
            for each in self._own:
                _say_own(each)
            raise

    def told(self) -> int:
        """Tell what one look finds; the exit status: with ``--strict`` ``FAILED`` where anything was
        noticed, as it is where the copy is not intact."""
        self._look()
        status = FAILED if self._options.strict and self._own else DONE
        tip = self._writer.tip
        if self._options.json:
            print_json(
                {
                    "device": self._config.name,
                    "folder": str(self._copy.folder),
                    "added": self._added,
                    "files": self._files,
                    "events": [_own_document(each) for each in self._own],
                    "entries": tip.number,
                    "head": tip.chain,
                }
            )
            return status
        for each in self._own:
            _say_own(each)
        new, files = counted(self._added, "new line"), counted(self._files, "log file")
        print(f"{new}, of {files}, in {printable(str(self._copy.folder))}")
        if not tip.number:
            say(f"{self._config.name}: {NONE_CLOSED}")
        return status


def _say_own(entry: Entry) -> None:
    document = _own_document(entry)
    say(printable(f"{document['event']}: {document['text']}" + (f" ({entry.file})" if entry.file else "")))


def _own_document(entry: Entry) -> dict[str, Any]:
    assert entry.own is not None  # noqa: S101 - by the callers
    return {"event": entry.own.name, "text": entry.own.text, "file": entry.file or None}


def verify(options: Given) -> int:
    """``hem log verify --copy``: its exit status, ``FAILED`` where the copy is not intact. No device is
    asked."""
    head = _hex(options.head, "--head", "as hem log verify --copy tells it")
    key = _hex(options.key, "--key", "as hem log verify tells the log key")
    copy = copy_of(options.copy, options.device)
    report = verify_copy(copy, head=head, key=key)
    if not report.days and not report.problems:
        raise NotThere(f"{copy.folder}: no copy of a log; hem log collect makes one")
    if options.json:
        print_json(_copy_document(copy, report))
        return DONE if report.intact else FAILED
    from hem_provider.cli.drawing import draw

    ends = dict.fromkeys(each.partition(".")[0] for each in (*report.days[:1], *report.days[-1:]))
    days = " to ".join(ends)
    result = report.problems[0] if report.problems else "intact"
    row = (mark(report.intact), days, str(report.entries), str(report.files), result)
    draw(("", "days", "lines", "files", "result"), [row], spare=("days",))
    print(f"head {report.tip.chain}")
    for each in report.log_keys:
        say(f"log key {each}")
    for kid, number in report.seals.items():
        say(f"sealed up to line {number} with the key {kid}")
    for each in report.missing:
        say(f"missing: {printable(each)}")
    for each in report.notes:
        say(f"note: {printable(each)}")
    for name, count in report.noticed.items():
        say(f"noticed: {printable(name)} ({count} ×)" if count > 1 else f"noticed: {printable(name)}")
    for each in report.problems[1:_TOLD]:
        say(printable(each))
    more = len(report.problems) - _TOLD + report.more
    if more > 0:
        say(f"and {more} more; --json tells them")
    if not report.intact:
        say(f"{copy.folder}: the copy is not intact.")
    return DONE if report.intact else FAILED


def _copy_document(copy: LogCopy, report: CopyReport) -> dict[str, Any]:
    return {
        "folder": str(copy.folder),
        "intact": report.intact,
        "complete": not report.missing,
        "entries": report.entries,
        "files": report.files,
        "head": report.tip.chain,
        "log_keys": list(report.log_keys),
        "days": list(report.days),
        "problems": list(report.problems),
        "more": report.more,
        "missing": list(report.missing),
        "noticed": report.noticed,
        "notes": list(report.notes),
        "seals": [{"kid": kid, "entry": number} for kid, number in report.seals.items()],
    }


def _hex(value: str | None, option: str, told: str) -> str | None:
    if value is not None and not _HEX.fullmatch(value):
        raise UsageFault(f"{option}: {value!r} is not 64 hex digits, {told}")
    return None if value is None else value.lower()
