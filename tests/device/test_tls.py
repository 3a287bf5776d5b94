"""A device over real sockets and real TLS: whom the client trusts, and what it sends."""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest
from support.calls import send
from support.statuses import status_answer

from hem_provider.device import connect
from hem_provider.errors import (
    HemAuthenticationError,
    HemConfigError,
    HemConnectionError,
    HemError,
    HemTimeout,
    HemTLSError,
    HemUnreachable,
    MessageTooLong,
)
from hem_provider.rest.tls import client_context, spki_sha256
from hem_provider.rest.transports import Carriers
from hem_provider.rest.wire import MAX_ANSWER


def served_certificate(url: str) -> bytes:
    host, port = url.removeprefix("https://").split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))


def test_the_whole_way_works_and_every_request_is_counted(served, over_tls):
    before = len(served.calls())
    key = over_tls.keys.create("SECP256R1", label="tls")
    private = key.private_key()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    private.public_key().verify(
        private.sign(b"data", ec.ECDSA(hashes.SHA256())), b"data", ec.ECDSA(hashes.SHA256())
    )
    over_tls.keys.delete(key)
    calls = served.calls(before)
    assert over_tls.statistics.calls == len(calls)
    assert over_tls.statistics.logins == sum(
        1 for c in calls if (c["method"], c["path"]) == ("POST", "/api/auth/token")
    )
    assert over_tls.is_emulator
    assert over_tls.version().model == "PPA"
    assert over_tls.status().initialized


def test_check_in_goes_by_way_of_the_verified_cloud(served, over_tls):
    assert over_tls.check_in().action == "OK"
    with connect(served.https, ca_file=served.ca_file, cloud_url=served.cloud) as untrusting:
        with pytest.raises(HemTLSError):
            untrusting.check_in()


def test_a_wrong_passphrase_is_an_authentication_error(served):
    with connect(served.https, passphrase="wrong", ca_file=served.ca_file) as hem:
        with pytest.raises(HemAuthenticationError, match="does not accept the passphrase"):
            hem.login()


def test_an_untrusted_certificate_is_a_tls_error_that_says_what_to_do(served):
    with connect(served.https, passphrase="x") as hem:
        with pytest.raises(HemTLSError, match="certificate is not acceptable.*ca_file"):
            hem.probe()


def test_the_right_authority_does_not_excuse_a_wrong_name(served, tmp_path):
    # 127.0.0.2 reaches no listener; the name is checked against the URL through a forwarded port.
    port = int(served.https.rsplit(":", 1)[1])
    context = client_context(ca_file=served.ca_file)
    with socket.create_connection(("127.0.0.1", port)) as raw:
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(raw, server_hostname="another.example")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_has_no_say_in_whom_to_trust(served, monkeypatch, variable):
    monkeypatch.setenv(variable, str(served.ca_file))
    with connect(served.https) as hem, pytest.raises(HemTLSError):
        hem.probe()


def test_the_environment_neither_reroutes_nor_records(served, monkeypatch, tmp_path):
    log = tmp_path / "keys.log"
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with connect(served.https, ca_file=served.ca_file) as hem:
        hem.probe()  # with a wrong Authorization header this would be a 401
    assert not log.exists()


def test_a_pin_stands_for_the_public_key_alone(served):
    pin = spki_sha256(served_certificate(served.https))
    with connect(served.https, pin_sha256=pin) as hem:
        hem.probe()
    with connect(served.https, pin_sha256=pin, ca_file=served.ca_file) as hem:
        hem.probe()
    with connect(served.https, pin_sha256="00" * 32) as hem:
        with pytest.raises(HemTLSError, match=f"{pin}, but {'00' * 32} is pinned"):
            hem.probe()
    with connect(served.https, pin_sha256="00" * 32, ca_file=served.ca_file) as hem:
        with pytest.raises(HemTLSError, match="is pinned"):
            hem.probe()


