"""The processes of a soak: each does one thing over and over, verifies what it gets, and notes how it went.

``main(KIND, SETTINGS)`` where SETTINGS is a JSON file: ``log`` (a file), ``public`` (label →
PEM of its public key), ``pause`` (seconds between operations) and what the kind needs. It ends by SIGTERM.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from campaign.soak.timetable import Attempt, write_attempt

__all__ = ["WORKERS", "class_of", "main"]

#: What an error is, by its words; the first that fits. Host programs have nothing else to tell.
_CLASSES: tuple[tuple[str, str], ...] = (
    ("clock", r"HemClockError|clock is (not set|unset)|check-in"),
    ("away", r"HemUnreachable|HemTimeout|HemProtocolError|HemDeviceFault|HemOutcomeUnknown|ConnectionLost"),
    ("away", r"DEVICE_ERROR|DeviceError|TOKEN_NOT_PRESENT|TokenNotPresent|No slot with a token"),
    ("away", r"cannot reach the device|no answer within|connection was lost|Connection reset by peer"),
    ("away", r"agent refused operation|communication with agent failed|Permission denied \(publickey\)"),
    ("away", r"alert internal error|alert handshake failure|UNEXPECTED_EOF|TLSV1_ALERT_INTERNAL_ERROR"),
    ("login", r"HemAuthentication|HemLoginRequired|PIN_INCORRECT|USER_NOT_LOGGED_IN|UserNotLoggedIn"),
)


class WrongResult(Exception):
    """A result that is not right."""


def class_of(text: str) -> str:
    """Of an error's words."""
    return next((name for name, words in _CLASSES if re.search(words, text)), "other")


class Worker:
    """What all have. ``step`` does one operation and returns its name and how many key uses it had."""

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        self.kind, self.settings = kind, settings
        self.folder = Path(settings["folder"])
        self._ended = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        self._ended = True

    def public(self, label: str) -> Any:
        return serialization.load_pem_public_key(self.settings["public"][label].encode())

    def check(self, label: str, signature: bytes, message: bytes) -> None:
        """By cryptography alone. Raises ``WrongResult``."""
        public = self.public(label)
        try:
            if isinstance(public, ed25519.Ed25519PublicKey):
                public.verify(signature, message)
            else:
                public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise WrongResult(f"a signature of {label} over {message!r} is not valid") from None

    def command(self, *words: str | Path, text: str | None = None, seconds: float = 120) -> str:
        """Standard output of a program; ``RuntimeError`` with its words when it fails."""
        done = subprocess.run(
            list(map(str, words)), input=text, capture_output=True, text=True, timeout=seconds, check=False,
            cwd=self.folder,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"status {done.returncode}: {(done.stderr + done.stdout)[-800:]}")
        return done.stdout

    def run(self, step: Callable[[], tuple[str, int]]) -> None:
        log, failed = Path(self.settings["log"]), 0
        while not self._ended:
            began = time.time()
            try:
                what, uses = step()
                attempt = Attempt(self.kind, what, began, time.time(), right=True, uses=uses)
                failed = 0
            except WrongResult as error:
                attempt = Attempt(
                    self.kind, "?", began, time.time(), right=False, error="wrong", text=str(error)
                )
            except Exception as error:
                failed += 1
                text = f"{type(error).__name__}: {error}"
                attempt = Attempt(
                    self.kind, "?", began, time.time(), right=False, error=class_of(text), text=text[-1000:]
                )
            write_attempt(log, attempt)
            time.sleep(self.settings["pause"] if not failed else max(0.2, self.settings["pause"]))


def handshakes(worker: Worker) -> Callable[[], tuple[str, int]]:
    """A client of nginx: OpenSSL verifies the handshake's signature, with the certificate of the key."""
    context = ssl.create_default_context(cafile=worker.settings["certificate"])

    def step() -> tuple[str, int]:
        with socket.create_connection(("127.0.0.1", worker.settings["port"]), timeout=90) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while part := tls.recv(4096):
                    answer += part
        if not answer.endswith(b"signed by the device\n"):
            raise WrongResult(f"nginx answered {answer[-80:]!r}")
        return "handshake", 1

    return step


def python(worker: Worker) -> Callable[[], tuple[str, int]]:
    """One long-living client: signatures, encryption, lists."""
    from hem_provider import connect
    from hem_provider.symmetric import open, seal

    hem = connect()
    ed, p256, vault = (hem.keys.find(label=each) for each in ("ed", "p256", "aes"))
    number = 0

    def step() -> tuple[str, int]:
        nonlocal number
        number += 1
        message = secrets.token_bytes(1 + number % 500)
        match number % 4:
            case 0:
                if open(vault, seal(vault, message)) != message:
                    raise WrongResult("what was decrypted is not what was encrypted")
                return "encrypt and decrypt", 2
            case 1:
                hem.keys.refresh()
                if {each.label for each in hem.keys} < set(worker.settings["public"]):
                    raise WrongResult("keys are missing in the list")
                return "list", 0
            case 2:
                worker.check("ed", ed.private_key().sign(message), message)
            case _:
                signature = p256.private_key().sign(message, ec.ECDSA(hashes.SHA256()))
                worker.check("p256", signature, message)
        return "sign", 1

    return step


