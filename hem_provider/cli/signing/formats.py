"""The formats of ``hem sign`` and ``hem verify``, as one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from hem_provider.adapters import cms, jws, minisign, rawsig, sshsig
from hem_provider.cli.shape import Given
from hem_provider.cli.signing.reading import Taken
from hem_provider.device.key import Key
from hem_provider.keys.publicforms import JOSE_SIGNING
from hem_provider.keys.signing import algorithm_of, digests_of
from hem_provider.keytypes import KeyType
from hem_provider.printable import printable
from hem_provider.records import frozen

__all__ = ["FORMATS", "MOST_ATTACHED", "Draft", "Format", "Task", "default_format"]

#: Bytes of a file that is put into a signature, which is then read into memory.
MOST_ATTACHED = 1 << 20


class Draft(Protocol):
    """What the drafts of all formats have."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device, a call each."""

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The signature, made with what ``sign`` gives: in device form."""


@frozen
class Task:
    """What is to be signed: ``taken`` of the file called ``name``, with ``key``. ``public``: its native
    public half. ``digest_name``: as ``Format.digest_name`` says. ``certificates``: those that were given."""

    key: Key
    public: Any
    options: Given
    name: str | None
    digest_name: str | None
    taken: Taken
    certificates: tuple[Any, ...] = ()


@frozen
class Format:
    """``types``: of keys, by the device's names. ``options``: of those that some formats have. ``encodings``:
    what ``--encoding`` may be, the first by default. ``digest_name``: what is taken of a file by a key of a
    type, ``None`` if it goes to the device whole. ``algorithm``: what the device signs with. ``draft``: may
    raise ``ValueError``. ``is_message``: whether a signature of these bytes passes as one of this format."""

    name: str
    suffix: str
    types: tuple[str, ...]
    options: frozenset[str]
    draft: Callable[[Task], Draft]
    digest_name: Callable[[KeyType, Given], str | None] = lambda _kind, _options: None
    algorithm: Callable[[KeyType, Given], str] = lambda kind, _options: algorithm_of(kind)
    encodings: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    binary: bool = False
    is_message: Callable[[bytes], bool] = lambda _message: False


def default_format(kind: KeyType, options: Given) -> Format:
    """Where none was chosen: CMS if a certificate is given or the key is to be named by its identifier, SSH's
    if SSH has keys of this type, else none at all around the signature."""
    if options.certificate is not None or options.signer_key_id:
        return FORMATS["cms"]
    return FORMATS["ssh" if kind.name in sshsig.TYPES else "raw"]


def _chosen(kind: KeyType, options: Given) -> str:
    return algorithm_of(kind, options.digest)


def _cms(task: Task) -> Draft:
    from hem_provider.adapters.cms.writing import Draft as CmsDraft

    return CmsDraft(
        task.public,
        task.digest_name or "",
        task.taken.digest,
        datetime.now(UTC),
        task.certificates,
        by_key_id=task.options.signer_key_id,
        content=task.taken.content if task.options.attached else None,
        as_pem=task.options.encoding == "pem",
    )


def _ssh(task: Task) -> Draft:
    namespace = sshsig.DEFAULT_NAMESPACE if task.options.namespace is None else task.options.namespace
    return sshsig.Draft(task.key.type, task.public, namespace, task.digest_name or "", task.taken.digest)


def _minisign(task: Task) -> Draft:
    comment = task.options.comment
    if comment is None:
        parts = (
            f"timestamp:{int(time.time())}",
            f"file:{printable(task.name)}" if task.name else "",
            "hashed",
        )
        comment = "\t".join(filter(None, parts))
    untrusted = f"signature by the key {printable(task.key.label)} of a HEM"
    return minisign.Draft(minisign.key_number(task.key.kid), task.taken.digest, comment, untrusted)


def _jws(task: Task) -> Draft:
    return jws.Draft(task.key.type, task.key.kid, task.taken.content, task.options.attached)


def _raw(task: Task) -> Draft:
    if task.options.encoding is not None and not digests_of(task.key.type):
        raise ValueError(f"--encoding: signatures by {task.key.type.name} have one form")
    for each in FORMATS.values():
        if task.key.type.name in each.types and each.is_message(task.taken.content):
            raise ValueError(
                f"it is what --format {each.name} signs: a raw signature of it would pass as one of that "
                "format, of another file; it is not made"
            )
    return rawsig.Draft(task.key.type, task.taken.content, task.options.encoding or rawsig.DER)


_ALL = (
    Format(
        "cms",
        ".p7s",
        cms.TYPES,
        frozenset({"certificate", "signer_key_id", "attached", "digest", "encoding"}),
        _cms,
        lambda kind, options: options.digest or digests_of(kind)[0],
        _chosen,
        ("der", "pem"),
        tuple(cms.DIGESTS),
        binary=True,
        is_message=cms.is_attributes,
    ),
    Format(
        "ssh",
        ".sig",
        sshsig.TYPES,
        frozenset({"namespace", "digest"}),
        _ssh,
        lambda _, options: options.digest or sshsig.DIGESTS[0],
        digests=sshsig.DIGESTS,
        is_message=sshsig.is_message,
    ),
    Format(
        "minisign",
        ".minisig",
        minisign.TYPES,
        frozenset({"comment"}),
        _minisign,
        lambda _kind, _options: minisign.DIGEST,
        is_message=minisign.is_message,
    ),
    Format("jws", ".jws", tuple(JOSE_SIGNING), frozenset({"attached"}), _jws, is_message=jws.is_message),
    Format(
        "raw",
        ".sig",
        rawsig.TYPES,
        frozenset({"digest", "encoding"}),
        _raw,
        algorithm=_chosen,
        encodings=(rawsig.DER, rawsig.P1363),
        digests=tuple(cms.DIGESTS),
        binary=True,
    ),
)
#: By their names.
FORMATS: Mapping[str, Format] = {each.name: each for each in _ALL}
