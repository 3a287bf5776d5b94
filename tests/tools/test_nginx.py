"""nginx with a HEM key: handshakes by two workers, through a reload, without errors or growth."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.servers import free_port, nginx_configuration, served

_PASSED = """
    HEM_URL HEM_NAME HEM_CA_FILE HEM_AGENT_SOCK HEM_PASSPHRASE_FILE XDG_CACHE_HOME XDG_DATA_HOME OPENSSL_CONF
""".split()  # noqa: SIM905 - as one reads it
_SERVER = 'ssl_protocols TLSv1.2 TLSv1.3; location / { return 200 "worker $pid\\n"; }'


class Nginx:
    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path, certificates: Path) -> None:
        self.master = process.pid
        self._port = port
        self._folder = folder
        self._context = ssl.create_default_context(cafile=str(certificates / "web.crt"))

    def handshake(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
        """One new connection with a request; the answer's body."""
        self._context.maximum_version = version
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as raw:
            with self._context.wrap_socket(raw, server_hostname="localhost") as tls:
                assert not tls.session_reused
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while part := tls.recv(4096):
                    answer += part
        return answer.split(b"\r\n\r\n", 1)[1].decode()

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.master}/task/{self.master}/children").read_text()
        return set(map(int, children.split()))

    def reload(self) -> None:
        """As ``nginx -s reload``; returns when the old workers are gone."""
        before = self.workers()
        os.kill(self.master, signal.SIGHUP)
        end = time.monotonic() + 30
        while self.workers() & before or not self.workers():
            assert time.monotonic() < end, self.errors
            time.sleep(0.05)

    @property
    def errors(self) -> list[str]:
        lines = (self._folder / "error.log").read_text().splitlines()
        return [
            line
            for line in lines
            if any(f"[{level}]" in line for level in ("warn", "error", "crit", "alert", "emerg"))
        ]


def resident(pid: int) -> int:
    """Kilobytes of memory of a process that no other shares."""
    status = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("Private_"))


@contextlib.contextmanager
def nginx(
    certificates: Path,
    environment: dict[str, str],
    folder: Path,
    key: str,
    engine: str = "",
    worker: str = "root",
    before: tuple[str, ...] = (),
) -> Iterator[Nginx]:
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(
        nginx_configuration(
            folder, port, certificates / "web.crt", key,
            server=_SERVER, passed=_PASSED, user=worker, main=engine,
        )
    )  # fmt: skip
    command = [*before, "nginx", "-p", folder, "-c", file]
    with served(command, port, environment=environment, folder=folder) as process:
        yield Nginx(process, port, folder, certificates)


