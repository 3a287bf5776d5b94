"""Everything the emulated device remembers besides its keys and its log, as frozen values.

The whole ``State`` is one JSON document in the state file; a change makes a new value
(``dataclasses.replace``), so a request either leaves all of its changes or none. What a reboot renews is in
``Boot``, what a wipe renews in ``Identity``, and what neither touches in ``Factory`` and ``Knobs`` (the knobs
of the emulator itself).
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field

from hem_provider.emulator.firmware import FIRMWARE_1_2_2, Firmware

__all__ = [
    "Boot",
    "Climate",
    "Config",
    "Factory",
    "Fault",
    "Identity",
    "Knobs",
    "State",
    "Task",
    "Tls",
    "make_factory",
    "new_boot",
    "new_instance_id",
]


@dataclass(frozen=True, slots=True)
class Factory:
    """What the factory burnt in."""

    model: str
    serial: bytes
    element_serial: bytes
    element_key: bytes
    element_certificate: bytes
    card_csd: bytes
    card_cid: bytes
    firmware: Firmware = FIRMWARE_1_2_2
    """What it came with; an upgrade changes ``State.firmware``, the version that runs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What lives from one wipe to the next: the X25519 identity (``eid``) and the Ed25519 log-signing key."""

    private: bytes
    log_key: bytes


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of an initialised device (device API §7.2, §8.1). Times are Unix seconds."""

    user: str
    email: str
    hostname: str
    origin: str
    trusted_ts: bool
    trusted_backend: bool
    allow_keysearch: bool
    master_key: bytes
    user_key: bytes
    instance_id: str
    created: int
    updated: int
    ip: str = "192.168.7.1/24"
    dnsd: bool = False
    ctx: int = 0
    storage_mode: int = 0x51
    storage_disk0size: int = 8388607
    hsts: bool = False
    dosprot: int = 0


@dataclass(frozen=True, slots=True)
class Tls:
    """A private key and certificate chain, both PEM, leaf first."""

    key: str
    chain: str


@dataclass(frozen=True, slots=True)
class Task:
    """A background task of the device: formatting, image verification. Ends by itself at host time
    ``until``."""

    name: str
    until: float
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Boot:
    """What a reboot renews. ``started`` and ``ready_at`` are host times in seconds."""

    number: int
    started: float
    session_private: bytes
    bearer_key: bytes
    nonce_key: bytes
    log_file: str = ""
    log_mac_key: bytes = b""
    rtc_set: bool = False
    fls: int = 0
    heated: bool = False
    """The temperature bit of ``fls`` comes from heat, so that it may go when the device cools."""
    last_fls: int = 0
    failures: int = 0
    slow_until: float = 0.0
    disks: tuple[str, ...] = ()
    tls: Tls | None = None
    tasks: tuple[Task, ...] = ()
    ready_at: float = 0.0
    upgraded: bool = False
    selftest_at: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault: what happens, where (``METHOD path-prefix``), how often and how many times more."""

    name: str
    endpoint: str = ""
    probability: float = 1.0
    count: int = -1
    seconds: float = 0.0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Climate:
    """What the sensors show at host time ``since``: °C and per cent of relative humidity (``None``: the
    device has no such sensor), and how much more an hour."""

    temperature: float = 41.5
    humidity: float | None = None
    temperature_drift: float = 0.0
    humidity_drift: float = 0.0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Knobs:
    """The knobs of the emulator: nothing here exists on hardware."""

    quirks: dict[str, bool | int | float | str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    latency: dict[str, float] = field(default_factory=dict)
    checkin_action: str = "OK"
    """What the check-in backend orders next (device API §9.4)."""
    checkin_offset: int = 0
    """Seconds by which the backend's time is wrong."""
    checkin_newcrt: bool = False
    """The backend offers a fresh certificate."""
    checkin_newfw: bool = False
    checkin_newui: bool = False
    """The backend tells of newer firmware, of a newer dashboard."""
    orders: dict[str, str] = field(default_factory=dict)
    """Remote management: what the backend orders one device, by its instance id; it goes before
    ``checkin_action``."""
    climate: Climate = Climate()
    ca: Tls | None = None
    """The emulator's own certification authority, and who issued the factory TLS certificate."""
    ports: dict[str, int] = field(default_factory=dict)
    """Where it was served first, or was told to be: a later start comes up at the same place."""


@dataclass(frozen=True, slots=True)
class State:
    """The device between two requests."""

    factory: Factory
    identity: Identity
    boot: Boot
    knobs: Knobs = field(metadata={"stored": "bench"})
    powered: bool = True
    bricked: bool = False
    config: Config | None = None
    tls: Tls | None = None
    rtc_device: float = 0.0
    """Device time at the host time ``rtc_host``; the clock runs on through a reboot, only its validity
    ends."""
    rtc_host: float = 0.0
    staged: dict[str, str] = field(default_factory=dict)
    """Uploaded images by slot (``fw``, ``ui``): ``uploaded``, ``verified`` or ``bad``."""
    csr_key: str = ""
    """PEM private key of the last certificate request, until its certificate is imported."""
    firmware: str = FIRMWARE_1_2_2.version
    upgraded: bool = False
    """An upgrade was installed and has not been reported by ``status.fw_upgrade`` yet."""


def make_factory(
    model: str, *, element_key: bytes, element_certificate: bytes = b"", firmware: Firmware | None = None
) -> Factory:
    """A device as it leaves the factory, with fresh serial numbers."""
    return Factory(
        model=model,
        serial=secrets.token_bytes(8),
        element_serial=b"\x01\x23" + secrets.token_bytes(6) + b"\xee",
        element_key=element_key,
        element_certificate=element_certificate,
        card_csd=secrets.token_bytes(16),
        card_cid=secrets.token_bytes(16),
        firmware=firmware or FIRMWARE_1_2_2,
    )


def new_boot(number: int, host_time: float, *, tls: Tls | None) -> Boot:
    """The volatile state after power-up: new session, bearer and nonce keys, clock not set."""
    return Boot(
        number=number,
        started=host_time,
        session_private=secrets.token_bytes(32),
        bearer_key=secrets.token_bytes(32),
        nonce_key=secrets.token_bytes(32),
        tls=tls,
    )


def new_instance_id(seed: bytes) -> str:
    """The instance id: UUID text derived from the device's identity (device API §7.2)."""
    return str(uuid.UUID(bytes=seed[:16], version=4))
