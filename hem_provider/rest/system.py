"""Endpoint group ``/api/system``: status, version, check-in, self-test and power (device API §9, §17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hem_provider.errors import HemClockError
from hem_provider.records import frozen
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call, done
from hem_provider.rest.fields import Field, Shape, data, flag, integer, jwt, list_of, number, object_of, text
from hem_provider.rest.sharedfields import HEX, NUMBER, SIZE, TIME
from hem_provider.rest.status import Meanings
from hem_provider.rest.wire import Limit

__all__ = [
    "ANY_SCOPE",
    "FLS_BITS",
    "CheckInResult",
    "Repository",
    "SelfTest",
    "Status",
    "Version",
    "begin_check_in",
    "finish_check_in",
    "reboot",
    "selftest",
    "shutdown",
    "status",
    "version",
]

_PATH = "/api/system/"
#: Where the device takes any token: those likely to be at hand, the first to be logged in for.
ANY_SCOPE = ("system:config", "keymgmt:list", "logger:get")
#: Longest self-test.
_SELFTEST = Limit(60.0, "the limit of a self-test")

#: Bits of ``fls_state``, the fail state latch (device API §17.1).
FLS_BITS = {
    0x01: "known-answer test failed",
    0x02: "random number source failed",
    0x04: "too hot",
    0x08: "data integrity lost",
    0x10: "out of memory",
    0x20: "stack overflow",
    0x40: "locked by check-in",
    0x80: "shut down by check-in",
}

_CHECKIN: Meanings = {401: (HemClockError, "the device rejects the cloud's check-in answer")}

_FLS = Field("fls_state", integer(0, 0xFFFF))
_STATUS = Shape(
    (
        Field("inited", flag, needed=False),
        _FLS,
        Field("uptime", SIZE),
        Field("time", TIME, needed=False),
        Field("temp", number(-273.15, 1000), needed=False),
        Field("humidity", number(0, 100), needed=False),
        Field("hostname", text(0, 255), needed=False),
        Field("ctx", NUMBER),
        Field("tts", flag, needed=False),
        Field(
            "storage",
            list_of(text(1, 32, pattern=r"\d+:(rw|ro|-)", accepted="SECTORS:MODE"), 8),
            needed=False,
        ),
        Field("format", text(1, 32), needed=False),
        Field("fw_upgrade", flag, needed=False),
    )
)
_VERSION = Shape(
    (
        Field("hwv", text(1, 128)),
        Field("fwv", text(1, 128)),
        Field("blv", text(1, 128), needed=False),
        Field("uis", data(32), needed=False),
        Field("sd_csd", HEX, needed=False),
        Field("sd_cid", HEX, needed=False),
    )
)
_CHECK = Shape((Field("check", jwt()),))
_CHECKED_IN = Shape((Field("status", text(1, 64), needed=False), Field("newcrt", text(1, 64), needed=False)))
_SLOTS = ("total", "deleted", "invalid", "fragmented", "freeslots")
_REPOSITORY = Shape(tuple(Field(name, integer(0, 2**31), needed=False) for name in _SLOTS))
_SELFTESTED = Shape(
    (
        _FLS,
        Field("selftest_ts", TIME, needed=False),
        Field("kat_busy", flag, needed=False),
        Field("se_state", NUMBER, needed=False),
        Field("repo_stats", object_of(_REPOSITORY), needed=False),
    )
)


@frozen
class Status:
    """What ``GET /api/system/status`` says. ``time`` (Unix seconds) is ``None`` while the clock
    is unset; ``uptime`` in seconds; ``temperature`` in °C; ``storage`` as ``SECTORS:MODE``. ``humidity`` of
    the air in %, from devices that tell it; firmware up to 1.2.2 does not."""

    initialized: bool
    fls_state: int
    uptime: int
    time: int | None
    temperature: float | None
    hostname: str | None
    context: int
    trusted_time: bool
    storage: tuple[str, ...]
    format: str | None
    upgraded: bool
    humidity: float | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """The latched faults in words; empty when healthy."""
        return tuple(text for bit, text in FLS_BITS.items() if self.fls_state & bit)


@frozen
class Version:
    """What ``GET /api/system/version`` says: hardware, firmware and boot loader."""

    hardware: str
    firmware: str
    bootloader: str | None
    dashboard_hash: bytes | None
    sd_csd: str | None
    sd_cid: str | None

    @property
    def model(self) -> str:
        """``"EPA"`` (rack) or ``"PPA"`` (USB), device API §1.1."""
        return "EPA" if "EPA" in self.hardware else "PPA"

    @property
    def diagnostic(self) -> bool:
        """Whether this is a diagnostic build, which must not hold real keys."""
        return self.firmware.endswith("-DIAG")


@frozen
class CheckInResult:
    """The device's answer to a check-in. ``action`` is ``"OK"`` when the cloud wants nothing.

    ``new_certificate`` is the DER chain the cloud offers, from its own answer.
    """

    action: str
    certificate_state: str | None
    firmware_offered: bool
    dashboard_offered: bool
    new_certificate: bytes | None = None


@frozen
class Repository:
    """How full the key repository is, in slots; deleted ones are free again after compaction."""

    total: int
    deleted: int
    invalid: int
    fragmented: int
    free: int


@frozen
class SelfTest:
    """What a self-test found; times are Unix seconds. ``busy``: known-answer tests still run.
    ``secure_element``: 0 when well, ``None`` on devices without one."""

    fls_state: int
    time: int | None
    busy: bool
    secure_element: int | None
    repository: Repository | None


def _status(answer: Answer) -> Status:
    return Status(
        initialized=answer.optional_flag("inited") is not False,
        fls_state=answer.integer("fls_state"),
        uptime=answer.integer("uptime"),
        time=answer.optional_integer("time"),
        temperature=answer.optional_number("temp"),
        hostname=answer.optional_text("hostname"),
        context=answer.integer("ctx"),
        trusted_time=answer.optional_flag("tts") is not False,
        storage=answer.texts("storage"),
        format=answer.optional_text("format"),
        upgraded=bool(answer.optional_flag("fw_upgrade")),
        humidity=answer.optional_number("humidity"),
    )


def _version(answer: Answer) -> Version:
    return Version(
        hardware=answer.text("hwv"),
        firmware=answer.text("fwv"),
        bootloader=answer.optional_text("blv"),
        dashboard_hash=answer.optional_data("uis"),
        sd_csd=answer.optional_text("sd_csd"),
        sd_cid=answer.optional_text("sd_cid"),
    )


def _selftest(answer: Answer) -> SelfTest:
    stats = answer.inner("repo_stats")
    repository = None
    if stats is not None:
        repository = Repository(*(stats.optional_integer(name) or 0 for name in _SLOTS))
    return SelfTest(
        fls_state=answer.integer("fls_state"),
        time=answer.optional_integer("selftest_ts"),
        busy=bool(answer.optional_flag("kat_busy")),
        secure_element=answer.optional_integer("se_state"),
        repository=repository,
    )


def _relayed(answer: Answer) -> Mapping[str, Any]:
    return answer.raw


def _checked_in(answer: Answer) -> CheckInResult:
    return CheckInResult(
        action=answer.text("status"),
        certificate_state=answer.optional_text("newcrt"),
        firmware_offered="newfws" in answer.raw,
        dashboard_offered="newuis" in answer.raw,
    )


def status() -> Call[Status]:
    """``GET status``."""
    return Call("GET", f"{_PATH}status", _status, answer=_STATUS, repeatable=True)


def version() -> Call[Version]:
    """``GET version``; with any token (``by``) also the SD card's registers."""
    return Call("GET", f"{_PATH}version", _version, answer=_VERSION, repeatable=True)


