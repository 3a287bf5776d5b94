"""Each operation of the Python interface as a pair: do it, and tell whether its result is true.

The truth is computed here from the public halves and secrets of the keys in ``Keys``, or asked of the
device by a client whose answers nobody alters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from hem_provider.device.description import PREFIX
from hem_provider.keytypes import KEY_TYPES, Family
from hem_provider.symmetric import AESGCM, CMAC, HMAC, aes_key_unwrap, aes_key_wrap, open, seal

__all__ = ["OPERATIONS", "Keys", "Operation"]

MESSAGE = b"what is signed"
CLEAR = bytes(range(48))
_CURVES = ("SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1")
_numbers = itertools.count()


class Keys:
    """A key of each type on the device, made once; ``hem`` is a client that nobody alters."""

    def __init__(self, hem: Any) -> None:
        self.hem = hem
        self.kids = {name: hem.keys.create(name, label=name, usage=_usage(name)).kid for name in KEY_TYPES}
        self.public = {
            name: hem.keys.get(kid).public_key()
            for name, kid in self.kids.items()
            if KEY_TYPES[name].public_size and name != "MLKEM512"
        }
        self.raw = {
            name: hem.keys.get(kid).public_bytes()
            for name, kid in self.kids.items()
            if KEY_TYPES[name].public_size
        }
        self.peer = x25519.X25519PrivateKey.generate().public_key()
        self.secret = hem.ecdh(self.kids["CURVE25519"], self.peer.public_bytes_raw())
        self.hashed = hem.ecdh(self.kids["SECP384R1"], self.raw["SECP384R1"], algorithm="SHA2-512")
        self.mac = {name: hem.hmac(self.kids[name], MESSAGE) for name in ("SHA2-256", "SHA3-384")}
        self.derived_mac = hem.hmac(
            self.kids["CURVE25519"], MESSAGE, algorithm="SHA2-512", peer=self.peer.public_bytes_raw()
        )
        self.modes = {
            mode: hem.encrypt(self.kids["AES256"], CLEAR, f"AES256-{mode}") for mode in ("ECB", "CBC", "GCM")
        }
        self.wrapped = hem.wrap(self.kids["AES256"], CLEAR, "AES256")
        self.encapsulated = {
            name: hem.operations.mlkem_encapsulate(self.kids[name]) for name in ("MLKEM512", "MLKEM768")
        }
        self.records = {each.kid: (each.label, each.type.name, each.descr) for each in hem.keys}
        self.config = hem.admin.configuration()
        self.version = hem.version()


def _usage(name: str) -> set[str] | None:
    return {"aead", "cipher", "wrap", "mac"} if KEY_TYPES[name].family is Family.AES else None


@dataclass(frozen=True)
class Operation:
    """``run(hem, keys)`` gives a result; ``true(result, keys)`` judges it. ``skips``: fields for which
    another size is as good (CBC's padding)."""

    name: str
    run: Callable[[Any, Keys], Any]
    true: Callable[[Any, Keys], bool]
    skips: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name


def _verifies(public: Any, signature: bytes, *arguments: Any) -> bool:
    try:
        public.verify(signature, *arguments)
    except InvalidSignature:
        return False
    return True


def _ecdsa(name: str) -> Operation:
    def run(hem: Any, keys: Keys) -> bytes:
        private = hem.keys.get(keys.kids[name]).private_key()
        private.public_key()
        return private.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))

    return Operation(
        f"sign with {name}",
        run,
        lambda result, keys: _verifies(keys.public[name], result, MESSAGE, ec.ECDSA(hashes.SHA256())),
    )


def _plain_signature(name: str) -> Operation:
    def run(hem: Any, keys: Keys) -> bytes:
        private = hem.keys.get(keys.kids[name]).private_key()
        private.public_key()
        return private.sign(MESSAGE)

    return Operation(
        f"sign with {name}", run, lambda result, keys: _verifies(keys.public[name], result, MESSAGE)
    )


def _on_device(algorithm: str, name: str, context: bytes | None = None) -> Operation:
    """A signature that only the device verifies."""

    def true(result: bytes, keys: Keys) -> bool:
        return keys.hem.verify(keys.kids[name], MESSAGE, result, algorithm, context=context)

    return Operation(
        f"sign with {algorithm}",
        lambda hem, keys: hem.sign(keys.kids[name], MESSAGE, algorithm, context=context),
        true,
    )