def test_insecure_works_and_is_loud(served, caplog):
    with connect(served.https, insecure=True) as hem, caplog.at_level(logging.WARNING):
        hem.probe()
    assert "INSECURE" in caplog.text


def test_a_ca_file_without_a_certificate_is_a_configuration_error(tmp_path):
    empty = tmp_path / "ca.pem"
    with pytest.raises(HemConfigError, match=r"ca\.pem: No such file"):
        client_context(ca_file=empty)
    empty.write_text("nothing")
    with pytest.raises(HemConfigError, match="no PEM certificate"):
        client_context(ca_file=empty)


def shown(url, **settings):
    """What a person sees of a failed connection."""
    import traceback

    with pytest.raises(HemError) as failed:
        connect(url, passphrase="x", **settings).probe()
    return "".join(traceback.format_exception(failed.value))


def test_a_failed_connection_shows_one_exception(served, tmp_path):
    for url, settings in (
        ("https://127.0.0.1:1", {}),
        (served.https, {}),  # not the system's authority
        (served.https, {"pin_sha256": "00" * 32}),
        ("https://no-such-host.invalid", {"connect_timeout": 2}),
    ):
        text = shown(url, **settings)
        assert text.count("Traceback (most recent call last)") == 1, text
        assert "During handling" not in text
        assert "direct cause" not in text


@pytest.mark.parametrize("line", [b"HTTP/1.1 099 \x1b[2J no\x0c\r\n\r\n", b"x" * 50_000 + b"\r\n\r\n"])
def test_what_a_peer_says_instead_of_http_is_shown_on_one_line_and_not_at_any_length(line):
    def answer(stream):
        stream.recv(4096)
        stream.sendall(line)

    with server(answer) as address, pytest.raises(HemConnectionError) as failed:
        connect(f"http://{address}", passphrase="x").probe()
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 500


def test_an_unreachable_device_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"https://127.0.0.1:{port}", "https://no-such-host.invalid"):
        with (
            connect(url, passphrase="x", connect_timeout=2) as hem,
            pytest.raises(HemUnreachable, match="reach"),
        ):
            hem.login()


@contextmanager
def server(answer, *, tls=None):
    """A server that runs ``answer(socket)`` for each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), closing(connection):
                    with tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
                        answer(stream)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.fixture
def tls_server(tmp_path):
    """A server context with a certificate of its own, and its pin."""
    return self_signed(tmp_path, days=1)[:2]


def self_signed(tmp_path, *, days):
    """A server context, its pin, and the file of its certificate, which ends in ``days``."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, spki_sha256(certificate.public_bytes(Encoding.DER)), file


def test_an_expired_certificate_says_so_and_how_to_renew_it(tmp_path):
    context, pin, file = self_signed(tmp_path, days=-1)
    with server(lambda s: s.recv(1), tls=context) as address:
        with (
            connect(f"https://{address}", ca_file=file) as hem,
            pytest.raises(HemTLSError, match="has expired.*renew") as caught,
        ):
            hem.probe()
    assert caught.value.code == "E-TLS-EXPIRED"

    def answer(s):
        s.recv(1000)
        s.sendall(status_answer())

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        hem.status()  # a pin is for the key, whatever the date


def test_a_login_over_plain_http_is_loud_once(served, caplog):
    with connect(served.http, passphrase=served.passphrase) as hem:
        hem.admin.configuration()
        hem.admin.configuration()
    assert caplog.text.count("PLAIN HTTP") == 1


def test_tls_1_2_is_not_enough(tls_server):
    context, pin = tls_server
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server(lambda s: s.recv(1), tls=context) as address:
        with (
            connect(f"https://{address}", pin_sha256=pin) as hem,
            pytest.raises(HemTLSError, match="TLS failed") as caught,
        ):
            hem.probe()
    assert caught.value.code == "E-TLS-HANDSHAKE"


