"""Whose signature it is to be: a key of the device, or one from a file, without a login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.cli.shape import Given
from hem_provider.cli.signing.outcomes import BadSignature
from hem_provider.cli.signing.reading import read_bounded, read_certificates
from hem_provider.cli.statuses import UsageFault
from hem_provider.errors import HemConfigError
from hem_provider.printable import printable
from hem_provider.publickeys import device_form, kid_of, type_of
from hem_provider.records import frozen

__all__ = ["SOURCES", "Signer", "find_signer", "sources_of"]


@frozen
class Signer:
    """``public``: a native key. ``name``: for people. ``label``: on the device, if it was asked.
    ``number``: in minisign's files, if it came from one. ``names``: whose it is, as a file says.
    """

    public: Any
    name: str
    label: str | None = None
    number: bytes | None = None
    names: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """As ``docs/schemas/verify.json`` says."""
        kid = kid_of(device_form(self.public))
        return {"label": self.label, "kid": kid, "type": type_of(self.public).name, "names": list(self.names)}


def find_signer(form: str, read: Any, options: Given) -> Signer:
    """Whose signature it is to be, by the one option of ``SOURCES`` that was typed.

    ``UsageFault`` for one that does not go with the format, ``BadSignature`` where nobody who is trusted made
    the signature, ``HemConfigError`` for a file that is not what the option says.
    """
    name = next(each for each in SOURCES if getattr(options, each) is not None)
    if form not in _FORMATS.get(name, (form,)):
        typed, fitting = f"--{name.replace('_', '-')}", " and ".join(_FORMATS[name])
        raise UsageFault(
            f"{typed} is for signatures of format {fitting}, and this is {form}: give --public or --key"
        )
    return SOURCES[name](read, options)


def sources_of(form: str) -> list[str]:
    """The options that go with a format."""
    return [name for name in SOURCES if form in _FORMATS.get(name, (form,))]


def _of_device(_: Any, options: Given) -> Signer:
    from hem_provider.cli.choosing import named_key
    from hem_provider.cli.login import logged_in
    from hem_provider.keys.signing import native

    with logged_in(options.device, mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        public = native(key)
        return Signer(public, f"key {key.label!r} ({key.type.name}, KID {key.kid})", key.label)


def _of_file(_: Any, options: Given) -> Signer:
    from hem_provider.adapters.minisign import read_public_file
    from hem_provider.keys.publicreading import read_public
    from hem_provider.publickeys import load_public

    data = read_bounded(options.public, "public key")
    number = None
    try:
        found = read_public_file(data)
        if found is not None:
            public, number = found
        else:
            public = load_public(*read_public(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HemConfigError(f"{options.public}: {error}") from None
    kid = kid_of(device_form(public))
    name = f"the {type_of(public).name} key of {printable(str(options.public))} (KID {kid})"
    return Signer(public, name, number=number)


def _of_allowed(read: Any, options: Given) -> Signer:
    from hem_provider.adapters.sshsig import DEFAULT_NAMESPACE
    from hem_provider.adapters.sshsig.allowed import read_allowed

    data = read_bounded(options.allowed_signers, "allowed signers")
    try:
        lines = list(read_allowed(data.decode("utf-8")))
    except ValueError as error:
        raise HemConfigError(f"{options.allowed_signers}: {error}") from None
    namespace = DEFAULT_NAMESPACE if options.namespace is None else options.namespace
    now = datetime.now(UTC)
    found = [each for each in lines if each.permits(read.blob, namespace, now, options.identity)]
    if not found:
        wanted = f" for {options.identity!r}" if options.identity is not None else ""
        raise BadSignature(
            f"{printable(options.file)}: bad signature: {options.allowed_signers} does not let the key "
            f"that made it sign{wanted} now, in namespace {namespace!r}"
        )
    try:
        public = read.public
    except ValueError as error:
        raise BadSignature(f"{printable(options.file)}: bad signature: {error}") from None
    named = (
        [options.identity] if options.identity is not None else [one for each in found for one in each.names]
    )
    names = tuple(dict.fromkeys(named))
    kid = kid_of(device_form(public))
    return Signer(public, f"{printable(', '.join(names))} ({type_of(public).name}, KID {kid})", names=names)


def _of_certificate(read: Any, options: Given) -> Signer:
    from hem_provider.adapters.cms.trust import check_dates, may_sign

    first, *others = read_certificates(options.certificate)
    certificate = read.find_signer((first, *filter(may_sign, others)))  # an authority may be among the others
    if certificate is None:
        raise BadSignature(
            f"{printable(options.file)}: bad signature: its signer is none of {options.certificate}, "
            "of which the first may sign, and others that are for signatures"
        )
    return _certified(certificate, options, lambda: check_dates(certificate, datetime.now(UTC)))


def _of_authority(read: Any, options: Given) -> Signer:
    from hem_provider.adapters.cms.trust import check_authority

    authorities = read_certificates(options.ca_file)
    certificate = read.find_signer((*read.certificates, *authorities))
    if certificate is None:
        raise BadSignature(
            f"{printable(options.file)}: bad signature: no certificate of its signer in it: use --certificate"
        )
    moment = datetime.now(UTC)
    return _certified(
        certificate, options, lambda: check_authority(certificate, read.certificates, authorities, moment)
    )


def _certified(certificate: Any, options: Given, check: Callable[[], None]) -> Signer:
    name = printable(certificate.subject.rfc4514_string())
    try:
        check()
        public = certificate.public_key()
        kind = type_of(public).name
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature(f"{printable(options.file)}: bad signature by {name}: {error}") from None
    return Signer(public, f"{name} ({kind}, KID {kid_of(device_form(public))})", names=(name,))


#: Parameter of the option → how it leads to the signer.
SOURCES: Mapping[str, Callable[[Any, Given], Signer]] = {
    "key": _of_device,
    "public": _of_file,
    "allowed_signers": _of_allowed,
    "certificate": _of_certificate,
    "ca_file": _of_authority,
}
#: The formats of those that do not go with all.
_FORMATS = {"allowed_signers": ("ssh",), "certificate": ("cms",), "ca_file": ("cms",)}