def begin_check_in() -> Call[Mapping[str, Any]]:
    """``GET checkin``: what the cloud is to be told, as it came."""
    return Call("GET", f"{_PATH}checkin", _relayed, answer=_CHECK, repeatable=True, own_way=True)


def finish_check_in(checked: Mapping[str, Any]) -> Call[CheckInResult]:
    """``POST checkin``: the cloud's answer, as it came. ``HemClockError`` when the device rejects it."""
    return Call("POST", f"{_PATH}checkin", _checked_in, checked, answer=_CHECKED_IN, meanings=_CHECKIN)


def selftest() -> Call[SelfTest]:
    """``GET selftest``: runs all tests, some 5 s; any token, none when fresh."""
    return Call(
        "GET",
        f"{_PATH}selftest",
        _selftest,
        answer=_SELFTESTED,
        scopes=ANY_SCOPE,
        repeatable=True,
        limit=_SELFTEST,
    )


def reboot() -> Call[None]:
    """``GET reboot``; no token when fresh. A connection lost instead of an answer may be its success."""
    return Call("GET", f"{_PATH}reboot", done, scopes=("system:config", "system:upgrade", "system:shutdown"))


def shutdown() -> Call[None]:
    """``GET shutdown``: off until a power cycle."""
    return Call("GET", f"{_PATH}shutdown", done, scopes=("system:config", "system:shutdown"))
