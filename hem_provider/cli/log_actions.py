"""What the actions of ``hem log`` do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hem_provider.cli.login import logged_in
from hem_provider.cli.output import print_json, timestamp
from hem_provider.cli.progress import progress
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, FAILED, NotThere, UsageFault
from hem_provider.cli.ticks import mark
from hem_provider.device.auditlog import LogRecord, LogReport, verify_log
from hem_provider.device.cache import DiskCache
from hem_provider.device.hem import Hem
from hem_provider.device.logwords import actor_kid, key_kid, tell
from hem_provider.errors import HemAuthenticationError, HemOperationFailed, HemScopeDenied
from hem_provider.files import read_file
from hem_provider.printable import printable

__all__ = ["NONE_CLOSED", "show", "show_all", "verify"]

#: What a device that was never restarted has to be told of.
NONE_CLOSED = "no log file is closed yet; hem device reboot closes the one being written"
_SCOPE = "logger:get"
_KEY, _ID = re.compile("[0-9a-fA-F]{64}"), re.compile("[0-9a-f]{8}")
#: Larger files are no log of a device, in bytes.
_MOST = 64 * 1024 * 1024


def show_all(options: Given) -> int:
    """``hem log list``: its exit status."""
    with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        ids = hem.audit.files()
    files: list[dict[str, Any]] = [
        {"id": each, "began": _began(each), "closed": each != ids[-1]} for each in ids
    ]
    if options.json:
        print_json({"device": hem.config.name, "files": files})
        return DONE
    from hem_provider.cli.drawing import draw

    states = {True: "closed", False: "being written"}
    rows = [(each["id"], _spaced(each["began"]), states[each["closed"]]) for each in files]
    draw(("file", "began (UTC)", "state"), rows)
    return DONE


def show(options: Given) -> int:
    """``hem log show``: its exit status."""
    kept = _kept_key(options)
    with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        chosen = _checked(hem, options.file) if options.file else _newest(hem)
        report = verify_log(hem.audit.read(chosen), kept or hem.audit.key())
        names = _names(hem, report.records)
    if options.json:
        records = [_document(each, names) for each in report.records]
        print_json(
            {
                "device": hem.config.name,
                "file": chosen,
                "firmware": report.firmware,
                "intact": not report.problems,
                "problems": list(report.problems),
                "records": records,
            }
        )
        return DONE
    from hem_provider.cli.drawing import draw

    rows = []
    for each in report.records:
        told = tell(each, names)
        sign = "" if each.genuine else mark(False)
        rows.append((told.time, told.who, told.what, told.key, told.result, sign))
    draw(("time (UTC)", "who", "what", "key", "result", ""), rows, spare=("key",) if not names else ())
    for problem in report.problems:
        say(f"{chosen}: {problem}")
    return DONE


def verify(options: Given) -> int:
    """``hem log verify``: its exit status, ``FAILED`` where a file is not intact."""
    kept = _kept_key(options)
    saved = [each for each in options.files if os.sep in each]
    if saved:
        return _verify_saved(options, saved, kept)
    with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        key = hem.audit.key()
        ids = [_checked(hem, each) for each in options.files] or _closed(hem)
        reports = {
            each: verify_log(hem.audit.read(each), kept or key)
            for each in progress(ids, len(ids), "verifying log files")
        }
    intact = not any(report.problems for report in reports.values()) and kept in (None, key)
    if options.json:
        files = [_verdict(each, report) for each, report in reports.items()]
        print_json({"device": hem.config.name, "log_key": key.hex(), "intact": intact, "files": files})
        return DONE if intact else FAILED
    _draw_reports(reports)
    if kept not in (None, key):
        say(f"{hem.config.name}: its log key is another than the one given: {key.hex()}")
    elif intact:
        say(f"log key {key.hex()}")
    else:
        say(f"{hem.config.name}: the log is not intact.")
    return DONE if intact else FAILED


def _verify_saved(options: Given, saved: list[str], kept: bytes | None) -> int:
    """The same of files on this machine; a device is asked for its log key alone, where none is given."""
    if len(saved) < len(options.files):
        raise UsageFault("give ids of the device's files, or files of this machine, but not both")
    contents = {each: _content(Path(each)) for each in saved}
    if kept is None:
        with logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
            kept = hem.audit.key()
    reports = {each: verify_log(content, kept) for each, content in contents.items()}
    intact = not any(report.problems for report in reports.values())
    if options.json:
        files = [{"path": each, **_findings(report)} for each, report in reports.items()]
        print_json({"log_key": kept.hex(), "intact": intact, "files": files})
        return DONE if intact else FAILED
    _draw_reports(reports)
    say(f"log key {kept.hex()}" if intact else "Not all of it is intact.")
    return DONE if intact else FAILED


def _content(path: Path) -> bytes:
    content = read_file(path, "a log file", limit=_MOST, trusted=False)
    if len(content) > _MOST:
        raise UsageFault(f"{path}: over {_MOST} bytes; no log file of a device is as large")
    return content


def _draw_reports(reports: dict[str, LogReport]) -> None:
    from hem_provider.cli.drawing import draw

    rows = [
        (
            mark(not report.problems),
            each,
            _spaced(_began(each)) if _ID.fullmatch(each) else "",
            str(len(report.records)),
            report.problems[0] if report.problems else "intact",
        )
        for each, report in reports.items()
    ]
    draw(("", "file", "began (UTC)", "records", "result"), rows, spare=("began (UTC)",))
    for each, report in reports.items():
        for jump in report.jumps:
            say(printable(f"{each}: {jump}"))


def _verdict(file: str, report: LogReport) -> dict[str, Any]:
    return {"id": file, "began": _began(file), **_findings(report)}


def _findings(report: LogReport) -> dict[str, Any]:
    return {
        "firmware": report.firmware,
        "records": len(report.records),
        "intact": not report.problems,
        "problems": list(report.problems),
        "clock": list(report.jumps),
    }


def _document(record: LogRecord, names: dict[str, str]) -> dict[str, Any]:
    told, key = tell(record, names), key_kid(record)
    return {
        "line": record.line,
        "number": record.number,
        "time": f"{told.time.replace(' ', 'T')}Z",
        "who": told.who,
        "event": int(record.event),
        "what": told.what,
        "kid": key,
        "label": names.get(key) if key is not None else None,
        "result": told.result,
        "genuine": record.genuine,
    }


def _names(hem: Hem, records: Iterable[LogRecord]) -> dict[str, str]:
    """KID → label of what the records name: as remembered, and only where that is not enough as listed,
    which takes another login. Who may not list keys sees KIDs."""
    wanted = {kid for each in records for kid in (actor_kid(each), key_kid(each)) if kid is not None}
    found = _remembered(hem)
    if not wanted <= set(found):
        with suppress(HemAuthenticationError, HemScopeDenied):
            listed = {each.kid: each.label for each in hem.keys}
            found = {**_remembered(hem), **listed}
    return {kid: found[kid] for kid in wanted if kid in found}


def _remembered(hem: Hem) -> dict[str, str]:
    listing = DiskCache(hem.config.url).listing()
    return {each.kid: each.label for each in listing.records} if listing is not None else {}


def _closed(hem: Hem) -> list[str]:
    """All but the one that is being written."""
    closed = hem.audit.files()[:-1]
    if not closed:
        raise HemOperationFailed(f"{hem.config.name}: {NONE_CLOSED}")
    return closed


def _newest(hem: Hem) -> str:
    return _closed(hem)[-1]


def _checked(hem: Hem, file: str) -> str:
    """An id that the device has a closed file of. ``NotThere`` for another."""
    files = hem.audit.files()
    if file.lower() in files[:-1]:
        return file.lower()
    if file.lower() in files:
        raise HemOperationFailed(f"{hem.config.name}: {file} is being written; hem device reboot closes it")
    raise NotThere(f"{hem.config.name}: no log file {file!r}; hem log list tells which there are")


def _kept_key(options: Given) -> bytes | None:
    if options.key is None:
        return None
    if not _KEY.fullmatch(options.key):
        raise UsageFault(f"--key: {options.key!r} is not 64 hex digits, as hem log verify tells the log key")
    return bytes.fromhex(options.key)


def _began(file: str) -> str:
    return timestamp(int(file, 16))


def _spaced(moment: Any) -> str:
    return str(moment).replace("T", " ").removesuffix("Z")