def test_a_wrong_pin_gets_no_byte_of_the_request(tls_server):
    context, _ = tls_server
    received = []

    def answer(s):
        received.append(s.recv(1000))

    with server(answer, tls=context) as address:
        with connect(f"https://{address}", pin_sha256="11" * 32) as hem, pytest.raises(HemTLSError):
            hem.probe()
    assert all(not data for data in received)


def test_a_silent_device_is_a_timeout(tls_server):
    context, pin = tls_server
    done = threading.Event()
    with server(lambda _: done.wait(10), tls=context) as address:
        with (
            connect(f"https://{address}", pin_sha256=pin, timeout=1) as hem,
            pytest.raises(HemTimeout, match="within 1 s"),
        ):
            hem.status()
        done.set()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"garbage\r\n\r\n",
    ],
)
def test_a_broken_answer_is_a_connection_error(sent):
    def answer(s):
        s.recv(1000)
        s.sendall(sent)

    with server(answer) as address:
        with connect(f"http://{address}", timeout=5) as hem, pytest.raises(HemConnectionError):
            hem.status()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"hwv":1,"fwv":"x"}', "field 'hwv': a whole number; accepted: text"),
        (b'{"fwv":"x"}', "lacks the field 'hwv'"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_an_answer_that_is_not_the_device_apis_is_a_protocol_error(body, message):
    from hem_provider.errors import HemProtocolError

    def answer(s):
        s.recv(1000)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))

    with server(answer) as address:
        with connect(f"http://{address}") as hem, pytest.raises(HemProtocolError, match=message):
            hem.version()


def test_a_redirect_is_not_followed():
    with server(lambda _: None) as elsewhere:

        def answer(s):
            s.recv(1000)
            s.sendall(
                f"HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with server(answer) as address:
            with connect(f"http://{address}") as hem, pytest.raises(HemConnectionError, match="HTTP 302"):
                hem.status()


def test_an_endless_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr("hem_provider.rest.fullanswer.MAX_ANSWER", 10_000)

    def answer(s):
        s.recv(1000)
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(200_000))

    assert MAX_ANSWER > 3 * 1024 * 1024
    with server(answer) as address:
        with (
            connect(f"http://{address}") as hem,
            pytest.raises(HemConnectionError, match="larger than 10000"),
        ):
            hem.status()


def test_a_trickling_answer_does_not_outlast_the_deadline():
    def answer(s):
        s.recv(1000)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with suppress(OSError):
            for _ in range(100):
                s.sendall(b" ")
                time.sleep(0.05)

    with server(answer) as address:
        with connect(f"http://{address}", timeout=1, connect_timeout=1) as hem:
            before = time.monotonic()
            with pytest.raises(HemTimeout, match="not complete in time"):
                hem.status()
            assert time.monotonic() - before < 4


def test_no_cookie_is_kept():
    seen = []

    def answer(s):
        seen.append(s.recv(1000))
        s.sendall(status_answer(b"Set-Cookie: a=b"))

    with server(answer) as address:
        with connect(f"http://{address}") as hem:
            hem.status()
            hem.status()
    assert b"ookie" not in seen[1]


def test_requests_have_a_length_and_no_more_headers_than_needed():
    seen = []

    def answer(s):
        seen.append(s.recv(10_000).decode())
        s.sendall(status_answer())

    with server(answer) as address:
        with connect(f"http://{address}") as hem:
            send(hem, "POST", "/api/system/config", {"a": "ż"}, "T")
            send(hem, "GET", "/api/system/status")
    post, get = seen
    names = {line.split(":")[0].lower() for line in post.split("\r\n\r\n")[0].splitlines()[1:]}
    assert names == {
        "host",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-type",
        "content-length",
        "authorization",
    }
    assert "Content-Length: 10\r\n" in post
    assert "Accept-Encoding: identity" in post
    assert "Connection: close" in get
    assert "Authorization" not in get


