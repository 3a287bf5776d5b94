"""A sample of cells with programs as people run them: over TLS, each in a process of its own, with short
time-outs. What strikes is ordered by the path of the request, since the requests are another process's."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.agent import RunningAgent, sign_body
from support.emulator import ServedEmulator
from support.libraries import engine_library, module_library
from support.sshagent import exchange

from campaign.faults.cells import Result, usual_of
from campaign.faults.cells import tried as tried_cell
from campaign.faults.layers import _data
from campaign.faults.mishaps import MISHAPS, Mishap
from campaign.faults.operations import PYTHON, Operation, Told
from campaign.faults.world import World
from campaign.outcome import Effort
from hem_provider.adapters.age.devicekeys import recipient_of
from hem_provider.adapters.age.files import encrypt
from hem_provider.adapters.age.identities import identity_of
from hem_provider.adapters.keyring import HemKeyring
from hem_provider.agent.ssh.identities import ssh_key
from hem_provider.agent.ssh.numbers import Number
from hem_provider.cli.openssl_files import configuration
from hem_provider.device import connect
from hem_provider.emulator import EmulatedDevice, control
from hem_provider.errors import HemError
from hem_provider.sshwire import string, uint32

__all__ = ["PROGRAMS", "Bench", "tried"]

#: Cells of a whole campaign; seconds of a client's deadline, and of what is slower than that.
_CELLS = 160
_TIMEOUT, _LONGER = 3.0, 4.5
#: Of faults: what none of these sees, since there is no cloud.
_MOMENTS = ("before", "at request 2", "at request 3", "from then on")
_SCRIPTS = Path(sys.executable).parent
_MESSAGE = b"what is signed"
_ECDSA = ec.ECDSA(hashes.SHA256())


class _Requests:
    """``METHOD path`` of the requests since they were forgotten, as the log of the server has them."""

    def __init__(self, served: ServedEmulator) -> None:
        self._served, self._since = served, 0

    def clear(self) -> None:
        self._since = len(self._served.calls())

    def __iter__(self) -> Iterator[str]:
        for each in self._served.calls(self._since):
            yield ("CLOUD " if each["port"] == "cloud" else "") + f"{each['method']} {each['path']}"


class _Outside:
    """A served device as ``World`` has one of its own."""

    def __init__(self, served: ServedEmulator) -> None:
        self.device = EmulatedDevice(served.state)
        self.requests = _Requests(served)
        self.before_each: Any = None

    def clear(self) -> None:
        control.run(self.device, "clear", {})


class Bench(World):
    """A served device, an agent that is unlocked for it, and the environment of programs. ``reference``: the
    requests of the operation that is tried, when nothing happens."""

    seconds = _LONGER

    def __init__(
        self, served: ServedEmulator, agent: RunningAgent, folder: Path, patch: pytest.MonkeyPatch
    ) -> None:
        self.served, self.agent = served, agent
        self.reference: list[str] = []
        for name, value in {
            "HEM_URL": served.https, "HEM_NAME": "hem", "HEM_CA_FILE": str(served.ca_file),
            "HEM_CLOUD_URL": served.cloud, "HEM_CLOUD_CA_FILE": str(served.ca_file),
            "HEM_TIMEOUT": f"{_TIMEOUT:g}", "HEM_AGENT": "never",
            "HEM_PASSPHRASE_FILE": str(served.passphrase_file),
        }.items():  # fmt: skip
            patch.setenv(name, value)
        self.begin(_Outside(served), folder, patch)
        hem = self.keys.hem
        found = hem.keys.get(self.keys.kids["CURVE25519"])
        recipient = recipient_of(found)
        (folder / "age.id").write_text(f"{identity_of('hem', recipient)}\n")
        (folder / "sealed").write_bytes(b"".join(encrypt(io.BytesIO(_MESSAGE).read, [recipient])))
        (folder / "message").write_bytes(_MESSAGE)
        (folder / "openssl.cnf").write_text(configuration(engine_library()))
        backend = HemKeyring()
        backend.set_password("mail", "anna", "a word")
        backend.close()
        self.blob = ssh_key(hem.keys.get(self.keys.kids["ED25519"]), "hem").blob  # type: ignore[union-attr]
        self.agent_did(lambda: None)
        self.is_ready()

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator[Bench]:
        """With an environment of its own, all of which is undone."""
        folder = folder / "programs"
        with pytest.MonkeyPatch.context() as patch:
            for name, place in (("HOME", "home"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")):
                (folder / place).mkdir(parents=True, exist_ok=True)
                patch.setenv(name, str(folder / place))
            patch.setenv("PATH", f"{_SCRIPTS}:{os.environ['PATH']}")
            (folder / "served").mkdir()
            with ServedEmulator(folder / "served") as served:
                # The agent's clients wait for it; it is the agent that keeps the device's deadline.
                with RunningAgent(served, settings=f"timeout = {_TIMEOUT:g}") as agent:
                    yield cls(served, agent, folder, patch)

    def connect(self) -> Any:
        served = self.served
        return connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file,
                       cloud_url=served.cloud, cloud_ca_file=served.ca_file, timeout=30)  # fmt: skip

    def agent_did(self, what: Callable[[], Any]) -> Any:
        """With the agent unlocked, as its user leaves it."""
        if self.agent.device["state"] != "unlocked":
            self.agent.unlock()
        return what()

    def arm(self, mishap: Mishap, moment: int) -> None:
        """See ``World``: of all requests, or of the first on the path that has this number otherwise."""
        self.rig.requests.clear()
        self.struck = moment <= len(self.reference) and (moment < 2 or mishap.strikes_requests)
        if not self.struck:
            return
        self._paths(mishap, moment)

    def _paths(self, mishap: Mishap, moment: int) -> None:
        if mishap.strikes_requests and moment:
            fault = {**mishap.fault, "endpoint": self.reference[moment - 1]}
            Mishap(mishap.name, fault).strike(self, count=1)
        else:
            mishap.strike(self, count=-1)

    def disarm(self) -> None:
        """See ``World``. A fault whose path was not asked for did not strike."""
        with self._model.transaction():
            left = self._model.state.knobs.faults
        self.struck = self.struck and not any(each.count > 0 for each in left)
        super().disarm()


#: What python-pkcs11 says of a search that C_FindObjectsInit refused, which it ends all the same.
_ENDED_TWICE = re.compile(
    r"Traceback \(most recent call last\):\n"
    r'(?:  File "pkcs11/_pkcs11\.pyx".*\n)+'
    r"pkcs11\.exceptions\.OperationNotInitialized.*\n"
)


def _ran(bench: Bench, *command: str | Path, data: bytes = b"", **more: str) -> bytes:
    """What a program writes; ``Told`` where it fails as programs do, ``AssertionError`` where it breaks."""
    done = subprocess.run(
        [str(each) for each in command], input=data, env={**os.environ, **more}, cwd=bench.folder,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    said = _ENDED_TWICE.sub("", done.stderr.decode(errors="replace"))
    if "Traceback" in said or "fault of hem itself" in said or done.returncode < 0:
        raise AssertionError(f"{command[0]}: status {done.returncode}: {said[-600:]}")
    if done.returncode != 0:
        raise Told(f"status {done.returncode}")
    return done.stdout


def _verified(public: Any, signature: bytes, *arguments: Any) -> bool:
    try:
        public.verify(signature, _MESSAGE, *arguments)
    except InvalidSignature:
        return False
    return True


@contextmanager
def _bench(world: Any) -> Iterator[Any]:
    """A program: what one of them knew the next does not, but for the caches."""
    yield world


@contextmanager
def _quick_client(world: Any) -> Iterator[Any]:
    served = world.served
    with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file, timeout=_TIMEOUT) as hem:
        yield hem


def _engine(bench: Bench, _: Any, __: Any) -> bytes:
    command = [
        "openssl",
        "dgst",
        "-engine",
        "hem",
        "-keyform",
        "engine",
        "-sha256",
        "-sign",
        "SECP256R1",
        "message",
    ]
    return _ran(bench, *command, OPENSSL_CONF=str(bench.folder / "openssl.cnf"))


_HOST = """
import sys
import pkcs11
token = next(pkcs11.lib(sys.argv[1]).get_tokens(), None)
if token is None:
    sys.exit("no token is present")
