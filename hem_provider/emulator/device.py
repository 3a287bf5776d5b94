"""The device model: state, clock, repository, log and nonces behind one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.emulator.audit import AuditLog, Event, Result
from hem_provider.emulator.clock import PressedClock
from hem_provider.emulator.nonces import Nonces
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.repository import Repository
from hem_provider.emulator.state import Boot, Config, State
from hem_provider.emulator.store import Store

__all__ = ["Device", "x25519_public", "x25519_secret"]


def x25519_public(private: bytes) -> bytes:
    """The public key of 32 private bytes."""
    key = x25519.X25519PrivateKey.from_private_bytes(private)
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519_secret(private: bytes, public: bytes) -> bytes:
    """The raw shared secret; ``ValueError`` for a peer that is not 32 bytes or a point of small order."""
    key = x25519.X25519PrivateKey.from_private_bytes(private)
    return key.exchange(x25519.X25519PublicKey.from_public_bytes(public))


class Device:
    """One emulated device. ``clock`` gives host time in Unix seconds; device time follows it, offset and
    drifting."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, nonces: Nonces | None = None
    ) -> None:
        self.store = store
        self.repository = Repository(store)
        self.log_files = AuditLog(store)
        self.nonces = nonces if nonces is not None else Nonces(store)
        self.host_time = clock
        self._state: State | None = None
        self._dirty = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One request's worth of exclusive access; state changes are written at its end, or none at all."""
        with self.store.transaction() as outermost:
            if not outermost:
                yield
                return
            self._state, self._dirty = self.store.load(), False
            try:
                yield
                if self._dirty and self._state is not None:
                    self.store.save(self._state)
            finally:
                self._state = None

    def press_time(self, rate: float) -> None:
        """From now on ``rate`` seconds of host time pass in one of its clock's, for this process. Clients
        still have their 60 s, in the machine's time, for an answer to a challenge."""
        with self.transaction():
            since = max(self.state.rtc_host, self.boot.started)
        self.host_time = PressedClock(rate, since=since, clock=self.host_time)
        self.nonces.pace = rate

    @property
    def exists(self) -> bool:
        """``True`` unless the state file is new and empty."""
        return self._state is not None

    @property
    def state(self) -> State:
        """The current state; inside ``transaction`` only."""
        if self._state is None:
            raise RuntimeError("device state is only available inside a transaction")
        return self._state

    @state.setter
    def state(self, value: State) -> None:
        self._state = value
        self._dirty = True

    def change_boot(self, **changes: Any) -> None:
        """Replace fields of what lasts until the next boot; inside ``transaction`` only."""
        self.state = replace(self.state, boot=replace(self.boot, **changes))

    @property
    def boot(self) -> Boot:
        """What lasts until the next boot; inside ``transaction`` only."""
        return self.state.boot

    @property
    def config(self) -> Config | None:
        """The device's own configuration; ``None`` while it is not initialised."""
        return self.state.config

    @property
    def switches(self) -> Switches:
        """The switches in force: those set by hand, those of the firmware, the defaults, in this order."""
        firmware = self.state.factory.firmware
        return Switches({**firmware.quirks, **self.state.knobs.quirks}, firmware.limits)

    @property
    def is_ppa(self) -> bool:
        """``True`` when the model has mass storage; with the model rules off every device has."""
        return self.state.factory.model == "ppa" or not self.switches.on(Q.MODEL_RULES)

    @property
    def answers(self) -> bool:
        """``False`` while it is off, restarting, or stopped by its backend."""
        state = self.state
        return state.powered and not state.bricked and self.host_time() >= state.boot.ready_at

    def now(self) -> int:
        """Device time in Unix seconds. It runs even while the clock counts as unset, as on hardware."""
        state = self.state
        elapsed = self.host_time() - state.rtc_host
        gain = float(self.switches.value(Q.RTC_GAIN))
        return int(state.rtc_device + elapsed * (1.0 + gain))

    def set_clock(self, now: int) -> None:
        """Set the RTC to ``now``, in Unix seconds."""
        boot = replace(self.boot, rtc_set=True)
        self.state = replace(self.state, rtc_device=float(now), rtc_host=self.host_time(), boot=boot)

    @property
    def session_public(self) -> bytes:
        """The public X25519 key of this boot, 32 bytes (``spk``, device API §5)."""
        return x25519_public(self.boot.session_private)

    @property
    def eid(self) -> bytes:
        """The device's identity: its public X25519 key, 32 bytes (device API §5)."""
        return x25519_public(self.state.identity.private)

    def new_nonce(self) -> bytes:
        """A fresh nonce of 32 bytes, bound to this boot and to the device's time."""
        return self.nonces.issue(self.boot.nonce_key, self.now())

    def take_nonce(self, nonce: bytes, *, lifetime: int | None = None) -> bool:
        """Check a nonce and use it up; ``False`` when it is foreign, too old or used."""
        once = self.switches.on(Q.NONCE_ONCE)
        if not once:
            return self.nonces.genuine(self.boot.nonce_key, nonce)
        seconds = 60 if lifetime is None else lifetime
        if not self.nonces.fresh(self.boot.nonce_key, nonce, self.now(), lifetime=seconds):
            return False
        self.nonces.use(nonce, until=self.now() + seconds * self.nonces.pace)
        return True

    def log(self, event: Event | int, result: Result = Result.OK, *, actor: str = "", data: str = "") -> None:
        """Add an audit record to the current file."""
        boot = self.boot
        if boot.log_file:
            self.log_files.append(
                boot.log_file, boot.log_mac_key, self.now(), event, result, actor, data, base=self.log_base
            )

    @property
    def log_base(self) -> int:
        """The number base of the log's numbers."""
        return self.switches.number(Q.LOG_SEQUENCE_BASE)

    def task(self, name: str) -> bool:
        """``True`` while the background task ``name`` runs."""
        if name == "install" and self.has_condition("install-busy"):
            return True
        return any(task.name == name and task.until > self.host_time() for task in self.boot.tasks)

    def has_condition(self, name: str) -> bool:
        """``True`` while the ordered fault ``name`` holds."""
        return any(fault.name == name for fault in self.state.knobs.faults)
