"""Every command with streams that are closed from the start, or take nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.logcopies import filled

from hem_provider.adapters.openpgp import Place, Role
from hem_provider.cli.root import ROOT
from hem_provider.device import connect
from hem_provider.emulator import EmulatedDevice, control

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
BACKEND = "hem_provider.adapters.keyring.HemKeyring"


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        with client_of(emulator) as hem:
            hem.keys.create("ED25519", label="for ssh", usage={"sign"})
            pen = Place(Role.SIGN, 1_700_000_000, name="Bob <bob@example.org>")
            hem.keys.create("ED25519", label="gpg sign", application_id=pen.application_id())
            hem.keys.create("CURVE25519", label="for age")
            hem.keys.create("AES256", label="for secrets", usage={"aead"})
            for kind, label in CHANGED:
                hem.keys.create(kind, label=label)
        yield emulator


def run_with_closed(numbers, *arguments, program=HEM, **options):
    """Run a command whose streams of these numbers are closed from the start."""
    closings = " ".join(f"{each}>&-" for each in numbers)
    options = {"stdin": subprocess.DEVNULL, "timeout": 120, **options}
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closings}', *program, *arguments],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_a_stream_that_is_closed_from_the_start_is_no_traceback(closed):
    done = run_with_closed(closed, "pkcs11", "path")
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == (1 if 1 in closed else 0)
    assert bool(done.stdout) == (1 not in closed)


#: Keys that commands change; each is tried ``closed`` and ``full``.
CHANGED = (
    ("ED25519", "delete closed"), ("ED25519", "delete full"), ("ED25519", "rename"), ("CURVE25519", "mine"),
    ("CURVE25519", "peer closed"), ("CURVE25519", "peer full"),
)  # fmt: skip
#: Every command → arguments with which it does something, and whether it prints then.
EVERY = {
    (): ([], True),
    ("--help",): ([], True),
    ("--version",): ([], True),
    ("age", "identity"): (["for age"], True),
    ("age", "recipient"): (["for age"], True),
    ("agent", "env"): ([], True),
    ("agent", "lock"): ([], False),
    ("agent", "run"): (["--", "true"], False),
    ("agent", "start"): ([], False),
    ("agent", "status"): ([], True),
    ("agent", "stop"): ([], False),
    ("agent", "units"): (["--directory", "{folder}/units"], True),
    ("agent", "unlock"): ([], False),
    ("bench",): (["--rounds", "1"], True),
    ("certificate", "issue"): (
        ["{made}/web.csr", "--key", "for ssh", "--issuer", "{made}/ca.pem", "--profile", "client", "--yes"],
        True,
    ),
    ("certificate", "install"): (["{made}/own.pem", "--no-restart", "--yes"], True),
    ("certificate", "renew"): (["--yes"], True),
    ("certificate", "request"): ([], True),
    ("certificate", "self-signed"): (["for ssh", "--profile", "client", "--subject", "CN=a"], True),
    ("certificate", "show"): ([], True),
    ("checkin",): (["--challenge"], True),
    ("completion",): (["bash"], True),
    ("decrypt",): (["{age}"], True),
    ("exporter",): (["--once"], True),
    ("csr",): (["for ssh", "--subject", "CN=a"], True),
    ("doctor",): ([], True),
    ("config", "check"): (["--json"], True),
    ("config", "init"): (["--url", "https://other", "--name", "other", "--offline"], True),
    ("config", "path"): ([], True),
    ("config", "set"): (["office.timeout", "60"], True),
    ("config", "show"): ([], True),
    ("demo",): ([], True),
    ("device", "config", "set"): (["user=Ada", "--yes"], True),
    ("device", "config", "show"): ([], True),
    ("device", "disks", "list"): ([], True),
    ("device", "disks", "lock"): (["plain"], True),
    ("device", "disks", "unlock"): (["plain"], True),
    ("device", "reboot"): ([], True),
    ("device", "selftest"): ([], True),
    ("device", "shutdown"): (["--yes"], True),
    ("device", "upgrade"): (["{folder}/image", "--yes"], True),
    ("device", "wipe"): (["--yes"], True),
    ("emulator", "backend"): (["--state", "{state}"], True),
    ("emulator", "climate"): (["--state", "{state}"], True),
    ("emulator", "log"): (["odd", "--state", "{state}"], True),
    ("emulator", "faults"): (["--state", "{state}"], True),
    ("emulator", "init"): (
        ["--state", "{folder}/d.hem", "--passphrase-file", "{secret}", "--admin-passphrase-file", "{secret}"],
        False,
    ),
    ("emulator", "openapi"): (["--state", "{state}"], True),
    ("emulator", "phone"): (["--state", "{state}"], True),
    ("emulator", "quirks"): (["--state", "{state}"], True),
    ("emulator", "reset"): (["--reboot", "--state", "{state}"], False),
    ("emulator", "serve"): (["--state", "{state}"], True),
    ("emulator", "start"): (["--state", "{folder}/started.hem"], True),
    ("emulator", "stop"): (["--state", "{state}"], False),
    ("encrypt",): (["for age", "{secret}"], True),
    ("gpg", "export"): ([], True),
    ("gpg", "import"): (["--homedir", "{folder}/g"], True),
    ("gpg", "setup"): (["--homedir", "{folder}/g", "--name", "Ada <ada@example.org>"], True),
    ("gpg", "status"): (["--homedir", "{folder}/g"], True),
    ("help",): (["CKR_PIN_INCORRECT"], True),
    ("init",): (
        [
            "--address",
            "emulator:{folder}/d.hem",
            "--owner",
            "Ada",
            "--yes",
            "--passphrase-file",
            "{secret}",
            "--master-file",
            "{other}",
        ],
        True,
    ),
    ("keyring", "check"): (["--vault", "{vault}"], True),
    ("keyring", "import"): (["--vault", "{vault}", "--from-vault", "{vault}"], True),
    ("keyring", "init"): (["--vault", "{folder}/vault"], False),
    ("keyring", "list"): (["--vault", "{vault}"], True),
    ("keyring", "rewrap"): (["--vault", "{vault}"], True),
    ("keys", "create"): (["ED25519", "--label", "more"], True),
    ("keys", "delete"): (["delete {how}", "--yes"], True),
    ("keys", "derive"): (["mine", "--peer", "peer {how}", "--type", "AES256", "--label", "shared"], True),
    ("keys", "import-public"): (["{made}/{how}.pub", "--label", "theirs"], True),
    ("keys", "list"): ([], True),
    ("keys", "public"): (["for ssh"], True),
    ("keys", "rename"): (["rename", "rename"], True),
    ("keys", "search"): (["ssh"], True),
    ("keys", "show"): (["for ssh"], True),
    ("open",): (["for secrets", "{sealed}"], True),
    ("kms", "serve"): (["--socket", "{folder}/kms.sock", "--key", "for secrets"], True),
    ("log", "collect"): (["--to", "{folder}/log"], True),
    ("log", "export"): (["--from", "{collected}"], True),
    ("log", "follow"): (["--since", "1d", "--once"], True),
    ("log", "list"): ([], True),
    ("log", "show"): ([], True),
    ("log", "verify"): ([], True),
    ("openssl", "config"): ([], True),
    ("openssl", "path"): ([], True),
    ("openssl", "pem"): (["web"], True),
    ("openssl", "uri"): (["for ssh"], True),
    ("passphrase",): (["--new-file", "{other}"], False),
    ("phones", "list"): ([], True),
    ("phones", "pair"): ([], True),
    ("phones", "remove"): (["Emulated phone", "--yes"], False),
    ("pkcs11", "info"): ([], True),
    ("pkcs11", "install"): (["--directory", "{folder}/modules"], True),
    ("pkcs11", "path"): ([], True),
    ("pkcs11", "test"): ([], True),
    ("scdaemon",): (["--server"], True),
    ("seal",): (["for secrets", "{secret}"], True),
    ("sign",): (["{secret}", "--key", "for ssh", "--output", "{folder}/sig"], False),
    ("ssh", "add"): ([], True),
    ("ssh", "config"): ([], True),
    ("ssh", "keys"): ([], True),
    ("status",): ([], True),
    ("verify",): (["{secret}", "--signature", "{signature}", "--key", "for ssh"], True),
}


def leaves(command, *above):
    """Every command below ``command`` by its words."""
    if not isinstance(command, click.Group):
        yield above
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), *above, name)


@pytest.fixture(scope="module")
def places(device, tmp_path_factory):
    """What the commands of ``EVERY`` work on, and the environment that leads to the device."""
    folder = tmp_path_factory.mktemp("places")
    secret = folder / "passphrase"
    secret.write_text(f"{device.passphrase}\n")
    secret.chmod(0o600)
    other = folder / "other"
    other.touch(mode=0o600)
    other.write_text("kite-lamp-ocean-9\n")
    found = {
        "folder": folder,
        "secret": secret,
        "signature": folder / "signature",
        "other": other,
        "state": folder / "state.hem",
        "vault": folder / "a" / "vault",
        "age": folder / "file.age",
        "sealed": folder / "sealed",
        "made": folder,
        "collected": folder / "collected",
    }
    filled(found["collected"], 10)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        "HEM_URL": device.https,
        "HEM_CA_FILE": str(device.ca_file),
        "HEM_PASSPHRASE_FILE": str(secret),
        "HEM_CLOUD_URL": device.cloud,
        "HEM_CLOUD_CA_FILE": str(device.ca_file),
        "KEYRING_PROPERTY_VAULT": str(found["vault"]),
    }
    files = ("--passphrase-file", str(secret), "--admin-passphrase-file", str(secret))
    for command, typed_in in (
        ([*HEM, "emulator", "init", "--state", str(found["state"]), *files], ""),
        ([*HEM, "keyring", "init"], ""),
        ([*HEM, "encrypt", "for age", str(secret), "-o", str(found["age"])], ""),
        ([*HEM, "seal", "for secrets", str(secret), "-o", str(found["sealed"])], ""),
        ([*HEM, "csr", "for ssh", "--subject", "CN=a", "--output", str(folder / "web.csr")], ""),
        (
            [
                *HEM,
                "certificate",
                "self-signed",
                "for ssh",
                "--profile",
                "ca",
                "--subject",
                "CN=ca",
                "--output",
                str(folder / "ca.pem"),
            ],
            "",
        ),
        ([*HEM, "sign", str(secret), "--key", "for ssh", "--output", str(found["signature"])], ""),
        ([sys.executable, "-m", "keyring", "-b", BACKEND, "set", "mail", "ada"], "a password"),
    ):
        subprocess.run(
            command, env=environment, input=typed_in, text=True, capture_output=True, check=True, timeout=60
        )
    host, port = device.https.removeprefix("https://").split(":")
    (folder / "own.pem").write_text(ssl.get_server_certificate((host, int(port))))
    for how in ("closed", "full"):
        public = ed25519.Ed25519PrivateKey.generate().public_key()
        (folder / f"{how}.pub").write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    return found, environment


#: Commands that change what all others need; each gets a device and a configuration of its own.
OWN = {"config", "device", "log"}


def of_its_own(found, environment, folder):
    """An environment that leads to another device, which was restarted once, and whose keys may go."""
    state = folder / "own.hem"
    shutil.copy(found["state"], state)
    subprocess.run(
        [*HEM, "emulator", "reset", "--reboot", "--state", state], check=True, capture_output=True, timeout=60
    )
    (folder / "image").write_bytes(b"hem-provider emulator image 1.2.3\n")
    config = folder / "config.toml"
    config.write_text(
        f'[[device]]\nname = "office"\nurl = "emulator:{state}"\n'
        f'passphrase_file = "{found["secret"]}"\nallow_wipe = true\n'
    )
    config.chmod(0o600)
    kept = {name: value for name, value in environment.items() if not name.startswith("HEM_")}
    return {**kept, "HEM_CONFIG": str(config)}


#: Commands that get a device of their own, since they change who may use it.
OF_USERS = {("passphrase",), ("phones", "list"), ("phones", "pair"), ("phones", "remove")}


def with_own_device(found, environment, folder):
    """The environment that leads to a copy of the device in ``state``, with a phone."""
    path = folder / "own.hem"
    shutil.copy(found["state"], path)
    with connect(f"emulator:{path}", passphrase=found["secret"].read_text().strip()) as hem:
        pairing = hem.phones.begin()
        with EmulatedDevice(path) as device:
            control.run(device, "pair", {"link": pairing.link})
        pairing.wait(5)
    return {**environment, "HEM_URL": f"emulator:{path}"}


@contextmanager
def gnupg(words, folder):
    """GnuPG, for the commands that start it; what it leaves running is ended."""
    if words[:1] != ("gpg",):
        yield
        return
    if shutil.which("gpg") is None:
        pytest.skip("not run: GnuPG is not installed")
    try:
        yield
    finally:
        subprocess.run(["gpgconf", "--homedir", folder / "g", "--kill", "all"], check=False)


def closed(command, environment):
    done = run_with_closed((1,), program=command, env=environment)
    return done.returncode, done.stderr


def full(command, environment):
    with Path("/dev/full").open("w") as stream:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.PIPE,
            text=True, timeout=120, check=False,
        )  # fmt: skip
    return done.returncode, done.stderr


#: How output fails, and what is told. Each command is tried in one way, half of them in each: what is told
#: of a stream is decided in one place, what a command does then in its own.
FAILING = [
    (closed, "hem: standard output: it is closed"),
    (full, "hem: standard output: No space left on device"),
]
TRIED = [
    pytest.param(
        words, *failing, id=f"{' '.join(words)}-{failing[0].__name__}",
        marks=[] if (number + way) % 2 else [pytest.mark.long],
    )
    for number, words in enumerate(EVERY)
    for way, failing in enumerate(FAILING)
]  # fmt: skip


@pytest.mark.parametrize(("words", "output", "told"), TRIED)
def test_a_command_that_cannot_print_what_it_has_to_print_fails(
    words, output, told, device, places, tmp_path
):
    arguments, prints = EVERY[words]
    found, environment = places
    arguments = [each.format(**found | {"folder": tmp_path, "how": output.__name__}) for each in arguments]
    if words[:1] and words[0] in OWN:
        environment = of_its_own(found, environment, tmp_path)
    if words in OF_USERS:
        environment = with_own_device(found, environment, tmp_path)
    with (
        gnupg(words, tmp_path),
        RunningAgent(device) if words[:1] in (("agent",), ("ssh",)) else nullcontext() as agent,
    ):
        status, said = output([*HEM, *words, *arguments], agent.environment if agent else environment)
    assert "Traceback" not in said
    assert (status, said.endswith(f"{told}\n")) == ((1, True) if prints else (0, False)), said


def test_every_command_was_tried():
    tried = {words for words in EVERY if words and not words[0].startswith("-")}
    assert tried == set(leaves(ROOT))


def test_the_emulator_alone_is_the_command_of_that_name(tmp_path):
    alone = [sys.executable, "-m", "hem_provider.emulator"]
    done = run_with_closed((1,), "faults", program=alone)
    assert (done.returncode, done.stderr) == (1, "hem: standard output: it is closed\n")
    shown = run_with_closed((), "faults", program=alone)
    assert (shown.returncode, shown.stdout) == (0, run_with_closed((), "emulator", "faults").stdout)


def test_names_from_a_closed_input_are_an_error_that_says_so(places):
    _, environment = places
    done = run_with_closed(
        (0,), "keyring", "import", "keyring.backends.null.Keyring", "--names", "-", env=environment
    )
    assert done.returncode == 1
    assert done.stderr.endswith("hem: import: --names -: it is closed\n")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_no_file_gets_the_number_of_a_closed_stream(closed, tmp_path):
    """What a program that is started then reads or prints would be that file's."""
    script = (
        "import sys; from hem_provider.cli import terminal; terminal.prepare()\n"
        "number = open(sys.argv[1], 'w').fileno(); sys.exit(number if number < 3 else 0)"
    )
    done = run_with_closed(closed, "-c", script, str(tmp_path / "file"), program=[sys.executable])
    assert done.returncode == 0


def test_a_working_folder_that_was_removed_is_named(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    command = f'rmdir "$PWD"; exec {shlex.join([*HEM, "emulator", "start"])}'
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "hem: the working folder: No such file or directory\n")
