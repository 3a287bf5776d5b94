"""What can become of a log: files that are cut, changed, gone, strange or very many, as an attacker, a
failing card or a busy year would leave them (device API §14, §24).

Lines are counted from 1, the comment at the head of a file. What is damaged stays so; the device goes on with
its current file, which can be damaged too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ed25519

from hem_provider.emulator import lifecycle
from hem_provider.emulator.audit import Event, Result, format_record, whole
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import to_b64url

__all__ = ["DAMAGES", "DamageRow", "damage"]

_MOST_FILES: Final = 100_000
_MOST_BYTES: Final = 1 << 24
#: Seconds between two files that are made in numbers.
_APART: Final = 60

_UNKNOWN: Final = 27

_Rows = list[tuple[int, str | bytes]]


@dataclass(frozen=True, slots=True)
class _Order:
    """What is done where: ``line`` 0 stands for the row's own choice, ``count`` 0 for its default."""

    file: str = ""
    line: int = 0
    count: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class DamageRow:
    """One damage. ``line``: the line that it strikes unless told, counted from the end if negative, 0 for one
    in the middle; ``count``: its default; ``most``: the largest one."""

    name: str
    summary: str
    line: int = 0
    count: int = 0
    most: int = 0


DAMAGES: Final[Mapping[str, DamageRow]] = {
    row.name: row
    for row in (
        DamageRow("cut", "the file ends in the middle of LINE, the last unless told", line=-1),
        DamageRow("alter", "one digit of the time of LINE is another, or LINE is TEXT"),
        DamageRow("swap", "LINE and the next have changed places"),
        DamageRow("remove", "LINE is missing"),
        DamageRow("double", "LINE is there twice"),
        DamageRow("empty", "the file is listed and has no content"),
        DamageRow("gone", "the file is not there any more"),
        DamageRow("foreign", "a line that is no record, TEXT, stands before LINE"),
        DamageRow("long", "a line of COUNT bytes stands before LINE", count=1 << 20, most=_MOST_BYTES),
        DamageRow("binary", "a line of NUL and of bytes that are not UTF-8 stands before LINE"),
        DamageRow("odd", "the current file has records as odd as real devices write them"),
        DamageRow("new-key", "the device signs its log with another key from now on, in a new file"),
        DamageRow("many", "COUNT good files, older than all that are there", count=10_000, most=_MOST_FILES),
    )
}


