"""``hem sign``: a file is read, signed on the device, verified here, and only then written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature

from hem_provider.cli.choosing import named_key
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, print_json, write
from hem_provider.cli.shape import Given
from hem_provider.cli.signing.formats import FORMATS, MOST_ATTACHED, Draft, Format, Task, default_format
from hem_provider.cli.signing.outcomes import InputChanged
from hem_provider.cli.signing.reading import (
    STANDARD_INPUT,
    Taken,
    open_input,
    read_certificates,
    take,
    take_whole,
)
from hem_provider.cli.signing.verifiers import VERIFIERS, Check
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemOperationFailed, MessageTooLong
from hem_provider.files.input import Input
from hem_provider.keys.signing import check_signs, native, sign
from hem_provider.printable import printable
from hem_provider.publickeys import device_form, kid_of
from hem_provider.records import frozen

__all__ = ["make"]

#: Options that only some formats have, by their names in ``Format.options``.
_OPTIONS = ("certificate", "signer_key_id", "attached", "digest", "encoding", "namespace", "comment")


@frozen
class _Job:
    """What is done: ``algorithm`` is the device's, ``digest_name`` as ``Format.digest_name`` says."""

    options: Given
    hem: Hem
    key: Key
    form: Format
    algorithm: str
    digest_name: str | None
    source: Input
    certificates: tuple[Any, ...]

    @property
    def file(self) -> str:
        """For people."""
        return printable(self.source.name) if self.source.name is not None else "standard input"


def make(options: Given) -> int:
    """``hem sign``: its exit status."""
    _check_options(options)
    output = _output(options)
    certificates = read_certificates(options.certificate) if options.certificate is not None else ()
    with open_input(options.file) as source:
        _check_output(options, output)
        with logged_in(options.device, mobile=options.mobile) as hem:
            job = _job(options, hem, source, certificates)
            draft, taken = _draft(job)
            document = _document(job, draft, taken)
            made = None if options.check else _made(job, draft, taken)
        if made is None:
            _show(document, job)
            return 0
        if source.changed():
            raise InputChanged(f"{job.file}: it was changed while it was signed: nothing was written")
        write(made, output, force=options.force)
    if options.json:
        print_json(document | {"signature": str(output)})
    elif output is not None:
        print(f"{job.file}: signed by key {job.key.label!r}: {printable(str(output))}", file=sys.stderr)
    return 0


def _check_options(options: Given) -> None:
    """``UsageFault`` for what does not go together, as far as that can be told without the key."""
    chosen = [FORMATS[options.format]] if options.format else list(FORMATS.values())
    for name in _OPTIONS:
        if getattr(options, name) in (None, False):
            continue
        typed = f"--{name.replace('_', '-')}"
        fitting = [each for each in FORMATS.values() if name in each.options]
        if not any(each in fitting for each in chosen):
            raise UsageFault(f"{typed} goes with --format {' or '.join(each.name for each in fitting)} only")
        if options.format and name in ("digest", "encoding"):
            accepted = getattr(chosen[0], f"{name}s")
            if getattr(options, name) not in accepted:
                raise UsageFault(f"{typed}: --format {options.format} has {', '.join(accepted)}")
    if options.format == "cms" and options.certificate is None and not options.signer_key_id:
        raise UsageFault(
            "--format cms names the signer by a certificate: give --certificate FILE ('hem certificate "
            "self-signed' makes one), or --signer-key-id to name the key alone"
        )
    if options.json and _is_standard(options.output, options.file) and not options.check:
        raise UsageFault("--json and the signature do not both go to standard output: give --output FILE")


def _is_standard(output: Path | None, file: str) -> bool:
    return str(output) == "-" if output is not None else file == STANDARD_INPUT


def _output(options: Given) -> Path | None:
    """``None`` for standard output."""
    if _is_standard(options.output, options.file):
        return None
    if options.output is not None:
        return Path(options.output)
    by_certificate = options.certificate is not None or options.signer_key_id
    form = FORMATS[options.format or ("cms" if by_certificate else "ssh")]
    return Path(f"{options.file}{form.suffix}")  # that of ssh and raw is one


def _check_output(options: Given, output: Path | None) -> None:
    """Refuse before anything is done what could not be written."""
    if options.check:
        return
    binary = options.format is not None and FORMATS[options.format].binary and options.encoding != "pem"
    check_target(output, force=options.force, binary=binary, what=f"--format {options.format}")
    check_not_itself(output, options.file, "signed")
    if options.certificate is not None:
        check_not_itself(output, options.certificate, "put into the signature")


