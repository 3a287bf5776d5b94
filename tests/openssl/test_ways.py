"""``hem openssl config``, ``pem`` and ``uri``: for the OpenSSL that is found, or for what is asked for."""

from __future__ import annotations

import json

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.cli.main import main
from hem_provider.device.keyuri import parse_uri, uri_of

ENGINE, PROVIDER = "SO_PATH = ", "pkcs11-module-path = "
LISTED = "Providers:\\n  pkcs11\\n    name: PKCS#11 Provider\\n    version: 1.0\\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts an ``openssl`` first that says its version, and has engines and pkcs11-provider as is said."""

    def make(version, *, engine=False, provider=False):
        folder = tmp_path / "bin"
        (folder / "modules").mkdir(parents=True, exist_ok=True)
        if provider:
            (folder / "modules" / "pkcs11.so").touch()
        (folder / "openssl").write_text(
            f"""#!/bin/sh
case "$1 $2" in
"version -m") echo 'MODULESDIR: "{folder / "modules"}"';;
"version "*) echo "{version} 1 Jan 2026";;
engine*) echo "{"[ available ]" if engine else "no such engine"}";;
list*) printf "{LISTED if provider else ""}";;
esac
"""
        )
        (folder / "openssl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return folder

    return make


#: What there is → what ``config`` prints, and the label of what ``pem`` prints.
CHOSEN = {
    ("OpenSSL 3.0.20", "engine"): (ENGINE, "PRIVATE KEY"),
    ("OpenSSL 3.0.20", "engine provider"): (ENGINE, "PRIVATE KEY"),
    ("OpenSSL 3.5.1", "engine provider"): (PROVIDER, "PKCS#11 PROVIDER URI"),
    ("OpenSSL 3.5.1", "provider"): (PROVIDER, "PKCS#11 PROVIDER URI"),
    ("OpenSSL 3.5.1", "engine"): (ENGINE, "PRIVATE KEY"),
    ("OpenSSL 4.0.3", "engine provider"): (PROVIDER, "PKCS#11 PROVIDER URI"),
}


@pytest.mark.parametrize(("version", "there"), CHOSEN)
def test_what_is_written_fits_the_openssl_that_is_found(version, there, engine, program, capsys):
    program(version, **dict.fromkeys(there.split(), True))
    configuration, label = CHOSEN[version, there]
    assert main(["openssl", "config"]) == 0
    said = capsys.readouterr()
    assert configuration in said.out
    second_best = configuration is ENGINE and "3.5" in version
    assert ("this is for the engine, which ends with OpenSSL 4.0" in said.err) == second_best
    assert main(["openssl", "pem", "web"]) == 0
    assert f"-----BEGIN {label}-----" in capsys.readouterr().out


def test_what_is_asked_for_is_written_whatever_is_found(engine, program, capsys):
    program("OpenSSL 3.5.1", engine=True, provider=True)
    for asked in (["--engine"], ["--id", "hem"], ["--id", "pkcs11"]):
        assert main(["openssl", "config", *asked]) == 0
        assert ENGINE in capsys.readouterr().out
    assert main(["openssl", "pem", "web", "--engine"]) == 0
    assert "BEGIN PRIVATE KEY" in capsys.readouterr().out
    folder = program("OpenSSL 3.0.20", engine=True, provider=True)
    assert main(["openssl", "config", "--provider", str(folder / "modules" / "pkcs11.so")]) == 0
    assert PROVIDER in capsys.readouterr().out
    assert main(["openssl", "pem", "web", "--provider"]) == 0
    assert "BEGIN PKCS#11 PROVIDER URI" in capsys.readouterr().out
    assert main(["openssl", "config", "--engine", "--provider", "x"]) == 2


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("OpenSSL 4.0.3", "OpenSSL 4.0.3: the provider is not here: there is no "),
        ("OpenSSL 3.0.20", "OpenSSL 3.0.20: the engine does not load"),
        ("LibreSSL 3.8.2", "is LibreSSL 3.8.2 1 Jan 2026, of which nothing is known: say --engine or"),
    ],
)
@pytest.mark.parametrize("words", [["config"], ["pem", "web"]])
def test_an_openssl_without_a_way_is_told(version, told, words, engine, program, capsys):
    program(version)
    assert main(["openssl", *words]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert told in said.err


def test_no_openssl_at_all_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["openssl", "config"]) == 1
    assert "there is no openssl program here" in capsys.readouterr().err


def test_the_provider_does_not_take_a_kid(capsys):
    assert main(["openssl", "pem", "--provider", "6D0E37dd034a07f9ed32f75537141530"]) == 1
    assert "'hem openssl uri 6D0E37dd034a07f9ed32f75537141530' asks" in capsys.readouterr().err


@pytest.fixture
def owned(rig, hem, monkeypatch, tmp_path):
    """The rig's device as the only one, called "main office", with keys of three kinds."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_NAME", "main office")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    return {
        "web server": hem.keys.create("SECP256R1", label="web server", usage={"sign"}),
        "own": hem.keys.create("ED25519", label="own", usage={"sign"}, application_id=b"\x01;"),
        "vault": hem.keys.create("AES256", label="vault", usage={"aead"}),
    }


def uri_told(capsys, *words):
    assert main(["openssl", "uri", *words]) == 0
    return capsys.readouterr().out.strip()


def test_a_uri_is_of_the_token_and_the_key_and_is_one_word_of_a_shell(owned, capsys):
    kid = owned["web server"].kid
    identifier = "".join(f"%{each:02X}" for each in bytes.fromhex(kid))
    by_label = uri_told(capsys, "web server")
    assert by_label == (
        f"pkcs11:token=main%20office%20%28EMULATOR%29;id={identifier};object=web%20server;type=private"
    )
    assert uri_told(capsys, kid) == uri_told(capsys, by_label) == by_label
    assert uri_told(capsys, "web server", "--public") == by_label.replace("type=private", "type=public")


def test_a_uri_has_the_id_that_an_application_chose(owned, capsys):
    assert parse_uri(uri_told(capsys, "own")).id == b"\x01;"


def test_a_symmetric_key_has_no_public_uri(owned, capsys):
    assert parse_uri(uri_told(capsys, "vault")).type == "secret-key"
    assert main(["openssl", "uri", "vault", "--public"]) == 2
    assert "has no public half" in capsys.readouterr().err


def test_a_uri_as_json_has_the_kid(owned, capsys):
    told = json.loads(uri_told(capsys, "own", "--json"))
    assert told == {
        "device": "main office", "kid": owned["own"].kid, "label": "own", "uri": uri_told(capsys, "own"),
    }  # fmt: skip


def test_what_a_uri_is_made_of_is_read_from_it_again():
    wanted = {"token": "a;b?c&d=%/ä", "id": b"\0\xff", "object": "x y", "type": "private"}
    read = parse_uri(uri_of(**wanted))
    assert {name: getattr(read, name) for name in wanted} == wanted
