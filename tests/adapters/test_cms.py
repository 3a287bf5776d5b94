"""CMS signatures: those that OpenSSL reads and writes, damaged ones, BER, and whom to believe."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, strategies
from support.signing import flipped, signer

from hem_provider.adapters.cms import BEGINNING, DIGESTS, TYPES, der, is_attributes
from hem_provider.adapters.cms.certificates import load_certificates
from hem_provider.adapters.cms.reading import Cms, is_cms
from hem_provider.adapters.cms.trust import check_authority, check_dates
from hem_provider.adapters.cms.writing import Draft
from hem_provider.ecdsa import numbers
from hem_provider.keytypes import ECDSA

CONTENT = b"hello\n" * 1000
NOW = datetime(2026, 5, 1, 12, 0, 5, tzinfo=UTC)
#: How the signer is named, and in which encoding.
WAYS = [("issuer", "der"), ("issuer", "pem"), ("key", "der")]


def certificate(by, name="Ada", issuer=None, issuer_name=None, *, ca=False, days=(-1, 365), extensions=()):
    issuer = issuer or by
    now = datetime.now(UTC)
    subject, above = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer_name or name)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(by.public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(issuer.private, hashes.SHA256())


def made(kind="SECP256R1", digest_name="sha256", certificates=(), content=CONTENT, attached=False, **options):
    by = signer(kind)
    draft = Draft(
        by.public, digest_name, hashlib.new(digest_name, content).digest(), NOW, certificates,
        content=content if attached else None, **options,
    )  # fmt: skip
    return draft.document(by.by(ECDSA[digest_name]))


def checked(data, kind="SECP256R1", content=CONTENT):
    read = Cms.read(data)
    read.check(signer(kind).public, hashlib.new(read.digest_name, content).digest(), content[:BEGINNING])
    return read


def openssl(*arguments, folder):
    return subprocess.run(
        ["openssl", "cms", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=folder,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("digest_name", DIGESTS)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("named", "encoding"), WAYS)
def test_openssl_verifies_what_is_made(named, encoding, kind, digest_name, tmp_path):
    key_id = x509.SubjectKeyIdentifier.from_public_key(signer(kind).public)
    own = certificate(signer(kind), extensions=[key_id])
    (tmp_path / "signer.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (tmp_path / "file").write_bytes(CONTENT)
    by_key = named == "key"
    data = made(kind, digest_name, () if by_key else (own,), by_key_id=by_key, as_pem=encoding == "pem")
    (tmp_path / "sig").write_bytes(data)
    verify = (
        "-verify", "-binary", "-inform", encoding, "-in", "sig", "-CAfile", "signer.pem", "-purpose", "any",
        *(("-certfile", "signer.pem") if by_key else ()), "-out", "out", "-content", "file",
    )  # fmt: skip
    done = openssl(*verify, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == CONTENT
    (tmp_path / "file").write_bytes(CONTENT + b"x")
    assert openssl(*verify, folder=tmp_path).returncode != 0


def test_openssl_takes_the_file_from_the_signature(tmp_path):
    own = certificate(signer("SECP256R1"))
    (tmp_path / "signer.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (tmp_path / "sig").write_bytes(made(certificates=(own,), attached=True))
    done = openssl(
        "-verify", "-binary", "-inform", "der", "-in", "sig", "-CAfile", "signer.pem", "-purpose", "any",
        "-out", "out", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-keyid",),
        ("-nocerts",),
        ("-noattr",),
        ("-nodetach",),
        ("-nodetach", "-stream"),
        ("-nodetach", "-stream", "-noattr"),
        ("-nosmimecap", "-md", "sha512"),
        ("-outform", "PEM"),
        ("-outform", "PEM", "-nodetach", "-stream"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kind", TYPES)
def test_what_openssl_makes_is_verified(kind, options, tmp_path):
    by = signer(kind)
    key_id = x509.SubjectKeyIdentifier.from_public_key(by.public)
    own = certificate(by, extensions=[key_id])
    (tmp_path / "signer.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (tmp_path / "key").write_bytes(
        by.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "file").write_bytes(CONTENT)
    done = openssl(
        "-sign", "-binary", "-in", "file", "-signer", "signer.pem", "-inkey", "key", "-outform", "DER",
        "-out", "sig", *options, folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "sig").read_bytes()
    assert is_cms(data)
    read = checked(data, kind)
    assert read.find_signer((certificate(signer(kind, 1)), own)) == own
    assert (read.find_signer(read.certificates) == own) is ("-nocerts" not in options)
    with pytest.raises(InvalidSignature):
        checked(data, kind, b"x")
    with pytest.raises(InvalidSignature):
        read.check(signer(kind, 1).public, hashlib.new(read.digest_name, CONTENT).digest())


@pytest.mark.parametrize("attached", [True, False])
def test_another_library_reads_what_is_written(attached):
    own = certificate(signer("SECP256R1"))
    info = asn1.ContentInfo.load(made(certificates=(own,), attached=attached), strict=True)
    signed = info["content"]
    (one,) = signed["signer_infos"]
    attributes = {each["type"].native: each["values"].native for each in one["signed_attrs"]}
    assert attributes == {
        "content_type": ["data"],
        "message_digest": [hashlib.sha256(CONTENT).digest()],
        "signing_time": [NOW],
    }
    assert (signed["version"].native, one["version"].native) == ("v1", "v1")
    assert signed["encap_content_info"]["content"].native == (CONTENT if attached else None)
    assert signed["certificates"][0].chosen.dump() == own.public_bytes(Encoding.DER)


def test_a_time_after_2049_has_its_own_form():
    data = Draft(
        signer("SECP256R1").public, "sha256", bytes(32), datetime(2050, 1, 1, tzinfo=UTC), by_key_id=True
    ).document(signer("SECP256R1").sign)
    (one,) = asn1.ContentInfo.load(data)["content"]["signer_infos"]
    assert datetime(2050, 1, 1, tzinfo=UTC) in [
        value for each in one["signed_attrs"] for value in each["values"].native
    ]


@pytest.mark.parametrize("bits", [0x01, 0x20, 0x80])
@pytest.mark.parametrize("attached", [True, False], ids=["attached", "detached"])
def test_each_damaged_byte_is_found(attached, bits):
    good = made(by_key_id=True, attached=attached, content=b"hello")
    own = (certificate(signer("SECP256R1")),)

    def names_it(data):
        if checked(data, content=b"hello").find_signer(own) is None:
            raise InvalidSignature("another signer is named")

    names_it(good)
    for bad in flipped(good, bits):
        with pytest.raises((ValueError, InvalidSignature)):
            names_it(bad)
    for size in range(len(good)):
        with pytest.raises(ValueError):
            Cms.read(good[:size])


@pytest.mark.parametrize("bits", [0x01, 0x02, 0x80])
@pytest.mark.parametrize("by_key_id", [True, False])
def test_a_damaged_certificate_is_no_crash_and_nothing_of_it_is_believed(by_key_id, bits):
    root, by = signer("SECP256R1", 1), signer("SECP256R1")
    above = certificate(root, "root", ca=True)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    names = x509.SubjectAlternativeName([x509.DNSName("ada.example.org"), x509.RFC822Name("ada@example.org")])
    own = certificate(by, "Ada", root, "root", extensions=[usage, names])
    good = made(certificates=(own,), by_key_id=by_key_id)
    digest, now = hashlib.sha256(CONTENT).digest(), datetime.now(UTC)

    def believed(data):
        read = Cms.read(data)
        found = read.find_signer(read.certificates)
        if found is None:
            raise InvalidSignature
        check_authority(found, read.certificates, (above,), now)
        read.check(found.public_key(), digest)
        return found

    assert believed(good) == own
    for bad in flipped(good, bits):
        with suppress(ValueError, InvalidSignature, UnsupportedAlgorithm):
            # cryptography lets one bit of the authority's signature be another, of what it signs none.
            assert believed(bad).tbs_certificate_bytes == own.tbs_certificate_bytes
    for bad in flipped(own.public_bytes(Encoding.DER), bits):
        with suppress(ValueError):
            load_certificates(bad)


def test_a_signature_in_another_encoding_is_refused():
    good = made(by_key_id=True)
    value = Cms.read(good).signature
    r, s = numbers(value)
    longer = der.sequence(der.element(2, b"\0" + r.to_bytes(33, "big")), der.integer(s))
    with pytest.raises(InvalidSignature):
        replace(Cms.read(good), signature=longer).check(
            signer("SECP256R1").public, hashlib.sha256(CONTENT).digest()
        )


def test_what_has_no_signer_or_several_is_refused():
    for arguments in ({}, {"certificates": (certificate(signer("SECP256R1", 1)),)}):
        with pytest.raises(ValueError):
            made(**arguments)
    info = asn1.ContentInfo.load(made(by_key_id=True))
    one = info["content"]["signer_infos"][0]
    for several in ([], [one, one]):
        info["content"]["signer_infos"] = several
        with pytest.raises(ValueError, match=f"{len(several)} signers"):
            Cms.read(info.dump(force=True))


@pytest.mark.parametrize("kind", ["SECP256R1", "SECP521R1"])
@pytest.mark.parametrize("attached", [True, False])
def test_a_signature_without_its_attributes_is_none_of_the_file_that_they_are(attached, kind):
    info = asn1.ContentInfo.load(made(kind, by_key_id=True))
    one = info["content"]["signer_infos"][0]
    content = b"\x31" + one["signed_attrs"].dump()[1:]
    one["signed_attrs"] = None
    if attached:
        info["content"]["encap_content_info"]["content"] = content
    data = info.dump(force=True)
    read = Cms.read(data)
    assert (read.attributes, read.content) == (None, content if attached else None)
    public, digest = signer(kind).public, hashlib.sha256(content).digest()
    for beginning in (content[:BEGINNING], None):
        with pytest.raises(InvalidSignature, match="signed attributes of another"):
            read.check(public, digest, beginning)
    read.check(public, digest, b"as if it were another file")


def test_attributes_are_told_from_other_files():
    attributes = [
        der.sequence(der.oid("1.2.840.113549.1.9.4"), der.set_of(der.octets(bytes(n)))) for n in (1, 300)
    ]
    long = der.sequence(der.oid("1.2.840.113549.1.9.4"), der.set_of(der.octets(bytes(70_000))))
    for parts in (attributes[:1], attributes[1:], attributes, [long], [long] * 300):
        whole = der.set_of(*parts)
        assert is_attributes(whole)
        assert is_attributes(whole[:BEGINNING])
    assert is_attributes(b"\x31\x80" + attributes[0] + b"\0\0")
    name = der.set_of(der.sequence(der.oid("2.5.4.3"), der.element(12, b"Ada")))
    others = (b"", b"1", b"10 letters", b"1" * 200, der.set_of(), der.set_of(der.octets(b"x")), name)
    assert not any(map(is_attributes, (*others, der.sequence(*attributes))))


@pytest.mark.parametrize(
    "change",
    [
        lambda attributes: [each for each in attributes if each["type"].native != "message_digest"],
        lambda attributes: [each for each in attributes if each["type"].native != "content_type"],
        lambda attributes: [*attributes, attributes[0]],
        lambda attributes: [*attributes, attributes[2]],
    ],
)
def test_signed_attributes_must_say_what_is_signed_once(change):
    """They are truly signed."""
    info = asn1.ContentInfo.load(made(by_key_id=True))
    one = info["content"]["signer_infos"][0]
    one["signed_attrs"] = change(list(one["signed_attrs"]))
    signed = one["signed_attrs"].dump(force=True)
    one["signature"] = signer("SECP256R1").sign(b"\x31" + signed[1:])
    with pytest.raises((InvalidSignature, ValueError)):
        checked(info.dump(force=True))


@given(strategies.binary(max_size=200))
def test_anything_else_is_no_signature(data):
    with pytest.raises(ValueError):
        Cms.read(data)
    with pytest.raises(ValueError):
        Cms.read(b"-----BEGIN CMS-----\n" + base64.b64encode(data) + b"\n-----END CMS-----\n")


_ELEMENTS = strategies.binary(max_size=8).map(der.octets)
for _ in range(3):
    _ELEMENTS |= strategies.lists(_ELEMENTS, max_size=4).map(lambda parts: der.sequence(*parts))


@given(_ELEMENTS)
def test_elements_are_read_as_they_were_written(data):
    def again(one):
        return der.element(one.tag, *map(again, one)) if one.tag == 0x30 else der.octets(one.content)

    assert again(der.read(data)) == data
    wrapped = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.element(0xA0, data))
    with pytest.raises(ValueError):
        Cms.read(wrapped)


@given(strategies.lists(strategies.integers(0, 2**70), min_size=1, max_size=6))
def test_object_identifiers_are_read_as_they_were_written(numbers):
    text = ".".join(map(str, (2, *numbers)))
    assert der.oid_text(der.read(der.oid(text)).content) == text


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"\x30\x80", b"\x04\x80\0\0", b"\x3f\x00", b"\x30\x85\0\0\0\0\0", b"\x30\x01\x00\x00",
     b"\x30\x80" * 100 + b"\0\0" * 100],
    ids=lambda data: data[:8].hex(),
)  # fmt: skip
def test_what_is_no_element_is_refused(data):
    def deepest(one):
        parts = list(one) if one.content else []
        return deepest(parts[0]) if parts else one

    with pytest.raises(ValueError):
        deepest(der.read(data))


def chain(kind="SECP256R1", **of_signer):
    """Root, what stands between, and the signer's."""
    root, middle, by = signer(kind, 1), signer(kind, 2), signer(kind)
    return (
        certificate(root, "root", ca=True),
        certificate(middle, "middle", root, "root", ca=True),
        certificate(by, "Ada", middle, "middle", **of_signer),
    )


