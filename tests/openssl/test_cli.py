"""``hem openssl``: paths, configurations and key files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import ClassVar

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.cli.main import main
from hem_provider.cli.openssl_files import key_file, provider_key_file
from hem_provider.errors import HemConfigError

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=1000)


def test_the_path_is_that_of_the_engine(engine, capsys):
    assert main(["openssl", "path"]) == 0
    assert Path(capsys.readouterr().out.strip()).samefile(engine)


@pytest.mark.parametrize("name", ["hem", "pkcs11"])
def test_the_configuration_names_engine_and_id(engine, capsys, name):
    assert main(["openssl", "config", "--id", name]) == 0
    said = capsys.readouterr().out
    assert f"SO_PATH = {engine}" in said
    assert f"ID = {name}" in said


def test_a_provider_that_is_not_there_is_refused_by_name(engine, capsys):
    assert main(["openssl", "config", "--provider", "/nowhere/pkcs11.so"]) == 1
    assert "there is no provider /nowhere/pkcs11.so" in capsys.readouterr().err


class Algorithm(core.Sequence):
    _fields: ClassVar = [("algorithm", core.ObjectIdentifier)]


class KeyFile(core.Sequence):
    """PrivateKeyInfo (RFC 5208) whose algorithm has no parameters."""

    _fields: ClassVar = [("version", core.Integer), ("algorithm", Algorithm), ("key", core.OctetString)]


class ProviderKeyFile(core.Sequence):
    _fields: ClassVar = [("description", core.VisibleString), ("uri", core.UTF8String)]


def content(pem: str, label: str) -> bytes:
    lines = pem.splitlines()
    assert (lines[0], lines[-1]) == (f"-----BEGIN {label}-----", f"-----END {label}-----")
    assert all(len(line) <= 64 for line in lines[1:-1])
    return base64.b64decode("".join(lines[1:-1]), validate=True)


@given(names)
def test_a_key_file_is_pkcs8_with_the_name_as_its_key(name):
    parsed = KeyFile.load(content(key_file(name), "PRIVATE KEY"), strict=True)
    assert parsed["version"].native == 0
    assert parsed["algorithm"]["algorithm"].dotted == "2.25.122430122048691160896791740829055947175"
    assert parsed["key"].native == name.encode()


@given(names)
def test_a_key_file_of_the_provider_is_a_sequence_of_two_texts(name):
    written = content(provider_key_file(f"pkcs11:{name}"), "PKCS#11 PROVIDER URI")
    parsed = ProviderKeyFile.load(written, strict=True)
    assert parsed["description"].native == "PKCS#11 Provider URI v1.0"
    assert parsed["uri"].native == f"pkcs11:{name}"


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 4097])
def test_a_name_that_cannot_be_one_is_refused_with_its_size(name):
    with pytest.raises(HemConfigError, match=f"this one has {len(name)} bytes"):
        key_file(name)


def test_the_provider_takes_uris_only():
    with pytest.raises(HemConfigError, match="pkcs11: URIs only, and this is 'web'"):
        provider_key_file("web")


def test_a_key_file_is_printed(capsys):
    assert main(["openssl", "pem", "pkcs11:object=web"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert b"pkcs11:object=web" in base64.b64decode("".join(lines[1:-1]))