def _encryption(mode: str) -> Operation:
    def true(made: Any, keys: Keys) -> bool:
        clear = keys.hem.decrypt(
            keys.kids["AES256"], made.ciphertext, f"AES256-{mode}", iv=made.iv, tag=made.tag
        )
        return (
            clear == CLEAR and (made.iv is None) is (mode == "ECB") and (made.tag is None) is (mode != "GCM")
        )

    return Operation(
        f"encrypt {mode}", lambda hem, keys: hem.encrypt(keys.kids["AES256"], CLEAR, f"AES256-{mode}"), true
    )


def _decryption(mode: str) -> Operation:
    def run(hem: Any, keys: Keys) -> bytes:
        made = keys.modes[mode]
        return hem.decrypt(keys.kids["AES256"], made.ciphertext, f"AES256-{mode}", iv=made.iv, tag=made.tag)

    skips = frozenset({"plaintext"}) if mode == "CBC" else frozenset()
    return Operation(f"decrypt {mode}", run, lambda result, _: result == CLEAR, skips)


def _created(name: str) -> Operation:
    return Operation(
        f"create {name}",
        lambda hem, _: hem.keys.create(name, label=f"new {next(_numbers)}"),
        lambda key, keys: keys.hem.operations.fetch(key.kid).type.endswith(name),
    )


def _derived(hem: Any, keys: Keys) -> Any:
    peer = x25519.X25519PrivateKey.generate().public_key()
    return hem.keys.derive(keys.kids["CURVE25519"], peer, type="AES128", label="derived")


def _imported(hem: Any, _: Keys) -> Any:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = hem.keys.import_public(public, label="imported")
    return key.kid, key.public_bytes()


def _deleted(hem: Any, keys: Keys) -> str:
    kid = keys.hem.keys.create("AES128", label="short-lived").kid
    hem.keys.delete(kid)
    return kid


def _is_gone(kid: str, keys: Keys) -> bool:
    return all(each.kid != kid for each in _fresh(keys))


def _fresh(keys: Keys) -> list[Any]:
    keys.hem.keys.refresh()
    return list(keys.hem.keys)


def _renamed(hem: Any, keys: Keys) -> str:
    label = f"renamed {next(_numbers)}"
    hem.keys.update(keys.kids["AES128"], label=label)
    return label


def _found(name: str) -> Callable[[Any, Keys], Any]:
    return lambda hem, _: hem.keys.find(label=name).kid


def _mac(name: str, algorithm: Any) -> Operation:
    def run(hem: Any, keys: Keys) -> bytes:
        mac = HMAC(hem.keys.get(keys.kids[name]), algorithm)
        mac.update(MESSAGE)
        return mac.finalize()

    return Operation(f"HMAC with {name}", run, lambda result, keys: result == keys.mac[name])


def _cmac(hem: Any, keys: Keys) -> bytes:
    mac = CMAC(hem.keys.get(keys.kids["AES256"]))
    mac.update(MESSAGE)
    return mac.finalize()


def _cmac_again(result: bytes, keys: Keys) -> bool:
    return result == _cmac(keys.hem, keys)


