"""A device in this process with a key of every type, and what is done to it between two cells."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.operations import Keys
from support.passphrases import PASSPHRASE
from support.rig import connected, make_template

from campaign.faults.mishaps import Mishap
from hem_provider.adapters.openpgp import Place, Role
from hem_provider.cli import main as cli
from hem_provider.emulator import lifecycle
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.faults import FAULTS, FaultKind
from hem_provider.emulator.keytypes import CERTIFICATE, DER_KEY
from hem_provider.emulator.router import Router

__all__ = ["World"]

#: Of faults that take time. Devices in this process have no deadline of their own: what hangs longer than
#: any client waits is told as such at once.
SHORT = 0.004
_ENDPOINTS = Router((row.method, row.path, row) for row in ENDPOINTS)
#: Role → type of a key of the card that GnuPG sees.
_CARD = {Role.SIGN: "ED25519", Role.DECRYPT: "CURVE25519", Role.AUTHENTICATE: "ED25519"}


class World:
    """``rig``: the device, with all traffic recorded. ``keys``: its keys, with a client that is never struck.

    ``struck``: whether the mishap of the running cell came. ``fails``, ``initialised``, ``other``: the
    device's latch, and whether it was initialised and another one, when the mishap was over.
    """

    seconds = SHORT

    def __init__(self, rig: Any, folder: Path, patch: pytest.MonkeyPatch) -> None:
        rig.device.device = _deadline(rig.device.device)
        passphrase = folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(f"{PASSPHRASE}\n")
        patch.setenv("HEM_URL", f"emulator:{rig.path}")
        patch.setenv("HEM_NAME", "hem")
        patch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
        self.begin(rig, folder, patch)

    def connect(self) -> Any:
        """A client that is never struck."""
        return self.rig.connect()

    def begin(self, rig: Any, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Keys and a vault for a device that is configured by the environment."""
        self.rig, self.folder, self._patch = rig, folder, patch
        self.struck = self.other = False
        self.fails, self.initialised = 0, True
        self._numbers = itertools.count()
        self._kept: dict[str, list[Any]] | None = None
        self.data = folder / "data"
        self.fresh_cache()
        self.keys = Keys(self.connect())
        self.card: list[Any] = []
        for role, kind in _CARD.items():
            group = self.card[0].kid if self.card else None
            place = Place(role, 1_700_000_000, group=group, name="" if group else "Ada <ada@example.org>")
            mark = place.application_id()
            self.card.append(self.keys.hem.keys.create(kind, label=f"k{role.value}", application_id=mark))
        if cli.main(["keyring", "init"]) != 0:
            raise AssertionError("no vault could be made")
        self.is_ready()

    def is_ready(self) -> None:
        """What there is now is what every cell begins with."""
        shutil.copytree(self.data, self.folder / "data as it was", dirs_exist_ok=True)
        with self._model.transaction():
            self._good = self._model.state
        self._base = self._tables()

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator[World]:
        """With an environment of its own, all of which is undone."""
        with pytest.MonkeyPatch.context() as patch:
            for name, place in (("HOME", "home"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")):
                (folder / place).mkdir(parents=True, exist_ok=True)
                patch.setenv(name, str(folder / place))
            with tempfile.TemporaryDirectory(prefix="hem-run-") as run:
                patch.setenv("XDG_RUNTIME_DIR", run)
                template = make_template(folder / "template.hem", patch)
                with connected(patch, template, folder / "device.hem") as rig:
                    yield cls(rig, folder, patch)

    @property
    def _model(self) -> Any:
        return self.rig.device.model

    def fresh_cache(self) -> None:
        """What was remembered on this machine is left behind, as a user who never was here has it."""
        shutil.rmtree(self.folder / f"cache{next(self._numbers) - 1}", ignore_errors=True)
        self._patch.setenv("XDG_CACHE_HOME", str(self.folder / f"cache{next(self._numbers)}"))

    # --- as it was ---

    def restore(self) -> None:
        """Device, vault and cache as before the first cell."""
        self._put(self._base)
        self.fresh_cache()
        shutil.rmtree(self.data)
        shutil.copytree(self.folder / "data as it was", self.data)

    def keep(self) -> None:
        """Remember the device as it is, for ``cure``."""
        self._kept = self._tables()

    def _tables(self) -> dict[str, list[Any]]:
        with self._model.transaction():
            database = self._model.store.database
            names = [
                row[0]
                for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                if not row[0].startswith("sqlite_")
            ]
            return {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608

    def _put(self, tables: dict[str, list[Any]]) -> None:
        with self._model.transaction():
            database = self._model.store.database
            newest = database.execute("SELECT generation FROM state").fetchone()[0]
            for name, rows in tables.items():
                database.execute(f"DELETE FROM {name}")  # noqa: S608 - tables of the schema
                if rows:
                    places = ", ".join("?" * len(rows[0]))
                    database.executemany(f"INSERT INTO {name} VALUES ({places})", rows)  # noqa: S608
            # Whoever has the device open elsewhere reads it anew.
            database.execute("UPDATE state SET generation = ?", (newest + 1,))
            self._model._dirty = False
        self._model.store._cached = None

    # --- one mishap ---

    def arm(self, mishap: Mishap, moment: int) -> None:
        """It strikes at the request of this number from now on, from 1; at all of them with 0."""
        self.struck = False
        left = itertools.count(1)
        self.rig.requests.clear()

        def look() -> None:
            if next(left) == max(moment, 1):
                self.struck = True
                mishap.strike(self, count=1 if moment else -1)

        self.rig.before_each = look

    def disarm(self) -> None:
        """What was not struck until now is not, and requests are not struck any more."""
        self.rig.before_each = None
        with self._model.transaction():
            state = self._model.state
            self.fails, self.initialised = state.boot.fls, state.config is not None
            self.other = state.identity != self._good.identity
        if any(FAULTS[each.name].kind is FaultKind.REQUEST for each in state.knobs.faults):
            self.rig.clear()

    def cure(self) -> None:
        """The device as a person would bring it back: faults end, a certificate is issued, the plug is in,
        the own device is there again. The clock is left as it is: clients put it right."""
        self.disarm()
        self.rig.clear()
        if self.other and self._kept is not None:
            self._put(self._kept)
        self._kept = None
        model, good = self._model, self._good
        with model.transaction():
            state = model.state
            if state.tls != good.tls or state.factory != good.factory or state.boot.tls != good.boot.tls:
                model.state = replace(state, tls=good.tls, factory=good.factory)
                model.change_boot(tls=good.boot.tls)
            if model.boot.fls or not model.state.powered:
                lifecycle.power_cycle(model)

    # --- what is counted ---

    def kids(self) -> Counter[str]:
        """Of all keys on the device but those of its TLS, read behind everybody's back."""
        with self._model.transaction():
            repository = self._model.repository
            found = repository.read(repository.slots())
            return Counter(each.kid.hex() for each in found if each.type not in (CERTIFICATE, DER_KEY))

    def entries(self) -> Counter[int]:
        """Event → how many entries of the log say that it succeeded."""
        with self._model.transaction():
            rows = self._model.store.database.execute("SELECT line FROM log WHERE seq >= 0").fetchall()
        found: Counter[int] = Counter()
        for (line,) in rows:
            fields = line.split("|")
            if fields[3] == "0":
                found[int(fields[2], 16)] += 1
        return found

    def asked(self) -> Counter[int]:
        """Event → how many requests asked for it since ``arm``."""
        found: Counter[int] = Counter()
        for line in self.rig.requests:
            method, path = line.removeprefix("CLOUD ").split(" ", 1)
            row = None if line.startswith("CLOUD") else _ENDPOINTS.find(method, path)
            if row is not None and row[0].event is not None:
                found[int(row[0].event)] += 1
        return found


def _deadline(inner: Callable[..., Any]) -> Callable[..., Any]:
    """The device, whose silence is what a client's deadline makes of it."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        before = time.monotonic()
        try:
            return inner(environ, start_response)
        except ConnectionError as error:
            if "hung" in str(error):
                raise TimeoutError(f"no answer within {time.monotonic() - before:.3f} s") from error
            raise

    return app
