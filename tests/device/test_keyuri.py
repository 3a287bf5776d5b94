"""PKCS#11 URIs of keys as commands read them: what they may say, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.device.keyuri import KeyUri, is_uri, parse_uri
from hem_provider.device.token import label_of, model_of, serial_of

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)


def escaped(value: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in value)


@given(
    st.dictionaries(st.sampled_from(("token", "manufacturer", "model", "serial", "object")), texts),
    st.none() | st.binary(max_size=40),
)
def test_what_is_written_into_a_uri_is_read_from_it(values, identifier):
    parts = [f"{name}={escaped(value.encode())}" for name, value in values.items()]
    parts += [] if identifier is None else [f"id={escaped(identifier)}"]
    assert parse_uri("pkcs11:" + ";".join(parts)) == KeyUri(**values, id=identifier)


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_stumble(text):
    with suppress(ValueError):
        parse_uri(f"pkcs11:{text}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PKCS11:object=a", KeyUri(object="a")),
        ("pkcs11:", KeyUri()),
        ("pkcs11:object=a b;", KeyUri(object="a b")),
        ("pkcs11:object=a&b", KeyUri(object="a&b")),
        ("pkcs11:?object=a&type=private", KeyUri(object="a", type="private")),
        ("pkcs11:object=a;object-type=public", KeyUri(object="a", type="public")),
        ("pkcs11:object=a?module-path=/x.so&x-vendor=%zz", KeyUri(object="a")),
        ("pkcs11:id=%00%ff%0A", KeyUri(id=b"\0\xff\n")),
    ],
)
def test_what_the_engine_takes_is_taken(text, says):
    assert is_uri(text)
    assert parse_uri(text) == says


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pkcs11:object=a;object=b", "'object' twice"),
        ("pkcs11:object=a;type=private;object-type=public", "'type' twice"),
        ("pkcs11:object=a;label=b", "'label', which is no attribute"),
        ("pkcs11:object", "'object', where name=value is wanted"),
        ("pkcs11:object=%4", "broken %XX; a % itself is %25"),
        ("pkcs11:object=%00", "'object' has a NUL"),
        ("pkcs11:object=%ff", "'object' is not UTF-8"),
        ("pkcs11:type=key", "type 'key'; accepted: public"),
        ("pkcs11:slot-id=1", "'slot-id', which only the PKCS#11 module knows"),
        ("pkcs11:object=" + "a" * 4096, "at most 4096 bytes"),
        ("web", "begins with pkcs11:"),
    ],
)
def test_what_it_may_not_say_is_told(text, told):
    with pytest.raises(ValueError, match=".") as caught:
        parse_uri(text)
    assert told in str(caught.value)


def test_a_pin_is_refused_and_not_shown():
    for name in ("pin-value", "pin-source"):
        with pytest.raises(ValueError, match="takes no PIN") as caught:
            parse_uri(f"pkcs11:object=a?{name}=s3cret")
        assert "s3cret" not in str(caught.value)


def test_the_token_of_a_uri_is_held_against_the_device(hem, rig):
    serial = serial_of(hem.probe().eid)
    assert hem.is_emulator
    fitting = (
        KeyUri(),
        KeyUri(token=hem.config.name),
        KeyUri(token=label_of(hem.config.name, emulator=True)),
        KeyUri(manufacturer="Encedo", model=model_of(emulator=True), serial=serial),
    )
    assert [each.misfit(hem) for each in fitting] == [None] * 4
    wrong = {"token": "office", "manufacturer": "Other", "model": "HEM", "serial": "0" * 16}
    for name, value in wrong.items():
        assert f"{name} {value!r}, and that of {hem.config.name} is" in KeyUri(**{name: value}).misfit(hem)


def test_only_what_the_device_alone_knows_costs_a_call(rig):
    with rig.connect() as hem:
        assert KeyUri(token=hem.config.name, manufacturer="Encedo").misfit(hem) is None
        assert hem.statistics.calls == 0
        KeyUri(serial="1").misfit(hem)
        KeyUri(serial="1").misfit(hem)
        assert hem.statistics.calls == 1


def test_a_uri_means_keys_by_label_id_and_kind(hem):
    key = hem.keys.create("ED25519", label="web", application_id=b"\1")
    bare = hem.keys.create("AES256", label="vault")
    for uri, means in (
        ("object=web", key),
        ("id=%01", key),
        ("id=" + escaped(bytes.fromhex(key.kid)), key),
        ("object=web;type=private", key),
        ("object=web;type=public", key),
        ("type=secret-key", bare),
        ("id=" + escaped(bytes.fromhex(bare.kid)), bare),
    ):
        assert [each for each in (key, bare) if parse_uri(f"pkcs11:{uri}").fits(each)] == [means], uri
    assert not parse_uri("pkcs11:object=web;type=cert").fits(key)
    assert not parse_uri("pkcs11:object=web;id=%02").fits(key)
