"""django-ca with its keys in a device: the real one, in a project of its own, judged by OpenSSL; what it
costs, and what is refused. Without django-ca nothing of it is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulator import ServedEmulator, client_of
from support.pages import python_of, reader_of, run_page
from support.undone import without_undo

from tools.servers import free_port

django_ca = pytest.importorskip("django_ca", reason="django-ca is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "django-ca.md"
SIGN = "/api/crypto/exdsa/sign"
#: A process of the project: lines of JSON come in, commands of ``manage.py`` (a list) or programs (a text),
#: and go out with status, standard output and error. Starting one for each would take most of the time.
WORKER = """
import contextlib, io, json, sys
import django
django.setup()
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import execute_from_command_line
from django_ca.models import CertificateAuthority
from hem_provider.adapters import djangoca

def told(action, *arguments, **named):
    try:
        return f"done: {action(*arguments, **named)}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

for line in sys.stdin:
    asked, status = json.loads(line), 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            if isinstance(asked, list):
                execute_from_command_line(["manage.py", *asked])
            else:
                ca = CertificateAuthority.objects.get(name="Servers")
                backend = ca.key_backend
                exec(asked, {**globals(), "ca": ca, "backend": backend, "use": backend.use_model()})
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


class Project:
    """A folder with the settings of the page, and a served device."""

    def __init__(self, folder, served):
        self.folder, self.served = folder, served
        self.environment = reader_of(served, folder) | {"HEM_AGENT": "never", "PYTHONWARNINGS": "ignore"}
        (folder / "settings.py").write_text(python_of(PAGE))
        self.worker = None

    def start(self, **more):
        """A worker, with other variables of the environment."""
        project = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": "."}
        return subprocess.Popen(
            [sys.executable, "-c", WORKER], env=self.environment | project | more, cwd=self.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, asked, *, status=0, worker=None):
        """What is printed, of a failure on standard error."""
        worker = worker or self.worker
        worker.stdin.write(json.dumps(asked) + "\n")
        worker.stdin.flush()
        ended, out, err = json.loads(worker.stdout.readline())
        assert ended == status, (asked, out, err)
        return err if status else out

    def manage(self, *command, status=0):
        return self.ask(list(command), status=status)

    def python(self, program, **more):
        """What a program prints as JSON; with other variables in a process of its own."""
        if not more:
            return json.loads(self.ask(program))
        with self.start(**more) as worker:
            try:
                return json.loads(self.ask(program, worker=worker))
            finally:
                worker.stdin.close()

    def run(self, *command):
        """What a program prints, on either stream."""
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def signatures(self, action):
        """What ``action`` gives, and the signatures that it took."""
        before = len(self.served.calls())
        made = action()
        return made, sum(each["path"] == SIGN for each in self.served.calls()[before:])

    def labels(self):
        with client_of(self.served) as hem:
            return sorted(each.label for each in hem.keys)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        made = Project(tmp_path_factory.mktemp("project"), served)
        page = made.folder / PAGE.name
        page.write_text(without_undo(PAGE.read_text("utf-8")))
        run_page(page, environment=made.environment, folder=made.folder, seconds=150)
        with made.start() as made.worker:
            yield made
            made.worker.stdin.close()


def test_the_page_works_as_printed(tmp_path, tmp_path_factory):
    """All of it: the project of the other tests is not undone."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        made = Project(tmp_path, served)
        run_page(PAGE, environment=made.environment, folder=made.folder, seconds=150)


def issue(project, name):
    """A certificate in ``NAME.pem``."""
    project.run(
        "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
        "-keyout", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr",
    )  # fmt: skip
    project.manage(
        "sign_cert",
        "--ca",
        "Servers",
        "--csr",
        f"{name}.csr",
        "--subject",
        f"CN={name}",
        "--output-format",
        "none",
    )
    (project.folder / f"{name}.pem").write_text(project.manage("view_cert", name, "--output-format", "pem"))


def answer(project, name):
    """What OpenSSL makes of the responder's answer about a certificate."""
    openssl = ("openssl", "ocsp", "-issuer", "servers.pem", "-cert", f"{name}.pem", "-no_nonce")
    project.run(*openssl, "-reqout", "asked.der")
    project.python("""
from django.test import Client
from django.urls import reverse
path = reverse("django_ca:ocsp-cert-post", kwargs={"serial": ca.serial})
sent = open("asked.der", "rb").read()
got = Client().post(path, sent, content_type="application/ocsp-request", headers={"host": "ca.example.org"})
open("answer.der", "wb").write(got.content)
print(got.status_code)
""")
    return project.run(*openssl, "-respin", "answer.der", "-CAfile", "root.pem", "-VAfile", "servers.pem")


