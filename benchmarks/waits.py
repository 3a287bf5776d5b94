"""What a person waits for: whole commands and programs, cold, warm, with an agent, and by other means.

On a device that answers as hardware (group ``waits``), where most of it is the device's, and on one that
answers at once (group ``commands``), where all of it is ours.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.agentlab import LabAgent, served_ssh
from benchmarks.commands import (
    CLIENT,
    COLD,
    MANY,
    PLAIN_REQUESTS,
    SCRIPT,
    THROUGH,
    WARM,
    Command,
    run_command,
    run_quietly,
)
from benchmarks.laboratory import Laboratory, watch
from benchmarks.softhsm import SoftHsm
from benchmarks.stages import gpg_home, package_index, served_nginx, ssh_agent
from benchmarks.startup import compile_packages
from hem_provider.cli.built import module_path
from hem_provider.cli.openssl_files import configuration, engine_path
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import FLOOR, Case, Result, interleave
from hem_provider.measuring.subject import Subject
from hem_provider.records import replace

__all__ = ["COMMANDS", "FILE_KEY", "HUNDREDTH", "ONE_CALL", "SIZE", "WAITS", "Waits"]

COMMANDS, WAITS = "commands", "waits"
ONE_CALL, HUNDREDTH = "one call", "python: hundredth signature"
#: Bytes of the file that is signed and encrypted.
SIZE = 1024**3
#: The layers of what else a person can take.
FILE_KEY, SOFTHSM, GPG, AGE, PLAIN = (
    "key in a file",
    "SoftHSM2",
    "gpg, key in a file",
    "age",
    "plain requests",
)
_ID = "11"
#: The last of so many signatures are what a signature takes in a program that runs.
_LAST = 10


class Waits:
    """One device with a key for each purpose. ``size``: of the large file in bytes; ``signatures``: how many
    the program makes that makes many."""

    def __init__(
        self,
        folder: Path,
        *,
        hardware: bool,
        softhsm: SoftHsm | None = None,
        client: Path | None = None,
        size: int = SIZE,
        signatures: int = 100,
    ) -> None:
        self._folder = folder
        self._lab = Laboratory(folder, hardware=hardware)
        self._group = WAITS if hardware else COMMANDS
        self._softhsm, self._client = softhsm, client
        self._size, self._signatures = size, signatures

    def measure(self, rounds: int) -> list[Figure]:
        """Every command by every way; compared with one bare call, measured beside them."""
        compile_packages()
        with ExitStack() as stack:
            lab = stack.enter_context(self._lab)
            self._hem = stack.enter_context(lab.connect())
            self._make_keys()
            self._agent = stack.enter_context(LabAgent(lab))
            self._prepare()
            bare = stack.enter_context(lab.floor())
            cases = [
                *self._bare(Subject(self._hem, bare, ())),
                *self._tools(),
                *self._files(),
                *self._programs(),
            ]
            cases += [*self._keyring(stack), *self._ssh(stack), *self._nginx(stack)]
            order = {
                name: place for place, name in enumerate(dict.fromkeys(each.operation for each in cases))
            }
            cases.sort(key=lambda each: order[each.operation])
            results = interleave(cases, rounds, lab.count, warm_up=0, watch=watch(self._group))
            results += [self._many(layer, self._environment(layer, "many")) for layer in (WARM, THROUGH)]
        figures = figures_of(self._group, results)
        return [each.compared(figures[0].median) for each in figures]

    def _make_keys(self) -> None:
        keys = self._hem.keys
        self._web = keys.create("SECP256R1", label="web", usage={"sign"}, application_id=bytes.fromhex(_ID))
        keys.create("ED25519", label="ada")
        keys.create("CURVE25519", label="box")

    def _prepare(self) -> None:
        folder, program = self._folder, Path(sys.executable).with_name
        self._program = program
        (folder / "data").write_bytes(b"a message to sign")
        (folder / "openssl.cnf").write_text(configuration(engine_path()))
        with (folder / "large").open("wb") as file:
            file.truncate(self._size)
        alone, agent = self._environment(WARM, "preparing"), self._environment(THROUGH, "preparing")
        run_command([program("hem"), "keyring", "init", "--label", "vault"], alone)
        for label in ("web", "ada"):
            (folder / f"{label}.pub").write_text(run_command([program("hem"), "ssh", "keys", label], agent))
        run_command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "file"], os.environ)
        run_command(["age-keygen", "-o", folder / "identity"], os.environ)
        (folder / "recipient").write_text(run_command(["age-keygen", "-y", folder / "identity"], os.environ))
        file_key: Command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", folder / "file.pem", "-out", folder / "file.crt",
        ]  # fmt: skip
        run_command(file_key, os.environ)

    def _bare(self, subject: Subject) -> Iterator[Case]:
        run = subject.bare_use(self._web, "exdsa/sign", msg=MESSAGE, alg="SHA256WithECDSA")
        if run is not None:
            yield Case(ONE_CALL, FLOOR, run, prepare=_once(run))

    def _tools(self) -> Iterator[Case]:
        folder = self._folder
        pin: Command = ["--login", "--pin", self._lab.passphrase]
        tool: Command = ["pkcs11-tool", "--module", module_path()]
        signing: Command = ["--sign", "-m", "ECDSA-SHA256", "--id", _ID]
        signing = [*signing, "-i", folder / "data", "-o", folder / "out"]
        # With an agent nobody gives a PIN.
        yield from self._ways("pkcs11-tool --sign", [*tool, *signing], without=[*tool, *pin, *signing])
        yield from self._ways("pkcs11-tool -O", [*tool, "-O"])
        yield from self._ways("pkcs11-tool -L", [*tool, "-L"])
        if self._softhsm is not None:
            theirs: Command = ["pkcs11-tool", "--module", SoftHsm.library()]
            environment = {**os.environ, **self._softhsm.environment}
            # It signs ready-made digests alone.
            (folder / "digest").write_bytes(bytes(32))
            own = [*theirs, "--login", "--pin", SoftHsm.PIN, "--sign", "-m", "ECDSA", "--id", _ID]
            own = [*own, "-i", folder / "digest", "-o", folder / "out"]
            yield self._peer("pkcs11-tool --sign", SOFTHSM, own, environment)
            yield self._peer("pkcs11-tool -O", SOFTHSM, [*theirs, "-O"], environment)
        request: Command = ["openssl", "req", "-new", "-subj", "/CN=www.example.org", "-out", folder / "out"]
        engine = ["-engine", "hem", "-keyform", "engine", "-key", "pkcs11:object=web"]
        yield from self._ways("openssl req", [*request, *engine])
        yield self._peer("openssl req", FILE_KEY, [*request, "-key", folder / "file.pem"])
        yield from self._ways("hem keys list", [self._program("hem"), "keys", "list"])

    def _files(self) -> Iterator[Case]:
        hem, large, out = self._program("hem"), self._folder / "large", self._folder / "large.sig"
        size = f"{self._size // 1024**2} MiB"
        signing: Command = [hem, "sign", "--key", "ada", "--force", "-o", out, large]
        yield from self._ways(f"hem sign, {size}", signing, (WARM, THROUGH))
        theirs: Command = ["ssh-keygen", "-Y", "sign", "-f", self._folder / "file", "-n", "file", large]
        case = self._case(f"hem sign, {size}", FILE_KEY, theirs)
        yield replace(case, prepare=partial(out.unlink, missing_ok=True))
        yield from self._ways(f"hem encrypt, {size}", [hem, "encrypt", "box", large], (WARM,))
        yield self._peer(f"hem encrypt, {size}", AGE, ["age", "-R", self._folder / "recipient", large])

    def _programs(self) -> Iterator[Case]:
        first = "python: first signature"
        yield from self._ways(first, [sys.executable, "-c", SCRIPT])
        emulator, kid = self._lab.emulator, self._web.kid
        token = Subject(self._hem, None, ()).token(f"keymgmt:use:{kid}")
        plain: Command = [sys.executable, "-c", PLAIN_REQUESTS, emulator.https, emulator.ca_file, kid, token]
        yield self._peer(first, PLAIN, plain)
        if self._client is not None:
            known: Command = [emulator.https, emulator.ca_file, self._lab.passphrase, kid]
            command: Command = [sys.executable, "-c", CLIENT, self._client, *known]
            yield self._peer(
                first,
                f"client {self._client.stem}",
                command,
                {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )

    def _keyring(self, stack: ExitStack) -> Iterator[Case]:
        index = stack.enter_context(package_index("ada", "secret"))
        program = (
            "import keyring, sys; [keyring.set_password(each, 'ada', 'secret') for each in sys.argv[1:]]"
        )
        run_command([sys.executable, "-c", program, "mail", index], self._environment(WARM, "preparing"))
        yield from self._ways("keyring get", [self._program("keyring"), "get", "mail", "ada"])
        pip: Command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--no-input",
            "--disable-pip-version-check", "--keyring-provider", "import", "--index-url", index,
            "-d", self._folder / "downloads", "example",
        ]  # fmt: skip
        yield from self._ways("pip download, keyring", pip)

    def _ssh(self, stack: ExitStack) -> Iterator[Case]:
        """What there is with an agent alone: ours, and OpenSSH's with a key in a file."""
        folder = self._folder
        ours, theirs = folder / "ada.pub", folder / "file.pub"
        other = stack.enter_context(
            ssh_agent(self._lab.run, folder / "file", self._environment(WARM, "other"))
        )
        login = stack.enter_context(served_ssh(folder / "sshd", ours, theirs))
        run_command(["git", "init", "-q", folder / "repository"], os.environ)
        commit: list[str | Path] = [
            "git",
            "-C",
            folder / "repository",
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
        ]
        ssh = ["-c", "gpg.format=ssh", "-c"]
        commit_it = ["commit", "--quiet", "--allow-empty", "--gpg-sign", "-m", "a change"]
        data, signature = folder / "data", folder / "data.sig"
        for layer, public in ((THROUGH, ours), (FILE_KEY, theirs)):
            environment = self._environment(THROUGH, "ssh") if layer == THROUGH else other
            signing: Command = ["ssh-keygen", "-Y", "sign", "-f", public, "-n", "file", data]
            case = self._case("ssh-keygen -Y sign", layer, signing, environment)
            case.run()  # the agent logs in for this key
            yield replace(case, prepare=partial(signature.unlink, missing_ok=True))
            if login is not None:
                yield self._case("ssh login", layer, login(public), environment, again=layer == THROUGH)
            key = f"user.signingKey={public}"
            yield self._case("git commit -S", layer, [*commit, *ssh, key, *commit_it], environment)
        gpg = stack.enter_context(gpg_home(self._lab.run / "gnupg", os.environ))
        yield self._case("git commit -S", GPG, [*commit, "-c", "user.signingKey=ada", *commit_it], gpg)

    def _nginx(self, stack: ExitStack) -> Iterator[Case]:
        folder, engine = self._folder, "engine:hem:pkcs11:object=web"
        certificate = folder / "web.crt"
        making: Command = [
            "openssl", "req", "-x509", "-engine", "hem", "-keyform", "engine", "-key", "pkcs11:object=web",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", certificate,
        ]  # fmt: skip
        run_command(making, self._environment(WARM, "nginx"))
        for layer, key, public in (
            (WARM, engine, certificate),
            (THROUGH, engine, certificate),
            (FILE_KEY, str(folder / "file.pem"), folder / "file.crt"),
        ):
            environment = self._environment(layer, "nginx")
            place = folder / f"nginx {layer}".replace(" ", "-")
            handshake = stack.enter_context(served_nginx(place, public, key, environment))
            yield Case("nginx handshake", layer, handshake, prepare=_once(handshake))

    def _many(self, layer: str, environment: Mapping[str, str]) -> Result:
        """Measured once: on hardware it is half a minute."""
        command = [sys.executable, "-c", MANY, str(self._signatures)]
        run_quietly([sys.executable, "-c", SCRIPT], environment)
        before = self._lab.count()
        seconds = json.loads(run_command(command, environment))[-_LAST:]
        after = self._lab.count()
        calls = (after[0] - before[0]) // self._signatures  # what a login adds is less than one
        return Result(Case(HUNDREDTH, layer, lambda: None), seconds, calls=calls)

    def _ways(
        self,
        name: str,
        command: Command,
        ways: tuple[str, ...] = (COLD, WARM, THROUGH),
        without: Command | None = None,
    ) -> Iterator[Case]:
        place = "".join(each if each.isalnum() else "-" for each in name)
        for layer in ways:
            environment = self._environment(layer, place)
            chosen = command if layer == THROUGH or without is None else without
            case = self._case(name, layer, chosen, environment, again=layer == THROUGH and COLD in ways)
            if layer == COLD:
                cache = environment["XDG_CACHE_HOME"]
                case = replace(case, prepare=partial(shutil.rmtree, cache, ignore_errors=True))
            elif layer == WARM or COLD not in ways:
                case = replace(case, prepare=_once(case.run))
            yield case

    def _case(
        self,
        name: str,
        layer: str,
        command: Command,
        environment: Mapping[str, str] = os.environ,
        *,
        again: bool = False,
    ) -> Case:
        """``again``: just after the same command, as what an agent remembers it remembers for 30 s."""

        def run() -> None:
            run_quietly(command, environment)

        return Case(name, layer, run, prepare=run if again else None)

    _peer = _case

    def _environment(self, layer: str, cache: str) -> dict[str, str]:
        place = self._folder / "caches" / f"{cache}-{layer}".replace(" ", "-")
        environment = {
            "OPENSSL_CONF": str(self._folder / "openssl.cnf"),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
            "XDG_DATA_HOME": str(self._folder / "data-home"),
            "PIP_CONFIG_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
        if layer == THROUGH:
            return self._agent.environment(place) | environment
        secret = {"HEM_PASSPHRASE_FILE": str(self._lab.emulator.passphrase_file)}
        return self._lab.environment(place) | environment | secret


def _once(run: Callable[[], object]) -> Callable[[], None]:
    """Runs it the first time."""
    left = [run]

    def prepare() -> None:
        while left:
            left.pop()()

    return prepare
