"""What verifies a signature of each format, as one table; ``hem sign`` asks it, too, before it writes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature

from hem_provider.adapters import jws, minisign, rawsig, sshsig
from hem_provider.adapters.cms.reading import Cms, is_cms
from hem_provider.cli.shape import Given
from hem_provider.cli.signing.reading import Taken
from hem_provider.cli.statuses import UsageFault
from hem_provider.keys.signing import algorithm_of, digests_of
from hem_provider.keytypes import KeyType
from hem_provider.publickeys import device_form, kid_of, type_of
from hem_provider.records import frozen

__all__ = ["VERIFIERS", "Check", "Verifier"]


@frozen
class Check:
    """``read``: the signature. ``public``: a native key. ``number``: its number in minisign's files, ``None``
    for that of a HEM's key. ``taken``: of the file, by ``digest_name``, or ``None`` if it was taken whole."""

    read: Any
    public: Any
    number: bytes | None
    taken: Taken
    digest_name: str | None
    options: Given

    @property
    def kind(self) -> KeyType:
        """The device's type of such keys."""
        return type_of(self.public)

    @property
    def kid(self) -> str:
        """The KID that the key has, or would have, on a device."""
        return kid_of(device_form(self.public))


@frozen
class Verifier:
    """``is_one``: whether bytes look like a signature of this format. ``read``: it, or ``ValueError``.
    ``digest_name``: what is taken of the file, ``None`` for the whole. ``check``: ``InvalidSignature``,
    or what is to be told of a good one."""

    is_one: Callable[[bytes], bool]
    read: Callable[[bytes], Any]
    digest_name: Callable[[Any, KeyType, Given], str | None]
    check: Callable[[Check], str]


def _cms(check: Check) -> str:
    check.read.check(check.public, check.taken.digest, check.taken.beginning)
    return str(check.read.told)


def _ssh(check: Check) -> str:
    namespace = sshsig.DEFAULT_NAMESPACE if check.options.namespace is None else check.options.namespace
    check.read.check(check.public, namespace, check.taken.digest)
    return str(check.read.told)


def _minisign(check: Check) -> str:
    if check.kind.name not in minisign.TYPES:
        raise InvalidSignature(f"it is by a key of type {minisign.TYPES[0]}, and this is {check.kind.name}")
    number = minisign.key_number(check.kid) if check.number is None else check.number
    if check.read.number != number:
        raise InvalidSignature("it says that another key made it")
    check.read.check(check.public, check.taken.digest)
    return str(check.read.told)


def _jws(check: Check) -> str:
    check.read.check(check.public, check.kind, check.taken.content)
    return str(check.read.told)


def _raw(check: Check) -> str:
    options = check.options
    algorithm = algorithm_of(check.kind, options.digest)
    encoding = rawsig.check(
        check.read,
        check.public,
        check.kind,
        check.taken.content if check.digest_name is None else check.taken.digest,
        algorithm=algorithm,
        digest=check.digest_name,
        encoding=options.encoding,
    )
    return f"{algorithm}, {encoding}"


def _raw_digest(_: Any, kind: KeyType, options: Given) -> str | None:
    choice = digests_of(kind)
    for name in ("digest", "encoding"):
        if getattr(options, name) is not None and not choice:
            raise UsageFault(f"--{name} is for signatures by ECDSA; {kind.name} has no choice")
    return options.digest or choice[0] if choice else None


VERIFIERS: Mapping[str, Verifier] = {
    "cms": Verifier(is_cms, Cms.read, lambda read, _kind, _options: str(read.digest_name), _cms),
    "ssh": Verifier(
        sshsig.is_sshsig,
        sshsig.SshSignature.read,
        lambda read, _kind, _options: str(read.digest_name),
        _ssh,
    ),
    "minisign": Verifier(
        minisign.is_minisign,
        minisign.Minisignature.read,
        lambda _read, _kind, _options: minisign.DIGEST,
        _minisign,
    ),
    "jws": Verifier(jws.is_jws, jws.Jws.read, lambda _read, _kind, _options: None, _jws),
    "raw": Verifier(lambda _: True, lambda data: data, _raw_digest, _raw),
}
