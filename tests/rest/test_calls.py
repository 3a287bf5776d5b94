"""Every call of the client, held against the emulator's endpoint table."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from hem_provider.emulator.call import Access
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.rest import (
    auth,
    configuration,
    crypto,
    external,
    initialisation,
    keymgmt,
    logger,
    storage,
    symmetric,
    system,
    upgrade,
)
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.encoding import b64
from hem_provider.rest.upgrade import Image

KID = "00112233445566778899aabbccddeeff"
KEY = b64(bytes(range(32)))
CHALLENGE = auth.Challenge(spk=KEY, jti=KEY, label="", eid=KEY, exp=1_700_000_060, received=0.0, offset=0.0)
SECRET = Credential(bytes(range(32)), eid=KEY, role=Role.USER)
MESSAGE, LABEL = b"m", "label"

#: Function → the calls that it makes, in each form.
CALLS = {
    auth.challenge: [auth.challenge()],
    auth.login: [auth.login(CHALLENGE, SECRET, scope="keymgmt:list", lifetime=60)],
    initialisation.challenge: [initialisation.challenge()],
    initialisation.initialise: [initialisation.initialise(CHALLENGE, SECRET, {})],
    external.begin_pairing: [external.begin_pairing(KEY)],
    external.validate: [external.validate(pid=KEY, reply="e30.e30.AAAA")],
    external.prove: [external.prove(KEY)],
    external.request: [external.request(epk=KEY, scope="keymgmt:list")],
    external.token: [external.token("a.b.c")],
    system.status: [system.status()],
    system.version: [system.version(), system.version().by("keymgmt:list")],
    system.begin_check_in: [system.begin_check_in()],
    system.finish_check_in: [system.finish_check_in({"checked": "a.b.c"})],
    system.selftest: [system.selftest()],
    system.reboot: [system.reboot()],
    system.shutdown: [system.shutdown()],
    configuration.read: [configuration.read()],
    configuration.write: [configuration.write({"user": "Ada"})],
    configuration.rotate: [configuration.rotate({"userkey": KEY})],
    configuration.wipe: [configuration.wipe()],
    configuration.attestation: [configuration.attestation()],
    configuration.provision: [configuration.provision(genuine="a.b.c", certificate="AAAA")],
    upgrade.upload: [upgrade.upload(each, b"x") for each in Image],
    upgrade.check: [upgrade.check(each) for each in Image],
    upgrade.install: [upgrade.install(each) for each in Image],
    upgrade.usb_mode: [upgrade.usb_mode()],
    keymgmt.list_keys: [keymgmt.list_keys()],
    keymgmt.search: [keymgmt.search(b"PKCS11")],
    keymgmt.search_anonymously: [keymgmt.search_anonymously(b"PKCS11")],
    keymgmt.get: [keymgmt.get(KID)],
    keymgmt.create: [keymgmt.create(type="AES256", label=LABEL)],
    keymgmt.import_public: [keymgmt.import_public(bytes(32), type="ED25519", label=LABEL)],
    keymgmt.derive: [keymgmt.derive(KID, type="AES256", label=LABEL, peer=KID)],
    keymgmt.update: [keymgmt.update(KID, label=LABEL, descr=b"")],
    keymgmt.delete: [keymgmt.delete(KID)],
    crypto.sign: [crypto.sign(KID, MESSAGE, "Ed25519")],
    crypto.verify: [crypto.verify(KID, MESSAGE, b"s", "Ed25519")],
    crypto.ecdh: [crypto.ecdh(KID, KID)],
    crypto.mlkem_encapsulate: [crypto.mlkem_encapsulate(KID)],
    crypto.mlkem_decapsulate: [crypto.mlkem_decapsulate(KID, b"c")],
    crypto.mldsa_sign: [crypto.mldsa_sign(KID, MESSAGE)],
    crypto.mldsa_verify: [crypto.mldsa_verify(KID, MESSAGE, b"s")],
    symmetric.encrypt: [symmetric.encrypt(KID, MESSAGE, "AES256-GCM")],
    symmetric.decrypt: [symmetric.decrypt(KID, MESSAGE, "AES256-GCM")],
    symmetric.wrap: [symmetric.wrap(KID, bytes(16), "AES256")],
    symmetric.unwrap: [symmetric.unwrap(KID, bytes(24), "AES256")],
    symmetric.hmac: [symmetric.hmac(KID, MESSAGE)],
    symmetric.hmac_verify: [symmetric.hmac_verify(KID, MESSAGE, b"mac")],
    logger.key: [logger.key()],
    logger.list_files: [logger.list_files()],
    logger.read: [logger.read("0000abcd")],
    storage.unlock: [
        storage.unlock(disk, writable=writable, read_only=mode)
        for disk in (0, 1)
        for writable in (False, True)
        for mode in (None, False, True)
    ],
    storage.lock: [storage.lock(0), storage.lock(1)],
}
EVERY = [
    pytest.param(call, id=f"{made.__module__.rpartition('.')[2]}.{made.__name__}-{number}")
    for made, calls in CALLS.items()
    for number, call in enumerate(calls)
]

#: Endpoints that the client does not call, and why.
NOT_CALLED = {
    "GET /api/keymgmt/list": "the same listing by a shorter path",
    "GET /api/keymgmt/list/{offset}": "the same listing by a shorter path",
    "GET /api/logger/list": "the same listing by a shorter path",
    "GET /api/system/upgrade": "nobody has told what it answers",
}
#: Scopes that would do and that the client does not ask for, and why.
NOT_ASKED = {
    ("POST /api/keymgmt/search", "auth:ext:pair"): "asked for by who looks for phones alone",
    **{
        (f"GET /api/system/upgrade/{name}", "system:config"): "uploading takes system:upgrade anyway"
        for name in ("check_fw", "check_ui", "install_fw", "install_ui", "usbmode")
    },
}
#: What acts: twice is more than once.
ACTS = {
    "POST /api/auth/token",
    "POST /api/auth/init",
    "POST /api/auth/ext/init",
    "POST /api/auth/ext/validate",
    "POST /api/auth/ext/mac",
    "POST /api/auth/ext/request",
    "POST /api/auth/ext/token",
    "POST /api/system/checkin",
    "POST /api/system/config",
    "POST /api/system/config/provisioning",
    "GET /api/system/reboot",
    "GET /api/system/shutdown",
    *(
        f"{method} /api/system/upgrade/{name}"
        for method, names in (
            ("POST", ("upload_fw", "upload_ui")),
            ("GET", ("check_fw", "check_ui", "install_fw", "install_ui", "usbmode")),
        )
        for name in names
    ),
    "POST /api/keymgmt/create",
    "POST /api/keymgmt/derive",
    "POST /api/keymgmt/import",
    "DELETE /api/keymgmt/delete/{kid}",
}


def rows(call):
    """The rows of the endpoint table that a call reaches; one of a path without parameters goes first."""
    found = [
        row
        for row in ENDPOINTS
        if row.method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", row.path), call.path)
    ]
    return sorted(found, key=lambda row: row.path.count("{"))


def name(row):
    return f"{row.method} {row.path}"


def opens(wanted, scope):
    """Whether a token with ``scope`` is one that a row wants."""
    wanted = wanted.replace("{kid}", KID)
    return scope == wanted[1:] if wanted.startswith("=") else scope.startswith(wanted)


def makers():
    """The public functions of ``rest`` that give a call."""
    for module in sorted({made.__module__ for made in CALLS}):
        content = importlib.import_module(module)
        for each in content.__all__:
            value = getattr(content, each)
            if inspect.isfunction(value) and str(inspect.signature(value).return_annotation).startswith(
                "Call["
            ):
                yield value


def test_every_function_that_gives_a_call_is_in_the_table_here():
    shared = {crypto.operation}  # what all operations are made by
    assert set(makers()) - shared == set(CALLS)


@pytest.mark.parametrize("call", EVERY)
def test_a_call_reaches_an_endpoint_with_the_scopes_and_the_tls_rule_of_its_row(call):
    row = rows(call)[0]
    assert call.tls_only is (row.tls != 0)
    if row.access is Access.NONE:
        assert call.scopes == ()
    elif row.access is not Access.OPTIONAL:
        assert call.scopes
    for scope in call.scopes:
        assert not row.scopes or any(opens(wanted, scope) for wanted in row.scopes), scope
    if call.scopes:
        for wanted in row.scopes:
            asked = any(opens(wanted, scope) for scope in call.scopes)
            assert asked is ((name(row), wanted) not in NOT_ASKED), wanted


@pytest.mark.parametrize("call", EVERY)
def test_only_what_does_no_more_when_sent_twice_is_sent_again(call):
    assert call.repeatable is (name(rows(call)[0]) not in ACTS)


def test_every_endpoint_is_called_or_it_is_said_why_not():
    called = {name(rows(call)[0]) for calls in CALLS.values() for call in calls}
    assert {name(row) for row in ENDPOINTS} - called == set(NOT_CALLED)


def test_every_exception_named_here_is_one():
    called = {name(rows(call)[0]): rows(call)[0] for calls in CALLS.values() for call in calls}
    assert set(called) >= ACTS
    for endpoint, scope in NOT_ASKED:
        assert scope in called[endpoint].scopes


def test_a_call_shows_neither_what_it_sends_nor_what_it_asks_for():
    shown = repr(crypto.sign(KID, b"a secret message", "Ed25519"))
    assert KID in shown
    assert b64(b"a secret message") not in shown
    assert "Ed25519" not in shown


def test_no_function_of_rest_takes_a_token():
    for made in CALLS:
        assert "token" not in inspect.signature(made).parameters