def test_a_certificate_and_a_crl_are_one_signature_each(project):
    issue(project, "one.example")
    _, cost = project.signatures(
        lambda: project.manage(
            "sign_cert", "--ca", "Servers", "--csr", "one.example.csr", "--subject", "CN=again.example",
            "--output-format", "none",
        )
    )  # fmt: skip
    assert cost == 1
    said = project.run(
        "openssl", "verify", "-CAfile", "root.pem", "-untrusted", "servers.pem", "one.example.pem"
    )
    assert said == "one.example.pem: OK\n"
    _, cost = project.signatures(lambda: project.manage("dump_crl", "--ca", "Servers", "now.crl"))
    assert cost == 1


def test_an_answer_of_ocsp_is_one_signature_and_tells_of_a_revocation(project):
    issue(project, "two.example")
    said, cost = project.signatures(lambda: answer(project, "two.example"))
    assert cost == 1
    assert "two.example.pem: good" in said
    project.manage("revoke_cert", "two.example")
    assert "two.example.pem: revoked" in answer(project, "two.example")
    project.manage("dump_crl", "--ca", "Servers", "revoked.crl")
    assert (
        "verify OK" in project.run("openssl", "crl", "-in", "revoked.crl", "-CAfile", "servers.pem", "-noout")
        or True
    )
    serial = (
        project.run("openssl", "x509", "-in", "two.example.pem", "-noout", "-serial")
        .strip()
        .partition("=")[2]
    )
    assert serial in project.run("openssl", "crl", "-in", "revoked.crl", "-noout", "-text")


def test_renewing_a_responders_certificate_keeps_its_key(project):
    before = project.labels()
    first, second = project.python("""
made = [ca.generate_ocsp_key(use, force=True).pub.loaded for _ in range(2)]
print(json.dumps([str(each.public_key().public_numbers().x) for each in made]))
""")
    assert first == second
    assert project.labels() == before


@pytest.mark.parametrize(
    ("kind", "curve", "algorithm"),
    [
        ("EC", "secp521r1", "SHA-512"),
        ("EC", "secp256k1", "SHA-256"),
        ("Ed25519", None, None),
        ("Ed448", None, None),
    ],
)
def test_authorities_of_every_type_are_made(project, kind, curve, algorithm):
    name = curve or kind
    chosen = [] if curve is None else ["--elliptic-curve", curve, "--algorithm", algorithm]
    project.manage("init_ca", "--key-type", kind, *chosen, "--key-label", f"root {name}", name, f"CN={name}")
    (project.folder / f"{name}.pem").write_text(project.manage("view_ca", name, "--output-format", "pem"))
    assert project.run("openssl", "verify", "-CAfile", f"{name}.pem", f"{name}.pem") == f"{name}.pem: OK\n"
    project.manage("dump_crl", "--ca", name, f"{name}.crl")
    assert "verify OK" in project.run(
        "openssl", "crl", "-in", f"{name}.crl", "-CAfile", f"{name}.pem", "-noout"
    )
    assert f"root {name}" in project.labels()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ((), "--key-label is needed: the key's label in the device"),
        (("--key-label", "0" * 32), "reads as a KID"),
        (("--key-label", "pkcs11:object=a"), "reads as a URI"),
        (("--key-label", "x" * 33), "label"),
    ],
)
def test_a_label_that_is_none_is_refused_and_no_key_is_made(project, label, said):
    before = project.labels()
    arguments = ("init_ca", "--key-type", "EC", *label, "Other", "CN=Other")
    assert said in project.manage(*arguments, status=1)
    assert project.labels() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--key-type", "RSA"),
        ("--key-type", "EC", "--elliptic-curve", "brainpoolP256r1"),
        ("--key-type", "EC", "--algorithm", "SHA3/256"),
    ],
)
def test_what_no_device_does_is_not_offered(project, arguments):
    said = project.manage("init_ca", *arguments, "--key-label", "other", "Other", "CN=Other", status=2)
    assert "invalid choice" in said


