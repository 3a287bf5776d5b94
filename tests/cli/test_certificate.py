"""``hem csr`` and ``hem certificate``: files, documents, refusals; and the device's own certificate."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import ssl
import subprocess
import time
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.emulator import ServedEmulator
from support.owner import valid
from support.passphrases import PASSPHRASE

from hem_provider.adapters.x509.making import MOST_DAYS
from hem_provider.adapters.x509.profiles import PROFILES
from hem_provider.cli import confirming
from hem_provider.cli.commands import certificate as shape
from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.rest.tls import spki_sha256


@pytest.fixture
def run(run):
    """The same, whose output is text."""

    def as_text(*arguments):
        status, out, said = run(*arguments)
        return status, out.decode(), said

    return as_text


@pytest.fixture
def owned(rig, hem, monkeypatch, tmp_path):
    """The rig's device as the only one, with keys "root" and "web"."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    hem.keys.create("SECP384R1", label="root", usage={"sign"})
    hem.keys.create("SECP256R1", label="web", usage={"sign"})
    rig.requests.clear()
    return rig


ROOT = ("certificate", "self-signed", "root", "--profile", "ca", "--subject", "CN=Our CA")
CSR = ("csr", "web", "--subject", "CN=web.example", "--san", "DNS:web.example", "--san", "IP:10.0.0.1")


@pytest.fixture
def chain(run, owned, tmp_path):
    """Files: the authority's certificate, and a request."""
    root, asked = tmp_path / "root.pem", tmp_path / "web.csr"
    assert run(*ROOT, "--output", root)[0] == 0
    assert run(*CSR, "--output", asked)[0] == 0
    return root, asked


def issuing(chain, *more, profile="server", yes=("--yes",)):
    root, asked = chain
    return "certificate", "issue", asked, "--key", "root", "--issuer", root, "--profile", profile, *yes, *more


def test_a_certificate_of_ones_own_authority_is_verified_by_openssl(run, chain, tmp_path):
    leaf = tmp_path / "web.pem"
    status, out, said = run(*issuing(chain, "--output", leaf))
    assert (status, said) == (0, "")
    assert out.splitlines()[:5] == [
        f"file       {leaf}",
        "subject    CN=web.example",
        "names      DNS:web.example, IP:10.0.0.1",
        "issuer     CN=Our CA",
        out.splitlines()[4],
    ]
    assert out.splitlines()[4].endswith("Z, 89 days left")
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "web.example",
         "-CAfile", chain[0], leaf], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{leaf}: OK\n"), done.stderr


def test_results_go_to_standard_output_alone_where_no_file_is_named(run, chain):
    for arguments, load in (
        (CSR, x509.load_pem_x509_csr),
        (ROOT, x509.load_pem_x509_certificate),
        (issuing(chain), x509.load_pem_x509_certificate),
    ):
        status, out, said = run(*arguments)
        assert (status, said) == (0, "")
        load(out.encode())


def test_results_as_json_are_as_the_schemas_say(run, chain, tmp_path):
    document = valid(json.loads(run(*CSR, "--json")[1]), "csr")
    assert (document["subject"], document["names"]) == ("CN=web.example", ["DNS:web.example", "IP:10.0.0.1"])
    x509.load_pem_x509_csr(document["pem"].encode())
    document = valid(json.loads(run(*ROOT, "--json", "--path-length", "2")[1]), "certificate-made")
    assert (document["ca"], document["path_length"], document["output"]) == (True, 2, None)
    file = tmp_path / "leaf.pem"
    document = valid(json.loads(run(*issuing(chain, "--json", "--output", file))[1]), "certificate-made")
    assert (document["profile"], document["output"], document["ca"]) == ("server", str(file), False)
    assert file.read_text() == document["pem"]