def damage(device: Device, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do a damage: ``name``, ``file`` (8 hex digits; the newest finished one unless told), ``line``,
    ``count``, ``text``. What was done, and where. ``ValueError`` names the parameter that is wrong."""
    row = DAMAGES.get(str(parameters.get("name")))
    if row is None:
        raise ValueError(f"no damage {parameters.get('name')!r} of a log; there are {', '.join(DAMAGES)}")
    order = _read(row, parameters)
    if row.name in _OF_DEVICES:
        return {"name": row.name, **_OF_DEVICES[row.name](device, order)}
    order = replace(order, file=order.file or _newest_finished(device))
    rows = device.log_files.rows(order.file)
    if not rows:
        raise ValueError(f"there is no log file {order.file!r}")
    line = order.line or (len(rows) + 1 + row.line if row.line else (len(rows) + 1) // 2)
    if not 1 <= line <= len(rows):
        raise ValueError(f"line of {order.file} is from 1 to {len(rows)}, not {line}")
    order = replace(order, line=line)
    device.log_files.put(order.file, _OF_FILES[row.name](rows, order))
    return {"name": row.name, "file": order.file, "line": line}


def _read(row: DamageRow, parameters: Mapping[str, Any]) -> _Order:
    values = asdict(_Order(count=row.count))
    for name, value in parameters.items():
        if name == "name" or value is None:
            continue
        if name not in values:
            raise ValueError(f"a damage has no parameter {name!r}; it has name, {', '.join(values)}")
        if isinstance(value, bool) or not isinstance(value, type(values[name])):
            raise ValueError(f"{name} of a damage is {type(values[name]).__name__}, not {value!r}")  # noqa: TRY004
        values[name] = value
    order = _Order(**values)
    if order.count != row.count and not 1 <= order.count <= row.most:
        raise ValueError(
            f"count of {row.name} is from 1 to {row.most}, not {order.count}"
            if row.most
            else f"{row.name} has no count"
        )
    if "\n" in order.text or "\r" in order.text:
        raise ValueError("text is one line")
    return order


def _newest_finished(device: Device) -> str:
    finished = [file for file in device.log_files.files() if file != device.boot.log_file]
    if not finished:
        raise ValueError("no log file is finished yet; a restart ends the one that is being written")
    return finished[-1]


def _cut(rows: _Rows, order: _Order) -> _Rows:
    number, line = rows[order.line - 1]
    text = whole(line)
    return [*rows[: order.line - 1], (number, text[: len(text) // 2])]


def _alter(rows: _Rows, order: _Order) -> _Rows:
    number, line = rows[order.line - 1]
    fields = whole(line).removesuffix(b"\r\n").split(b"|")
    place = min(1, len(fields) - 1)
    fields[place] = fields[place][:-1] + (b"1" if fields[place].endswith(b"0") else b"0")
    changed = order.text or b"|".join(fields) + b"\r\n"
    return [*rows[: order.line - 1], (number, changed), *rows[order.line :]]


def _swap(rows: _Rows, order: _Order) -> _Rows:
    if order.line == len(rows):
        raise ValueError(f"line {order.line} is the last: no line to swap it with follows")
    (number, line), (next_number, next_line) = rows[order.line - 1 : order.line + 1]
    return [*rows[: order.line - 1], (number, next_line), (next_number, line), *rows[order.line + 1 :]]


def _remove(rows: _Rows, order: _Order) -> _Rows:
    return [*rows[: order.line - 1], *rows[order.line :]]


def _empty(rows: _Rows, _order: _Order) -> _Rows:
    return [(rows[-1][0], b"")]  # its number stays, so that the device goes on counting


def _gone(_rows: _Rows, _order: _Order) -> _Rows:
    return []


def _before(rows: _Rows, order: _Order, inserted: bytes) -> _Rows:
    number, line = rows[order.line - 1]
    return [*rows[: order.line - 1], (number, inserted + whole(line)), *rows[order.line :]]


def _double(rows: _Rows, order: _Order) -> _Rows:
    return _before(rows, order, whole(rows[order.line - 1][1]))


def _foreign(rows: _Rows, order: _Order) -> _Rows:
    return _before(rows, order, whole(order.text or "this is no record"))


def _long(rows: _Rows, order: _Order) -> _Rows:
    return _before(rows, order, b"x" * order.count + b"\r\n")


def _binary(rows: _Rows, order: _Order) -> _Rows:
    return _before(rows, order, b"\x00\xff\xfe|\x00|\xc3(\r\n")


_OF_FILES: Final[dict[str, Callable[[_Rows, _Order], _Rows]]] = {
    "cut": _cut,
    "alter": _alter,
    "swap": _swap,
    "remove": _remove,
    "double": _double,
    "empty": _empty,
    "gone": _gone,
    "foreign": _foreign,
    "long": _long,
    "binary": _binary,
}


def _odd(device: Device, _order: _Order) -> dict[str, Any]:
    """Records under a good MAC: an error code of mbedTLS where text is expected, a slice of an HTTP header
    where the id of a file is, a check of a key's integrity whose result is the outcome, an event that nobody
    knows."""
    device.log(Event.TLS_ERROR, data="-0x7780")
    device.log(Event.LOGGER_READ_LOG, Result.FAILED, actor="U", data="HTTP/1.1")
    device.log(Event.KEY_INTEGRITY_CHECK, Result.OK)
    device.log(Event.KEY_INTEGRITY_CHECK, Result.FAILED)
    device.log(_UNKNOWN)
    return {"file": device.boot.log_file}


def _many(device: Device, order: _Order) -> dict[str, Any]:
    oldest = int(device.log_files.files()[0], 16)
    if oldest <= order.count * _APART:
        raise ValueError(f"the oldest file is of second {oldest}: no room for {order.count} before it")
    signing = ed25519.Ed25519PrivateKey.from_private_bytes(device.state.identity.log_key)
    head = f"# Encedo nGINE FW v{device.state.firmware}"
    for place in range(order.count, 0, -1):
        moment = oldest - place * _APART
        key = secrets.token_bytes(32)
        time = f"{moment:08x}"
        records = (
            ("0", time, "0", "0", to_b64url(key), to_b64url(signing.sign(key))),
            ("1", time, f"{Event.STARTUP:x}", "0", "", ""),
            ("2", time, f"{Event.SELFTEST_PASSED:x}", "0", "", ""),
        )
        lines = [(-1, head), *((number, format_record(key, record)) for number, record in enumerate(records))]
        device.log_files.put(f"{moment:08x}", lines)
    return {"files": order.count, "file": f"{oldest - order.count * _APART:08x}"}


def _new_key(device: Device, _order: _Order) -> dict[str, Any]:
    identity = replace(device.state.identity, log_key=secrets.token_bytes(32))
    device.state = replace(device.state, identity=identity)
    lifecycle.start_log(device)
    return {"file": device.boot.log_file}


_OF_DEVICES: Final[dict[str, Callable[[Device, _Order], dict[str, Any]]]] = {
    "odd": _odd,
    "many": _many,
    "new-key": _new_key,
}
