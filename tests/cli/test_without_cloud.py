"""``docs/without-cloud.md``: its commands work as printed, and each row of its table is true with the
emulated cloud switched off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.emulator import ServedEmulator
from support.pages import run_page
from support.passphrases import ADMIN, PASSPHRASE

from hem_provider.cli import main as cli
from hem_provider.device import checkin, connect
from hem_provider.device.certificate import pin_of
from hem_provider.device.shown import shown_certificate
from hem_provider.emulator import EmulatedDevice, control
from hem_provider.emulator.cloud.service import ROUTES
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.handlers.checkin import blind_action
from hem_provider.emulator.jwt import CLIENT_HEADER, decode_jwt, encode_jwt
from hem_provider.emulator.wsgiclient import call
from hem_provider.errors import HemClockError, HemConnectionError, HemTLSError

PAGE = Path(__file__).parents[2] / "docs" / "without-cloud.md"
#: Function → what the table says: whether it needs the cloud, and what there is instead.
TABLE = {
    name: (needed, instead)
    for name, needed, instead in re.findall(r"^\| (.+?) \| (yes|no) \| (.+) \|$", PAGE.read_text(), re.M)
}
#: Of a cloud that does not answer; in the process of the emulator that is a lost connection.
AWAY = 1
NEW = "kite-lamp-ocean-9"


@dataclass
class World:
    """A device whose cloud is off, and what commands print."""

    rig: object
    folder: Path
    capsys: object

    def hem(self, *words, status=0):
        """The output of a command, which ends with ``status``."""
        self.capsys.readouterr()
        found = cli.main([*map(str, words)])
        told = self.capsys.readouterr()
        assert found == status, told
        return told.out + told.err

    def carried_check_in(self):
        """By way of three machines, the second of which is online: the cloud is there for it alone."""
        with self.rig.connect(None) as hem:
            challenge = checkin.begin(hem.session)
            self.rig.clear()
            answer = checkin.carry(hem.rest, challenge)
            self.rig.order(name="cloud-down")
            checkin.finish(hem.session, answer)

    def used(self, **settings):
        """Log in, make a key, sign with it and delete it."""
        with self.rig.connect(**settings) as hem:
            key = hem.keys.create("ED25519", label="used")
            assert hem.keys.find(label="used").kid == key.kid
            assert len(hem.sign(key.kid, b"data", "Ed25519")) == 64
            hem.keys.delete(key)


@pytest.fixture
def world(rig, monkeypatch, tmp_path, capsys):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    rig.order(name="cloud-down")
    rig.requests.clear()
    return World(rig, tmp_path, capsys)


#: Row → its check. One that needs the cloud fails for want of it, and what is told instead works.
CHECKS: dict[str, Callable[[World], None]] = {}


def row(name):
    def add(check):
        CHECKS[name] = check
        return check

    return add


@row("make, find, use and delete keys")
def _(world):
    world.used()
    with world.rig.connect() as hem:
        vault = hem.keys.create("AES256", label="vault", usage={"aead"})
        sealed = hem.encrypt(vault.kid, b"data", "AES256-GCM")
        assert (
            hem.decrypt(vault.kid, sealed.ciphertext, "AES256-GCM", iv=sealed.iv, tag=sealed.tag) == b"data"
        )


@row("log in by passphrase while the device has a time")
def _(world):
    with world.rig.connect() as hem:
        hem.login()


@row("log in with a clock that is days or months wrong")
def _(world):
    for offset in (3 * 3600, 100_000, -100_000, 90 * 86400):
        world.rig.set_clock(offset)
        world.used()


@row("log in after a restart, `trusted_time` on")
def _(world):
    for restart in (world.rig.reboot, world.rig.power_cycle):
        restart()
        with pytest.raises(
            HemClockError, match="clock is not set, and the check-in failed: .* the emulated cloud"
        ):
            world.used()
        world.carried_check_in()
        world.used()


@row("log in after a restart, `trusted_time` off")
def _(world):
    world.hem("device", "config", "set", "trusted_time=off", "--yes")
    for restart in (world.rig.reboot, world.rig.power_cycle):
        restart()
        world.used()


@row("set the clock")
def _(world):
    world.rig.set_clock(500)
    assert "cloud" in world.hem("checkin", status=AWAY)
    world.carried_check_in()
    with world.rig.connect(None) as hem:
        assert abs(hem.status().time - world.rig.clock()) <= 2


@row("log in by phone")
def _(world):
    with pytest.raises(HemConnectionError, match="the emulated cloud does not answer"):
        world.used(passphrase=None, auth="mobile")
    world.used()


@row("pair a phone")
def _(world):
    world.hem("phones", "pair", status=AWAY)
    assert world.rig.labels() == ["TLS PrivateKey", "TLS Certificate"]
    world.used()


def paired(world):
    world.rig.clear()
    with world.rig.connect() as hem:
        pairing = hem.phones.begin()
        control.run(world.rig.device, "pair", {"link": pairing.link})
        pairing.wait()
    world.rig.order(name="cloud-down")
    world.rig.requests.clear()


@row("list phones")
def _(world):
    paired(world)
    assert "Emulated phone" in world.hem("phones", "list")


@row("remove a phone")
def _(world):
    paired(world)
    world.hem("phones", "remove", "Emulated phone", "--yes", status=AWAY)
    world.hem("phones", "remove", "Emulated phone", "--yes", "--device-only")
    assert "Emulated phone" not in world.hem("phones", "list")


@row("change the passphrase")
def _(world):
    with world.rig.connect() as hem:
        hem.admin.change_passphrase(NEW)
    world.used(passphrase=NEW)


@row("forgotten passphrase, by the master secret")
def _(world):
    master = world.folder / "master"
    new = world.folder / "new"
    for file, text in ((master, ADMIN), (new, NEW)):
        file.write_text(f"{text}\n")
        file.chmod(0o600)
    world.hem("passphrase", "--master-file", master, "--new-file", new)
    world.used(passphrase=NEW)


@row("renew the certificate")
def _(world):
    world.hem("certificate", "renew", "--yes", status=AWAY)
    world.hem("keys", "create", "P-384", "--label", "our ca", "--use", "sign")
    ca, csr, made, chain = (
        world.folder / name for name in ("ca.pem", "device.csr", "device.pem", "chain.pem")
    )
    world.hem(
        "certificate", "self-signed", "our ca", "--profile", "ca", "--subject", "CN=Our CA", "--output", ca
    )
    world.hem("certificate", "request", "--output", csr)
    words = ["certificate", "issue", csr, "--key", "our ca", "--issuer", ca, "--profile", "server", "--yes"]
    world.hem(*words, "--output", made)
    chain.write_bytes(made.read_bytes() + ca.read_bytes())
    world.hem("certificate", "install", chain, "--yes")
    with world.rig.device.model.transaction():
        served = x509.load_pem_x509_certificates(world.rig.device.model.boot.tls.chain.encode())
    assert [each.public_bytes(Encoding.PEM) for each in served] == [made.read_bytes(), ca.read_bytes()]


@row("bring a fresh device into use")
def _(world):
    control.run(world.rig.device, "reset", {"how": "factory"})
    words, secret = world.folder / "words", world.folder / "secret"
    for file, text in ((words, "a master passphrase that nobody guesses"), (secret, NEW)):
        file.write_text(f"{text}\n")
        file.chmod(0o600)
    init = ["init", "--address", f"emulator:{world.rig.path}", "--owner", "Ada", "--yes"]
    init += ["--passphrase-file", secret, "--master-file", words]
    assert "the emulated cloud" in world.hem(*init, status=AWAY)
    world.carried_check_in()
    asked = world.rig.count("CLOUD")
    world.hem(*init, "--no-certificate")
    assert world.rig.count("CLOUD") == asked
    world.used(passphrase=NEW)


@row("wipe a device")
def _(world):
    with world.rig.connect() as hem:
        hem.admin.wipe(confirm=hem.probe().eid)
        assert not hem.status().initialized


@row("settings, disks, self-test, restart")
def _(world):
    world.hem("device", "config", "set", "user=Ada", "--yes")
    world.hem("device", "disks", "unlock", "plain")
    world.hem("device", "selftest")
    world.hem("device", "reboot")


@row("another firmware")
def _(world):
    image = world.folder / "image"
    image.write_bytes(b"hem-provider emulator image 1.2.3\n")
    world.hem("device", "upgrade", image, "--yes")
    with world.rig.connect(None) as hem:
        assert hem.version().firmware.endswith("1.2.3")


@row("read and verify the log")
def _(world):
    world.hem("device", "config", "set", "trusted_time=off", "--yes")
    world.rig.reboot()
    assert "settings changed" in world.hem("log", "show")
    assert "intact" in world.hem("log", "verify")


@row("look at a device: `hem status`")
def _(world):
    assert "healthy" in world.hem("status", "--login")


@row("prove that the device is genuine")
def _(world):
    with world.rig.connect() as hem:
        assert hem.admin.attestation().certificate


#: Rows that a device in the process cannot show.
SERVED = {
    "use a device whose certificate has ended",
    "look for faults: `hem doctor`",
    "programs: agent, PKCS#11, keyring",
}
#: What no client does: nothing is there to be called.
REMOTE = {"lock or wipe a lost device from afar"}


def test_every_row_of_the_table_has_its_check():
    assert set(TABLE) == {*CHECKS, *SERVED, *REMOTE}


@pytest.mark.parametrize("name", CHECKS)
def test_a_row_is_true(name, world):
    needed, instead = TABLE[name]
    CHECKS[name](world)
    asked = [each for each in map(str, world.rig.requests) if each.startswith("CLOUD")]
    assert bool(asked) == (needed == "yes"), asked
    assert instead.startswith("–") == (needed == "no")


@pytest.fixture
def served(tmp_path_factory, monkeypatch):
    """A device behind TLS, whose cloud is nowhere."""
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        for name, value in environment_of(emulator, cloud="https://127.0.0.1:1").items():
            monkeypatch.setenv(name, value)
        yield emulator
        assert not [call for call in emulator.calls() if call["port"] == "cloud"]


def environment_of(emulator, *, cloud):
    return {
        "HEM_URL": emulator.https,
        "HEM_CA_FILE": str(emulator.ca_file),
        "HEM_PASSPHRASE_FILE": str(emulator.passphrase_file),
        "HEM_CLOUD_URL": cloud,
        "HEM_CLOUD_CA_FILE": str(emulator.ca_file),
    }


def test_a_device_whose_certificate_has_ended_is_used_by_its_pin(served, monkeypatch):
    with EmulatedDevice(served.state) as device:
        control.run(device, "fault", {"name": "expired-certificate"})
    with connect(passphrase=served.passphrase) as hem, pytest.raises(HemTLSError, match="expired"):
        hem.keys.create("ED25519", label="a")
    with connect(served.https, insecure=True) as hem:
        pin = pin_of(shown_certificate(hem.config).der)
    monkeypatch.delenv("HEM_CA_FILE")
    with connect(served.https, passphrase=served.passphrase, pin_sha256=pin) as hem:
        assert hem.keys.create("ED25519", label="a").kid
    assert TABLE["use a device whose certificate has ended"][0] == "no"


def test_hem_doctor_names_the_cloud_and_goes_on(served, capsys):
    cli.main(["doctor", "--json"])
    checks = {each["check"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert [each["name"] for each in checks["cloud"]["findings"]] == ["cloud-unreachable"]
    assert {
        checks[name]["state"] for name in ("clock", "login", "scopes", "self-test", "secure-element")
    } == {"ok"}
    assert TABLE["look for faults: `hem doctor`"][0] == "no"


def test_programs_ask_no_cloud(served, tmp_path):
    command = [sys.executable, "-m", "hem_provider.cli.main"]
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
    }

    def run(*words, typed=""):
        return subprocess.run(
            words, env=environment, input=typed, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    run(*command, "pkcs11", "test")
    run(*command, "keyring", "init")
    keyring = (sys.executable, "-m", "keyring")
    run(*keyring, "set", "mail", "ada", typed="a password")
    run(*command, "agent", "start")
    try:
        assert run(*keyring, "get", "mail", "ada") == "a password\n"
        before = served.logins()
        assert run(*keyring, "get", "mail", "ada") == "a password\n"
        assert served.logins() == before, "the agent has not logged in"
    finally:
        run(*command, "agent", "stop")
    assert TABLE["programs: agent, PKCS#11, keyring"][0] == "no"


def test_what_is_managed_from_afar_is_out_of_reach_without_the_cloud():
    needed, instead = TABLE["lock or wipe a lost device from afar"]
    assert needed == "yes"
    assert "locked by its passphrase" in instead


def test_an_emulated_cloud_serves_devices_that_are_not_its_own(tmp_path, rig):
    """The reference of a service of one's own: it knows nothing of the device before."""
    with EmulatedDevice(tmp_path / "service.hem") as service:
        rig.set_clock(500)
        check = rig.call("GET", "/api/system/checkin").json()
        checked = call(service.cloud, "POST", "/checkin", check).json()
        assert rig.call("POST", "/api/system/checkin", checked).json() == {"status": "OK"}
        assert abs(rig.call("GET", "/api/system/status").json()["time"] - rig.clock()) <= 2


