"""The subjects with a device in this process: the emulator's own state, and copies of a device's log."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import ClassVar

from support.passphrases import PASSPHRASE
from support.rig import Rig

from campaign.file_subjects import command
from campaign.subjects import Damaged, State, Subject, Write
from hem_provider.auditlog.checking import verify_copy
from hem_provider.auditlog.copy import LogCopy
from hem_provider.errors import HemLogDamaged

__all__ = ["EmulatorSubject", "LogSubject", "copy_state"]

_MANY = 12
#: What the database calls a disk that takes nothing more.
_OF_SQLITE = ("database or disk is full", "disk I/O error")


def copy_state(template: Path, path: Path) -> Path:
    """A copy of an initialised device's state, in the place of what is there."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    for suffix in ("", "-wal"):
        if Path(f"{template}{suffix}").exists():
            shutil.copy(f"{template}{suffix}", f"{path}{suffix}")
    return path


class _OnDevice(Subject):
    #: An initialised device's state file, to copy.
    template: ClassVar[Path]

    def _open(self, state: Path) -> None:
        self._rig = Rig(copy_state(self.template, state), init=False, clock=time.time)
        self._rig.check_in()

    def end(self) -> None:
        self._rig.close()


class EmulatorSubject(_OnDevice):
    """Keys made, renamed and deleted on the emulated device by its own API."""

    name = "emulator, its state"
    what = "create, update, delete of the device's API"
    kept = ("device.hem", "device.hem-wal", "device.hem-shm")
    readable = False

    def begin(self) -> None:
        self._open(self.folder / "device.hem")
        self._tokens = {each: self._rig.token(f"keymgmt:{each}") for each in ("gen", "upd", "del", "list")}

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        there = sorted(state)
        name = f"n{chance.getrandbits(48):012x}"
        writes = [Write("create", {name: "AES128"})]
        if there:
            chosen = chance.choice(there)
            writes.append(Write("update", {chosen: None, f"n{chance.getrandbits(48):012x}": state[chosen]}))
            gone = [each for each in there if each != chosen]
            writes += [Write("delete", {each: None}) for each in gone[: max(0, len(there) - _MANY)]]
        chance.shuffle(writes)
        return writes

    def carry_out(self, write: Write) -> None:
        names = list(write.changes)
        if write.kind == "create":
            self._ask("POST", "/api/keymgmt/create", {"label": names[0], "type": "AES128"}, "gen")
            return
        (kid,) = (kid for kid, label, _ in self._listed() if label == names[0])
        if write.kind == "update":
            self._ask("POST", "/api/keymgmt/update", {"kid": kid, "label": names[1]}, "upd")
        else:
            self._ask("DELETE", f"/api/keymgmt/delete/{kid}", None, "del")

    def _ask(self, method: str, path: str, body: object, right: str) -> dict[str, object]:
        answer = self._rig.call(method, path, body, token=self._tokens[right])
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return dict(answer.json()) if answer.body else {}

    def _listed(self) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        offset = 0
        while True:
            page = self._rig.call("GET", f"/api/keymgmt/list/{offset}", token=self._tokens["list"]).json()
            found += [(each["kid"], each["label"], each["type"]) for each in page["list"]]
            offset += page["listed"]
            if not page["list"]:
                return [each for each in found if not each[1].startswith("TLS ")]

    def names(self, words: str, reason: str) -> bool:
        return super().names(words, next((each for each in _OF_SQLITE if each in words), reason))

    def read(self) -> list[tuple[str, str]]:
        with self._rig.device.model.transaction():
            faults = self._rig.device.store.database.execute("PRAGMA integrity_check").fetchall()
        if faults != [("ok",)]:
            raise Damaged(f"the database: {faults[0][0]}")
        return [(label, kind.rpartition(",")[2]) for _, label, kind in self._listed()]


class LogSubject(_OnDevice):
    """A copy of a device's log by ``hem log collect``; the device restarts between, so that there is more."""

    name = "copy of the log"
    what = "`hem log collect --to`"
    kept = (
        "config.toml", "passphrase", "copy/lock", "copy/*.jsonl", "copy/state.json", "copy/looked",
        "cache/hem/*.checkin", "cache/hem/*.eid", "run/hem/*.line",
    )  # fmt: skip
    whole = False
    life = 20

    def begin(self) -> None:
        device = self.folder.with_name(f"{self.folder.name}.device")  # on no disk of the copy's
        self._open(device)
        passphrase, config = self.folder / "passphrase", self.folder / "config.toml"
        for path, words in (
            (passphrase, f"{PASSPHRASE}\n"),
            (
                config,
                f'[[device]]\nname = "log"\nurl = "emulator:{device}"\npassphrase_file = "{passphrase}"\n',
            ),
        ):
            path.touch(mode=0o600)
            path.write_text(words)
        self._copy = LogCopy(self.folder / "copy")
        self.prepare()
        command("log", "collect", "--to", str(self._copy.folder))

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        for _ in range(chance.randrange(1, 6)):
            self._rig.reboot()
        there = self._contents()
        new = {file: str(len(there[file])) for file in there if file not in state}
        return [Write("collect", new), Write("collect once more", {})]

    def _contents(self) -> dict[str, bytes]:
        """The device's closed files as they are, read behind everybody's back."""
        with self._rig.device.model.transaction():
            files = self._rig.device.model.log_files
            return {each: files.read(each) for each in files.files()[:-1]}

    def prepare(self) -> None:
        os.environ["HEM_CONFIG"] = str(self.folder / "config.toml")
        for name in ("cache", "run"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache")
        os.environ["XDG_RUNTIME_DIR"] = str(self.folder / "run")

    def carry_out(self, write: Write) -> None:  # noqa: ARG002
        self.prepare()
        command("log", "collect", "--to", str(self._copy.folder))

    def read(self) -> list[tuple[str, str]]:
        held: dict[str, bytes] = {}
        whole: list[tuple[str, str]] = []
        try:
            for each in self._copy.entries():
                if each.own is None:
                    held[each.file] = held.get(each.file, b"") + each.text + each.end.encode()
                elif each.own.name == "file-collected":
                    whole.append((each.file, str(each.own.data["bytes"])))
                elif each.own.name not in ("log-key", "file-continues"):
                    raise Damaged(f"an event of our own that nothing gave cause to: {each.own.text}")
        except HemLogDamaged as error:
            raise Damaged(str(error)) from error
        contents = self._contents()
        for file, content in held.items():
            if not contents.get(file, content).startswith(content):
                raise Damaged(f"{file}: {len(content)} bytes that do not begin as the device's do")
        report = verify_copy(self._copy)
        if report.problems:
            raise Damaged(report.problems[0])
        return whole
