"""The usual commands of openssl, with the engine by each name that programs give it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.engine import Run

from hem_provider.cli.openssl_files import configuration
from tools.servers import free_port, served

#: Command lines for {e}: "-engine NAME". Each makes what the next ones take. The keys' names hold
#: what a URI may hold, unescaped as people type it.
COMMANDS = (
    "pkey {e} -inform engine -in web -pubout -out web.pub",
    "dgst {e} -keyform engine -sha256 -sign web -out signature message",
    "dgst -sha256 -verify web.pub -signature signature message",
    "req -new {e} -keyform engine -key web -subj /CN=web -out web.csr",
    "req -x509 {e} -keyform engine -key ca -subj /CN=CA -days 9 -out ca.crt"
    " -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
    "x509 -req {e} -in web.csr -CA ca.crt -CAkey ca -CAkeyform engine -set_serial 7 -out web.crt"
    " -extfile web.ext",
    "verify -CAfile ca.crt web.crt",
    "ca -batch -config ca.cnf {e} -keyform engine -keyfile ca -cert ca.crt -in web.csr -out issued.crt",
    "ca -batch -config ca.cnf {e} -keyform engine -keyfile ca -cert ca.crt -revoke issued.crt",
    "ca -batch -config ca.cnf {e} -keyform engine -keyfile ca -cert ca.crt -gencrl -out list.crl",
    "cms -sign {e} -keyform engine -signer web.crt -inkey web -in message -outform DER -out cms",
    "smime -sign {e} -keyform engine -signer web.crt -inkey web -in message -outform DER -out smime",
    "pkeyutl -sign -rawin -digest sha256 {e} -keyform engine -inkey web -in message -out raw",
    "pkeyutl -sign -rawin {e} -keyform engine -inkey ed -in message -out raw",
    "pkeyutl -derive {e} -keyform engine -inkey web -peerkey peer.pub -out secret",
    "cms -decrypt {e} -keyform engine -inform DER -in sealed -recip web.crt -inkey web -out opened",
    "pkey {e} -inform engine -in web -text_pub -noout",
    "spkac {e} -keyform engine -key web -digest sha256 -out spkac",
)
CONFIG = """
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
crlnumber = serial
new_certs_dir = .
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
unique_subject = no
[any]
commonName = supplied
"""


@pytest.fixture
def folder(tmp_path: Path, openssl: Run) -> Path:
    (tmp_path / "ca.cnf").write_text(CONFIG)
    (tmp_path / "index.txt").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "message").write_bytes(b"a message\n")
    (tmp_path / "web.ext").write_text("keyUsage=digitalSignature,keyAgreement\n")
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.key", OPENSSL_CONF="/dev/null")
    openssl("pkey -in peer.key -pubout -out peer.pub", OPENSSL_CONF="/dev/null")
    return tmp_path


# test_commands.py does the same and more by the name "hem".
@pytest.fixture(
    params=["path", *(pytest.param(each, marks=pytest.mark.long) for each in ("hem", "pkcs11"))],
)
def named(request: pytest.FixtureRequest, engine: Path, environment: dict[str, str], folder: Path) -> str:
    """The engine's name on the command line; for a name of ours a configuration makes it known."""
    if request.param == "path":
        environment["OPENSSL_CONF"] = "/dev/null"
        return str(engine)
    (folder / "openssl.cnf").write_text(configuration(engine, engine_id=request.param))
    return str(request.param)


def test_every_usual_command_works_with_the_engine_by_this_name(
    openssl: Run, folder: Path, named: str
) -> None:
    done = 0
    for command in COMMANDS:
        if "-in sealed" in command:
            openssl("cms -encrypt -aes256 -in message -outform DER -out sealed web.crt")
        openssl(command.format(e=f"-engine {named}"))
        done += 1
    assert done == len(COMMANDS) == 18
    assert (folder / "opened").read_bytes().strip() == b"a message"
    openssl("pkeyutl -derive -inkey peer.key -peerkey web.pub -out theirs")
    assert (folder / "secret").read_bytes() == (folder / "theirs").read_bytes()
    (folder / "index.txt").write_text("V\t350101000000Z\t\t07\tunknown\t/CN=web\n")
    if "/" not in named:
        openssl("ocsp -issuer ca.crt -cert web.crt -no_nonce -reqout question")
        key = f"org.openssl.engine:{named}:pkcs11:object=ca"
        openssl(
            f"ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey {key} -reqin question -respout answer"
        )


def test_a_server_and_a_client_speak_with_the_engine_by_this_name(
    openssl: Run, environment: dict[str, str], folder: Path, named: str
) -> None:
    openssl(f"req -x509 -engine {named} -keyform engine -key web -subj /CN=localhost -days 9 -out web.crt")
    port, key = free_port(), f"-engine {named} -keyform engine -key web -cert web.crt"
    server = f"openssl s_server -accept 127.0.0.1:{port} -rev -Verify 1 -CAfile web.crt {key}".split()
    with served(server, port, environment=environment, folder=folder):
        # The server answers with the letters in reverse, once it has seen the client's certificate.
        client = f"s_client -connect 127.0.0.1:{port} -CAfile web.crt -verify_return_error -ign_eof {key}"
        with subprocess.Popen(
            ["openssl", *client.split()], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("drawer\n")
            process.stdin.flush()
            said = []
            for line in process.stdout:
                said.append(line)
                if "reward" in line:
                    break
            else:
                pytest.fail("".join(said))
            process.terminate()


def smallest_program() -> bytes:
    """A Windows program (PE32+) of headers alone: the one kind of file that every osslsigncode signs."""
    headers = 0x40
    file = struct.pack("<HHIIIHH", 0x8664, 0, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<H106xI", 0x20B, 16) + bytes(16 * 8)
    stub = b"MZ" + bytes(0x3A) + struct.pack("<I", headers)
    return (stub + b"PE\0\0" + file + optional).ljust(1024, b"\0")


def signature_of(program: bytes) -> bytes:
    """What its directory of certificates leads to."""
    place, size = struct.unpack_from("<II", program, 0x40 + 24 + 112 + 4 * 8)
    return program[place : place + size]


def test_osslsigncode_signs_with_the_engine_by_its_file(
    environment: dict[str, str], engine: Path, certificates: Path, tmp_path: Path
) -> None:
    if shutil.which("osslsigncode") is None:
        pytest.skip("not run: osslsigncode is not installed")
    (tmp_path / "program.exe").write_bytes(smallest_program())
    environment["OPENSSL_CONF"] = "/dev/null"
    done = subprocess.run(
        ["osslsigncode", "sign", "-pkcs11engine", engine, "-pkcs11module",
         engine.with_name("libhem_pkcs11.so"), "-certs", certificates / "web.crt", "-key",
         "pkcs11:object=web", "-h", "sha256", "-in", "program.exe", "-out", "signed.exe"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    certificate = x509.load_pem_x509_certificate((certificates / "web.crt").read_bytes())
    assert certificate.public_bytes(Encoding.DER) in signature_of((tmp_path / "signed.exe").read_bytes())


def test_a_pin_in_the_path_and_a_blank_in_the_tokens_name_are_taken(
    openssl: Run, keyed: object, folder: Path
) -> None:
    pin = str(getattr(keyed, "passphrase"))  # noqa: B009 - the fixture's type is not ours to import
    openssl(
        "dgst -engine hem -keyform engine -sha256 -out signature -sign",
        f"pkcs11:token=office (EMULATOR);object=web;pin-value={pin};",
        "message",
        HEM_PASSPHRASE_FILE="",
    )
    assert os.path.getsize(folder / "signature") > 60  # noqa: PTH202
