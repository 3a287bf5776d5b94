"""Objects, attributes and key generation over a device in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asn1crypto.core import OctetString
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO, CKR, UNAVAILABLE
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.objects.device_keys import key_attribute_types
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong, pack_ulongs
from support.fake_hem import FakeKey

from hem_provider.errors import HemUnreachable
from hem_provider.keytypes import parse_attributes

YES, NO = pack_bool(True), pack_bool(False)
P256 = KINDS["SECP256R1"].ec_params
ED25519 = KINDS["ED25519"].ec_params
CURVES = ["SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1", "ED25519"]


@pytest.mark.parametrize("curve", CURVES)
def test_a_new_pair_has_both_halves_with_one_id(core: Any, curve: str) -> None:
    session = core.user_session()
    public, private = core.pair(session, curve, LABEL=b"web")
    kid = bytes.fromhex(next(iter(core.hem.keys.stored)))
    for handle, object_class in ((public, CKO.PUBLIC_KEY), (private, CKO.PRIVATE_KEY)):
        assert core.value(session, handle, CKA.CLASS) == pack_ulong(object_class)
        assert core.value(session, handle, CKA.LABEL) == b"web"
        assert core.value(session, handle, CKA.ID) == kid
        assert core.value(session, handle, CKA.UNIQUE_ID) == kid.hex().encode()
        assert core.value(session, handle, CKA.EC_PARAMS) == KINDS[curve].ec_params
        assert core.value(session, handle, CKA.KEY_TYPE) == pack_ulong(KINDS[curve].key_type)
        assert core.value(session, handle, CKA.LOCAL) == YES
        assert core.value(session, handle, CKA.TOKEN) == YES


@pytest.mark.parametrize("curve", CURVES)
def test_both_halves_give_the_public_key(core: Any, curve: str) -> None:
    session = core.user_session()
    pair = core.pair(session, curve)
    native = next(iter(core.hem.keys.stored.values())).native.public_key()
    for handle in pair:
        assert load_der_public_key(core.value(session, handle, CKA.PUBLIC_KEY_INFO)) == native
        point = OctetString.load(core.value(session, handle, CKA.EC_POINT), strict=True).native
        if curve == "ED25519":
            assert point == native.public_bytes_raw()
        else:
            size = (native.curve.key_size + 7) // 8
            assert point[0] == 4
            assert int.from_bytes(point[1 : 1 + size], "big") == native.public_numbers().x
            assert len(point) == 1 + 2 * size


def test_a_private_key_says_what_it_is_and_hides_its_value(core: Any) -> None:
    session = core.user_session()
    _, private = core.pair(session)
    for flag, value in (
        (CKA.SENSITIVE, YES), (CKA.ALWAYS_SENSITIVE, YES), (CKA.EXTRACTABLE, NO),
        (CKA.NEVER_EXTRACTABLE, YES), (CKA.SIGN, YES), (CKA.DERIVE, YES), (CKA.DECRYPT, NO),
        (CKA.PRIVATE, YES), (CKA.ALWAYS_AUTHENTICATE, NO),
    ):  # fmt: skip
        assert core.value(session, private, flag) == value, flag
    assert core.value(session, private, CKA.KEY_GEN_MECHANISM) == pack_ulong(CKM.EC_KEY_PAIR_GEN)
    assert core.value(session, private, CKA.ALLOWED_MECHANISMS) == pack_ulongs(
        (CKM.ECDSA_SHA256, CKM.ECDSA_SHA384, CKM.ECDSA_SHA512, CKM.ECDH1_DERIVE, CKM.HEM_DERIVE)
    )
    query = core.ok("C_GetAttributeValue", session, private, [(CKA.VALUE, 100)])
    assert (query.rv, query.values) == (CKR.ATTRIBUTE_SENSITIVE, [None])


def test_every_attribute_of_the_tables_can_be_read(core: Any) -> None:
    session = core.user_session()
    for handle, object_class in zip(core.pair(session), (CKO.PUBLIC_KEY, CKO.PRIVATE_KEY), strict=True):
        for kind in key_attribute_types(object_class):
            if kind not in (CKA.VALUE, CKA.PARAMETER_SET, CKA.ENCAPSULATE, CKA.DECAPSULATE):
                core.value(session, handle, kind)


def test_attributes_that_there_are_come_even_beside_those_that_are_not(core: Any) -> None:
    session = core.user_session()
    public, _ = core.pair(session, LABEL=b"a label")
    query = core.ok(
        "C_GetAttributeValue",
        session,
        public,
        [(CKA.PARAMETER_SET, 8), (CKA.LABEL, None), (CKA.LABEL, 3), (CKA.CLASS, 8), (0x99999, None)],
    )
    assert query.rv in (CKR.ATTRIBUTE_TYPE_INVALID, CKR.BUFFER_TOO_SMALL)
    assert query.values == [None, 7, None, pack_ulong(CKO.PUBLIC_KEY), None]


def test_an_application_may_choose_its_own_id(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session, ID=b"\x01")
    assert core.value(session, private, CKA.ID) == b"\x01"
    assert set(core.find(session, (CKA.ID, b"\x01"))) == {public, private}


def test_private_objects_are_there_after_login_only(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session)
    core.ok("C_Logout", session)
    assert core.find(session) == [public]
    assert core.rv("C_GetAttributeValue", session, private, []) == CKR.OBJECT_HANDLE_INVALID


def test_a_search_before_login_finds_our_keys_where_the_device_permits(
    make_core: Callable[..., Any],
) -> None:
    core = make_core("first")
    core.ok("C_Initialize", None)
    session = core.user_session()
    core.pair(session)
    core.ok("C_Finalize", False)
    core.ok("C_Initialize", None)
    assert len(core.find(core.session())) == 1
    core.ok("C_Finalize", False)
    core.ok("C_Initialize", None)
    core.hem.keys.anonymous = False
    session = core.session()
    assert core.find(session) == []
    core.ok("C_Login", session, 1, b"correct horse")
    assert len(core.find(session)) == 2


def test_the_public_key_of_a_foreign_session_is_unavailable_before_login_not_an_error(core: Any) -> None:
    session = core.user_session()
    public, _ = core.pair(session)
    core.ok("C_Finalize", False)
    core.ok("C_Initialize", None)
    next(iter(core.hem.keys.stored.values())).known = False
    session = core.session()
    (public,) = core.find(session)
    query = core.ok("C_GetAttributeValue", session, public, [(CKA.LABEL, None), (CKA.EC_POINT, None)])
    assert query.rv == CKR.ATTRIBUTE_TYPE_INVALID
    assert query.values == [len("SECP256R1"), None]


def test_handles_stay_when_keys_are_listed_again(core: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = core.user_session()
    pair = core.pair(session)
    monkeypatch.setattr("hem_pkcs11.slots.LIST_FOR", 0.0)
    assert set(core.find(session)) == set(pair)
    assert core.hem.keys.listed == 1


def test_one_listing_serves_many_searches(core: Any) -> None:
    session = core.user_session()
    pair = core.pair(session, LABEL=b"web")
    assert core.find(session, (CKA.LABEL, b"nobody")) == []
    before = core.hem.statistics.calls
    for _ in range(20):
        assert core.find(session, (CKA.LABEL, b"web")) == [pair[1], pair[0]]
    assert core.hem.statistics.calls == before


def test_a_key_made_elsewhere_is_found_when_it_is_looked_for(
    core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = core.user_session()
    assert core.find(session) == []
    core.hem.keys.create("SECP256R1", label="elsewhere")
    monkeypatch.setattr("hem_pkcs11.slots.MISS_FOR", 0.0)
    assert len(core.find(session, (CKA.LABEL, b"elsewhere"))) == 2


def test_a_key_deleted_elsewhere_goes_with_the_next_listing(
    core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = core.user_session()
    _, private = core.pair(session)
    assert len(core.find(session)) == 2
    core.hem.keys.stored.clear()
    monkeypatch.setattr("hem_pkcs11.slots.LIST_FOR", 0.0)
    assert core.find(session) == []
    assert core.rv("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), private) == CKR.KEY_HANDLE_INVALID


def test_ec_keys_come_first(core: Any) -> None:
    session = core.user_session()
    for curve in ("ED25519", "SECP384R1", "SECP256R1"):
        core.pair(session, curve, LABEL=curve.encode())
    labels = [core.value(session, each, CKA.LABEL).decode() for each in core.private(session)]
    assert labels == ["SECP256R1", "SECP384R1", "ED25519"]


def test_searches_compare_every_attribute_asked_for(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session, LABEL=b"web")
    ed_public, _ = core.pair(session, "ED25519", LABEL=b"web")
    assert core.find(session, (CKA.LABEL, b"web"), (CKA.KEY_TYPE, pack_ulong(CKK.EC_EDWARDS)))[1] == ed_public
    assert core.find(session, (CKA.SIGN, YES), (CKA.EC_PARAMS, P256)) == [private]
    assert core.find(
        session, (CKA.EC_POINT, core.value(session, public, CKA.EC_POINT)), (CKA.VERIFY, YES)
    ) == [public]
    assert core.find(session, (CKA.LABEL, b"we")) == []
    assert core.find(session, (CKA.VALUE, b"")) == []


def test_find_hands_out_in_portions_and_needs_init_and_final(core: Any) -> None:
    session = core.user_session()
    core.pair(session)
    core.ok("C_FindObjectsInit", session, [])
    assert core.rv("C_FindObjectsInit", session, []) == CKR.OPERATION_ACTIVE
    portions = [core.ok("C_FindObjects", session, 1) for _ in range(3)]
    assert [len(each) for each in portions] == [1, 1, 0]
    core.ok("C_FindObjectsFinal", session)
    assert core.rv("C_FindObjects", session, 1) == CKR.OPERATION_NOT_INITIALIZED
    assert core.rv("C_FindObjectsFinal", session) == CKR.OPERATION_NOT_INITIALIZED


def test_keys_of_other_software_are_shown_and_hidden_ones_are_not(core: Any) -> None:
    session = core.user_session()
    template = core.hem.keys.create("SECP256R1", label="ours")
    attributes = parse_attributes("ECDH,ExDSA,SECP256R1")
    from cryptography.hazmat.primitives.asymmetric import ec

    imported = FakeKey(
        core.hem, "imported", attributes, ec.generate_private_key(ec.SECP256R1()), family_mark=None
    )
    core.hem.keys.add(imported)
    core.hem.keys.add(
        FakeKey(
            core.hem, "TLS key", template.attributes, ec.generate_private_key(ec.SECP256R1()), hidden=True
        )
    )
    labels = sorted(core.value(session, each, CKA.LABEL) for each in core.find(session))
    assert labels == [b"imported", b"ours", b"ours"]
    (public,) = core.find(session, (CKA.LABEL, b"imported"))
    assert core.value(session, public, CKA.LOCAL) == NO
    assert core.value(session, public, CKA.KEY_GEN_MECHANISM) == pack_ulong(UNAVAILABLE)


def test_the_key_filter_lets_through_matching_labels_only(make_core: Callable[..., Any]) -> None:
    core = make_core("first", key_filter=("web*",))
    core.ok("C_Initialize", None)
    session = core.user_session()
    for label in ("web-1", "mail"):
        core.hem.keys.create("SECP256R1", label=label)
    assert {core.value(session, each, CKA.LABEL) for each in core.find(session)} == {b"web-1"}


def test_destroying_one_half_destroys_the_key(core: Any) -> None:
    session = core.user_session()
    public, private = core.pair(session)
    core.ok("C_DestroyObject", session, private)
    assert not core.hem.keys.stored
    assert core.rv("C_DestroyObject", session, public) == CKR.OBJECT_HANDLE_INVALID


def test_destroying_needs_a_login_and_a_writable_session(core: Any) -> None:
    session = core.user_session()
    public, _ = core.pair(session)
    reading = core.session(int(CKF.SERIAL_SESSION))
    assert core.rv("C_DestroyObject", reading, public) == CKR.SESSION_READ_ONLY
    core.ok("C_Logout", session)
    assert core.rv("C_DestroyObject", session, public) == CKR.USER_NOT_LOGGED_IN
    assert core.hem.keys.stored


def generate(core: Any, session: int, public: list[Any], private: list[Any], mechanism: int) -> CKR:
    return core.rv("C_GenerateKeyPair", session, Mechanism(mechanism), public, private)


@pytest.mark.parametrize(
    ("public", "private", "rv"),
    [
        ([], [], CKR.TEMPLATE_INCOMPLETE),
        ([(CKA.EC_PARAMS, b"\x06\x01\x00")], [], CKR.CURVE_NOT_SUPPORTED),
        ([(CKA.EC_PARAMS, ED25519)], [], CKR.CURVE_NOT_SUPPORTED),
        ([(CKA.EC_PARAMS, P256)], [(CKA.EC_PARAMS, KINDS["SECP384R1"].ec_params)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256)], [(CKA.EXTRACTABLE, YES)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256)], [(CKA.SENSITIVE, NO)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256)], [(CKA.DECRYPT, YES)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256)], [(CKA.CLASS, pack_ulong(CKO.PUBLIC_KEY))], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256), (CKA.KEY_TYPE, pack_ulong(CKK.RSA))], [], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256), (CKA.KEY_TYPE, b"\x03")], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.TOKEN, b"\x02")], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.TOKEN, YES)], [(CKA.TOKEN, NO)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256), (CKA.LABEL, b"a")], [(CKA.LABEL, b"b")], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256), (CKA.LABEL, b"x" * 33)], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.LABEL, "é".encode())], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.LABEL, b"a\nb")], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.ID, b"x" * 41)], [], CKR.ATTRIBUTE_VALUE_INVALID),
        ([(CKA.EC_PARAMS, P256), (CKA.VALUE, b"secret")], [], CKR.ATTRIBUTE_TYPE_INVALID),
        ([(CKA.EC_PARAMS, P256)], [(CKA.SIGN, NO), (CKA.DERIVE, NO)], CKR.TEMPLATE_INCONSISTENT),
        ([(CKA.EC_PARAMS, P256), (CKA.LABEL, b"a"), (CKA.LABEL, b"b")], [], CKR.TEMPLATE_INCONSISTENT),
    ],
)  # fmt: skip
def test_a_template_the_device_cannot_follow_is_refused(
    core: Any, public: list[Any], private: list[Any], rv: CKR
) -> None:
    session = core.user_session()
    assert generate(core, session, public, private, CKM.EC_KEY_PAIR_GEN) == rv
    assert not core.hem.keys.stored


@pytest.mark.parametrize("name", [b"secp256r1", b"prime256v1"])
def test_curves_may_be_named_in_letters(core: Any, name: bytes) -> None:
    session = core.user_session()
    params = bytes((0x13, len(name))) + name
    assert generate(core, session, [(CKA.EC_PARAMS, params)], [], CKM.EC_KEY_PAIR_GEN) == CKR.OK
    (private,) = core.private(session)
    assert core.value(session, private, CKA.EC_PARAMS) == P256


@pytest.mark.parametrize(
    ("flags", "exdsa", "ecdh"),
    [
        ([(CKA.SIGN, YES)], True, False),
        ([(CKA.DERIVE, YES)], False, True),
        ([(CKA.SIGN, YES), (CKA.DERIVE, YES)], True, True),
        ([(CKA.DERIVE, NO)], True, False),
        ([], True, True),
    ],
)
def test_usage_follows_the_flags(core: Any, flags: list[Any], exdsa: bool, ecdh: bool) -> None:
    session = core.user_session()
    assert generate(core, session, [(CKA.EC_PARAMS, P256)], flags, CKM.EC_KEY_PAIR_GEN) == CKR.OK
    (key,) = core.hem.keys.stored.values()
    assert (key.attributes.exdsa, key.attributes.ecdh) == (exdsa, ecdh)


def test_what_a_type_cannot_do_is_left_out_when_it_can_do_the_rest(core: Any) -> None:
    session = core.user_session()
    flags = [(CKA.SIGN, YES), (CKA.DERIVE, YES)]
    assert generate(core, session, [(CKA.EC_PARAMS, ED25519)], flags, CKM.EC_EDWARDS_KEY_PAIR_GEN) == CKR.OK
    only = [(CKA.DERIVE, YES)]
    rv = generate(core, session, [(CKA.EC_PARAMS, ED25519)], only, CKM.EC_EDWARDS_KEY_PAIR_GEN)
    assert rv == CKR.TEMPLATE_INCONSISTENT


def test_making_a_key_needs_a_login_and_for_the_token_a_writable_session(core: Any) -> None:
    public = [(CKA.EC_PARAMS, P256), (CKA.TOKEN, YES)]
    private = [(CKA.TOKEN, YES)]
    session = core.session()
    assert generate(core, session, public, private, CKM.EC_KEY_PAIR_GEN) == CKR.USER_NOT_LOGGED_IN
    core.ok("C_Login", session, 1, b"correct horse")
    reading = core.session(int(CKF.SERIAL_SESSION))
    assert generate(core, reading, public, private, CKM.EC_KEY_PAIR_GEN) == CKR.SESSION_READ_ONLY
    assert generate(core, session, public, private, 0) == CKR.MECHANISM_INVALID


def test_a_session_pair_ends_with_its_session(core: Any) -> None:
    session, other = core.user_session(), core.session()
    assert generate(core, session, [(CKA.EC_PARAMS, P256)], [], CKM.EC_KEY_PAIR_GEN) == CKR.OK
    (private,) = core.private(other)
    assert core.value(other, private, CKA.TOKEN) == NO
    core.ok("C_CloseSession", session)
    assert not core.hem.keys.stored
    assert core.private(other) == []


def test_a_session_pair_that_cannot_be_deleted_is_named_in_the_log(
    core: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    session = core.user_session()
    generate(core, session, [(CKA.EC_PARAMS, P256), (CKA.LABEL, b"temp")], [], CKM.EC_KEY_PAIR_GEN)
    core.hem.failing = HemUnreachable("cable")
    core.ok("C_CloseSession", session)
    assert "'temp'" in capfd.readouterr().err