def test_a_body_over_7300_bytes_is_refused_before_the_network(over_tls):
    fitting = 7300 - len('{"a":""}')
    with pytest.raises(MessageTooLong, match="7301 bytes, the device takes at most 7300"):
        send(over_tls, "POST", "/api/auth/token", {"a": "x" * (fitting + 1)})
    assert over_tls.statistics.calls == 0
    with pytest.raises(Exception, match="HTTP 400"):  # sent, and judged by the device
        send(over_tls, "POST", "/api/auth/token", {"a": "x" * fitting})


def test_tls_sessions_are_resumed_where_the_server_gives_tickets(tls_server):
    context, pin = tls_server
    reused = []

    def answer(s):
        reused.append(s.session_reused)
        s.recv(1000)
        s.sendall(status_answer())

    with server(answer, tls=context) as address:
        with connect(f"https://{address}", pin_sha256=pin) as hem:
            for _ in range(3):
                hem.status()
    assert reused == [False, True, True]


def test_a_thread_waits_its_turn_and_all_get_theirs(served, over_tls):
    key = over_tls.keys.create("ED25519", label="threads")
    private = key.private_key()
    public = private.public_key()
    before = over_tls.statistics.logins
    errors = []

    def work():
        try:
            public.verify(private.sign(b"data"), b"data")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    assert over_tls.statistics.logins - before == 1  # single flight
    over_tls.keys.delete(key)