def _job(options: Given, hem: Hem, source: Input, certificates: tuple[Any, ...]) -> _Job:
    """With the key, which must be one that the format takes: ``HemOperationFailed`` names the formats that do
    take it. No call but those that find the key."""
    key = named_key(hem, options.key)
    kind = key.type
    form = FORMATS[options.format] if options.format else default_format(kind, options)
    if kind.name not in form.types:
        others = [each.name for each in FORMATS.values() if kind.name in each.types]
        instead = f"it goes with --format {' or '.join(others)}" if others else "it does not sign"
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}) is of type {kind.name}; --format {form.name} takes "
            f"{', '.join(form.types)}; {instead}"
        )
    try:
        algorithm = form.algorithm(kind, options)
    except ValueError as error:
        raise UsageFault(f"--{error}") from None
    check_signs(key, algorithm)
    if not options.format:  # what could not be told before
        chosen = Given(**{**vars(options), "format": form.name})
        _check_options(chosen)
        _check_output(chosen, _output(options))
    if certificates:
        _learn(key, certificates[0].public_key())
    return _Job(options, hem, key, form, algorithm, form.digest_name(kind, options), source, certificates)


def _learn(key: Key, public: Any) -> None:
    """Take the public half from the certificate: that saves a call. ``HemOperationFailed`` for another's."""
    from cryptography.hazmat.primitives.asymmetric import ec

    form = device_form(public) if isinstance(public, ec.EllipticCurvePublicKey) else b""
    if kid_of(form) != key.kid:
        raise HemOperationFailed(f"the first certificate is not that of key {key.kid} ({key.label!r})")
    key.learn_public(form)


def _draft(job: _Job) -> tuple[Draft, Taken]:
    """The file is read here. ``MessageTooLong`` for one that does not fit."""
    limit = job.hem.limits.message
    if job.digest_name is not None and not job.options.attached:
        taken = take(job.source, job.digest_name)
    else:
        most = limit if job.digest_name is None else MOST_ATTACHED
        taken = take_whole(job.source, most, job.digest_name)
        if taken.size > most:
            raise _too_long(job, taken.size, most)
    with _as_refusal(job):
        draft = job.form.draft(
            Task(
                job.key,
                native(job.key),
                job.options,
                job.source.name,
                job.digest_name,
                taken,
                job.certificates,
            )
        )
    if max(draft.sizes) > limit:
        raise _too_long(job, max(draft.sizes), limit)
    return draft, taken


def _too_long(job: _Job, size: int, most: int) -> MessageTooLong:
    if job.digest_name is None:
        what = (
            f"--format {job.form.name} sends it to the device whole: {size} bytes at least, and the device "
            f"takes {most}; {_for_any_size(job)}"
        )
    elif most == MOST_ATTACHED:
        what = f"--attached takes {most} bytes at most; without it a file may have any size"
    else:
        what = f"{size} bytes are to be signed, and the device takes {most}: shorten comment or namespace"
    return MessageTooLong(f"{job.file}: {what}", size=size, limit=most)


def _for_any_size(job: _Job) -> str:
    """What this key can do with a large file."""
    kind = job.key.type.name
    fitting = [each for each in ("cms", "ssh", "minisign") if kind in FORMATS[each].types]
    if not fitting:
        return f"a key of type {kind} signs nothing larger: sign a file with its digest"
    return f"--format {' or '.join(fitting)} goes with a file of any size"


@contextmanager
def _as_refusal(job: _Job) -> Iterator[None]:
    try:
        yield
    except MessageTooLong:
        raise
    except ValueError as error:
        raise HemOperationFailed(f"{job.file}: {error}") from None


def _made(job: _Job, draft: Draft, taken: Taken) -> bytes:
    """The signature, verified as ``hem verify`` does it."""
    key = job.key
    with _as_refusal(job):
        made = draft.document(lambda message: sign(key, message, job.algorithm))
    verifier = VERIFIERS[job.form.name]
    try:
        verifier.check(Check(verifier.read(made), native(key), None, taken, job.digest_name, job.options))
    except (InvalidSignature, ValueError) as error:
        raise HemOperationFailed(
            f"the signature that was made with key {key.kid} ({key.label!r}) is not good: {error}; nothing "
            "was written, please report it"
        ) from None
    return made


def _document(job: _Job, draft: Draft, taken: Taken) -> dict[str, Any]:
    """As ``docs/schemas/sign.json`` says."""
    digest = {"name": job.digest_name, "value": taken.digest.hex()} if job.digest_name is not None else None
    return {
        "file": job.source.name,
        "size": taken.size,
        "digest": digest,
        "format": job.form.name,
        "algorithm": job.algorithm,
        "device": job.hem.config.name,
        "key": {"label": job.key.label, "kid": job.key.kid, "type": job.key.type.name},
        "messages": list(draft.sizes),
        "signature": None,
    }


def _show(document: dict[str, Any], job: _Job) -> None:
    """What ``--check`` prints."""
    if job.options.json:
        print_json(document)
        return
    key, digest, messages = document["key"], document["digest"], document["messages"]
    calls = f"{len(messages)} call{'s' if len(messages) > 1 else ''} of the device"
    rows = {
        "file": f"{job.file}, {document['size']} bytes",
        "digest": f"{digest['name']} {digest['value']}" if digest else "none: the device has the whole file",
        "format": document["format"],
        "key": f"{key['label']!r}, {key['type']}, KID {key['kid']}, of device {document['device']}",
        "algorithm": document["algorithm"],
        "sent": f"{' and '.join(map(str, messages))} bytes, in {calls}",
    }
    print("This would be signed:")
    for title, value in rows.items():
        print(f"{title:10}{value}")