def handshakes_through_a_reload(server: Nginx, count: int) -> None:
    seen = {server.handshake() for _ in range(20)}
    before = {pid: resident(pid) for pid in server.workers()}
    seen |= {server.handshake() for _ in range(count // 2 - 20)}
    grown = {pid: resident(pid) - size for pid, size in before.items()}
    assert len(seen) == 2, "both workers took part"
    server.reload()
    master = resident(server.master)
    after = {server.handshake() for _ in range(count // 2)}
    assert not after & seen, "the workers are new"
    server.reload()
    assert server.handshake()
    assert server.errors == []
    assert all(size < 1500 for size in grown.values()), f"kilobytes more: {grown}"
    assert resident(server.master) - master < 1500


def test_fifty_handshakes_through_a_reload(certificates, environment, tmp_path):
    with nginx(certificates, environment, tmp_path, "engine:hem:pkcs11:object=web") as server:
        handshakes_through_a_reload(server, 60)
        assert server.handshake(ssl.TLSVersion.TLSv1_2)


@pytest.mark.long
def test_five_hundred_handshakes_through_a_reload(certificates, environment, tmp_path):
    with nginx(certificates, environment, tmp_path, "engine:hem:pkcs11:object=web") as server:
        handshakes_through_a_reload(server, 500)


def test_a_key_file_that_names_the_key_needs_no_word_of_engines(certificates, environment, tmp_path):
    from hem_provider.cli.openssl_files import key_file

    (tmp_path / "web.key").write_text(key_file("pkcs11:object=web"))
    with nginx(certificates, environment, tmp_path, f"{tmp_path}/web.key") as server:
        assert server.handshake().startswith("worker")
        assert server.errors == []


def test_ssl_engine_loads_the_engine_where_openssl_finds_it(certificates, environment, engine, tmp_path):
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "hem.so").symlink_to(engine)
    without = environment | {"OPENSSL_ENGINES": str(tmp_path / "engines")}
    del without["OPENSSL_CONF"]
    with nginx(certificates, without, tmp_path, "engine:hem:web", "ssl_engine hem;") as server:
        assert server.handshake().startswith("worker")
        assert server.errors == []


as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="not run: only root can start nginx with workers of another user"
)


@pytest.fixture
def public_folder():
    """One that workers without privileges can enter."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        yield folder


def handshakes_of_www_data(server: Nginx) -> None:
    """By workers before and after a reload, who cannot read what the master could."""
    assert server.handshake().startswith("worker")
    server.reload()
    assert server.handshake().startswith("worker")
    user = pwd.getpwnam("www-data").pw_uid
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in server.workers()} == {user}
    assert server.errors == []


@as_root
def test_workers_without_privileges_sign_with_the_pin_that_the_master_read(
    certificates, environment, keyed, public_folder
):
    (public_folder / "ca.pem").write_bytes(keyed.ca_file.read_bytes())
    own = environment | {
        "HEM_CA_FILE": f"{public_folder}/ca.pem",
        "HEM_PASSPHRASE_FILE": "",
        "XDG_DATA_HOME": f"{public_folder}/data",
    }
    del own["XDG_CACHE_HOME"]
    key = f"engine:hem:pkcs11:object=web?pin-source=file:{keyed.passphrase_file}"
    with nginx(certificates, own, public_folder, key, worker="www-data") as server:
        handshakes_of_www_data(server)


@as_root
@pytest.mark.parametrize("engine_key", [True, False])
def test_workers_without_privileges_sign_with_the_configured_passphrase(
    certificates, environment, keyed, public_folder, engine_key
):
    """The passphrase file and the CA file are root's alone, and the key's name says nothing of a PIN."""
    from hem_provider.cli.openssl_files import key_file

    for name, source in (("ca.pem", keyed.ca_file), ("passphrase", keyed.passphrase_file)):
        (public_folder / name).write_bytes(source.read_bytes())
        (public_folder / name).chmod(0o600)
    own = environment | {
        "HEM_CA_FILE": f"{public_folder}/ca.pem",
        "HEM_PASSPHRASE_FILE": f"{public_folder}/passphrase",
        "XDG_DATA_HOME": f"{public_folder}/data",
    }
    del own["XDG_CACHE_HOME"]
    (public_folder / "web.key").write_text(key_file("pkcs11:object=web"))
    key = "engine:hem:pkcs11:object=web" if engine_key else f"{public_folder}/web.key"
    with nginx(certificates, own, public_folder, key, worker="www-data") as server:
        handshakes_of_www_data(server)


@as_root
def test_an_nginx_of_a_root_shell_takes_everything_from_etc(certificates, environment, keyed, public_folder):
    """Without HOME or any variable of ours; ``/etc`` is a copy in a mount namespace of its own."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("not run: this system gives no mount namespaces")
    etc = public_folder / "etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    (etc / "hem").mkdir(mode=0o755)
    for name, source, mode in (
        ("ca.pem", keyed.ca_file, 0o644), ("passphrase", keyed.passphrase_file, 0o600),
    ):  # fmt: skip
        (etc / "hem" / name).write_bytes(source.read_bytes())
        (etc / "hem" / name).chmod(mode)
    (etc / "hem" / "config.toml").write_text(
        f'[[device]]\nurl = "{keyed.https}"\nname = "office"\nca_file = "/etc/hem/ca.pem"\n'
        'passphrase_file = "/etc/hem/passphrase"\n'
    )
    (etc / "hem" / "config.toml").chmod(0o644)
    ours = ("HEM_", "XDG_", "HOME")
    own = {name: value for name, value in environment.items() if not name.startswith(ours)}
    before = ("unshare", "-m", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh")
    key = "engine:hem:pkcs11:object=web"
    with nginx(certificates, own, public_folder, key, worker="www-data", before=before) as server:
        handshakes_of_www_data(server)


def test_a_key_that_is_not_there_stops_nginx_with_its_name(certificates, environment, tmp_path):
    with pytest.raises(RuntimeError, match="no private key 'pkcs11:object=nobody' on token 'office"):
        with nginx(certificates, environment, tmp_path, "engine:hem:pkcs11:object=nobody"):
            pass