try:
    with token.open(user_pin=sys.argv[2]) as session:
        key = session.get_key(label="ED25519", object_class=pkcs11.ObjectClass.PRIVATE_KEY)
        sys.stdout.buffer.write(key.sign(b"what is signed", mechanism=pkcs11.Mechanism.EDDSA))
except (pkcs11.exceptions.GeneralError, pkcs11.exceptions.HostMemory):
    raise
except pkcs11.PKCS11Error as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def _library(bench: Bench, _: Any, __: Any) -> bytes:
    return _ran(bench, sys.executable, "-c", _HOST, module_library(), bench.served.passphrase)


def _decrypts(bench: Bench, _: Any, __: Any) -> bytes:
    return _ran(bench, "age", "-d", "-i", "age.id", "sealed")


def _hem_signs(bench: Bench, _: Any, __: Any) -> bytes:
    return _ran(bench, "hem", "sign", "--key", "ED25519", "--format", "raw", "message", "-o", "-")


def _gets(bench: Bench, _: Any, __: Any) -> bytes:
    backend = "hem_provider.adapters.keyring.HemKeyring"
    return _ran(bench, sys.executable, "-c", _READ, PYTHON_KEYRING_BACKEND=backend)


_READ = """
import sys
import keyring
from keyring.errors import KeyringError
try:
    print(keyring.get_password("mail", "anna"))
except KeyringError as error:
    sys.exit(str(error))
"""


