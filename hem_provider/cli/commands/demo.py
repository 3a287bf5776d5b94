"""``hem demo``: sign files with an emulated device, step by step.

An emulator is started over HTTPS, keys are made in it with pkcs11-tool, files and a certificate
request are signed, OpenSSL verifies. Everything happens in a temporary directory and ends with
the command.

Example: hem demo
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

import hem_provider
from hem_provider.cli.built import module_path
from hem_provider.cli.environment import surrounded
from hem_provider.cli.exports import as_typed
from hem_provider.cli.ownpython import own_python
from hem_provider.cli.shape import Command
from hem_provider.cli.steps import StepFailedError, Steps
from hem_provider.errors import HemError
from hem_provider.files import make_private
from hem_provider.installation import missing
from hem_provider.records import frozen

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem

__all__ = ["command"]

_TOOLS = {"pkcs11-tool": "opensc", "openssl": "openssl"}
_PACKAGES = ("Crypto", "kyber_py", "pkcs11")
_TIMEOUT = 120.0


@frozen
class _Pair:
    label: str
    id: str
    type: str
    name: str


_P256 = _Pair("demo-p256", "01", "EC:prime256v1", "P-256")
_P384 = _Pair("demo-p384", "02", "EC:secp384r1", "P-384")
_ED25519 = _Pair("demo-ed25519", "03", "EC:edwards25519", "Ed25519")


@click.command("demo", cls=Command, help=__doc__)
def command() -> int:
    """Go through all steps; 1 where one fails."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            print(f"hem demo: '{tool}' is missing; on Debian: apt-get install {package}", file=sys.stderr)
            return 1
    for package in _PACKAGES:
        if find_spec(package) is None:
            print(f"hem demo: {missing('demo', f'no package {package!r}')}", file=sys.stderr)
            return 1
    problem = own_python(module_path()).problem
    if problem:
        print(f"hem demo: {problem}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="hem-demo-") as folder, surrounded(_own_places(Path(folder))):
        work = _Workspace(Path(folder))
        steps = Steps(work.count)
        steps.say(
            "A device in software, with keys that are used but never seen. Nothing here is left behind.\n"
        )
        try:
            _run(work, steps)
        except (StepFailedError, HemError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"\nhem demo: {error}", file=sys.stderr)
            return 1
        steps.say(f"\n{steps.summary()}")
        steps.say(
            "\nA login is two of the calls. On hardware a call takes about 0.25 s and a login 2 to 2.5 s.\n"
            f'To go on with a device of your own in software: eval "$({as_typed()} emulator start)"'
        )
    return 0


def _run(work: _Workspace, steps: Steps) -> None:
    with steps.step("initialise a factory-fresh emulated HEM"):
        work.emulator.initialise()
    with steps.step("start it, over HTTPS"):
        work.serve()
    try:
        for name, value in work.settings.items():
            steps.detail(f"export {name}={shlex.quote(value)}")
        for pair in (_P256, _P384, _ED25519):
            with steps.step(f"pkcs11-tool --keypairgen: {pair.name}"):
                work.pkcs11_tool(
                    "--keypairgen", "--key-type", pair.type, "--label", pair.label, "--id", pair.id
                )
            steps.detail(work.shown)
        with steps.step("pkcs11-tool -O: list them"):
            listed = work.pkcs11_tool("-O")
            _expect(_public_labels(work) == {_P256.label, _P384.label, _ED25519.label}, listed)
        for line in listed.splitlines():
            if not line[:1].isspace():  # what lies below each differs between versions of the tool
                steps.detail(line)
        _sign_files(work, steps)
        _request(work, steps)
        _from_python_pkcs11(work, steps)
    finally:
        work.emulator.stop()


def _public_labels(work: _Workspace) -> set[str]:
    """The labels of the keys, asked of the device: a tool's listing is for people to read."""
    with _connect(work) as hem:
        return {key.label for key in hem.keys}


def _sign_files(work: _Workspace, steps: Steps) -> None:
    letter = work.file("letter.txt", b"The key that signs this never left its device.\n")
    with steps.step("Python: write the public keys for openssl"):
        _write_public_keys(work)
    for pair, mechanism in ((_P256, "ECDSA-SHA256"), (_ED25519, "EDDSA")):
        signature = work.folder / f"{pair.label}.sig"
        public = work.folder / f"{pair.label}.pub"
        form = ("--signature-format", "openssl") if pair is _P256 else ()
        with steps.step(f"pkcs11-tool --sign -m {mechanism}: letter.txt"):
            work.pkcs11_tool(
                "--sign", "-m", mechanism, "--id", pair.id, *form,
                "--input-file", str(letter), "--output-file", str(signature),
            )  # fmt: skip
        steps.detail(work.shown)
        with steps.step(f"openssl verifies the {pair.name} signature"):
            if pair is _P256:
                command = ["dgst", "-sha256", "-verify", str(public)]
                answer = work.run("openssl", *command, "-signature", str(signature), str(letter))
            else:
                command = ["pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
                answer = work.run("openssl", *command, "-in", str(letter), "-sigfile", str(signature))
            _expect("Verified OK" in answer or "Verified Successfully" in answer, answer)
        steps.detail(work.shown)
        steps.detail(answer.strip())


def _write_public_keys(work: _Workspace) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    with _connect(work) as hem:
        for pair in (_P256, _ED25519):
            public = hem.keys.find(label=pair.label).public_key()
            work.file(
                f"{pair.label}.pub", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            )


def _request(work: _Workspace, steps: Steps) -> None:
    with steps.step("Python: a certificate request, signed by the P-384 key"):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        with _connect(work) as hem:
            key = hem.keys.find(label=_P384.label).private_key(ec.EllipticCurvePrivateKey)
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo.example")])
            request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA384())
        path = work.file("request.pem", request.public_bytes(serialization.Encoding.PEM))
    with steps.step("openssl req -verify"):
        answer = work.run("openssl", "req", "-in", str(path), "-noout", "-verify", "-subject")
        _expect("verify OK" in answer, answer)
    steps.detail(work.shown)
    steps.detail(" / ".join(line for line in answer.splitlines() if line.strip()))


def _connect(work: _Workspace) -> Hem:
    device = work.emulator
    return hem_provider.connect(device.https, passphrase=device.passphrase, ca_file=device.ca_file)


def _from_python_pkcs11(work: _Workspace, steps: Steps) -> None:
    program = (
        "import pkcs11, os, sys\n"
        "from pkcs11.util.ec import encode_ecdsa_signature\n"
        "token = next(iter(pkcs11.lib(sys.argv[1]).get_tokens()))\n"
        "with token.open(user_pin=os.environ['DEMO_PIN']) as session:\n"
        "    key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=sys.argv[2])\n"
        "    data = open(sys.argv[3], 'rb').read()\n"
        "    signature = key.sign(data, mechanism=pkcs11.Mechanism.ECDSA_SHA256)\n"
        "open(sys.argv[4], 'wb').write(encode_ecdsa_signature(signature))\n"
    )
    letter, signature = work.folder / "letter.txt", work.folder / "python-pkcs11.sig"
    with steps.step("python-pkcs11 signs with the same P-256 key"):
        work.run(sys.executable, "-c", program, str(module_path()), _P256.label, str(letter), str(signature))
        public = work.folder / f"{_P256.label}.pub"
        command = ["dgst", "-sha256", "-verify", str(public), "-signature", str(signature)]
        _expect("Verified OK" in work.run("openssl", *command, str(letter)), "the signature does not verify")


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise StepFailedError(message)


def _own_places(folder: Path) -> dict[str, str]:
    """Where the demo and its programs keep files of theirs, so that nothing is left behind."""
    names = ("CACHE_HOME", "CONFIG_HOME", "RUNTIME_DIR")
    return {f"XDG_{name}": str(folder / name.lower()) for name in names}


class _Workspace:
    """The demo's device, files and child processes, all below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place in _own_places(folder).values():
            make_private(Path(place))
        from hem_provider.emulator.process import ServedEmulator  # loads what the emulator needs

        self.emulator = ServedEmulator(
            folder,
            passphrase=secrets.token_urlsafe(12),
            admin_passphrase=secrets.token_urlsafe(12),
            init=False,
        )
        self.settings: dict[str, str] = {}
        self.shown = ""  #: the last command, as a person would type it

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def count(self) -> tuple[int, int]:
        """Device calls and logins so far, as the emulator saw them."""
        calls = [call for call in self.emulator.calls() if call["port"] != "cloud"]
        return len(calls), self.emulator.logins()

    def serve(self) -> None:
        self.emulator.start()
        self.settings = {"HEM_URL": self.emulator.https, "HEM_CA_FILE": str(self.emulator.ca_file)}

    def pkcs11_tool(self, *arguments: str) -> str:
        module = ("--module", str(module_path()))
        return self.run("pkcs11-tool", *module, "--login", "--pin", self.emulator.passphrase, *arguments)

    def run(self, *command: str) -> str:
        """Run a program to its end; returns what it printed. Raises ``StepFailedError`` if it fails."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HEM_", "XDG_", "PYTHON"))}
        own = _own_places(self.folder)
        self.shown = self._as_typed(command)
        done = subprocess.run(
            command, env={**inherited, **own, **self.settings, "DEMO_PIN": self.emulator.passphrase},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise StepFailedError(f"{self.shown}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def _as_typed(self, command: Sequence[str]) -> str:
        text = (
            shlex.join(command)
            .replace(f"{self.folder}/", "")
            .replace(str(module_path()), '"$(hem pkcs11 path)"')
        )
        return "$ " + text.replace(shlex.quote(self.emulator.passphrase), "…")
