"""PDF signatures by a HEM's key: what pdfsig and pyHanko say of them, what they cost, and what is refused."""

from __future__ import annotations

import asyncio
import datetime
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import HTTPTimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from support.emulator import ServedEmulator
from support.pages import python_of, reader_of, run_page
from support.timestamps import time_stamps
from support.traffic import LostRequest

from hem_provider.adapters.pdf import PdfSigner
from hem_provider.errors import HemConnectionError, HemOperationFailed, MessageTooLong

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "pdf.md"
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
#: Whether NSS knows it, by which pdfsig verifies.
TYPES = {
    "SECP256R1": True, "SECP384R1": True, "SECP521R1": True,
    "ED25519": False, "ED448": False, "MLDSA65": False,
}  # fmt: skip
pdfsig = pytest.mark.skipif(
    not (shutil.which("pdfsig") and shutil.which("certutil")), reason="no pdfsig, or no certutil"
)


class Authority:
    """Keys of its own, in this process."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.issue("Root", self.key.public_key(), ca=True)

    def issue(self, name, public, *, ca=False):
        usage = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    content_commitment=not ca,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    **usage,
                ),
                critical=True,
            )
        )
        return builder.sign(self.key, hashes.SHA256())

    def crl(self, entries):
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(NOW - datetime.timedelta(hours=1))
            .next_update(NOW + datetime.timedelta(days=3))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for number in range(entries):
            revoked = x509.RevokedCertificateBuilder().serial_number(10**30 + number).revocation_date(NOW)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def document():
    """A page, and 100 kB that stand for what is on it."""
    writer = PdfFileWriter(stream_xrefs=False)
    content = writer.add_object(generic.StreamObject(stream_data=b"% text\n" * 14_000))
    box = generic.ArrayObject([generic.NumberObject(each) for each in (0, 0, 595, 842)])
    writer.insert_page(PageObject(contents=content, media_box=box))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture
def signer(hem, authority):
    key = hem.keys.create("SECP256R1", label="contracts", usage={"sign"})
    return PdfSigner(key, authority.issue("Ada", key.public_key()), authority.root)


def sign(document, signer, *, timestamper=None, subfilter=SigSeedSubFilter.PADES, **how):
    output = io.BytesIO()
    signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(document)),
        signers.PdfSignatureMetadata(field_name="Ada", subfilter=subfilter, **how),
        signer,
        timestamper=timestamper,
        output=output,
    )
    return output.getvalue()


def asn1_of(certificate):
    return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))


def calls(hem, operation):
    before = hem.statistics.calls - hem.statistics.logins * 2
    made = operation()
    return made, hem.statistics.calls - hem.statistics.logins * 2 - before


def status_of(signed, *roots):
    (signature,) = PdfFileReader(io.BytesIO(signed)).embedded_signatures
    trusted = [asn1_of(each) for each in roots]
    return validate_pdf_signature(signature, ValidationContext(trust_roots=trusted, allow_fetching=False))


@pytest.fixture
def verify(tmp_path, authority):
    """What pdfsig says of a document, with the authority's root trusted."""
    folder = tmp_path / "nss"
    folder.mkdir()
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root.public_bytes(Encoding.PEM))
    subprocess.run(["certutil", "-N", "-d", folder, "--empty-password"], check=True, timeout=60)
    command = ["certutil", "-A", "-d", folder, "-n", "root", "-t", ",C,", "-i", root]
    subprocess.run(command, check=True, timeout=60)

    def verify(signed):
        path = tmp_path / "signed.pdf"
        path.write_bytes(signed)
        done = subprocess.run(
            ["pdfsig", "-nssdir", folder, path], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    return verify


@pdfsig
@pytest.mark.parametrize("subfilter", [SigSeedSubFilter.PADES, SigSeedSubFilter.ADOBE_PKCS7_DETACHED])
@pytest.mark.parametrize("kind", [kind for kind, known in TYPES.items() if known])
def test_pdfsig_finds_a_signature_valid_and_trusted(hem, authority, document, verify, kind, subfilter):
    key = hem.keys.create(kind, label="contracts", usage={"sign"})
    signer = PdfSigner(key, authority.issue("Ada", key.public_key()), authority.root)
    signed, cost = calls(hem, lambda: sign(document, signer, subfilter=subfilter))
    assert cost == 1
    said = verify(signed)
    assert "Signature is Valid." in said
    assert "Certificate is Trusted." in said
    assert "Total document signed" in said


@pdfsig
def test_an_altered_document_is_not_valid(document, signer, verify):
    signed = sign(document, signer)
    assert "Signature is Valid." in verify(signed)
    assert "Digest Mismatch" in verify(signed.replace(b"% text", b"% tExt", 1))


@pytest.mark.parametrize("kind", TYPES)
def test_pyhanko_finds_a_signature_of_every_type_valid(hem, authority, document, kind):
    key = hem.keys.create(kind, label="contracts")
    signer = PdfSigner(key, authority.issue("Ada", key.public_key()), authority.root)
    digest = {"md_algorithm": "sha512"} if kind.startswith("MLDSA") else {}
    signed, cost = calls(hem, lambda: sign(document, signer, **digest))
    assert cost == 1
    status = status_of(signed, authority.root)
    assert status.intact
    assert status.valid
    assert status.trusted


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_digest_may_be_chosen(document, signer, authority, digest):
    status = status_of(sign(document, signer, md_algorithm=digest), authority.root)
    assert status.valid
    assert status.md_algorithm == digest


def test_a_time_stamp_of_the_signature_costs_the_device_nothing(
    hem, document, signer, authority, tmp_path, request
):
    with time_stamps(tmp_path) as (url, certificate, came):
        signed, cost = calls(hem, lambda: sign(document, signer, timestamper=HTTPTimeStamper(url)))
    assert cost == 1
    assert came
    tsa = x509.load_pem_x509_certificate(certificate)
    status = status_of(signed, authority.root, tsa)
    assert status.valid
    assert status.trusted
    assert status.timestamp_validity.valid
    assert status.timestamp_validity.trusted
    if shutil.which("pdfsig") and shutil.which("certutil"):
        assert "Signature is Valid." in request.getfixturevalue("verify")(signed)


@pytest.mark.parametrize(
    ("subfilter", "entries", "fits"),
    [
        (SigSeedSubFilter.ADOBE_PKCS7_DETACHED, 2, True),
        (SigSeedSubFilter.ADOBE_PKCS7_DETACHED, 100, False),
        (SigSeedSubFilter.PADES, 1000, True),
    ],
)
def test_revocation_information_fits_beside_the_signature(
    hem, document, signer, authority, subfilter, entries, fits
):
    context = ValidationContext(
        trust_roots=[asn1_of(authority.root)], crls=[authority.crl(entries)], allow_fetching=False
    )

    def signed():
        return sign(
            document, signer, subfilter=subfilter, embed_validation_info=True, validation_context=context
        )

    def refused():
        with pytest.raises(MessageTooLong, match="signed attributes: .* revocation information") as error:
            signed()
        assert (error.value.limit, error.value.size > 2048) == (2048, True)

    made, cost = calls(hem, signed if fits else refused)
    assert cost == (1 if fits else 0)
    if fits:
        assert status_of(made, authority.root).valid


def test_a_time_stamp_of_the_content_is_refused_before_anything_is_sent(hem, document, authority, tmp_path):
    """Its certificates are among the signed attributes: one may fit, a public authority's chain does not."""
    key = hem.keys.create("SECP256R1", label="contracts", usage={"sign"})
    signer = PdfSigner(key, authority.issue("Ada", key.public_key()))

    async def signs():
        await signer.async_sign_raw(bytes(2049), "sha256")

    def refused():
        with pytest.raises(MessageTooLong, match="2049 bytes.* time stamp of the content"):
            asyncio.run(signs())

    assert calls(hem, refused)[1] == 0
    with time_stamps(tmp_path) as (url, _, _):
        small = CAdESSignedAttrSpec(timestamp_content=True)
        signed = sign(document, signer, timestamper=HTTPTimeStamper(url), cades_signed_attr_spec=small)
    assert status_of(signed, authority.root).valid


@pytest.mark.parametrize(
    ("kind", "options"),
    [("CURVE25519", {}), ("AES256", {"usage": {"aead"}}), ("SECP256R1", {"usage": {"derive"}})],
)
def test_a_key_that_does_not_sign_is_refused(hem, authority, kind, options):
    with pytest.raises(HemOperationFailed, match="does not sign"):
        PdfSigner(hem.keys.create(kind, label="wrong", **options), authority.root)


def test_certificates_without_the_keys_own_are_refused(hem, authority):
    key = hem.keys.create("ED25519", label="contracts")
    with pytest.raises(ValueError, match="1, and none is for key"):
        PdfSigner(key, authority.root)
    with pytest.raises(ValueError, match="0, and none"):
        PdfSigner(key)
    for wrong in (b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ValueError, match="no certificate in PEM or DER"):
            PdfSigner(key, wrong)
    with pytest.raises(TypeError, match="certificates: str"):
        PdfSigner(key, "ada.pem")


def test_certificates_come_in_one_file_or_several(hem, authority):
    key = hem.keys.create("ED25519", label="contracts")
    own = authority.issue("Ada", key.public_key())
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in (authority.root, own))
    for certificates in ([pem], [own.public_bytes(Encoding.DER), authority.root]):
        signer = PdfSigner(key, *certificates)
        assert signer.signing_cert.subject.native == {"common_name": "Ada"}
        assert [each.subject.native["common_name"] for each in signer.cert_registry] == ["Root"]


def test_a_digest_that_the_device_does_not_have_is_refused(hem, document, signer):
    def refused():
        with pytest.raises(ValueError, match="digest: 'sha3256'|digest: 'sha224'"):
            sign(document, signer, md_algorithm="sha224")

    assert calls(hem, refused)[1] == 0


def test_a_device_that_is_away_is_told(rig, document, signer):
    def away():
        raise LostRequest("by the test")

    rig.before_each = away
    with pytest.raises(HemConnectionError):
        sign(document, signer)


@pdfsig
def test_the_page_works_as_printed(document, tmp_path, tmp_path_factory):
    (tmp_path / "contract.pdf").write_bytes(document)
    with (
        ServedEmulator(tmp_path_factory.mktemp("device")) as emulator,
        time_stamps(tmp_path_factory.mktemp("tsa")) as (url, _, _),
    ):
        (tmp_path / "sign.py").write_text(python_of(PAGE).replace("https://tsa.example.org/", url))
        environment = reader_of(emulator, tmp_path)
        run_page(PAGE, environment=environment, folder=tmp_path)
