"""Secrets that are recognised wherever they turn up, and the places that are searched."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TOKEN", "Mark", "Spy", "Tap", "core_of", "found_in", "in_files", "memory_of", "tokens_in"]

#: A token of a device, or of a login: three parts of base64.
TOKEN = re.compile(rb"eyJ[0-9A-Za-z_-]{20,}\.eyJ[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{43}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A secret; ``value`` does not come up by chance."""

    name: str
    value: bytes

    @classmethod
    def text(cls, name: str) -> Mark:
        return cls(name, f"Mark {name} {secrets.token_hex(12)} end".encode())

    @classmethod
    def key(cls, name: str) -> Mark:
        """32 bytes that are no text, and end with none."""
        return cls(name, secrets.token_bytes(31) + b"\xfe")

    @property
    def forms(self) -> tuple[bytes, ...]:
        """As it is, in hexadecimal, in both alphabets of base64, in UTF-16 and in UTF-32."""
        text = self.value.decode("latin-1")
        encoded = (base64.b64encode(self.value), base64.urlsafe_b64encode(self.value))
        forms = [self.value, self.value.hex().encode(), self.value.hex().upper().encode()]
        forms += [each.rstrip(b"=") for each in encoded]
        forms += [text.encode("utf-16-le"), text.encode("utf-32-le")]
        return tuple(dict.fromkeys(forms))


def found_in(content: bytes, mark: Mark) -> bool:
    """Whether the secret is in it in any form."""
    return any(form in content for form in mark.forms)


def tokens_in(content: bytes) -> set[bytes]:
    """What looks like a token."""
    return set(TOKEN.findall(content))


def memory_of(pid: int) -> list[bytes]:
    """All readable memory of a process, by region. Only root, or who may trace it, can."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as content:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if mode[0] != "r" or "[v" in line:
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            try:
                content.seek(start)
                found.append(content.read(end - start))
            except (OSError, OverflowError):
                continue
    return found


def core_of(pid: int, folder: Path) -> bytes | None:
    """What gdb's ``gcore`` takes of a process; ``None`` when it does not get any."""
    done = subprocess.run(
        ["gcore", "-o", str(folder / "core"), str(pid)], capture_output=True, timeout=120, check=False
    )
    path = folder / f"core.{pid}"
    if done.returncode != 0 or not path.exists():
        return None
    content = path.read_bytes()
    path.unlink()
    return content


def in_files(folders: Iterable[Path], *, but: Iterable[Path] = ()) -> Iterator[tuple[Path, bytes]]:
    """Every file below, with its content, but those that are meant to have it."""
    skipped = {each.resolve() for each in but}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.resolve() not in skipped:
                yield path, path.read_bytes()


class Spy:
    """Looks at command lines and environments of all processes while it is entered, but of this one."""

    def __init__(self) -> None:
        self.seen: dict[str, set[bytes]] = {"cmdline": set(), "environ": set()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Spy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        due: dict[str, tuple[float, float]] = {}  # process → when it is looked at again, and the pause after
        while not self._stop.wait(0.02):
            now = time.monotonic()
            for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
                when, pause = due.get(name, (now, 0.05))
                if when <= now and name != str(os.getpid()):
                    due[name] = now + pause, min(2.0, pause * 2)  # often at first: it becomes a program
                    self._look(name)

    def _look(self, pid: str) -> None:
        for what, contents in self.seen.items():
            try:
                contents.add(Path(f"/proc/{pid}/{what}").read_bytes())
            except OSError:
                continue

    def found(self, what: str, mark: Mark) -> bool:
        """``what``: ``cmdline`` or ``environ``."""
        return any(found_in(each, mark) for each in self.seen[what])


class Tap:
    """Passes connections on to a device, or to an agent's socket, and keeps all that goes by."""

    def __init__(self, target: tuple[str, int] | Path, listen: Path | None = None) -> None:
        self._target = target
        self.traffic = bytearray()
        family = socket.AF_INET if isinstance(target, tuple) else socket.AF_UNIX
        self._family, self._socket = family, socket.socket(family)
        self._socket.bind(("127.0.0.1", 0) if listen is None else str(listen))
        self._socket.listen(32)
        self.port = self._socket.getsockname()[1] if listen is None else 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.socket(self._family) as far, contextlib.suppress(OSError):
            far.connect(self._target if isinstance(self._target, tuple) else str(self._target))
            other = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            other.start()
            self._pass(near, far)
            other.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                self.traffic += part
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def environment_of(base: Mapping[str, str], home: Path, **more: str) -> dict[str, str]:
    """A user's, with all folders below ``home``, so that nothing is written elsewhere."""
    kept = {name: value for name, value in base.items() if not name.startswith(("HEM_", "XDG_", "PYTHON"))}
    for name in ("config", "cache", "data", "run", "tmp"):
        (home / name).mkdir(mode=0o700, exist_ok=True, parents=True)
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "TMPDIR": str(home / "tmp"),
        **more,
    }