def _card(bench: Bench, _: Any, __: Any) -> bytes:
    lines = ["SERIALNO", "LEARN --force", "SETDATA " + _MESSAGE.hex(), "PKAUTH OPENPGP.3", "BYE", ""]
    answers = _ran(bench, "hem", "scdaemon", "--server", data="\n".join(lines).encode()).split(b"\n")
    for each in answers:
        if each.startswith(b"ERR "):
            raise Told(f"ERR {each.split(b' ')[1].decode()}")
    return _data(answers)[-64:]


def _of_card(bench: Bench) -> Any:
    return bench.keys.hem.keys.get(bench.card[2].kid).public_key()


def _by_agent(bench: Bench, _: Any, __: Any) -> bytes:
    kid = bench.keys.kids["ED25519"]
    client = bench.agent.client()
    try:
        status, fields, body = client(
            "POST", "/devices/k/api/crypto/exdsa/sign", sign_body(kid, _MESSAGE), scope=f"keymgmt:use:{kid}"
        )
    finally:
        client.close()
    if status != 200:
        if not 400 <= status < 600 or (status == 500 and "hem-agent" in fields):
            raise AssertionError(f"{status} {fields} {body!r:.200}")
        raise Told(f"HTTP {status}")
    try:
        return base64.b64decode(body["sign"])
    except (TypeError, KeyError, ValueError):
        raise Told("an answer without a signature, as the device gave it") from None


def _by_ssh(bench: Bench, _: Any, __: Any) -> bytes:
    message = bytes([Number.SIGN_REQUEST]) + string(bench.blob) + string(_MESSAGE) + uint32(0)
    (answer,) = exchange(bench.agent.ssh_socket, message)
    if answer[0] == Number.FAILURE:
        raise Told("SSH_AGENT_FAILURE")
    return answer[-64:]


def _ed25519(signature: bytes, bench: Any, _: Any) -> bool:
    return _verified(bench.keys.public["ED25519"], signature)


def _again_by(run: Any) -> Callable[[Any, Any], bool]:
    def again(bench: Any, _: Any) -> bool:
        return _ed25519(bench.agent_did(lambda: run(bench, bench, None)), bench, None)

    return again


def _over_tls(name: str) -> Operation:
    row = next(each for each in PYTHON if each.name == name)
    return replace(row, layer="REST over TLS", opened=_quick_client)


PROGRAMS = (
    *map(_over_tls, ("sign with ED25519", "create AES128", "list", "delete", "unwrap", "rename")),
    Operation("hem (program)", "sign", _bench, _hem_signs, _ed25519),
    Operation("engine (openssl)", "dgst -sign", _bench, _engine,
              lambda made, bench, _: _verified(bench.keys.public["SECP256R1"], made, _ECDSA)),
    Operation("PKCS#11 library", "sign", _bench, _library, _ed25519),
    Operation("age (program)", "decrypt", _bench, _decrypts, lambda clear, _, __: clear == _MESSAGE),
    Operation("keyring (program)", "get", _bench, _gets, lambda word, _, __: word.strip() == b"a word"),
    Operation("scdaemon (program)", "PKAUTH", _bench, _card,
              lambda made, bench, _: _verified(_of_card(bench), made)),
    Operation("agent", "sign by HTTP", _bench, _by_agent, _ed25519, again=_again_by(_by_agent)),
    Operation("agent", "sign by ssh", _bench, _by_ssh, _ed25519, again=_again_by(_by_ssh)),
)  # fmt: skip


def tried(effort: Effort) -> list[Result]:
    """A sample of the cells of ``PROGRAMS``, in which each of these is at any share."""
    random = Random(effort.seed)  # noqa: S311 - to repeat it
    cells = [(each, mishap, moment) for each in PROGRAMS for mishap in MISHAPS for moment in _MOMENTS]
    random.shuffle(cells)
    first = [
        next(each for each in cells if each[0] is program and each[2] == "before") for program in PROGRAMS
    ]
    rest = [each for each in cells if each not in first]
    wanted = [*first, *rest[: max(0, effort.times(_CELLS) - len(first))]]
    found: list[Result] = []
    with Bench.made(effort.folder) as bench:
        usual: dict[str, tuple[Counter[int], list[str]]] = {}
        for program, mishap, moment in wanted:
            if str(program) not in usual:
                usual[str(program)] = _usual(bench, program)
            entries, bench.reference = usual[str(program)]
            result = tried_cell(bench, program, mishap, moment, entries, limit=60.0)
            if result is not None:
                found.append(result)
    return found


def _usual(bench: Bench, program: Operation) -> tuple[Counter[int], list[str]]:
    """Entries and requests of a program when nothing happens; tried again where a busy machine is too slow
    for so short a deadline."""
    for _ in range(4):
        with suppress(Told, HemError):
            return usual_of(bench, program)[0], list(bench.rig.requests)
    return usual_of(bench, program)[0], list(bench.rig.requests)