def test_names_of_others_do_not_act_on_a_terminal(run, chain, tmp_path):
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x1b[2Jb")]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a\x1b[31m.example")]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    file = tmp_path / "evil.csr"
    file.write_bytes(asked.public_bytes(Encoding.PEM))
    status, out, _ = run(*issuing((chain[0], file), "--output", tmp_path / "evil.pem"))
    assert status == 0
    assert "subject    CN=a\\x1b[2Jb\n" in out
    assert "names      DNS:a\\x1b[31m.example\n" in out


def asking(folder, *names, subject="web.example"):
    """A file with a request for these names."""
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    (folder / "asked.csr").write_bytes(made.public_bytes(Encoding.PEM))
    return folder / "asked.csr"


def test_what_a_request_asks_for_is_shown_before_it_is_signed(run, chain, owned, tmp_path, monkeypatch):
    asked = asking(
        tmp_path,
        x509.DNSName("*.com"),
        x509.DNSName("a.example, DNS:b.example\nname"),
        x509.IPAddress(ipaddress.ip_address(0)),
        x509.UniformResourceIdentifier("javascript:alert(1)"),
        x509.RFC822Name("root@example.com"),
        subject="web\n\x1b[2J",
    )
    owned.requests.clear()
    arguments = issuing((chain[0], asked), yes=())
    status, out, said = run(*arguments)
    assert (status, out) == (2, "")
    assert said == "hem: there is no terminal to ask on whether it is meant; give --yes\n"
    monkeypatch.setattr(confirming, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\ny\n"))
    status, out, said = run(*arguments)
    assert (status, out, owned.requests) == (1, "", [])
    assert said.splitlines()[:7] == [
        "A certificate of profile server for:",
        "subject    CN=web\\n\\x1b[2J",
        "name       DNS:*.com",
        "name       DNS:a.example, DNS:b.example\\nname",
        "name       IP:0.0.0.0",
        "name       URI:javascript:alert(1)",
        "name       email:root@example.com",
    ]
    assert said.splitlines()[7].startswith("Is it to be signed? [y/N] ")
    status, out, _ = run(*arguments)
    assert (status, out.startswith("-----BEGIN CERTIFICATE-----")) == (0, True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = run(*arguments, "--san", "DNS:mine.example", "--subject", "CN=mine")[2]
    assert said.splitlines()[1:3] == ["subject    CN=mine", "name       DNS:mine.example"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05admin"),
         "otherName:1.3.6.1.4.1.311.20.2.3=0c0561646d696e"),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), "RID:1.2.3"),
        (x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x\n")])),
         "dirName:CN=x\\n"),
    ],
)  # fmt: skip
def test_names_that_san_does_not_have_are_refused_unless_it_gives_others(
    run, chain, owned, tmp_path, name, told
):
    asked = asking(tmp_path, x509.DNSName("web.example"), name)
    owned.requests.clear()
    status, out, said = run(*issuing((chain[0], asked)))
    assert (status, out, said.count("\n"), owned.requests) == (1, "", 1, [])
    assert said.startswith(f"hem: the request is for {told}; accepted: DNS names")
    status, out, _ = run(*issuing((chain[0], asked), "--san", "DNS:web.example"))
    made = x509.load_pem_x509_certificate(out.encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert (status, list(names)) == (0, [x509.DNSName("web.example")])


@pytest.mark.parametrize(
    "names", ["3002a300", "3002a500", "3000aa"], ids=["x400Address", "ediPartyName", "none"]
)
def test_names_that_cannot_be_read_are_refused(run, chain, tmp_path, names):
    extension = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex(names))
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")]))
        .add_extension(extension, critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    file = tmp_path / "asked.csr"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    status, out, said = run(*issuing((chain[0], file)))
    assert (status, out, said.count("\n")) == (1, "", 1)
    assert "the request has extensions that cannot be read: " in said


def test_a_csr_costs_one_signature(run, owned):
    run("keys", "list")
    owned.requests.clear()
    run(*CSR)
    assert [each for each in owned.requests if "crypto" in each] == ["POST /api/crypto/exdsa/sign"]
    assert owned.count("POST /api/auth/token") == 1


def test_a_file_that_is_there_stays(run, chain, owned, tmp_path):
    file = tmp_path / "there"
    file.write_text("mine")
    owned.requests.clear()
    for arguments in (CSR, ROOT, issuing(chain)):
        status, _, said = run(*arguments, "--output", file)
        assert (status, file.read_text()) == (1, "mine")
        assert said == f"hem: {file}: there is such a file already; --force replaces it\n"
    assert owned.requests == []
    assert run(*CSR, "--output", file, "--force")[0] == 0
    assert file.read_text().startswith("-----BEGIN CERTIFICATE REQUEST-----")


def test_a_folder_that_takes_no_file_is_told_before_a_device_is_asked(run, owned, tmp_path, monkeypatch):
    nowhere = tmp_path / "nowhere"
    assert run(*CSR, "--output", nowhere / "x") == (1, "", f"hem: {nowhere}: No such file or directory\n")
    assert run(*CSR, "--output", tmp_path, "--force") == (1, "", f"hem: {tmp_path}: Is a directory\n")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr("hem_provider.cli.output.replace_file", lambda *_, **__: pytest.fail("was replaced"))
    for special in (tmp_path / "fifo", "/dev/full", "/dev/stdout", "/proc/self/fd/1"):
        status, _, said = run(*CSR, "--output", special, "--force")
        assert (status, "it is no regular file, and is not replaced" in said) == (1, True)
    monkeypatch.setattr("os.access", lambda *_: False)  # as for others than root
    assert run(*CSR, "--output", tmp_path / "x") == (1, "", f"hem: {tmp_path}: Permission denied\n")
    assert owned.requests == []


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("csr", "web"), 2, "give --subject or --san"),
        (("csr", "web", "--subject", "web"), 2, "--subject: 'web' is no subject; accepted: such as 'CN="),
        (("csr", "web", "--subject", "CN=a", "--san", "a"), 2, "--san: 'a' is no name; accepted: DNS:NAME"),
        ((*ROOT, "--days", "0"), 2, "'0' is not a whole number from 1 to 36500"),
        ((*ROOT, "--days", "ten"), 2, "'ten' is not a whole number"),
        ((*ROOT, "--path-length", "-1"), 2, "'-1' is not a whole number from 0 to 16"),
        ((*ROOT, "--profile", "mail"), 2, "'mail' is not one of 'server', 'client', 'code', 'ca'"),
        (("certificate", "self-signed", "root", "--subject", "CN=a"), 2, "Missing option '--profile'"),
        (("csr", "wbe", "--subject", "CN=a"), 5, "no key with label 'wbe'; did you mean 'web'?"),
        (("csr", "pkcs11:token=office;object=web", "--subject", "CN=a"), 2, "token 'office' is none"),
        (("certificate", "self-signed", "root", "--profile", "client"), 1, "needs a subject"),
        (("certificate", "self-signed", "root", "--profile", "server", "--subject", "CN=a"), 1, "give --san"),
    ],
)
def test_what_is_no_certificate_is_told_in_a_line(run, owned, arguments, status, told):
    found, out, said = run(*arguments)
    assert (found, out) == (status, "")
    assert told in said
    assert said.count("\n") == 1
    assert owned.count("POST /api/crypto") == 0
    found, out, said = run(*arguments, "--json")
    assert (valid(json.loads(out), "error")["status"], said) == (status, "")


