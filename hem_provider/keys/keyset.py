"""``KeySet``: one name for keys on several devices, each of which signs as well as any other.

::

    keys = KeySet.find(label="tokens")                  the key of this label on each configured device
    signature, key = keys.sign(b"message")              by whichever device is free
    keys.verify(signature, b"message")                  local, under any of their public halves
    token, key = keys.run(lambda key: jwt.encode(       anything else that signs, with an ordinary key
        claims, key.private_key(), "ES256", headers={"kid": keys.kid(key)}))

Each member is a key pair of its own: whoever verifies has to know all of their public halves (``jwks``, or
a certificate for each). A device that is dead or slow keeps its own call and no other: that one is made by
another device too. So a signature may be made twice, which changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hem_provider.arguments import as_bytes, as_seconds
from hem_provider.config import load_config
from hem_provider.device.criteria import criteria
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import MessageTooLong
from hem_provider.keys import signing
from hem_provider.keys.desk import Desk, Standing
from hem_provider.keys.members import Members, failed
from hem_provider.keys.publicforms import JOSE_SIGNING, jwk, thumbprint
from hem_provider.keys.remote import RemotePrivateKey
from hem_provider.keytypes import Family
from hem_provider.logs import WARNING, Logger
from hem_provider.perprocess import PerProcess

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
    from typing_extensions import Buffer

    SigningPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

__all__ = ["KeySet", "Standing"]

_log = Logger("hem_provider.keys")

T = TypeVar("T")

_PATIENCE: Final = 3.0
_AWAY: Final = 60.0


class KeySet:
    """Keys of one type on several devices: EC, Ed25519 or Ed448.

    Safe for threads, and in a child after ``fork``. ``timeout``: seconds for one call, whichever devices
    fail meanwhile; by default the longest ``timeout`` of a device. ``patience``: seconds after which another
    device is asked as well, and half of ``timeout`` at most. ``away``: for how many seconds at most a device
    that keeps failing is left out, until a call that another one makes too shows whether it is back.
    """

    def __init__(
        self,
        keys: Iterable[Key | RemotePrivateKey[Any]],
        *,
        timeout: float | None = None,
        patience: float = _PATIENCE,
        away: float = _AWAY,
    ) -> None:
        """Of one key on each device. One call for a key whose type is not known.

        ``TypeError`` for what is no key of a device; ``ValueError`` for none at all, for keys of several
        types and for two of one device; ``UnsupportedAlgorithm`` for a key that does not sign here.
        """
        self._begin(timeout, patience, away)
        self._members.take([_key_of(each) for each in keys])

    @classmethod
    def find(
        cls,
        *,
        label: str | None = None,
        type: str | None = None,
        application_id: bytes | None = None,
        devices: Iterable[Hem] | None = None,
        timeout: float | None = None,
        patience: float = _PATIENCE,
        away: float = _AWAY,
    ) -> KeySet:
        """The one key on each of ``devices``, by default all that are configured, that matches all that is
        given. They are asked at once.

        A device that cannot answer now takes part as soon as it can: by the key that was listed there last,
        where that is remembered, else once it is found. ``HemKeySetFailed`` where none can answer, and
        where one answers that it has no such key, or several, or wants a login: its ``reasons`` say
        which. Else as ``KeySet``.
        """
        given = criteria(label, type, application_id)
        if not any(value is not None for value in given.values()):
            raise TypeError(f"find: give at least one of {', '.join(given)}")
        opened = [Hem(each) for each in load_config().devices] if devices is None else []
        made = cls.__new__(cls)
        made._begin(timeout, patience, away)
        made._opened = opened
        silent = made._members.meet(opened if devices is None else list(devices), given, timeout)
        made._desk.get().leave_out(silent)
        return made

    def _begin(self, timeout: float | None, patience: float, away: float) -> None:
        self._given = None if timeout is None else as_seconds("timeout", timeout)
        patience, away = as_seconds("patience", patience), as_seconds("away", away)
        self._opened: Sequence[Hem] = ()
        self._natives: dict[str, Any] = {}
        self._members = members = Members()
        self._desk = PerProcess(lambda: Desk(members.all, patience=patience, away=away))

    @property
    def members(self) -> tuple[Key, ...]:
        """The keys, as far as they are known. No I/O."""
        return tuple(each.key for each in self._members.all if each.key is not None)

    def sign(
        self, message: Buffer, algorithm: ec.EllipticCurveSignatureAlgorithm | None = None
    ) -> tuple[bytes, Key]:
        """A signature of 1…``limits.message`` bytes, in ``cryptography``'s form (ECDSA: DER), and the key
        that made it. It was verified here.

        ``algorithm``: ``ec.ECDSA(hash)`` for EC keys, by default with the natural hash of the curve; none
        for others. ``MessageTooLong``, ``ValueError`` and ``UnsupportedAlgorithm`` as of the key objects;
        else as ``run``.
        """
        data, literal = as_bytes("message", message), self._literal(algorithm)
        return self.run(lambda key: signing.sign(key, data, literal))

    def run(self, work: Callable[[Key], T]) -> tuple[T, Key]:
        """What ``work`` makes of a key whose device is free, and that key.

        ``work`` is called in another thread; with another key as well where it ends with an error of this
        package or takes long, and then perhaps twice at once: so it must change nothing. Of several answers
        the first counts. A key that is gone from its device (``HemKeyNotFound``) is looked for once more,
        where ``find`` made the set. ``HemKeySetFailed`` when nobody answers within ``timeout`` or all have
        failed. ``RuntimeError`` from within ``work``, which has a key already. Any error of ``work`` that is
        not of this package comes as it is, at once.
        """
        job = self._desk.get().run(work, time.monotonic() + self._timeout)
        if job.value is not None:
            made: tuple[T, Key] = job.value
            return made
        if job.error is not None:
            raise job.error
        too_long = [each for each in job.errors.values() if isinstance(each, MessageTooLong)]
        if len(too_long) == len(self):
            raise max(too_long, key=lambda each: each.limit)
        raise failed(f"do this within {self._timeout:g} s", job.errors)

    def verify(
        self,
        signature: Buffer,
        message: Buffer,
        algorithm: ec.EllipticCurveSignatureAlgorithm | None = None,
    ) -> Key:
        """The key that ``signature`` is of; ``InvalidSignature`` if it is of none. Local, but that a public
        half which is not known yet is asked for; ``HemKeySetFailed`` where a device does not give its own
        and the signature is of no other."""
        made, data = as_bytes("signature", signature), as_bytes("message", message)
        literal = self._literal(algorithm)
        known = [each.key for each in self._members.all if each.key is not None and each.is_public]
        found = self._maker(known, made, data, literal)
        if found is None and len(known) < len(self):
            known, silent = self._members.tell(self._timeout)
            found = self._maker(known, made, data, literal)
            if found is None and silent:
                raise failed("say its public key, and the signature is of no other", silent)
        if found is None:
            raise InvalidSignature(f"the signature is of none of {len(known)} keys")
        return found

    def public_keys(self) -> dict[str, SigningPublicKey]:
        """The native public key of each member, by its ``kid``. Those that are not known yet are asked for; a
        device that does not answer is left out, which the log tells. ``HemKeySetFailed`` where there is
        none."""
        return {self.kid(each): self._native(each) for each in self._told()}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """A JWK set (RFC 7517 §5) of the public halves, as for ``public_keys``: each with ``use``, ``alg``
        and ``kid``."""
        return {
            "keys": [
                {**jwk(each), "kid": self.kid(each), "use": "sig", "alg": JOSE_SIGNING[each.type.name]}
                for each in self._told()
            ]
        }

    @staticmethod
    def kid(key: Key) -> str:
        """The ``kid`` of a member in ``jwks``: the RFC 7638 thumbprint of its public half."""
        return thumbprint(key)

    def standing(self) -> list[Standing]:
        """How each device does, as this process knows it now. No I/O."""
        return self._desk.get().standing()

    def close(self) -> None:
        """Drop the connections of devices that ``find`` opened; the set may be used again."""
        for each in self._opened:
            each.close()

    @property
    def _timeout(self) -> float:
        return self._members.timeout if self._given is None else self._given

    def _literal(self, algorithm: Any) -> str:
        """The device's name of an algorithm."""
        kind = self._members.kind
        if algorithm is None:
            return signing.algorithm_of(kind)
        if kind.family is not Family.EC:
            raise TypeError(f"algorithm: {type(algorithm).__name__}; {kind.name} keys have one, give none")
        from hem_provider.keys.ec import digest_of

        digest, possible = digest_of(algorithm), signing.digests_of(kind)
        if digest not in possible:
            raise UnsupportedAlgorithm(f"sign with {digest}; possible: {', '.join(possible)}")
        return signing.algorithm_of(kind, digest)

    def _maker(self, keys: Iterable[Key], made: bytes, data: bytes, literal: str) -> Key | None:
        for key in keys:
            try:
                signing.verify(self._native(key), made, data, literal)
            except InvalidSignature:
                continue
            return key
        return None

    def _native(self, key: Key) -> Any:
        if key.kid not in self._natives:
            self._natives[key.kid] = signing.native(key)
        return self._natives[key.kid]

    def _told(self) -> list[Key]:
        keys, silent = self._members.tell(self._timeout)
        if not keys:
            raise failed("say its public key", silent)
        for name, error in silent.items():
            _log.log(WARNING, "%s: its public key is not known, and left out: %s", name, error)
        return keys

    def __len__(self) -> int:
        return len(self._members.all)

    def __enter__(self) -> KeySet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a set of keys is not pickled: find it in the other process, or fork")

    def __repr__(self) -> str:
        return f"<KeySet of {', '.join(each.name for each in self._members.all)}>"


def _key_of(value: object) -> Key:
    if isinstance(value, RemotePrivateKey):
        return value.hem_key
    if isinstance(value, Key):
        return value
    raise TypeError(f"keys: {type(value).__name__}; accepted: keys of devices, or their private key objects")
