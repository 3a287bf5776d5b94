"""The emulated device in the test's process: its clock and knobs, calls and tokens in one line each, and
clients that reach it, with every request recorded and faults put where a test wants them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from support.clocks import Clock
from support.passphrases import ADMIN, PASSPHRASE
from support.traffic import Traffic

from hem_provider.device import Hem, connect
from hem_provider.emulator import EmulatedDevice, control, knobs, lifecycle, setup
from hem_provider.emulator.cloud.phone import Settings, store_settings
from hem_provider.emulator.cloud.service import Cloud
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt
from hem_provider.emulator.wsgiclient import Reply, call
from hem_provider.rest import credential, wsgi

__all__ = ["Rig", "connected", "make_template", "proof"]

#: PBKDF2 rounds where a client logs in: its 0.2 s per login would be most of a test's time. The number
#: itself is held by the published vectors and by the tests over real TLS.
ROUNDS = 2

_derived: dict[tuple[str, str], bytes] = {}


class Rig(Traffic):
    """One device (``device``, its state at ``path``) with what a test needs around it.

    Host time only moves when told to, unless a ``clock`` is given. Secrets are derived once per identity,
    since that is slow.
    """

    def __init__(
        self,
        path: Path,
        *,
        init: bool = True,
        model: str = "ppa",
        clock: Callable[[], float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.path = path
        self.clock: Any = clock or Clock()
        self.device = EmulatedDevice(path, model=model, clock=self.clock, **options)
        if init:
            self.initialise()

    def initialise(self, **options: Any) -> str:
        return setup.initialise(self.device, passphrase=PASSPHRASE, admin_passphrase=ADMIN, **options)

    def close(self) -> None:
        self.device.close()

    # --- as a client that has everything to itself ---

    def connect(self, passphrase: str | None = PASSPHRASE, **settings: Any) -> Hem:
        """A new client, as another process would make; it needs ``connected``."""
        return connect(f"emulator:{self.path}", passphrase=passphrase, **settings)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        secure: bool = True,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Reply:
        return call(self.device.device, method, path, body, token=token, secure=secure, headers=headers)

    def cloud(self, method: str, path: str, body: object = None) -> Reply:
        return call(self.device.cloud, method, path, body)

    def private(self, passphrase: str = PASSPHRASE) -> bytes:
        eid = self.call("GET", "/api/auth/token").json()["eid"]
        if (passphrase, eid) not in _derived:
            _derived[passphrase, eid] = setup.derive_private(passphrase, eid)
        return _derived[passphrase, eid]

    def token(self, scope: str, *, passphrase: str = PASSPHRASE, seconds: int = 3600) -> str:
        return setup.log_in(self.device, self.private(passphrase), scope, seconds=seconds)

    def master(self, scope: str) -> str:
        return self.token(scope, passphrase=ADMIN)

    def check_in(self) -> str:
        return setup.check_in(self.device)

    def create(self, kind: str, **fields: object) -> str:
        """Create a key and return its kid."""
        answer = self.call(
            "POST",
            "/api/keymgmt/create",
            {"label": "test", "type": kind, **fields},
            token=self.token("keymgmt:gen"),
        )
        assert answer.status == 200, answer
        return str(answer.json()["kid"])

    def use(self, kid: str) -> str:
        return self.token(f"keymgmt:use:{kid}")

    def crypto(self, path: str, kid: str, **fields: object) -> Reply:
        """A crypto call on `kid` with a fresh token for it."""
        return self.call("POST", f"/api/crypto/{path}", {"kid": kid, **fields}, token=self.use(kid))

    # --- as its owner, or fate ---

    def quirk(self, name: str, value: str) -> None:
        with self.device.model.transaction():
            knobs.set_quirk(self.device.model, name, value)

    def order(self, **fault: Any) -> None:
        """A fault of the emulator's own, until ``clear``."""
        control.run(self.device, "fault", fault)

    def climate(self, **parameters: Any) -> None:
        """Temperature and humidity, and their drift by the hour."""
        control.run(self.device, "climate", parameters)

    def damage(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Damage a log file; what was done, and where."""
        done: dict[str, Any] = control.run(self.device, "log", {"name": name, **parameters})
        return done

    def clear(self) -> None:
        """No faults any more."""
        control.run(self.device, "clear", {})

    def labels(self) -> list[str]:
        """Of all keys on the device, by slot, read behind everybody's back."""
        with self.device.model.transaction():
            repository = self.device.model.repository
            return [each.label for each in repository.read(repository.slots())]

    def user_key(self) -> bytes:
        """The public key of who may log in as user."""
        with self.device.model.transaction():
            return self.device.model.state.config.user_key

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

    def backend(self, **changes: Any) -> None:
        """Set the check-in backend's knobs (``checkin_action``, ``checkin_newcrt``)."""
        with self.device.model.transaction():
            state = self.device.model.state
            self.device.model.state = replace(state, knobs=replace(state.knobs, **changes))


@contextmanager
def connected(monkeypatch: Any, template: Path, path: Path) -> Iterator[Rig]:
    """A copy of the initialised state ``template`` as a device that clients reach at ``emulator:PATH``;
    its host time is the machine's."""
    for suffix in ("", "-wal"):
        if Path(f"{template}{suffix}").exists():
            shutil.copy(f"{template}{suffix}", f"{path}{suffix}")
    monkeypatch.setattr(credential, "PBKDF2_ITERATIONS", ROUNDS)
    rig = Rig(path, init=False, clock=time.time)

    class Opened:
        def __init__(self, _: str) -> None:
            self.device = rig.application(rig.device.device, "")
            self.cloud = rig.application(rig.device.cloud, "CLOUD ")

        def close(self) -> None:
            pass

    point = EntryPoint("emulator", "rig:Opened", wsgi.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Opened)
    monkeypatch.setattr(wsgi, "entry_points", lambda **_: [point])
    try:
        yield rig
    finally:
        rig.close()


def make_template(path: Path, monkeypatch: Any) -> Path:
    """An initialised device's state file, for ``connected``."""
    monkeypatch.setattr(setup, "ITERATIONS", ROUNDS)
    setup.initialise(path, passphrase=PASSPHRASE, admin_passphrase=ADMIN)
    return path


def proof(rig: Rig, *, private: bytes | None = None, header: str = CLIENT_HEADER, **changes: Any) -> str:
    """A proof for a fresh challenge, with some claims replaced; None removes one."""
    challenge = rig.call("GET", "/api/auth/token").json()
    private = private or rig.private()
    claims = {
        "jti": challenge["jti"],
        "aud": challenge["spk"],
        "exp": challenge["exp"] + 3600,
        "iat": challenge["exp"] - 60,
        "iss": to_b64(x25519_public(private)),
        "scope": "keymgmt:list",
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return encode_jwt(header, claims, x25519_secret(private, from_b64(challenge["spk"])))
