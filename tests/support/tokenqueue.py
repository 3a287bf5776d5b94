"""The queue of docs/recipes/jwt-queue.md: Redis on a free port, and workers with devices of their own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.pages import FILE

import hem_provider
from hem_provider.emulator.process import ServedEmulator
from tools.servers import free_port

__all__ = ["TokenQueue", "configure", "lacking", "make_keys", "makers_of", "token_queue"]

_PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "jwt-queue.md"
_ASK = """
import json, sys, time
from tasks import token
asked = [token.delay({"sub": f"ada {number}"}) for number in range(int(sys.argv[1]))]
print("asked", flush=True)
for each in asked:
    print(json.dumps([each.get(timeout=float(sys.argv[2])), time.monotonic()]), flush=True)
"""


def lacking() -> str | None:
    """What is not installed here, if anything."""
    if shutil.which("redis-server") is None:
        return "redis-server (Debian: redis-server)"
    try:
        import celery  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        return f"the Python package {error.name}"
    return None


def configure(path: Path, devices: Mapping[str, ServedEmulator]) -> Path:
    """A configuration file with these devices."""
    path.touch(mode=0o600)
    path.write_text(
        "".join(
            f'[[device]]\nname = "{name}"\nurl = "{each.https}"\nca_file = "{each.ca_file}"\n'
            f'passphrase_file = "{each.passphrase_file}"\ntimeout = 5\n'
            for name, each in devices.items()
        )
    )
    return path


def make_keys(devices: Mapping[str, ServedEmulator]) -> list[dict[str, str]]:
    """A key on each device; the JWK set of all."""
    hems = [
        hem_provider.connect(
            each.https, name=name, passphrase=each.passphrase, ca_file=each.ca_file, agent="never"
        )
        for name, each in devices.items()
    ]
    for each in hems:
        each.keys.create("SECP256R1", label="tokens", usage={"sign"})
    return hem_provider.KeySet.find(label="tokens", devices=hems).jwks()["keys"]


class TokenQueue:
    """Redis and the page's tasks. ``again``: seconds after which another has the job of a dead worker."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, again: float) -> None:
        self.folder = folder
        [(name, program)] = FILE.findall(_PAGE.read_text("utf-8"))
        (folder / name).write_text(program)
        (folder / "ask_all.py").write_text(_ASK)
        self.port = free_port()
        url = f"redis://127.0.0.1:{self.port}/0"
        self.environment = {
            **environment,
            "TOKENS_QUEUE": url,
            "TOKENS_AGAIN": str(again),
            "HEM_AGENT": "never",
        }
        self.processes: list[subprocess.Popen[Any]] = []

    def start(self) -> None:
        """Start Redis."""
        self._run("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", ".")
        ends = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)

    def worker(self, name: str, config: Path, threads: int) -> subprocess.Popen[Any]:
        """A worker that is ready for jobs when this returns."""
        log = self.folder / f"{name}.log"
        process = self._run(
            sys.executable, "-m", "celery", "--app", "tasks", "worker", "--pool", "threads", "--concurrency",
            str(threads), "--hostname", f"{name}@localhost", "--loglevel", "info", "--without-gossip",
            config=config, log=log,
        )  # fmt: skip
        ends = time.monotonic() + 60
        while "ready." not in log.read_text():
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the worker {name} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        return process

    @contextmanager
    def asking(self, count: int, seconds: float) -> Iterator[Iterator[tuple[str, float]]]:
        """Ask for that many tokens; each as it comes, in the order of asking, and when that was."""
        process = subprocess.Popen(
            [sys.executable, "ask_all.py", str(count), str(seconds)], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(process)
        assert process.stdout is not None
        with process.stdout as stream:
            if stream.readline() != "asked\n":
                raise RuntimeError("the asker did not come to the queue")
            yield (tuple(json.loads(line)) for line in stream)

    def stop(self) -> None:
        """End all, by their ids."""
        for each in reversed(self.processes):
            if each.poll() is None:
                each.kill()
            each.wait()

    def _run(
        self, *command: str, config: Path | None = None, log: Path | None = None
    ) -> subprocess.Popen[Any]:
        own = {} if config is None else {"HEM_CONFIG": str(config)}
        with (log or self.folder / "redis.log").open("wb") as file:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, **own}, stdout=file, stderr=file
            )
        self.processes.append(process)
        return process


@contextmanager
def token_queue(
    folder: Path, environment: Mapping[str, str] | None = None, *, again: float = 40
) -> Iterator[TokenQueue]:
    """A queue that is there, with no worker yet."""
    queue = TokenQueue(folder, os.environ if environment is None else environment, again=again)
    try:
        queue.start()
        yield queue
    finally:
        queue.stop()


def makers_of(tokens: Sequence[str], published: Sequence[Mapping[str, str]]) -> list[str]:
    """Whose key each token is of, all of which are valid."""
    import jwt

    known = jwt.PyJWKSet.from_dict({"keys": list(published)})
    kids = [jwt.get_unverified_header(each)["kid"] for each in tokens]
    for kid, each in zip(kids, tokens, strict=True):
        jwt.decode(each, known[kid], algorithms=["ES256"])
    return kids