def test_a_device_takes_no_answer_from_a_backend_that_it_does_not_trust(rig):
    """As a real device does with anybody's but the vendor's."""
    private = bytes(range(1, 33))
    claims = decode_jwt(rig.call("GET", "/api/system/checkin").json()["check"]).claims
    secret = x25519_secret(private, from_b64(claims["iss"]))
    answer = {
        "jti": claims["jti"], "iat": int(rig.clock()), "iss": to_b64(x25519_public(private)),
        "aud": claims["iss"], "status": to_b64(blind_action(secret, from_b64(claims["jti"]), "OK")),
    }  # fmt: skip
    checked = {"checked": encode_jwt(CLIENT_HEADER, answer, secret)}
    assert rig.call("POST", "/api/system/checkin", checked).status == 401


def test_every_request_that_the_page_names_is_one_that_the_emulated_cloud_answers():
    told = PAGE.read_text().partition("| service | request")[2].partition("\n\n")[0]
    paths = re.findall(r"`(?:[A-Z]+`, `)*(?:GET|POST|DELETE) (/\S+?|…/\S+?)`", told)
    routes = [path for _, path, _ in ROUTES]
    for path in paths:
        ending = re.sub(r"\b(NAME|ID|RID|PID|my)\b", "{}", path.split(" ")[0].strip("…`"))
        assert any(re.sub(r"\{\w+\}", "{}", route).endswith(ending) for route in routes), path
    assert len(paths) >= 12


def test_the_commands_of_the_page_work_as_printed(tmp_path):
    (tmp_path / "device").mkdir()
    with ServedEmulator(tmp_path / "device") as emulator:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
        offering = ("emulator", "backend", "--state", emulator.state, "--newcrt")
        subprocess.run([sys.executable, "-m", "hem_provider.cli.main", *offering], check=True)
        folder = tmp_path / "home"
        folder.mkdir()
        settings = {
            **environment_of(emulator, cloud=emulator.cloud),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        run_page(
            PAGE,
            environment=clean | settings,
            folder=folder,
            replacements={"ssh online hem": "hem"},  # this machine is online
        )