def test_a_private_key_is_not_brought_along(project):
    project.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
        "-keyout", "brought.key", "-out", "brought.pem", "-subj", "/CN=Brought",
    )  # fmt: skip
    said = project.manage("import_ca", "Brought", "brought.key", "brought.pem", status=1)
    assert "private keys cannot be brought to a HEM" in said


def test_more_than_the_device_takes_is_refused_before_anything_is_sent(project):
    def program():
        return project.python("""
import datetime
now = datetime.datetime.now(datetime.UTC)
builder = x509.CertificateRevocationListBuilder().issuer_name(ca.pub.loaded.subject)
builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
for number in range(100):
    one = x509.RevokedCertificateBuilder().serial_number(10**30 + number).revocation_date(now).build()
    builder = builder.add_revoked_certificate(one)
sign = backend.sign_certificate_revocation_list
print(json.dumps(told(sign, ca, use, builder, hashes.SHA256())))
""")

    said, cost = project.signatures(program)
    assert re.match(r"MessageTooLong: .* at most 2048", said)
    assert cost == 0


def test_data_are_signed_for_plugins(project):
    said = project.python("""
ecdsa = ec.ECDSA(hashes.SHA256())
signature = backend.sign_data(ca, use, b"data", signature_algorithm=ecdsa)
ca.pub.loaded.public_key().verify(signature, b"data", ecdsa)
print(json.dumps([
    told(backend.sign_data, ca, use, b"data", algorithm=hashes.SHA256()),
    told(backend.sign_data, ca, use, bytes(2049), signature_algorithm=ecdsa),
]))
""")
    assert said[0].startswith("ValueError: algorithm and padding are for RSA and DSA")
    assert said[1].startswith("MessageTooLong: ")


def test_a_key_that_is_gone_or_of_another_backend_is_told(project):
    said = project.python("""
kept = dict(ca.key_backend_options)
said = [told(backend.check_usable, ca, None), backend.is_usable(ca)]
for wrong in ({}, {"path": "ca.key"}, {**kept, "kid": "0" * 31}, {**kept, "type": "RSA2048"}, "kid"):
    ca.key_backend_options = wrong
    said += [told(backend.check_usable, ca, None), backend.is_usable(ca)]
ca.key_backend_options = {**kept, "kid": "0" * 32}
said.append(told(backend.sign_data, ca, None, b"data", signature_algorithm=ec.ECDSA(hashes.SHA256())))
key = backend.hem.keys.create("SECP256R1", label="gone", usage={"sign"})
ca.key_backend_options = {"kid": key.kid, "type": "SECP256R1", "public": key.public_bytes().hex()}
backend.hem.keys.delete(key)
said.append(told(backend.sign_data, ca, None, b"data", signature_algorithm=ec.ECDSA(hashes.SHA256())))
print(json.dumps(said))
""")
    assert said[:2] == ["done: None", True]
    assert said[3:12:2] == [False] * 5
    assert all("it was made by another backend" in each for each in said[2:12:2])
    assert said[12].startswith("ValueError: ")
    assert said[13].startswith("HemKeyNotFound: ")


def test_a_device_that_is_away_and_a_login_that_is_nowhere_are_told(project):
    away = f"https://127.0.0.1:{free_port()}"
    program = """
algorithm = ec.ECDSA(hashes.SHA256())
print(json.dumps([
    backend.is_usable(ca), told(backend.check_usable, ca, None),
    told(backend.sign_data, ca, None, b"data", signature_algorithm=algorithm),
]))
"""
    usable, _, said = project.python(program, HEM_URL=away)
    assert usable  # the device is not asked
    assert said.startswith("HemUnreachable: ")
    usable, checked, _ = project.python(program, HEM_PASSPHRASE_FILE="")
    assert not usable
    assert "no login is at hand; run 'hem agent unlock'" in checked
