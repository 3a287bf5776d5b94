"""The module behind p11-kit's server, in a process of its own and over ssh."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openssl import build_engine
from support.pages import as_ordinary_user, run_page

from hem_provider import connect
from tools.servers import free_port, served

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "p11-kit.md"
SHIM = Path(__file__).parents[2] / "shim"
ALLOWED = Path(__file__).with_name("allowed.py")
#: What must be there before a process loads a module that is built with sanitizers.
PRELOADED = {
    name: value for name, value in os.environ.items() if name == "LD_PRELOAD" or "SAN_OPTIONS" in name
}


def newer_p11_kit() -> Path | None:
    """Prefix of p11-kit 0.25 or newer: the installed one, or the one given."""
    given = os.environ.get("HEM_TEST_P11_KIT")
    if given:
        return Path(given)
    # It does not tell its version; 0.25 has this command more.
    said = subprocess.run(["p11-kit", "--help"], capture_output=True, text=True, check=False)
    return Path("/usr") if "list-objects" in said.stdout + said.stderr else None


PREFIX = newer_p11_kit()  # before the tests' environment is emptied


def with_another_token(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of a reader to whom p11-kit shows a token of SoftHSM before ours, where it is there."""
    module = next(Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"), None)
    if shutil.which("softhsm2-util") is None or module is None:
        print("without another token: not installed: softhsm2")
        return environment
    tokens, modules = folder / "tokens", folder / ".config" / "pkcs11" / "modules"
    for each in (tokens, modules):
        each.mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\n")
    environment = environment | {"SOFTHSM2_CONF": str(configuration)}
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "other", "--pin", "1234", "--so-pin", "1234"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    (modules / "other.module").write_text(f"module: {module}\npriority: 10\n")
    return environment


@pytest.mark.skipif(PREFIX is None, reason="not run: needs p11-kit 0.25 (HEM_TEST_P11_KIT=prefix)")
def test_ec_signatures_pass_through_newer_p11_kit(bare_environment, tmp_path):
    environment = bare_environment | {"PATH": f"{PREFIX}/bin:{bare_environment['PATH']}"}
    run_page(
        PAGE,
        environment=with_another_token(environment, tmp_path),
        folder=tmp_path,
        newer=lambda since: "engine" not in since or build_engine.has_engines(),
        ordinary=True,
        replacements={"/usr/lib/": f"{PREFIX}/lib/"},
    )


@pytest.fixture
def module(engine: Path) -> Path:
    """The module that lies beside the engine."""
    return engine.with_name("libhem_pkcs11.so")


@pytest.fixture
def mac(keyed) -> Iterator[str]:
    """A key whose mechanism every p11-kit carries; its label."""
    with connect(keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file) as hem:
        key = hem.keys.create("SHA2-256", label="mac", usage={"mac"})
        yield "mac"
        hem.keys.delete(key)


def sign_through(client: Path, environment: dict[str, str], folder: Path, label: str) -> bytes:
    """An HMAC of a file by way of ``client``, and a listing that shows the key."""
    (folder / "message").write_bytes(b"message")
    tool = ["pkcs11-tool", "--module", str(client), "--login"]
    for command in (
        ["--list-objects"],
        ["--sign", "-m", "SHA256-HMAC", "--input-file", "message", "--output-file", "mac"],
    ):
        done = subprocess.run(
            [*as_ordinary_user(required=True), *tool, *command],
            env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert label in done.stdout or "--sign" in command
    return (folder / "mac").read_bytes()


def client_library() -> Path:
    return next(Path("/usr/lib").glob("*/pkcs11/p11-kit-client.so"))


def without_device(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("HEM_")}


@pytest.fixture
def outside(bare_environment, module, tmp_path) -> Iterator[dict[str, str]]:
    """The environment of a program that knows p11-kit's server alone, which has the module."""
    socket = tmp_path / "s"
    server = subprocess.Popen(
        ["p11-kit", "server", "--foreground", "--provider", module, "--name", socket, "pkcs11:"],
        env=bare_environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not socket.exists():
            assert server.poll() is None
        yield without_device(bare_environment) | {"P11_KIT_SERVER_ADDRESS": f"unix:path={socket}"}
    finally:
        server.terminate()
        server.wait(10)


def test_signatures_pass_through_the_server_and_are_the_modules_own(
    outside, bare_environment, module, mac, tmp_path
):
    direct = sign_through(module, bare_environment, tmp_path, mac)
    assert sign_through(client_library(), outside, tmp_path, mac) == direct


def allowed_through(library: Path, environment: dict[str, str], label: str) -> list[list[str]]:
    """What a question for the length of the key's CKA_ALLOWED_MECHANISMS gives, and one for the list."""
    paths = {"PYTHONPATH": os.pathsep.join((str(SHIM.parent), str(SHIM)))}
    done = subprocess.run(
        [sys.executable, ALLOWED, library, label],
        env=environment | paths, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_the_allowed_mechanisms_pass_through_the_server_for_whoever_brings_a_buffer(
    outside, bare_environment, module, mac
):
    """The answer to who asks for the length alone says how many numbers follow, and p11-kit sends none of
    them (``p11_rpc_buffer_add_mechanism_type_array_value``): its client cannot read that."""
    length, whole = allowed_through(module, bare_environment, mac)
    assert length == whole[:2]
    assert length[0] == "OK"
    assert int(length[1]) == 8 * len(whole[2:]) > 0
    lost, through = allowed_through(client_library(), outside, mac)
    assert through == whole
    assert lost == length or lost[0] == "DEVICE_ERROR"  # p11-kit 0.24 to 0.26


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
SetEnv {variables}
"""


@contextlib.contextmanager
def ssh_to_ourselves(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """The command that runs something as ourselves by way of an SSH server, which knows the device."""
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    port = free_port()
    (folder / "known").write_text(f"[127.0.0.1]:{port} " + (folder / "host.pub").read_text())
    known = {name: environment[name] for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "PATH")}
    known |= {name: value for name, value in environment.items() if name.startswith("HEM_")}
    known |= PRELOADED
    variables = " ".join(f'{name}="{value}"' for name, value in known.items())
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder, variables=variables))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it wants that directory of root's
    server = [shutil.which("sshd", path="/usr/sbin:/usr/bin"), "-D", "-e", "-f", folder / "sshd_config"]
    own = {name: value for name, value in environment.items() if name not in PRELOADED}
    with served(server, port, environment=own, folder=folder):
        yield (
            f"ssh -F none -i {folder}/user -p {port} -o UserKnownHostsFile={folder}/known -o BatchMode=yes "
            f"{getpass.getuser()}@127.0.0.1"
        )


@pytest.mark.skipif(
    shutil.which("sshd", path="/usr/sbin:/usr/bin") is None, reason="not run: needs openssh-server"
)
def test_signatures_pass_over_ssh(bare_environment, module, mac, tmp_path):
    direct = sign_through(module, bare_environment, tmp_path, mac)
    with ssh_to_ourselves(bare_environment, tmp_path) as ssh:
        modules = tmp_path / ".config" / "pkcs11" / "modules"
        modules.mkdir(parents=True)
        (modules / "hem.module").write_text(f"remote: |{ssh} p11-kit remote {module}\n")
        (modules.parent / "pkcs11.conf").write_text("user-config: only\n")
        proxy = next(Path("/usr/lib").glob("*/p11-kit-proxy.so"))
        assert sign_through(proxy, without_device(bare_environment), tmp_path, mac) == direct
