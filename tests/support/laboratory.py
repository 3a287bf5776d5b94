"""A device on the bench: the emulator called in the process, with every request recorded and
faults put where a test wants them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import hem_provider.emulator.setup as emulator_setup
from hem_provider.device import Hem, connect
from hem_provider.emulator import lifecycle
from hem_provider.emulator.cloud.phone import Settings, store_settings
from hem_provider.emulator.cloud.service import Cloud
from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.rest import credential, wsgi

__all__ = ["ADMIN", "PASSPHRASE", "Bench", "LostReply", "LostRequest", "bench"]

PASSPHRASE = "correct horse battery staple"
ADMIN = "admin secret"
#: PBKDF2 rounds on the bench: its 0.2 s per login would be most of a test's time. The number
#: itself is held by the published vectors and by the tests over real TLS.
ROUNDS = 2


class LostRequest(ConnectionError):
    """The request never reached the device."""


class LostReply(ConnectionError):
    """The device did it, but the answer is lost."""


@dataclass
class Bench:
    """``device``: the emulator; ``requests``: ``"METHOD path"`` of all that arrived, in order."""

    device: EmulatedDevice
    path: Path
    requests: list[str] = field(default_factory=list)
    before_each: Callable[[], None] | None = None
    #: Given ``"METHOD path"`` (with ``CLOUD`` before it) and the body of each 200: what arrives instead.
    alter: Callable[[str, bytes], bytes] | None = None
    _faults: list[tuple[str, Any]] = field(default_factory=list)

    def connect(self, passphrase: str | None = PASSPHRASE, **settings: Any) -> Hem:
        """A new client, as another process would make."""
        return connect(f"emulator:{self.path}", passphrase=passphrase, **settings)

    def fault(self, start: str, what: type[Exception] | int | Callable[[], None]) -> None:
        """For the next request that starts with ``start`` (``"POST /api/keymgmt/create"``): lose it
        or its reply, answer a status, or do something just before it."""
        self._faults.append((start, what))

    def reboot(self) -> None:
        """Restart the device: tokens end, the clock is unset."""
        with self.device.model.transaction():
            lifecycle.reboot(self.device.model)

    def power_cycle(self) -> None:
        """Unplug it and plug it in again."""
        with self.device.model.transaction():
            lifecycle.power_cycle(self.device.model)

    def set_clock(self, offset: float) -> None:
        """Put the device's clock ``offset`` seconds ahead of ours."""
        import time

        with self.device.model.transaction():
            self.device.model.set_clock(int(time.time() + offset))

    def fls(self, bits: int) -> None:
        """Latch a fail state."""
        with self.device.model.transaction():
            self.device.model.change_boot(fls=bits)

    def configure(self, **changes: Any) -> None:
        """Change the device's own configuration behind the client's back."""
        with self.device.model.transaction():
            state = self.device.model.state
            self.device.model.state = replace(state, config=replace(state.config, **changes))

    @contextmanager
    def phone(self) -> Iterator[Any]:
        """The simulated phone, to pair or to tell how to answer."""
        with self.device.model.transaction():
            yield Cloud(self.device.model).phone()

    def phone_answers(self, answer: str) -> None:
        """``approve``, ``refuse`` or ``ignore``."""
        with self.phone() as phone:
            store_settings(phone.records, Settings(answer=answer))

    def backend(self, **knobs: Any) -> None:
        """Set the check-in backend's knobs (``checkin_action``, ``checkin_newcrt``)."""
        with self.device.model.transaction():
            state = self.device.model.state
            self.device.model.state = replace(state, knobs=replace(state.knobs, **knobs))

    def count(self, start: str) -> int:
        """How many requests began with ``start``."""
        return sum(1 for each in self.requests if each.startswith(start))

    def application(self, inner: Any, name: str) -> Callable[..., Any]:
        """``inner`` with recording and faults."""

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            line = f"{name}{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            self.requests.append(line)
            if self.before_each is not None and not line.startswith("CLOUD"):
                self.before_each()
            for place, (start, what) in enumerate(self._faults):
                if line.startswith(start):
                    del self._faults[place]
                    if what is LostReply:
                        list(inner(environ, lambda *_: None))
                        raise LostReply("reset by the bench")
                    if isinstance(what, int):
                        start_response(f"{what} ", [])
                        return [b""]
                    if isinstance(what, type):
                        raise what("by the bench")
                    what()
                    break
            if self.alter is not None:
                return altered(self.alter, line, environ, start_response)
            return inner(environ, start_response)

        def altered(
            alter: Callable[[str, bytes], bytes], line: str, environ: dict[str, Any], start_response: Any
        ) -> Any:
            started: list[Any] = []
            body = b"".join(inner(environ, lambda *arguments: started.extend(arguments)))
            if started[0].startswith("200"):
                body = alter(line, body)
            start_response(started[0], [each for each in started[1] if each[0].lower() != "content-length"])
            return [body]

        return app


@contextmanager
def bench(monkeypatch: Any, template: Path, path: Path) -> Iterator[Bench]:
    """A copy of the initialised state ``template`` as a device at ``emulator:PATH``."""
    for suffix in ("", "-wal"):
        if Path(f"{template}{suffix}").exists():
            shutil.copy(f"{template}{suffix}", f"{path}{suffix}")
    monkeypatch.setattr(credential, "PBKDF2_ITERATIONS", ROUNDS)
    with EmulatedDevice(path) as device:
        table = Bench(device, path)

        class Opened:
            def __init__(self, _: str) -> None:
                self.device = table.application(device.device, "")
                self.cloud = table.application(device.cloud, "CLOUD ")

            def close(self) -> None:
                pass

        point = EntryPoint("emulator", "laboratory:Opened", wsgi.GROUP)
        monkeypatch.setattr(EntryPoint, "load", lambda _: Opened)
        monkeypatch.setattr(wsgi, "entry_points", lambda **_: [point])
        yield table


def make_template(path: Path, monkeypatch: Any) -> Path:
    """An initialised device's state file."""
    monkeypatch.setattr(emulator_setup, "ITERATIONS", ROUNDS)
    emulator_setup.initialise(path, passphrase=PASSPHRASE, admin_passphrase=ADMIN)
    return path
