"""Endpoint group ``/api/system``: status, version, check-in (device API §9, §17)."""

from __future__ import annotations

from dataclasses import dataclass

from hem_provider.errors import HemClockError, HemUnreachable
from hem_provider.rest.answer import Answer
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.settle import Change, settle
from hem_provider.rest.status import Meanings
from hem_provider.rest.wire import Limit

__all__ = ["FLS_BITS", "CheckInResult", "Repository", "SelfTest", "Status", "SystemApi", "Version"]

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


@dataclass(frozen=True, slots=True)
class Status:
    """What ``GET /api/system/status`` says. ``time`` (Unix seconds) is ``None`` while the clock
    is unset; ``uptime`` in seconds; ``temperature`` in °C; ``storage`` as ``SECTORS:MODE``."""

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

    @property
    def faults(self) -> tuple[str, ...]:
        """The latched faults in words; empty when healthy."""
        return tuple(text for bit, text in FLS_BITS.items() if self.fls_state & bit)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class CheckInResult:
    """The device's answer to a check-in. ``action`` is ``"OK"`` when the cloud wants nothing.

    ``new_certificate`` is the DER chain the cloud offers, from its own answer.
    """

    action: str
    certificate_state: str | None
    firmware_offered: bool
    dashboard_offered: bool
    new_certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """How full the key repository is, in slots; deleted ones are free again after compaction."""

    total: int
    deleted: int
    invalid: int
    fragmented: int
    free: int


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test found; times are Unix seconds. ``busy``: known-answer tests still run.
    ``secure_element``: 0 when well, ``None`` on devices without one."""

    fls_state: int
    time: int | None
    busy: bool
    secure_element: int | None
    repository: Repository | None


class SystemApi(EndpointGroup):
    """Status, version, check-in (no token), self-test and power."""

    def status(self) -> Status:
        """``GET /api/system/status``."""
        answer = self._channel.call("GET", "/api/system/status")
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
        )

    def version(self, *, token: str | None = None) -> Version:
        """``GET /api/system/version``; any token adds the SD card's registers."""
        answer = self._channel.call("GET", "/api/system/version", token=token)
        return Version(
            hardware=answer.text("hwv"),
            firmware=answer.text("fwv"),
            bootloader=answer.optional_text("blv"),
            dashboard_hash=answer.optional_data("uis"),
            sd_csd=answer.optional_text("sd_csd"),
            sd_cid=answer.optional_text("sd_cid"),
        )

    def check_in(self) -> CheckInResult:
        """Device → cloud → device: sets the device's clock (device API §9.1). Three calls.

        Needs the internet, no login. ``HemUnreachable`` names the cloud when that is what fails;
        ``HemClockError`` when cloud or device reject the exchange. Where the device's last answer
        does not tell, once more from the beginning: a check-in can be done at any time.
        """
        checked = self._legs()
        change = Change(
            made="the device has checked in",
            undone="the device has not checked in",
            see="look at the clock in its status, or check in again",
            look=lambda: self._report(self._legs()),
        )
        return settle(lambda: self._report(checked), change)

    def _legs(self) -> Answer:
        """What the cloud answers to what the device says."""
        check = self._channel.call("GET", "/api/system/checkin")
        try:
            reply, checked = self._channel.cloud("POST", "/checkin", body=check.raw)
        except HemUnreachable as error:
            raise HemUnreachable(f"check-in needs the cloud service: {error}") from error
        if reply.status != 200:
            raise HemClockError(
                f"check-in: the cloud service {self._channel.config.cloud_url} answers HTTP {reply.status}"
            )
        return checked

    def _report(self, checked: Answer) -> CheckInResult:
        answer = self._channel.call("POST", "/api/system/checkin", body=checked.raw, meanings=_CHECKIN)
        return CheckInResult(
            action=answer.text("status"),
            certificate_state=answer.optional_text("newcrt"),
            firmware_offered="newfws" in answer.raw,
            dashboard_offered="newuis" in answer.raw,
            new_certificate=checked.jwt("checked").claims["newcrt"],
        )

    def selftest(self, *, token: str | None) -> SelfTest:
        """``GET /api/system/selftest``: runs all tests, some 5 s; any token, none when fresh."""
        answer = self._channel.call("GET", "/api/system/selftest", token=token, timeout=_SELFTEST)
        stats = answer.inner("repo_stats")
        repository = None
        if stats is not None:
            names = ("total", "deleted", "invalid", "fragmented", "freeslots")
            repository = Repository(*(stats.optional_integer(name) or 0 for name in names))
        return SelfTest(
            fls_state=answer.integer("fls_state"),
            time=answer.optional_integer("selftest_ts"),
            busy=bool(answer.optional_flag("kat_busy")),
            secure_element=answer.optional_integer("se_state"),
            repository=repository,
        )

    def reboot(self, *, token: str | None) -> None:
        """``GET /api/system/reboot``; scope ``system:config``, ``system:upgrade`` or
        ``system:shutdown``, no token when fresh. A connection lost instead of an answer may be its
        success."""
        self._channel.call("GET", "/api/system/reboot", token=token)

    def shutdown(self, *, token: str) -> None:
        """``GET /api/system/shutdown``: off until a power cycle; scope ``system:config`` or
        ``system:shutdown``."""
        self._channel.call("GET", "/api/system/shutdown", token=token)