def keyring(worker: Worker) -> Callable[[], tuple[str, int]]:
    """The ``keyring`` command: what was set last comes back."""
    program, number, known = Path(sys.executable).with_name("keyring"), 0, ""

    def step() -> tuple[str, int]:
        nonlocal number, known
        number += 1
        if number % 3 == 1:
            fresh = f"password {number} {secrets.token_hex(8)}"
            worker.command(program, "set", "soak", "ada", text=f"{fresh}\n")
            known = fresh
            return "set", 1
        found = worker.command(program, "get", "soak", "ada").rstrip("\n")
        if known and found != known:
            raise WrongResult(f"keyring get gave {found!r}, set was {known!r}")
        return "get", 1

    return step


def ssh(worker: Worker) -> Callable[[], tuple[str, int]]:
    """A login at a real sshd, by the agent's ssh-agent: sshd verifies."""
    words = ["ssh", "-n", "-F", worker.settings["ssh_config"], "127.0.0.1", "greet"]

    def step() -> tuple[str, int]:
        if "hello from sshd" not in worker.command(*words):
            raise WrongResult("sshd did not greet")
        return "login", 1

    return step


def pkcs11_tool(worker: Worker) -> Callable[[], tuple[str, int]]:
    """A process for each signature."""
    message, out = worker.folder / "tool.txt", worker.folder / "tool.sig"

    def step() -> tuple[str, int]:
        message.write_bytes(content := secrets.token_bytes(200))
        worker.command(
            "pkcs11-tool", "--module", worker.settings["module"], "--login", "--pin", worker.settings["pin"],
            "--sign", "-m", "ECDSA-SHA256", "--id", worker.settings["id"], "--signature-format", "openssl",
            "--input-file", message, "--output-file", out,
        )  # fmt: skip
        worker.check("p256", out.read_bytes(), content)
        return "sign", 1

    return step


def python_pkcs11(worker: Worker) -> Callable[[], tuple[str, int]]:
    """One session for the whole time, as a server has it."""
    import pkcs11

    token = next(iter(pkcs11.lib(worker.settings["module"]).get_tokens()))
    session = token.open(rw=True, user_pin=worker.settings["pin"])
    private = session.get_key(label="p256", object_class=pkcs11.ObjectClass.PRIVATE_KEY)

    def step() -> tuple[str, int]:
        message = secrets.token_bytes(300)
        raw = private.sign(message, mechanism=pkcs11.Mechanism.ECDSA_SHA256)
        r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
        worker.check("p256", utils.encode_dss_signature(r, s), message)
        return "sign", 1

    return step


def openssl(worker: Worker) -> Callable[[], tuple[str, int]]:
    """``openssl dgst -sign`` with a file that names the key."""
    message, out = worker.folder / "openssl.txt", worker.folder / "openssl.sig"

    def step() -> tuple[str, int]:
        message.write_bytes(content := secrets.token_bytes(400))
        worker.command(
            "openssl", "dgst", "-sha256", "-sign", worker.settings["key_file"], "-out", out, message
        )
        worker.check("p256", out.read_bytes(), content)
        return "sign", 1

    return step


def java(worker: Worker) -> Callable[[], tuple[str, int]]:
    """A long-living JVM that signs a message for each line that it reads, and has it verified by SunEC; here
    its signature is verified once more."""
    machine = subprocess.Popen(
        worker.settings["java"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=worker.folder
    )
    (worker.folder / "java.pid").write_text(str(machine.pid))
    assert machine.stdin is not None
    assert machine.stdout is not None

    def step() -> tuple[str, int]:
        message = secrets.token_hex(100)
        machine.stdin.write(message + "\n")
        machine.stdin.flush()
        word, _, rest = machine.stdout.readline().strip().partition(" ")
        if word == "wrong":
            raise WrongResult("SunEC does not accept the signature")
        if word != "signature":
            raise RuntimeError(rest or f"the JVM said {word!r}")
        worker.check("java", bytes.fromhex(rest), message.encode())
        return "sign", 1

    return step


def liar(worker: Worker) -> Callable[[], tuple[str, int]]:
    """For the test of the part itself: a wrong signature, an unexplained error, memory that grows."""
    grown, number = [], 0

    def step() -> tuple[str, int]:
        nonlocal number
        number += 1
        grown.append(bytearray(b"x" * 400_000))
        if number == 3:
            worker.check("ed", bytes(64), b"message")
        if number == 5:
            raise ValueError("something of its own")
        return "sign", 1

    return step


WORKERS: Mapping[str, Callable[[Worker], Callable[[], tuple[str, int]]]] = {
    "nginx": handshakes,
    "java": java,
    "python": python,
    "keyring": keyring,
    "ssh": ssh,
    "pkcs11-tool": pkcs11_tool,
    "python-pkcs11": python_pkcs11,
    "openssl": openssl,
    "liar": liar,
}


def main(kind: str, settings: str) -> None:
    """Work until SIGTERM."""
    worker = Worker(kind, json.loads(Path(settings).read_text()))
    worker.run(WORKERS[kind](worker))
