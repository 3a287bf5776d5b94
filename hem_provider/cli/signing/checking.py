"""``hem verify``: whether a signature is one of this file, by whom it is to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.signing.formats import FORMATS
from hem_provider.cli.signing.outcomes import BadSignature
from hem_provider.cli.signing.reading import STANDARD_INPUT, Taken, open_input, read_bounded, take, take_whole
from hem_provider.cli.signing.signers import Signer, find_signer
from hem_provider.cli.signing.verifiers import VERIFIERS, Check
from hem_provider.cli.statuses import UsageFault
from hem_provider.errors import HemConfigError, MessageTooLong
from hem_provider.files.input import Input
from hem_provider.printable import printable

__all__ = ["verify"]

#: Bytes of a signature that is read, and of a file that is verified whole.
_MOST_SIGNATURE, _MOST_WHOLE = 4 << 20, 1 << 20


def verify(options: Given) -> int:
    """``hem verify``: its exit status. ``BadSignature`` for one that is not good."""
    path = _signature_path(options)
    data = read_bounded(path, "signature", _MOST_SIGNATURE)
    form = options.format or next(name for name, each in VERIFIERS.items() if each.is_one(data))
    _check_options(form, options)
    verifier = VERIFIERS[form]
    with open_input(options.file) as source:
        try:
            read = verifier.read(data)
        except ValueError as error:
            raise BadSignature(f"{printable(str(path))}: {error}") from None
        signer = find_signer(form, read, options)
        told = _judged(form, read, signer, source, options)
    document = {
        "file": source.name,
        "signature": str(path),
        "format": form,
        "good": True,
        "details": told,
        "key": signer.document,
    }
    if options.json:
        print_json(document)
    else:
        print(f"{printable(options.file)}: good signature by {signer.name}: {form}, {told}")
    return 0


def _judged(form: str, read: Any, signer: Signer, source: Input, options: Given) -> str:
    verifier = VERIFIERS[form]
    try:
        kind = signer.document["type"]
        if kind not in FORMATS[form].types:
            raise InvalidSignature(f"{kind} keys make none of format {form}")
        check = Check(read, signer.public, signer.number, Taken(0), None, options)
        digest_name = verifier.digest_name(read, check.kind, options)
        taken = take(source, digest_name) if digest_name is not None else _whole(source, form)
        return verifier.check(Check(read, signer.public, signer.number, taken, digest_name, options))
    except MessageTooLong:
        raise
    except UnsupportedAlgorithm as error:
        raise BadSignature(
            f"{printable(options.file)}: signature by {signer.name} cannot be verified: {error}"
        ) from None
    except (InvalidSignature, ValueError) as error:
        reason = str(error) or "it is of another file or key, or one of them was changed"
        raise BadSignature(f"{printable(options.file)}: bad signature by {signer.name}: {reason}") from None


def _whole(source: Input, form: str) -> Taken:
    taken = take_whole(source, _MOST_WHOLE)
    if taken.size > _MOST_WHOLE:
        raise MessageTooLong(
            f"{source.name}: signatures of format {form} are verified of files up to {_MOST_WHOLE} bytes",
            size=taken.size,
            limit=_MOST_WHOLE,
        )
    return taken


def _signature_path(options: Given) -> Path:
    if options.signature is not None:
        return Path(options.signature)
    if options.file == STANDARD_INPUT:
        raise UsageFault("the signature of standard input: give --signature FILE")
    forms = [FORMATS[options.format]] if options.format else FORMATS.values()
    candidates = list(dict.fromkeys(Path(f"{options.file}{each.suffix}") for each in forms))
    there = [each for each in candidates if each.exists()]
    if len(there) == 1:
        return there[0]
    found = " and ".join(map(str, there)) or f"none of {', '.join(map(str, candidates))}"
    raise HemConfigError(
        f"{printable(options.file)}: which signature? there is {found}; give --signature FILE"
    )


def _check_options(form: str, options: Given) -> None:
    if options.identity is not None and options.allowed_signers is None:
        raise UsageFault("--identity goes with --allowed-signers: nothing else says whose a key is")
    if options.identity == "":
        raise UsageFault("--identity: it is empty; accepted: a name as in the file of allowed signers")
    for name, fitting in _OPTIONS.items():
        if getattr(options, name) is not None and form not in fitting:
            typed = f"--{name.replace('_', '-')}"
            raise UsageFault(
                f"{typed} is for signatures of format {' and '.join(fitting)}; this one is {form}"
            )


#: Options that only some formats have.
_OPTIONS = {"namespace": ("ssh",), "digest": ("raw",), "encoding": ("raw",)}
