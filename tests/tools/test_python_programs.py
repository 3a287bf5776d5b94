"""Programs in Python whose TLS signs with HEM keys: the interpreter is the host's, and so is its end."""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path

import pytest
from support.engine import Run

from hem_provider.cli.openssl_files import key_file
from tools.servers import free_port, served

ROOT = Path(__file__).parents[2]
DEBIAN = Path("/usr/bin/python3")
SCRIPT = """
import ssl, socket, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    with context.wrap_socket(listener, server_side=True) as server:
        connection, _ = server.accept()
        connection.sendall(b"signed")
        connection.close()
print("end", flush=True)
"""


def is_ours(python: Path) -> bool:
    said = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
    return said.startswith(f"Python {sysconfig.get_python_version()}.")


@pytest.fixture(params=["this Python", "Debian's Python"])
def python(request: pytest.FixtureRequest) -> list[str]:
    """How to start it: Debian's without its own packages, which may be too old."""
    if request.param == "this Python":
        return [sys.executable]
    if not DEBIAN.exists() or not is_ours(DEBIAN):
        pytest.skip(f"not run: {DEBIAN} is not of the version that the module is built for")
    return [str(DEBIAN), "-S"]


def handshake(port: int, certificate: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(certificate))
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            return tls.recv(100)


def run_server(
    python: list[str], environment: dict[str, str], certificate: Path, key: Path
) -> tuple[bytes, int, str]:
    """What a client got, and how the program ended."""
    with subprocess.Popen(
        [*python, "-c", SCRIPT, certificate, key],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        timer = threading.Timer(60, process.kill)
        timer.start()
        line = process.stdout.readline()
        got = handshake(int(line), certificate) if line.strip() else b""
        said = process.stdout.read() + process.stderr.read()
        timer.cancel()
    return got, process.returncode, said


def test_a_python_server_signs_by_the_engine_and_ends_in_order(
    environment: dict[str, str], certificates: Path, tmp_path: Path, python: list[str]
) -> None:
    (tmp_path / "web.key").write_text(key_file("pkcs11:object=web"))
    got, status, said = run_server(python, environment, certificates / "web.crt", tmp_path / "web.key")
    assert (got, status, said.split()) == (b"signed", 0, ["end"])


def test_a_python_program_that_loads_a_key_and_does_nothing_ends_in_order(
    environment: dict[str, str], certificates: Path, tmp_path: Path, python: list[str]
) -> None:
    (tmp_path / "web.key").write_text(key_file("pkcs11:object=web"))
    script = "import ssl, sys; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*sys.argv[1:])"
    done = subprocess.run(
        [*python, "-c", script, certificates / "web.crt", tmp_path / "web.key"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


GUNICORN = """
bind = "127.0.0.1:{port}"
workers = 2
user = group = "{user}"
certfile, keyfile = "{certificate}", "{key}"
preload_app = True
accesslog = None
"""
APPLICATION = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"user {os.getuid()}".encode()]
"""


def others_reach(place: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (place, *place.parents))


def readable_python() -> list[str]:
    """An interpreter that other users may read: a worker loads the module when it has given up root."""
    for place in (ROOT, Path(sysconfig.get_paths()["purelib"])):
        if not others_reach(place):
            pytest.skip(f"not run: other users cannot read what lies in {place}")
    if others_reach(Path(sys.base_prefix)):
        return [sys.executable]
    if DEBIAN.exists() and is_ours(DEBIAN):
        return [str(DEBIAN), "-S"]
    pytest.skip("not run: no Python of the module's version lies where other users can read it")


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can start gunicorn for another user")
def test_gunicorn_signs_in_workers_of_another_user(environment: dict[str, str], certificates: Path) -> None:
    pytest.importorskip("gunicorn", reason="not run: gunicorn is not installed")
    user = "www-data"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        port = free_port()
        for name, content in (
            ("web.crt", (certificates / "web.crt").read_text()),
            ("web.key", key_file("pkcs11:object=web")),
            ("ca.pem", Path(environment["HEM_CA_FILE"]).read_text()),
            ("passphrase", Path(environment["HEM_PASSPHRASE_FILE"]).read_text()),
            ("app.py", APPLICATION),
            ("openssl.cnf", Path(environment["OPENSSL_CONF"]).read_text()),
        ):
            (folder / name).write_text(content)
        (folder / "passphrase").chmod(0o600)
        os.chown(folder / "passphrase", pwd.getpwnam(user).pw_uid, -1)
        (folder / "conf.py").write_text(
            GUNICORN.format(port=port, user=user, certificate=folder / "web.crt", key=folder / "web.key")
        )
        own = environment | {
            "HEM_CA_FILE": str(folder / "ca.pem"),
            "HEM_PASSPHRASE_FILE": str(folder / "passphrase"),
            "OPENSSL_CONF": str(folder / "openssl.cnf"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder / "nobodys"),  # gunicorn makes one
            "PYTHONPATH": sysconfig.get_paths()["purelib"],
        }
        command = [*readable_python(), "-m", "gunicorn", "-c", folder / "conf.py", "app:application"]
        with served(command, port, environment=own, folder=folder) as process:
            context = ssl.create_default_context(cafile=str(certificates / "web.crt"))
            for _ in range(4):
                with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
                    with context.wrap_socket(raw, server_hostname="localhost") as tls:
                        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        answer = b""
                        while part := tls.recv(4096):
                            answer += part
                assert answer.endswith(f"user {pwd.getpwnam(user).pw_uid}".encode()), answer
            assert process.poll() is None
        log = (folder / "server.log").read_text()
        assert "Traceback" not in log
        assert "ignored" not in log
        assert "SIGSEGV" not in log


def test_the_engine_option_of_openssl_and_python_see_one_key(openssl: Run, certificates: Path) -> None:
    said = openssl("pkey -engine hem -inform engine -in web -pubout").stdout
    shown = openssl(f"x509 -in {certificates}/web.crt -noout -pubkey").stdout
    assert said == shown
