"""Objects that hosts bring along, change and copy; what describes the token; certificates and data."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO, CKR
from hem_pkcs11.encodings import fixed_from_der, octet_string
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.mechanisms import MECHANISMS
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong

YES, NO = pack_bool(True), pack_bool(False)
P256 = KINDS["SECP256R1"].ec_params


def ulong(kind: int, value: int) -> tuple[int, bytes]:
    return kind, pack_ulong(value)


def create(core: Any, session: int, *template: tuple[int, bytes]) -> tuple[CKR, int]:
    return core.module.call("C_CreateObject", session, list(template))


def public_template(native: Any, *more: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    point = native.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return [
        ulong(CKA.CLASS, CKO.PUBLIC_KEY), ulong(CKA.KEY_TYPE, CKK.EC), (CKA.EC_PARAMS, P256),
        (CKA.EC_POINT, octet_string(point)), *more,
    ]  # fmt: skip


def certificate(subject_key: Any, signer: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(subject_key)
        .serial_number(0x80)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    return builder.sign(signer or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        Encoding.DER
    )


@pytest.fixture
def stored(make_core: Callable[..., Any], tmp_path: Path) -> Any:
    """A core whose configuration file, and so its store, lies in a directory of the test."""
    from dataclasses import replace

    core = make_core("first")
    core.config = replace(core.config, source=str(tmp_path / "config.toml"))
    core.ok("C_Initialize", None)
    return core


def files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "pkcs11-objects").rglob("*.json"))


def test_a_public_key_brought_along_verifies(core: Any) -> None:
    session = core.session()
    native = ec.generate_private_key(ec.SECP256R1())
    rv, handle = create(
        core, session, *public_template(native.public_key(), (CKA.LABEL, b"peer"), (CKA.ID, b"\x05"))
    )
    assert rv == CKR.OK
    signature = fixed_from_der(native.sign(b"m", ec.ECDSA(hashes.SHA256())), 64)
    core.ok("C_VerifyInit", session, Mechanism(CKM.ECDSA_SHA256), handle)
    core.ok("C_Verify", session, b"m", signature)
    core.ok("C_VerifySignatureInit", session, Mechanism(CKM.ECDSA_SHA256), handle, signature)
    core.ok("C_VerifySignatureUpdate", session, b"m")
    core.ok("C_VerifySignatureFinal", session)
    core.ok("C_VerifySignatureInit", session, Mechanism(CKM.ECDSA_SHA256), handle, signature)
    assert core.rv("C_VerifySignature", session, b"n") == CKR.SIGNATURE_INVALID
    assert core.find(session, (CKA.LABEL, b"peer")) == [handle]
    assert core.value(session, handle, CKA.TOKEN) == NO
    for kind in core.module.slot(0).objects.get(handle, private=False).attribute_types():
        if kind not in (CKA.VALUE, CKA.PARAMETER_SET):
            core.value(session, handle, kind)
    other = core.session()
    core.ok("C_CloseSession", session)
    assert core.find(other, (CKA.LABEL, b"peer")) == []


@pytest.mark.parametrize(
    ("change", "rv"),
    [
        ({CKA.EC_POINT: octet_string(b"\x04" + bytes(64))}, CKR.ATTRIBUTE_VALUE_INVALID),
        ({CKA.EC_POINT: b"short"}, CKR.ATTRIBUTE_VALUE_INVALID),
        ({CKA.EC_POINT: None}, CKR.TEMPLATE_INCOMPLETE),
        ({CKA.EC_PARAMS: b"\x06\x01\x01"}, CKR.CURVE_NOT_SUPPORTED),
        ({CKA.KEY_TYPE: pack_ulong(CKK.RSA)}, CKR.ATTRIBUTE_VALUE_INVALID),
        ({CKA.KEY_TYPE: None}, CKR.TEMPLATE_INCOMPLETE),
        ({CKA.WRAP: YES}, CKR.TEMPLATE_INCONSISTENT),
        ({CKA.SENSITIVE: YES}, CKR.ATTRIBUTE_TYPE_INVALID),
        ({CKA.CLASS: None}, CKR.TEMPLATE_INCOMPLETE),
        ({CKA.CLASS: pack_ulong(CKO.PRIVATE_KEY)}, CKR.ATTRIBUTE_VALUE_INVALID),
    ],
)
def test_a_public_key_template_that_is_wrong_is_refused(core: Any, change: dict[int, Any], rv: CKR) -> None:
    template = dict(public_template(ec.generate_private_key(ec.SECP256R1()).public_key())) | change
    given = [(kind, value) for kind, value in template.items() if value is not None]
    assert create(core, core.session(), *given)[0] == rv


def test_a_public_key_for_the_token_is_imported_into_the_device(device_core: Any) -> None:
    session = device_core.user_session()
    native = ec.generate_private_key(ec.SECP256R1()).public_key()
    template = public_template(native, (CKA.TOKEN, YES), (CKA.LABEL, b"imported"), (CKA.ID, b"\x09"))
    rv, handle = create(device_core, session, *template)
    assert rv == CKR.OK
    assert device_core.find(session, (CKA.ID, b"\x09")) == [handle]
    assert device_core.value(session, handle, CKA.LOCAL) == NO
    device_core.ok("C_DestroyObject", session, handle)


def test_a_secret_key_brought_along_works_and_stays_out_of_the_device(core: Any) -> None:
    session = core.user_session()
    rv, handle = create(
        core, session, ulong(CKA.CLASS, CKO.SECRET_KEY), ulong(CKA.KEY_TYPE, CKK.AES), (CKA.VALUE, bytes(16)),
        (CKA.SENSITIVE, YES), (CKA.LABEL, b"mine"),
    )  # fmt: skip
    assert rv == CKR.OK
    core.ok("C_EncryptInit", session, Mechanism(CKM.AES_ECB), handle)
    assert core.ok("C_Encrypt", session, bytes(16), 16).hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"
    assert core.value(session, handle, CKA.CHECK_VALUE).hex() == "66e94b"
    query = core.ok("C_GetAttributeValue", session, handle, [(CKA.VALUE, 16)])
    assert query.rv == CKR.ATTRIBUTE_SENSITIVE
    assert not core.hem.keys.stored
    for template, rv in (
        ([ulong(CKA.KEY_TYPE, CKK.AES), (CKA.VALUE, bytes(15))], CKR.ATTRIBUTE_VALUE_INVALID),
        ([ulong(CKA.KEY_TYPE, CKK.AES)], CKR.TEMPLATE_INCOMPLETE),
        ([ulong(CKA.KEY_TYPE, CKK.AES), (CKA.VALUE, bytes(16)), (CKA.TOKEN, YES)], CKR.TEMPLATE_INCONSISTENT),
        ([ulong(CKA.KEY_TYPE, CKK.EC), (CKA.VALUE, bytes(16))], CKR.TEMPLATE_INCONSISTENT),
    ):
        assert create(core, session, ulong(CKA.CLASS, CKO.SECRET_KEY), *template)[0] == rv


def test_a_session_key_may_get_stricter_and_never_looser(core: Any) -> None:
    session = core.user_session()
    _, handle = create(
        core, session, ulong(CKA.CLASS, CKO.SECRET_KEY), ulong(CKA.KEY_TYPE, CKK.GENERIC_SECRET),
        (CKA.VALUE, b"s"),
    )  # fmt: skip
    change = lambda *pairs: core.rv("C_SetAttributeValue", session, handle, list(pairs))  # noqa: E731
    assert change((CKA.LABEL, b"renamed"), (CKA.SENSITIVE, YES), (CKA.EXTRACTABLE, NO)) == CKR.OK
    assert core.value(session, handle, CKA.LABEL) == b"renamed"
    assert change((CKA.SENSITIVE, NO)) == CKR.ATTRIBUTE_READ_ONLY
    assert change((CKA.EXTRACTABLE, YES)) == CKR.ATTRIBUTE_READ_ONLY
    assert change((CKA.LABEL, b"x"), (CKA.VALUE_LEN, pack_ulong(9))) == CKR.ATTRIBUTE_READ_ONLY
    assert core.value(session, handle, CKA.LABEL) == b"renamed"
    copy = core.ok("C_CopyObject", session, handle, [(CKA.LABEL, b"copy")])
    assert copy != handle
    assert core.value(session, copy, CKA.SENSITIVE) == YES
    assert core.value(session, handle, CKA.LABEL) == b"renamed"
    assert core.rv("C_CopyObject", session, handle, [(CKA.TOKEN, YES)]) == CKR.TEMPLATE_INCONSISTENT
    assert core.rv("C_CopyObject", session, handle, [(CKA.SENSITIVE, NO)]) == CKR.ATTRIBUTE_READ_ONLY


def test_label_and_id_of_a_key_in_the_device_change_for_both_halves(device_core: Any) -> None:
    session = device_core.user_session()
    public, private = device_core.pair(session, LABEL=b"before", ID=b"\x01")
    device_core.ok("C_SetAttributeValue", session, private, [(CKA.LABEL, b"after"), (CKA.ID, b"\x02")])
    for handle in (public, private):
        assert device_core.value(session, handle, CKA.LABEL) == b"after"
        assert device_core.value(session, handle, CKA.ID) == b"\x02"
    for pair, rv in (
        ((CKA.LABEL, b"x" * 33), CKR.ATTRIBUTE_VALUE_INVALID),
        ((CKA.ID, b"x" * 41), CKR.ATTRIBUTE_VALUE_INVALID),
        ((CKA.LABEL, b""), CKR.ATTRIBUTE_VALUE_INVALID),
        ((CKA.DERIVE, NO), CKR.ATTRIBUTE_READ_ONLY),
        ((CKA.PARAMETER_SET, b""), CKR.ATTRIBUTE_TYPE_INVALID),
        ((CKA.CLASS, pack_ulong(CKO.DATA)), CKR.ATTRIBUTE_READ_ONLY),
    ):
        assert device_core.rv("C_SetAttributeValue", session, private, [pair]) == rv
    reading = device_core.session(int(CKF.SERIAL_SESSION))
    assert (
        device_core.rv("C_SetAttributeValue", reading, private, [(CKA.LABEL, b"y")]) == CKR.SESSION_READ_ONLY
    )
    device_core.module.slot(0).hem.keys.refresh()
    assert device_core.module.slot(0).hem.keys.find(label="after").application_id == b"\x02"
    device_core.ok("C_DestroyObject", session, private)


def test_a_session_pair_becomes_one_of_the_token_by_a_copy(core: Any) -> None:
    session, keeper = core.user_session(), core.session()
    template = [(CKA.EC_PARAMS, P256)]
    _, private = core.ok("C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN), template, [])
    assert core.rv("C_CopyObject", session, private, []) == CKR.ACTION_PROHIBITED
    kept = core.ok("C_CopyObject", session, private, [(CKA.TOKEN, YES)])
    assert kept != private
    core.ok("C_DestroyObject", session, private)
    core.ok("C_CloseSession", session)
    assert len(core.hem.keys.stored) == 1
    assert core.value(keeper, kept, CKA.TOKEN) == YES
    assert len(core.sign(keeper, kept, b"still there")) == 64
    assert core.rv("C_CopyObject", keeper, kept, [(CKA.TOKEN, YES)]) == CKR.ACTION_PROHIBITED
    core.ok("C_DestroyObject", keeper, kept)
    assert not core.hem.keys.stored


def test_a_certificate_is_kept_in_a_file_of_its_own(stored: Any, tmp_path: Path) -> None:
    session = stored.user_session()
    _, private = stored.pair(session, LABEL=b"web", ID=b"\x33")
    native = next(iter(stored.hem.keys.stored.values())).native.public_key()
    der = certificate(native)
    rv, handle = create(
        stored,
        session,
        ulong(CKA.CLASS, CKO.CERTIFICATE),
        (CKA.TOKEN, YES),
        (CKA.LABEL, b"web"),
        (CKA.VALUE, der),
    )
    assert rv == CKR.OK
    read = x509.load_der_x509_certificate(der)
    assert stored.value(session, handle, CKA.SUBJECT) == read.subject.public_bytes()
    assert stored.value(session, handle, CKA.SERIAL_NUMBER) == bytes.fromhex("02020080")
    assert stored.value(session, handle, CKA.ID) == stored.value(session, private, CKA.ID) == b"\x33"
    (file,) = files(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    stored.ok("C_SetAttributeValue", session, handle, [(CKA.LABEL, b"renamed")])
    stored.ok("C_Finalize", False)
    stored.ok("C_Initialize", None)
    session = stored.session()
    (again,) = stored.find(session, ulong(CKA.CLASS, CKO.CERTIFICATE))
    assert stored.value(session, again, CKA.LABEL) == b"renamed"
    assert stored.value(session, again, CKA.VALUE) == der
    stored.ok("C_DestroyObject", session, again)
    assert files(tmp_path) == []


def test_data_objects_are_kept_and_private_ones_hidden_before_login(stored: Any) -> None:
    session = stored.user_session()
    for label, private in ((b"open", NO), (b"hidden", YES)):
        rv, _ = create(
            stored, session, ulong(CKA.CLASS, CKO.DATA), (CKA.TOKEN, YES), (CKA.LABEL, label),
            (CKA.VALUE, b"value"), (CKA.APPLICATION, b"test"), (CKA.PRIVATE, private),
        )  # fmt: skip
        assert rv == CKR.OK
    stored.ok("C_Logout", session)
    (public,) = stored.find(session, ulong(CKA.CLASS, CKO.DATA))
    assert stored.value(session, public, CKA.VALUE) == b"value"
    copy = stored.ok("C_CopyObject", session, public, [(CKA.LABEL, b"copy"), (CKA.TOKEN, NO)])
    stored.ok("C_DestroyObject", session, copy)


def test_session_certificates_leave_no_file(stored: Any, tmp_path: Path) -> None:
    session = stored.session()
    der = certificate(ec.generate_private_key(ec.SECP256R1()).public_key())
    rv, handle = create(stored, session, ulong(CKA.CLASS, CKO.CERTIFICATE), (CKA.VALUE, der))
    assert rv == CKR.OK
    assert stored.value(session, handle, CKA.ID) == b""
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("template", "rv"),
    [
        ([(CKA.VALUE, b"no DER")], CKR.ATTRIBUTE_VALUE_INVALID),
        ([], CKR.TEMPLATE_INCOMPLETE),
        ([(CKA.CERTIFICATE_TYPE, pack_ulong(1))], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_POINT, b"")], CKR.ATTRIBUTE_TYPE_INVALID),
    ],
)
def test_a_wrong_certificate_is_refused(stored: Any, template: Any, rv: CKR) -> None:
    assert create(stored, stored.session(), ulong(CKA.CLASS, CKO.CERTIFICATE), *template)[0] == rv


def test_nobody_calls_a_certificate_trusted(stored: Any) -> None:
    der = certificate(ec.generate_private_key(ec.SECP256R1()).public_key())
    template = [ulong(CKA.CLASS, CKO.CERTIFICATE), (CKA.VALUE, der), (CKA.TRUSTED, YES)]
    assert create(stored, stored.session(), *template)[0] == CKR.ATTRIBUTE_READ_ONLY


def test_storing_needs_a_writable_session(stored: Any) -> None:
    session = stored.session(int(CKF.SERIAL_SESSION))
    template = [ulong(CKA.CLASS, CKO.DATA), (CKA.TOKEN, YES)]
    assert create(stored, session, *template)[0] == CKR.SESSION_READ_ONLY


def test_a_damaged_or_foreign_file_is_left_out_and_named(
    stored: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = stored.session()
    create(stored, session, ulong(CKA.CLASS, CKO.DATA), (CKA.TOKEN, YES), (CKA.LABEL, b"good"))
    (good,) = files(tmp_path)
    (good.parent / "damaged.json").write_text("{")
    (good.parent / "other.json").write_text(json.dumps({"class": "DATA", "attributes": {"zz": "zz"}}))
    writable = good.parent / "writable.json"
    writable.write_text(good.read_text())
    writable.chmod(0o666)
    stored.ok("C_Finalize", False)
    stored.ok("C_Initialize", None)
    session = stored.session()
    assert len(stored.find(session, ulong(CKA.CLASS, CKO.DATA))) == 1
    said = capfd.readouterr().err
    for name in ("damaged.json", "other.json", "writable.json"):
        assert name in said


def test_the_token_describes_itself_when_asked_by_class(core: Any) -> None:
    session = core.session()
    assert core.find(session) == []
    (profile,) = core.find(session, ulong(CKA.CLASS, CKO.PROFILE))
    assert core.value(session, profile, CKA.PROFILE_ID) == pack_ulong(1)
    mechanisms = core.find(session, ulong(CKA.CLASS, CKO.MECHANISM))
    assert len(mechanisms) == len(MECHANISMS)
    assert core.value(session, mechanisms[0], CKA.MECHANISM_TYPE) in map(pack_ulong, MECHANISMS)
    assert core.rv("C_DestroyObject", core.session(), profile) == CKR.ACTION_PROHIBITED
    assert core.rv("C_CopyObject", session, profile, []) == CKR.ACTION_PROHIBITED


def test_a_store_that_may_not_be_read_counts_as_empty(
    stored: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert stored.find(stored.session(), ulong(CKA.CLASS, CKO.CERTIFICATE)) == []
    assert "not used: Permission denied" in capfd.readouterr().err