def test_one_request_is_in_flight_per_device_whatever_number_of_clients():
    busy = threading.Lock()
    overlaps = []

    def answer(s):
        if not busy.acquire(blocking=False):
            overlaps.append(1)
        s.recv(1000)
        time.sleep(0.01)
        busy.release()
        s.sendall(status_answer())

    def serve(connection):
        with connection:
            answer(connection)

    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,)).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clients = [connect(url) for _ in range(4)]
    threads = [threading.Thread(target=client.status) for client in clients for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    acceptor.join(5)
    assert overlaps == []


def test_spacing_keeps_requests_apart():
    times = []

    def answer(s):
        times.append(time.monotonic())
        s.recv(1000)
        s.sendall(status_answer())

    with server(answer) as address:
        with connect(f"http://{address}", spacing=0.1) as hem:
            hem.status()
            hem.status()
    assert times[1] - times[0] >= 0.1


def test_after_fork_the_child_works_and_the_parents_connections_are_untouched(served, over_tls, monkeypatch):
    key = over_tls.keys.create("ED25519", label="fork")
    private = key.private_key()
    public = private.public_key()
    private.sign(b"warm")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            before = (over_tls.statistics.calls, over_tls.statistics.logins)
            closed = []
            monkeypatch.setattr(Carriers, "close", lambda self: closed.append(self))
            public.verify(private.sign(b"child"), b"child")
            after = (over_tls.statistics.calls - before[0], over_tls.statistics.logins - before[1])
            os.write(write, repr((after, len(closed))).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    assert os.read(read, 100) == b"((1, 0), 0)"  # the login survives; nothing of the parent's is closed
    os.close(read)
    assert os.waitpid(pid, 0)[1] == 0
    public.verify(private.sign(b"parent"), b"parent")
    over_tls.keys.delete(key)


def test_a_fork_while_another_thread_holds_the_line_does_not_hang_the_child(tls_server):
    context, pin = tls_server
    inside, go = threading.Event(), threading.Event()

    def answer(s):
        s.recv(1000)
        inside.set()
        go.wait(10)
        s.sendall(status_answer())

    with server(answer, tls=context) as address, connect(f"https://{address}", pin_sha256=pin) as hem:
        thread = threading.Thread(target=hem.status)
        thread.start()
        assert inside.wait(5)
        pid = os.fork()
        if pid == 0:
            # The parent's thread holds the line; the child has its own.
            from hem_provider.rest import turns

            os._exit(0 if not any(line.lock.locked() for line in turns._lines.get().values()) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        go.set()
        thread.join()


def test_no_secret_is_in_any_repr_or_message(served, caplog):
    secrets = [served.passphrase]
    with (
        connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem,
        caplog.at_level(logging.DEBUG),
    ):
        hem.login()
        credential = hem.session._credential
        secrets += [credential._seed.read().hex(), hem.session._tokens.find(["keymgmt:list"]).text]
        shown = " ".join(
            [repr(each) for each in (hem, hem.config, hem.session, hem.session._tokens, credential, hem.keys)]
            + [repr(hem.session._tokens.find(["keymgmt:list"])), caplog.text]
        )
    for secret in secrets:
        assert secret not in shown
        assert not re.search(re.escape(secret[:20]), shown)


def test_closing_lets_the_object_be_used_again(over_tls):
    over_tls.probe()
    over_tls.close()
    over_tls.probe()


def test_an_upload_is_streamed_with_its_length_and_progress(over_tls):
    from hem_provider.rest.upgrade import Image, UpgradeState, check, upload

    image = b"hem-provider emulator image 9.9.9\n" + bytes(300_000)
    seen = []

    run = over_tls.session.run
    run(upload(Image.DASHBOARD, image, progress=lambda sent, whole: seen.append((sent, whole))))
    run(check(Image.DASHBOARD))
    assert run(check(Image.DASHBOARD)) is UpgradeState.VERIFIED
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (len(image), len(image))


def hold_the_lock(url, seconds):
    """A process that holds the device's turn; gives it when told, or after ``seconds``."""
    import subprocess
    import sys

    code = (
        "import sys, time\n"
        "from hem_provider.rest.turns import turn\n"
        "with turn(sys.argv[1], where='', timeout=5, spacing=0, among_processes=True):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in __import__("sys").path if p))


def test_processes_of_one_user_take_turns(served, runtime):
    hem = connect(served.https, ca_file=served.ca_file)
    holder = hold_the_lock(hem.config.url, 5)
    done = []
    thread = threading.Thread(target=lambda: done.append(hem.status()))
    thread.start()
    thread.join(0.2)
    assert done == []
    holder.communicate("go\n", timeout=5)
    thread.join(5)
    assert len(done) == 1


def test_a_process_that_hangs_does_not_stop_the_others_for_good(served, runtime, caplog):
    with connect(served.https, ca_file=served.ca_file, timeout=1) as hem:
        holder = hold_the_lock(hem.config.url, 5)
        hem.status()
        assert "another process has kept the device" in caplog.text
        holder.communicate("go\n", timeout=5)


def test_a_lock_directory_of_somebody_else_is_not_used(runtime, tmp_path):
    from hem_provider.files import runtime_folder

    assert runtime_folder() == str(tmp_path / "hem")
    (tmp_path / "hem").chmod(0o777)
    assert runtime_folder() is None
    (tmp_path / "hem").rmdir()
    (tmp_path / "hem").symlink_to(tmp_path)
    assert runtime_folder() is None


def test_the_cloud_is_reached_through_a_proxy_and_verified_behind_it(served):
    import select

    asked = []

    def proxy(s):
        asked.append(s.recv(1000).split(b"\r\n")[0])
        host, port = asked[-1].split()[1].decode().split(":")
        with socket.create_connection((host, int(port))) as onward:
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            pair = {s: onward, onward: s}
            while True:
                for each in select.select(list(pair), [], [], 5)[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    pair[each].sendall(data)

    settings = {"ca_file": served.ca_file, "cloud_url": served.cloud}
    with server(proxy) as address:
        way = f"http://{address}"
        with connect(served.https, cloud_ca_file=served.ca_file, cloud_proxy=way, **settings) as hem:
            assert hem.check_in().action == "OK"
        with connect(served.https, cloud_proxy=way, **settings) as hem, pytest.raises(HemTLSError):
            hem.check_in()
    assert asked[0].startswith(b"CONNECT ")


def test_an_agent_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(HemUnreachable, match="no agent: /run/no-hem: no such socket; run: hem agent start"):
        connect("unix:/run/no-hem#office").status()