def test_files_that_are_no_requests_or_certificates_are_told_before_a_device_is_asked(
    run, chain, owned, tmp_path
):
    root, asked = chain
    owned.requests.clear()
    for content in (b"", b"x" * 300_000, b"text", root.read_bytes()):
        file = tmp_path / "file"
        file.write_bytes(content)
        status, _, said = run(*issuing((root, file)))
        assert (status, said.startswith(f"hem: {file}: it "), said.count("\n")) == (1, True, 1)
        file.write_bytes(asked.read_bytes() if content == root.read_bytes() else content)
        status, _, said = run(*issuing((file, asked)))
        assert (status, said.startswith(f"hem: {file}: it ")) == (1, True)
    assert run(*issuing((root, tmp_path / "nowhere")))[2].endswith("nowhere: No such file or directory\n")
    assert owned.requests == []


def test_the_options_say_what_is_there():
    made = shape.command.commands["issue"].params
    (profile,) = [each for each in made if each.name == "profile"]
    (days,) = [each for each in made if each.name == "days"]
    assert list(profile.type.choices) == list(PROFILES)
    assert shape._MOST_DAYS == MOST_DAYS
    for name, row in PROFILES.items():
        assert f"{name} {row.days}" in days.help.replace("client and code", "client 365, code")


# --- the device's own ---


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A device whose certificate changes, configured with its cloud."""
    (tmp_path / "device").mkdir()
    emulator = ServedEmulator(tmp_path / "device").start()
    for name, value in (
        ("HEM_URL", emulator.https),
        ("HEM_CA_FILE", emulator.ca_file),
        ("HEM_CLOUD_URL", emulator.cloud),
        ("HEM_CLOUD_CA_FILE", emulator.ca_file),
        ("HEM_PASSPHRASE_FILE", emulator.passphrase_file),
    ):
        monkeypatch.setenv(name, str(value))
    yield emulator
    emulator.stop()


def offer(emulator):
    """The cloud has a new certificate for the device."""
    with EmulatedDevice(emulator.state) as device, device.model.transaction():
        state = device.model.state
        device.model.state = replace(state, knobs=replace(state.knobs, checkin_newcrt=True))


def presented(url):
    host, port = url.removeprefix("https://").split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))


def test_the_device_s_certificate_is_shown_without_a_login(run, served, monkeypatch):
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    before = len(served.calls())
    status, out, said = run("certificate", "show")
    assert (status, said) == (0, "")
    assert f"device     hem ({served.https})\n" in out
    assert "names      DNS:my.ence.do, " in out
    assert "accepted   yes\n" in out
    document = valid(json.loads(run("certificate", "show", "--json")[1]), "certificate-show")
    assert (document["accepted"], document["problem"]) == (True, None)
    der = presented(served.https)
    assert int(document["serial"], 16) == x509.load_der_x509_certificate(der).serial_number
    assert len(served.calls()) == before


def test_a_certificate_that_is_not_accepted_is_shown_with_the_reason(run, served, monkeypatch):
    monkeypatch.delenv("HEM_CA_FILE")
    status, out, said = run("certificate", "show")
    assert (status, said) == (0, "")
    assert "accepted   no: unable to get local issuer certificate\n" in out
    document = valid(json.loads(run("certificate", "show", "--json")[1]), "certificate-show")
    assert document["accepted"] is False
    monkeypatch.setenv("HEM_PIN_SHA256", "00" * 32)
    assert "is pinned" in run("certificate", "show")[1]
    monkeypatch.setenv("HEM_PIN_SHA256", spki_sha256(presented(served.https)))
    assert "accepted   yes\n" in run("certificate", "show")[1]
    monkeypatch.delenv("HEM_PIN_SHA256")
    monkeypatch.setenv("HEM_INSECURE", "true")
    assert "accepted   it is not verified: insecure = true\n" in run("certificate", "show")[1]
    document = valid(json.loads(run("certificate", "show", "--json")[1]), "certificate-show")
    assert document["accepted"] is None


def test_a_device_that_shows_no_certificate_says_so(run, served, monkeypatch, rig):
    plain = served.https.replace("https://", "http://")
    for url, status, told in (
        (f"emulator:{rig.path}", 1, "shows no certificate; one at https://HOST does"),
        ("https://127.0.0.1:1", 3, "no connection: Connection refused"),
        ("https://no.such.invalid", 3, "no connection: "),
        (plain, 1, "shows no certificate"),
    ):
        monkeypatch.setenv("HEM_URL", url)
        found, out, said = run("certificate", "show")
        assert (found, out, said.count("\n")) == (status, "", 1), url
        assert told in said


def test_a_certificate_that_is_offered_is_installed_and_the_device_restarts(run, served):
    old = presented(served.https)
    status, out, _ = run("certificate", "renew", "--yes")
    assert (status, out) == (
        0, "hem: the cloud offers no new certificate yet, as long before the end of this one.\n",
    )  # fmt: skip
    document = valid(json.loads(run("certificate", "renew", "--yes", "--json")[1]), "certificate-renew")
    assert document == {
        "device": "hem", "renewed": False, "restarted": False, "not_after": None, "pin_sha256": None,
    }  # fmt: skip
    offer(served)
    document = valid(json.loads(run("certificate", "renew", "--yes", "--json")[1]), "certificate-renew")
    assert (document["renewed"], document["restarted"]) == (True, True)
    deadline = time.monotonic() + 10
    while presented(served.https) == old and time.monotonic() < deadline:
        time.sleep(0.05)
    assert presented(served.https) != old
    assert document["pin_sha256"] == spki_sha256(old)


def test_one_that_no_longer_verifies_is_renewed_by_a_person_who_types_the_passphrase(
    run, served, monkeypatch
):
    """As with one that has expired: there is no login before the renewal."""
    offer(served)
    monkeypatch.delenv("HEM_CA_FILE")
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    monkeypatch.setattr("hem_provider.config.login_source.can_ask", lambda: True)
    monkeypatch.setattr(confirming, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setattr("getpass.getpass", lambda _: served.passphrase)
    assert run("keys", "list")[0] == 3
    status, out, said = run("certificate", "renew")
    assert status == 0, said
    assert "is installed, in force now." in out
    assert "which ends all logins. Go on? [y/N] " in said


def test_a_renewal_is_asked_about_unless_the_device_goes_on(run, served, monkeypatch):
    status, _, said = run("certificate", "renew")
    assert (status, said.endswith("give --yes\n")) == (2, True)
    monkeypatch.setattr(confirming, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    before = len(served.calls())
    assert run("certificate", "renew")[0] == 1
    assert len(served.calls()) == before
    offer(served)
    status, out, _ = run("certificate", "renew", "--no-restart")
    assert (status, out.endswith("in force when the device restarts: 'hem device reboot'.\n")) == (0, True)


def test_the_device_asks_for_a_certificate_and_an_authority_of_ones_own_gives_it(run, served, tmp_path):
    csr, root, made, chain = (tmp_path / name for name in ("device.csr", "ca.pem", "device.pem", "chain.pem"))
    run("keys", "create", "P-256", "--label", "root", "--use", "sign")
    assert run(*ROOT, "--output", root)[0] == 0
    document = valid(run("certificate", "request", "--output", csr, "--json")[1], "certificate-request")
    assert (document["subject"], document["names"]) == ("CN=my.ence.do", ["DNS:my.ence.do"])
    assert document["pem"] == csr.read_text()
    status, _, said = run("certificate", "request", "--output", csr)
    assert (status, said) == (1, f"hem: {csr}: there is such a file already; --force replaces it\n")
    issue = ("certificate", "issue", csr, "--key", "root", "--issuer", root, "--profile", "server", "--yes")
    assert run(*issue, "--san", "DNS:my.ence.do", "--san", "IP:127.0.0.1", "--output", made)[0] == 0
    chain.write_bytes(made.read_bytes() + root.read_bytes())
    old = presented(served.https)
    status, out, said = run("certificate", "install", chain, "--yes", "--json")
    document = valid(out, "certificate-install")
    assert said == ""
    new = presented(served.https)
    assert new == x509.load_pem_x509_certificate(made.read_bytes()).public_bytes(Encoding.DER) != old
    assert (document["restarted"], document["pin_sha256"]) == (True, spki_sha256(new))


def test_an_answer_that_was_carried_brings_the_certificate_in(run, served, tmp_path, monkeypatch):
    offer(served)
    challenge, answer = tmp_path / "challenge", tmp_path / "answer"
    challenge.write_text(run("checkin", "--challenge")[1])
    answer.write_text(run("checkin", "--relay", challenge)[1])
    status, out, _ = run("checkin", "--answer", answer)
    assert status == 0
    assert "The cloud offers a new certificate: hem certificate install ANSWER" in out
    monkeypatch.setenv("HEM_CLOUD_URL", "https://127.0.0.1:1")
    before = presented(served.https)
    status, out, _ = run("certificate", "install", answer, "--yes", "--no-restart")
    assert status == 0
    assert "in force when the device restarts: 'hem device reboot'.\n" in out
    assert presented(served.https) == before
    assert run("device", "reboot")[0] == 0
    assert presented(served.https) != before


def test_a_pin_that_another_key_makes_stale_is_told_with_the_new_one(run, served, tmp_path, monkeypatch):
    monkeypatch.delenv("HEM_CA_FILE")
    monkeypatch.setenv("HEM_PIN_SHA256", spki_sha256(presented(served.https)))
    csr, root, made = (tmp_path / name for name in ("device.csr", "ca.pem", "device.pem"))
    run("keys", "create", "P-256", "--label", "root", "--use", "sign")
    run(*ROOT, "--output", root)
    csr.write_text(run("certificate", "request")[1])
    issue = ("certificate", "issue", csr, "--key", "root", "--issuer", root, "--profile", "server", "--yes")
    run(*issue, "--output", made)
    status, out, _ = run("certificate", "install", made, "--yes")
    assert status == 0
    pin = spki_sha256(presented(served.https))
    assert f"another key than the configured pin_sha256: set that to {pin}\n" in out
    assert run("device", "config", "show")[0] == 3
    monkeypatch.setenv("HEM_PIN_SHA256", pin)
    assert run("device", "config", "show")[0] == 0


def test_what_is_no_certificate_for_the_device_is_refused(run, served, tmp_path):
    file = tmp_path / "file"
    before = len(served.calls())
    for content, told in (
        (b"", "0 bytes that are no certificate in PEM or DER"),
        (b"\x30\x03abc", "5 bytes that are no certificate in PEM or DER"),
        (
            b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n",
            "that are no certificate in PEM or DER",
        ),
        (b'{"checked": 3}', "this is not an answer of a check-in"),
        (b"x" * 300_000, "it has more than 262144 bytes, and is no certificate"),
    ):
        file.write_bytes(content)
        status, out, said = run("certificate", "install", file, "--yes")
        assert (status, out) == (1, ""), content
        assert said.startswith(f"hem: {file}: ")
        assert told in said
    answer = tmp_path / "answer"
    answer.write_text(run("checkin", "--relay", challenge_in(run, tmp_path))[1])
    status, _, said = run("certificate", "install", answer, "--yes")
    assert (status, said) == (1, f"hem: {answer}: the cloud offers no certificate in this answer\n")
    assert {call["path"] for call in served.calls(before)} <= {"/api/system/checkin", "/checkin"}
    run("keys", "create", "P-256", "--label", "root", "--use", "sign")
    run(*ROOT, "--output", file, "--force")
    status, _, said = run("certificate", "install", file, "--yes")
    assert status == 1
    assert "as where it has no key that the certificate is for" in said
    assert run("certificate", "install", file)[0] == 2


def test_a_certificate_is_shown_before_it_is_installed(run, served, tmp_path, monkeypatch):
    file = tmp_path / "own.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(presented(served.https)))
    monkeypatch.setattr(confirming, "can_ask", lambda: True)
    for typed, status in (("n\n", 1), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        before = len(served.calls())
        found, _, said = run("certificate", "install", file, "--no-restart")
        assert found == status
        assert "names      DNS:my.ence.do, " in said
        assert "Is it to be installed? [y/N] " in said
        assert bool(served.calls(before)) is (status == 0)


def challenge_in(run, folder):
    file = folder / "challenge"
    file.write_text(run("checkin", "--challenge")[1])
    return file
