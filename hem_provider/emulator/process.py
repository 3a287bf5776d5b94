"""A served emulator as a context manager: for the demo, tests and benchmarks, which want a device behind real
sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

__all__ = ["ServedEmulator"]

_SECONDS_TO_STOP = 10.0


class ServedEmulator:
    """``hem emulator serve`` in a process of its own, on free ports of 127.0.0.1.

    Attributes after entering: ``https``, ``http``, ``cloud`` (URLs), ``ca_file``, ``state``, ``access_log``
    (paths). Everything it writes lies in ``folder``. With ``init`` the device is initialised and its clock
    set. It answers at once, logins too, unless ``arguments`` have another ``--latency``.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        passphrase: str = "correct horse battery staple",  # noqa: S107
        admin_passphrase: str = "admin passphrase",  # noqa: S107
        init: bool = True,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.folder = Path(folder)
        self.passphrase = passphrase
        self.admin_passphrase = admin_passphrase
        self.passphrase_file = self.folder / "passphrase"
        self.admin_passphrase_file = self.folder / "admin-passphrase"
        self.state = self.folder / "emulator.hem"
        self.access_log = self.folder / "access.log"
        self._messages = self.folder / "emulator.err"
        self._init = init
        self._arguments = arguments
        self.process: subprocess.Popen[str] | None = None

    def initialise(self) -> None:
        """Make and initialise the device without serving it. Raises ``RuntimeError`` with its words."""
        command = self._command("init")
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"the emulator was not initialised: {done.stderr}")

    def start(self) -> Self:
        """Start the process and wait for its ready line. Raises ``RuntimeError`` with its words."""
        command = self._command("serve")
        command += ["--access-log", str(self.access_log), *(["--init"] if self._init else [])]
        command += ["--latency", "none"]
        with self._messages.open("a") as messages:
            self.process = subprocess.Popen(
                [*command, *self._arguments],
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                env=self._environment(),
            )
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line.startswith("ready "):
            self.stop()
            raise RuntimeError(f"no ready line but {line!r}: {self._messages.read_text()}")
        values = dict(word.split("=", 1) for word in line.split()[1:])
        self.https, self.http, self.cloud = values["https"], values["http"], values["cloud"]
        self.ca_file = Path(values["ca"])
        return self

    def _command(self, action: str) -> list[str]:
        for path, secret in (
            (self.passphrase_file, self.passphrase),
            (self.admin_passphrase_file, self.admin_passphrase),
        ):
            path.touch(mode=0o600)
            path.write_text(secret + "\n")
        self.access_log.touch()
        command = [sys.executable, "-m", "hem_provider.emulator", action, "--state", str(self.state)]
        command += ["--passphrase-file", str(self.passphrase_file)]
        return [*command, "--admin-passphrase-file", str(self.admin_passphrase_file)]

    def _environment(self) -> dict[str, str]:
        here = str(Path(__file__).parents[2])  # the package this class is from, however it was found
        return {**os.environ, "PYTHONPATH": os.pathsep.join((here, os.environ.get("PYTHONPATH", here)))}

    def stop(self) -> int | None:
        """End the process by SIGTERM and return its exit status; harmless when it ended already."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.terminate()
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    def kill(self) -> None:
        """End the process by SIGKILL, in the middle of whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.stop()

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests logged so far, from number ``since`` on, as ``AccessLog`` has them."""
        if not self.access_log.exists():
            return []
        lines = self.access_log.read_text().splitlines()[since:]
        return [json.loads(line) for line in lines]

    def logins(self, since: int = 0) -> int:
        """The number of local logins (proofs posted) from request number ``since`` on."""
        return sum(
            1
            for call in self.calls(since)
            if call["method"] == "POST" and call["path"] == "/api/auth/token" and call["port"] != "cloud"
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