@pytest.mark.parametrize("kind", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_a_certificate_that_leads_to_the_authority_is_believed(kind):
    root, middle, own = chain(kind)
    now = datetime.now(UTC)
    check_authority(own, (middle,), (root,), now)
    check_authority(own, (), (own,), now)
    with pytest.raises(ValueError, match="does not lead"):
        check_authority(own, (), (root,), now)
    with pytest.raises(ValueError, match="does not lead"):
        check_authority(own, (middle,), (certificate(signer(kind, 3), "root", ca=True),), now)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"days": (-3, -1)}, "expired on"),
        ({"days": (1, 3)}, "not valid before"),
        ({"extensions": [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]}, "extended key usage"),
        (
            {"extensions": [x509.KeyUsage(False, False, False, False, True, False, False, False, False)]},
            "key usage",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_certificate_that_is_not_for_it_now_is_not_believed(options, reason):
    root, middle, own = chain(**options)
    with pytest.raises(ValueError, match=reason):
        check_authority(own, (middle,), (root,), datetime.now(UTC))


def test_a_certificate_for_code_or_documents_is_believed():
    for purpose in (ExtendedKeyUsageOID.CODE_SIGNING, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")):
        root, middle, own = chain(extensions=[x509.ExtendedKeyUsage([purpose])])
        check_authority(own, (middle,), (root,), datetime.now(UTC))


def test_who_may_not_certify_leads_nowhere():
    root, by = signer("SECP256R1", 1), signer("SECP256R1")
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    now = datetime.now(UTC)
    for above in (certificate(root, "root"), certificate(root, "root", ca=True, extensions=[usage])):
        with pytest.raises(ValueError, match="does not lead"):
            check_authority(certificate(by, "Ada", root, "root"), (), (above,), now)


def test_an_authority_on_a_curve_that_is_not_taken_is_told():
    root, middle, own = chain("SECP256K1")
    with pytest.raises(ValueError, match="the authority: Forbidden public key algorithm$"):
        check_authority(own, (middle,), (root,), datetime.now(UTC))
    root = signer("SECP256R1", 1)
    own = certificate(signer("SECP256K1"), "Ada", root, "root")
    check_authority(own, (), (certificate(root, "root", ca=True),), datetime.now(UTC))


EMAIL, CODE, SERVER, ANY = (
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


@pytest.mark.parametrize("which", ["root", "middle"])
@pytest.mark.parametrize(
    ("above", "of_signer", "believed"),
    [
        (None, None, True),
        ([SERVER], None, False),
        ([SERVER], [EMAIL], False),
        ([EMAIL], None, True),
        ([EMAIL, SERVER], [EMAIL], True),
        ([CODE], [EMAIL], False),
        ([CODE], [ANY], True),
        ([ANY], [CODE], True),
        ([CODE], [CODE], True),
    ],
)
def test_the_purposes_of_authorities_bound_those_of_a_signer(which, above, of_signer, believed, tmp_path):
    def usage(purposes):
        return [] if purposes is None else [x509.ExtendedKeyUsage(purposes)]

    root, middle, by = signer("SECP256R1", 1), signer("SECP256R1", 2), signer("SECP256R1")
    of = {which: usage(above)}
    chain = (
        certificate(by, "Ada", middle, "middle", extensions=usage(of_signer)),
        certificate(middle, "middle", root, "root", ca=True, extensions=of.get("middle", ())),
        certificate(root, "root", ca=True, extensions=of.get("root", ())),
    )
    own, *between, authority = chain
    if believed:
        check_authority(own, between, (authority,), datetime.now(UTC))
    else:
        with pytest.raises(ValueError, match="extended key usage|purpose"):
            check_authority(own, between, (authority,), datetime.now(UTC))
    if CODE in (above or []) + (of_signer or []) or ANY in (above or []) + (of_signer or []):
        return  # openssl is asked about mail alone
    (tmp_path / "sig").write_bytes(made(certificates=chain[:2], attached=True))
    (tmp_path / "root.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    done = openssl("-verify", "-binary", "-inform", "der", "-in", "sig", "-CAfile", "root.pem", "-out", "out",
                   folder=tmp_path)  # fmt: skip
    assert (done.returncode == 0) is believed, done.stderr
    assert believed or "unsuitable certificate purpose" in done.stderr


def test_purposes_that_a_chain_has_two_by_two_and_not_in_common_are_none():
    root, middle, by = signer("SECP256R1", 1), signer("SECP256R1", 2), signer("SECP256R1")
    now = datetime.now(UTC)
    for of_middle, believed in ((EMAIL, False), (CODE, True)):
        above = certificate(root, "root", ca=True, extensions=[x509.ExtendedKeyUsage([CODE])])
        between = certificate(
            middle, "middle", root, "root", ca=True, extensions=[x509.ExtendedKeyUsage([of_middle])]
        )
        own = certificate(by, "Ada", middle, "middle", extensions=[x509.ExtendedKeyUsage([CODE, EMAIL])])
        if believed:
            check_authority(own, (between,), (above,), now)
        else:
            with pytest.raises(ValueError, match="in common"):
                check_authority(own, (between,), (above,), now)


def test_certificates_are_read_in_both_encodings():
    root, middle, own = chain()
    pem = own.public_bytes(Encoding.PEM) + middle.public_bytes(Encoding.PEM)
    assert load_certificates(pem) == (own, middle)
    assert load_certificates(root.public_bytes(Encoding.DER)) == (root,)
    with pytest.raises(ValueError):
        load_certificates(b"x")
    check_dates(own, datetime.now(UTC))