OPERATIONS: tuple[Operation, ...] = (
    Operation("log in", lambda hem, _: hem.login() or hem.logged_in, lambda result, _: result is True),
    Operation("probe", lambda hem, _: hem.probe().eid, lambda eid, keys: eid == keys.hem.identity.eid),
    Operation(
        "status",
        lambda hem, _: hem.status(),
        lambda found, _: (
            (found.fls_state, found.initialized, found.context) == (0, True, 0) and found.uptime >= 0
        ),
    ),
    Operation("version", lambda hem, _: hem.version(), lambda found, keys: found == keys.version),
    Operation("check in", lambda hem, _: hem.check_in().action, lambda action, _: action == "OK"),
    Operation(
        "configuration",
        lambda hem, _: hem.admin.configuration().eid,
        lambda eid, keys: eid == keys.config.eid,
    ),
    Operation("self-test", lambda hem, _: hem.admin.selftest().fls_state, lambda state, _: state == 0),
    Operation("log key", lambda hem, _: hem.audit.key(), lambda key, keys: key == keys.config.log_key),
    Operation("log files", lambda hem, _: hem.audit.files(), lambda ids, keys: ids == keys.hem.audit.files()),
    *map(_ecdsa, _CURVES),
    *map(_plain_signature, ("ED25519", "ED448", "MLDSA44", "MLDSA65", "MLDSA87")),
    _on_device("Ed25519ph", "ED25519", b"ctx"),
    _on_device("Ed448", "ED448", b"ctx"),
    Operation(
        "exchange",
        lambda hem, keys: hem.keys.get(keys.kids["CURVE25519"]).private_key().exchange(keys.peer),
        lambda result, keys: result == keys.secret,
    ),
    Operation(
        "exchange hashed",
        lambda hem, keys: (
            hem.keys.get(keys.kids["SECP384R1"])
            .private_key()
            .exchange_hashed(hashes.SHA512(), keys.public["SECP384R1"])
        ),
        lambda result, keys: result == keys.hashed,
    ),
    Operation(
        "encapsulate",
        lambda hem, keys: hem.operations.mlkem_encapsulate(keys.kids["MLKEM512"]),
        lambda made, keys: keys.hem.operations.mlkem_decapsulate(keys.kids["MLKEM512"], made[0]) == made[1],
    ),
    *(
        Operation(
            f"decapsulate {name}",
            lambda hem, keys, name=name: (
                hem.keys.get(keys.kids[name]).private_key().decapsulate(keys.encapsulated[name][0])
            ),
            lambda result, keys, name=name: result == keys.encapsulated[name][1],
        )
        for name in ("MLKEM512", "MLKEM768")
    ),
    _mac("SHA2-256", hashes.SHA256()),
    _mac("SHA3-384", hashes.SHA3_384()),
    Operation(
        "derived HMAC",
        lambda hem, keys: hem.hmac(
            keys.kids["CURVE25519"], MESSAGE, algorithm="SHA2-512", peer=keys.peer.public_bytes_raw()
        ),
        lambda result, keys: result == keys.derived_mac,
    ),
    *map(_encryption, ("ECB", "CBC", "GCM")),
    *map(_decryption, ("ECB", "CBC", "GCM")),
    Operation(
        "wrap",
        lambda hem, keys: aes_key_wrap(hem.keys.get(keys.kids["AES256"]), CLEAR),
        lambda result, keys: result == keys.wrapped,
    ),
    Operation(
        "unwrap",
        lambda hem, keys: aes_key_unwrap(hem.keys.get(keys.kids["AES256"]), keys.wrapped),
        lambda result, _: result == CLEAR,
    ),
    Operation(
        "AES-GCM",
        lambda hem, keys: AESGCM(hem.keys.get(keys.kids["AES256"])).encrypt(bytes(12), CLEAR, b"aad"),
        lambda result, keys: (
            AESGCM(keys.hem.keys.get(keys.kids["AES256"])).decrypt(bytes(12), result, b"aad") == CLEAR
        ),
    ),
    Operation(
        "seal",
        lambda hem, keys: seal(hem.keys.get(keys.kids["AES256"]), CLEAR),
        lambda result, keys: open(keys.hem.keys.get(keys.kids["AES256"]), result) == CLEAR,
    ),
    Operation("CMAC", _cmac, _cmac_again),
    *map(_created, ("SECP256R1", "AES128")),
    Operation(
        "derive", _derived, lambda key, keys: keys.hem.operations.fetch(key.kid).type.endswith("AES128")
    ),
    Operation(
        "import", _imported, lambda found, keys: keys.hem.operations.fetch(found[0]).public == found[1]
    ),
    Operation("delete", _deleted, _is_gone),
    Operation(
        "rename",
        _renamed,
        lambda label, keys: {each.kid: each.label for each in _fresh(keys)}[keys.kids["AES128"]] == label,
    ),
    Operation("find", _found("SECP256R1"), lambda kid, keys: kid == keys.kids["SECP256R1"]),
    Operation(
        "list",
        lambda hem, _: {each.kid: (each.label, each.type.name, each.descr) for each in hem.keys},
        lambda found, keys: (
            found == {each.kid: (each.label, each.type.name, each.descr) for each in _fresh(keys)}
        ),
    ),
    Operation(
        "search without a login",
        lambda hem, _: {each.kid for each in hem.keys.search_anonymous()},
        lambda found, keys: found == {each.kid for each in _fresh(keys) if each.descr.startswith(PREFIX)},
    ),
    *(
        Operation(
            f"public key of {name}",
            lambda hem, keys, name=name: hem.keys.get(keys.kids[name]).public_bytes(),
            lambda result, keys, name=name: result == keys.raw[name],
        )
        for name, kind in KEY_TYPES.items()
        if kind.public_size
    ),
)
