"""A user whose secrets are marked: a device, a home, and programs whose every trace is searched."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from support.emulator import ServedEmulator, client_of

from campaign.secrets.marks import Mark, Spy, Tap, environment_of, found_in, in_files, memory_of, tokens_in
from campaign.secrets.table import NEVER, Finding, Promise
from hem_provider.device.relay import credential_seed

__all__ = ["ANSWER", "Desk", "Talk"]

ANSWER = Promise(False, "it is what was asked for")
#: A command of ``hem`` with all that it logs on standard error.
_LOUD = (
    "import logging, sys; logging.basicConfig(level=logging.DEBUG, stream=sys.stderr); "
    "from hem_provider.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


class Desk(contextlib.ExitStack):
    """While entered there are the device and a spy; ``findings`` grow."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.home = folder, folder / "home"
        self.findings: list[Finding] = []
        names = ("passphrase", "master passphrase", "new passphrase", "keyring password", "decrypted data")
        self.marks = {name: Mark.text(name) for name in names} | {"session key": Mark.key("session key")}

    def __enter__(self) -> Desk:
        super().__enter__()
        secret = {name: each.value.decode("latin-1") for name, each in self.marks.items()}
        place = self.folder / "device"
        place.mkdir()
        self.served = self.enter_context(
            ServedEmulator(
                place, passphrase=secret["passphrase"], admin_passphrase=secret["master passphrase"]
            )
        )
        self.private = self.folder / "private"
        self.private.mkdir(mode=0o700)
        for name, each in self.marks.items():
            self.path(name).touch(mode=0o600)
            self.path(name).write_bytes(each.value)
        with client_of(self.served, agent="never") as hem:
            for label, kind, usage in (
                ("p256", "SECP256R1", {"sign"}), ("box", "CURVE25519", None), ("aes", "AES256", {"aead"}),
            ):  # fmt: skip
                hem.keys.create(kind, label=label, usage=usage)
            eid = hem.probe().eid
        self.marks["credential"] = Mark("credential", credential_seed(secret["passphrase"], eid))
        self.tap = Tap(("127.0.0.1", int(self.served.https.rpartition(":")[2])))
        self.callback(self.tap.close)
        self.url = f"https://127.0.0.1:{self.tap.port}"
        self.environment = environment_of(
            os.environ, self.home, HEM_URL=self.url, HEM_CA_FILE=str(self.served.ca_file),
            HEM_PASSPHRASE_FILE=str(self.path("passphrase")), HEM_CLOUD_URL=self.served.cloud,
            HEM_CLOUD_CA_FILE=str(self.served.ca_file), PYTHONPATH=os.pathsep.join(sys.path),
            PYTHON_KEYRING_BACKEND="hem_provider.adapters.keyring.HemKeyring",
            HEM_PKCS11_LOG=f"{self.home}/module.log:debug",
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
        )  # fmt: skip
        self.spy = self.enter_context(Spy())
        return self

    def path(self, name: str) -> Path:
        """The file, outside of the home, that a secret is read from."""
        return self.private / name.replace(" ", "-")

    # --- looking ---

    def look(
        self, program: str, place: str, content: bytes, promise: Promise = NEVER, *, but: Iterable[str] = (),
        only: Iterable[str] = (), tokens: bool = True,
    ) -> None:  # fmt: skip
        """Search for each secret, and for tokens. ``but``: secrets that are its very answer."""
        for name, mark in self.marks.items():
            if not only or name in only:
                meant = ANSWER if name in but else promise
                self.findings.append(Finding(program, name, place, found_in(content, mark), meant))
        if tokens:
            self.findings.append(Finding(program, "tokens", place, bool(tokens_in(content)), promise))

    def look_into(self, program: str, when: str, pid: int, promises: dict[str, Promise]) -> None:
        """Search the memory of a process, for what there is a promise for."""
        content = b"\0".join(memory_of(pid))
        for name, promise in promises.items():
            found = bool(tokens_in(content)) if name == "tokens" else found_in(content, self.marks[name])
            self.findings.append(Finding(program, name, f"memory {when}", found, promise))

    def look_everywhere(self) -> None:
        """What all programs together left: files, command lines, environments, traffic."""
        for path, content in in_files([self.home]):
            self.look("all programs", f"file {path.name}", content, but=self._meant(path))
        for what, place in (("cmdline", "command lines"), ("environ", "environments")):
            for name, mark in self.marks.items():
                self.findings.append(Finding("all programs", name, place, self.spy.found(what, mark), NEVER))
        self.look("all programs", "traffic with the device", bytes(self.tap.traffic))

    def _meant(self, path: Path) -> Sequence[str]:
        return ("decrypted data",) if path.suffix == ".out" else ()

    # --- running ---

    @contextlib.contextmanager
    def only(self, **variables: str) -> Iterator[None]:
        """For a while with these variables of ours, and those of the module's log, alone."""
        before, kept = self.environment, ("HEM_PKCS11_LOG",)
        clean = {name: each for name, each in before.items() if not name.startswith("HEM_") or name in kept}
        self.environment = {**clean, **variables}
        try:
            yield
        finally:
            self.environment = before

    def run(
        self,
        program: str,
        *words: str | Path,
        text: bytes = b"",
        answer: Sequence[str] = (),
        status: int = 0,
        **variables: str,
    ) -> bytes:
        """A program that ends; what it says is searched. ``answer``: secrets that are meant to be in it."""
        done = subprocess.run(
            list(map(str, words)), input=text, env={**self.environment, **variables}, cwd=self.home,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode != status:
            raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
        self.look(program, "standard output", done.stdout, but=answer)
        self.look(program, "standard error and log", done.stderr)
        return done.stdout

    def hem(self, *words: str | Path, **more: Any) -> bytes:
        """A command of ``hem``, with all that it logs."""
        return self.run(f"hem {words[0]}", sys.executable, "-c", _LOUD, *words, **more)


class Talk:
    """A program that lives long and is told by lines what to do."""

    def __init__(self, desk: Desk, *words: str | Path, core: bool = False, **variables: str) -> None:
        def allow() -> None:
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY if core else 0,) * 2)

        self._said = (desk.folder / f"talk-{len(list(desk.folder.glob('talk-*')))}").open("wb")
        self.process = subprocess.Popen(
            list(map(str, words)), env={**desk.environment, **variables}, cwd=desk.home,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, preexec_fn=allow,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, line: str, answer: str = "0") -> None:
        """Do it; ``RuntimeError`` unless it answers so."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        said = self.process.stdout.readline().decode().strip()
        if said != answer:
            raise RuntimeError(f"{line}: {said!r}, not {answer!r}: {Path(self._said.name).read_text()}")

    def end(self) -> bytes:
        """End it; what it said on standard error."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._said.close()
        return Path(self._said.name).read_bytes()


@contextlib.contextmanager
def talking(desk: Desk, *words: str | Path, core: bool = False, **variables: str) -> Iterator[Talk]:
    """A ``Talk`` whose standard error is searched at its end."""
    talk = Talk(desk, *words, core=core, **variables)
    try:
        yield talk
    finally:
        desk.look(Path(str(words[0])).name, "standard error of a long life", talk.end())
