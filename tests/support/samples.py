"""Every request that the client makes, with arguments of the simplest kind; and by them what each endpoint
may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from hem_provider.device import checkin
from hem_provider.rest import (
    auth,
    ciphers,
    configuration,
    crypto,
    external,
    initialisation,
    keymgmt,
    logger,
    storage,
    system,
    upgrade,
)
from hem_provider.rest.broker import BrokerApi
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.domain import DomainApi
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import EMPTY, Shape
from hem_provider.rest.upgrade import Image

__all__ = ["ANSWERS", "ASKS", "CALLS", "KID", "endpoint_of"]

KID = "00112233445566778899aabbccddeeff"
KEY = b64(bytes(range(32)))
CHALLENGE = auth.Challenge(spk=KEY, jti=KEY, label="", eid=KEY, exp=1_700_000_060, received=0.0, offset=0.0)
SECRET = Credential(bytes(range(32)), eid=KEY, role=Role.USER)
MESSAGE, LABEL = b"m", "label"

#: Function → the calls that it makes, in each form.
CALLS: dict[Callable[..., Call[Any]], list[Call[Any]]] = {
    auth.challenge: [auth.challenge()],
    auth.identity: [auth.identity()],
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
    ciphers.encrypt: [ciphers.encrypt(KID, MESSAGE, "AES256-GCM")],
    ciphers.decrypt: [ciphers.decrypt(KID, MESSAGE, "AES256-GCM")],
    ciphers.wrap: [ciphers.wrap(KID, bytes(16), "AES256")],
    ciphers.unwrap: [ciphers.unwrap(KID, bytes(24), "AES256")],
    ciphers.hmac: [ciphers.hmac(KID, MESSAGE)],
    ciphers.hmac_verify: [ciphers.hmac_verify(KID, MESSAGE, b"mac")],
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

#: Prefix of the endpoints of the cloud service.
CLOUD = "CLOUD "
#: Whatever asks the cloud, by a channel.
ASKS: tuple[Callable[[Any], object], ...] = (
    lambda channel: checkin.check_in(
        SimpleNamespace(rest=SimpleNamespace(channel=channel), run=lambda *_: {"check": "a.b.c"})
    ),
    lambda channel: BrokerApi(channel).session(),
    lambda channel: BrokerApi(channel).session(KEY),
    lambda channel: BrokerApi(channel).register(epk=KEY, eid=KEY, request="a.b.c"),
    lambda channel: BrokerApi(channel).registration("rid"),
    lambda channel: BrokerApi(channel).finalise("rid", {}),
    lambda channel: BrokerApi(channel).notify({}),
    lambda channel: BrokerApi(channel).approval("event"),
    lambda channel: BrokerApi(channel).cancel("event"),
    lambda channel: BrokerApi(channel).subscribers({}, KEY),
    lambda channel: BrokerApi(channel).unsubscribe({}, epk=KEY, pid=KEY),
    lambda channel: DomainApi(channel).is_free("office"),
    lambda channel: DomainApi(channel).default_bundle("a.b.c"),
    lambda channel: DomainApi(channel).request("office", {}),
    lambda channel: DomainApi(channel).result("id"),
)


class _Asked(Exception):
    """Ends what asks, once it has asked."""


class _Listener:
    """A channel that only notes what is asked of the cloud."""

    def __init__(self) -> None:
        self.endpoint, self.answer = "", EMPTY

    def cloud(self, method: str, path: str, *, answer: Shape = EMPTY, form: str = "", **_: Any) -> None:
        self.endpoint, self.answer = f"{CLOUD}{method} {form or path}", answer
        raise _Asked


def _answers() -> Iterator[tuple[str, Shape]]:
    for calls in CALLS.values():
        for call in calls:
            yield f"{call.method} {call.form or call.path}", call.answer
    for ask in ASKS:
        listener = _Listener()
        with suppress(_Asked):
            ask(listener)
        yield listener.endpoint, listener.answer


#: Endpoint → what it answers with status 200. ``{}``: what follows in the path. An endpoint that is not
#: here answers nothing that anybody reads.
ANSWERS = {endpoint: answer for endpoint, answer in _answers() if answer.fields}
_FORMS = sorted((each.removesuffix("{}") for each in ANSWERS if each.endswith("/{}")), key=len, reverse=True)


def endpoint_of(line: str) -> str:
    """The name of the endpoint of ``METHOD /path`` (with ``CLOUD`` before it for the cloud service).

    >>> endpoint_of("GET /api/keymgmt/list/15/15")
    'GET /api/keymgmt/list/{}'
    """
    if line in ANSWERS:
        return line
    return next((f"{each}{{}}" for each in _FORMS if line.startswith(each)), line)
