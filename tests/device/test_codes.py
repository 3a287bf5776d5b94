"""What an error is called, as ``hem help`` explains it, where that is more than its class."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from hem_provider import errors
from hem_provider.config import load_config
from hem_provider.config.passphrase import passphrase_from_file
from hem_provider.device import connect
from hem_provider.rest.reasons import unreachable, untrusted


def code_of(action):
    with pytest.raises(errors.HemError) as caught:
        action()
    return caught.value.code


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "code"), [("https://127.0.0.1:{}", "E-REFUSED"), ("https://no-such-host.invalid", "E-NAME")]
)
def test_of_a_device_that_is_not_reached(url, code):
    with connect(url.format(free_port()), passphrase="x", connect_timeout=2) as hem:
        assert code_of(hem.probe) == code
        assert code_of(hem.login) == code


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ECONNREFUSED, "E-REFUSED"), (errno.EHOSTUNREACH, "E-NO-ROUTE"),
        (errno.ENETUNREACH, "E-NO-ROUTE"), (errno.EPIPE, None),
    ],
)  # fmt: skip
def test_of_a_connection_that_the_system_does_not_make(number, code):
    assert unreachable(OSError(number, os.strerror(number))) == code
    assert unreachable(socket.gaierror(-2, "Name or service not known")) == "E-NAME"
    assert unreachable(TimeoutError()) == "E-CONNECT"
    assert unreachable(ValueError()) is None


def test_of_certificates(served):
    port = served.https.rpartition(":")[2]
    with connect(served.https, passphrase="x") as hem:
        assert code_of(hem.probe) == "E-TLS-UNTRUSTED"
    with connect(served.https, pin_sha256="00" * 32) as hem:
        assert code_of(hem.probe) == "E-TLS-PIN"
    with connect(f"https://127.0.0.2:{port}", ca_file=served.ca_file, connect_timeout=2) as hem:
        # Whether somebody listens there depends on the address the emulator is bound to.
        assert code_of(hem.probe) in ("E-REFUSED", "E-TLS-NAME")


@pytest.mark.parametrize(
    ("text", "code"),
    [("HOSTNAME_MISMATCH", "E-TLS-NAME"), ("IP_ADDRESS_MISMATCH", "E-TLS-NAME"),
     ("CERT_HAS_EXPIRED", "E-TLS-EXPIRED"), ("CERT_NOT_YET_VALID", "E-TLS-NOT-YET"),
     ("SELF_SIGNED_CERT_IN_CHAIN", "E-TLS-UNTRUSTED")],
)  # fmt: skip
def test_of_what_openssl_finds(text, code):
    numbers = {"HOSTNAME_MISMATCH": 62, "IP_ADDRESS_MISMATCH": 64, "CERT_HAS_EXPIRED": 10,
               "CERT_NOT_YET_VALID": 9, "SELF_SIGNED_CERT_IN_CHAIN": 19}  # fmt: skip
    assert untrusted(numbers[text]) == code


def test_a_name_that_is_another_has_the_number_that_is_known(served):
    """OpenSSL's own, in case it numbers anew."""
    context = ssl.create_default_context(cafile=served.ca_file)
    port = int(served.https.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            context.wrap_socket(raw, server_hostname="another.example")
    assert untrusted(caught.value.verify_code) == "E-TLS-NAME"


def test_of_logins(served):
    with connect(served.https, passphrase="wrong", ca_file=served.ca_file) as hem:
        assert code_of(hem.login) == "E-PASSPHRASE"
    with connect(served.https, ca_file=served.ca_file) as hem:
        assert code_of(hem.login) == "HemLoginRequired"
    with connect(served.http, passphrase=served.passphrase) as hem:
        assert code_of(lambda: list(hem.keys)) == "E-PLAIN-HTTP"


def test_of_the_cloud(served):
    cloud = f"https://127.0.0.1:{free_port()}"
    with connect(served.https, ca_file=served.ca_file, cloud_url=cloud) as hem:
        assert code_of(hem.check_in) == "E-CLOUD"


def test_of_files_and_settings(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("one\ntwo\n")
    secret.chmod(0o600)
    assert code_of(lambda: passphrase_from_file(secret)) == "E-PASSPHRASE-SOURCE"
    secret.chmod(0o644)
    assert code_of(lambda: passphrase_from_file(secret)) == "E-SECRET-READABLE"
    secret.chmod(0o622)
    assert code_of(lambda: passphrase_from_file(secret)) == "E-RIGHTS"
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "config.toml"))
    one, other = (f'[[device]]\nurl = "https://{name}"\nname = "{name}"\n' for name in "ab")
    for text, code in (
        ("no toml", "E-CONFIG-FILE"), (f"{one}slto = 1\n", "E-SETTING"), ("", "E-NO-DEVICE"),
        (one + other, "E-WHICH-DEVICE"),
    ):  # fmt: skip
        (tmp_path / "config.toml").write_text(text)
        (tmp_path / "config.toml").chmod(0o600)
        assert code_of(lambda: load_config().device()) == code


def test_what_tells_more_of_an_error_keeps_its_code():
    first = errors.HemAuthenticationError("so", code="E-PASSPHRASE")
    first.status = 401
    more = errors.HemAuthenticationError("so; perhaps").like(first)
    assert (more.code, more.status) == ("E-PASSPHRASE", 401)
    assert errors.HemTimeout("so").like(errors.HemUnreachable("no")).code == "HemTimeout"
