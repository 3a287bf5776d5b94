"""Names as people type them: subjects, and the names that a certificate is for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

__all__ = ["alternative_names", "is_typed", "read_name", "read_subject", "told"]

#: Attributes beside those of RFC 4514 §3, as OpenSSL writes them.
_ATTRIBUTES: Mapping[str, ObjectIdentifier] = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "E": NameOID.EMAIL_ADDRESS,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "title": NameOID.TITLE,
}
_EXAMPLE = "'CN=web.example,O=Example,C=PL' (RFC 4514) or '/C=PL/O=Example/CN=web.example'"
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DNS = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@" + rf"{_LABEL}(\.{_LABEL})*")


def read_subject(text: str) -> x509.Name:
    """A distinguished name: as RFC 4514 has it, most specific first, or as OpenSSL has it, with ``/`` before
    each part and the most specific last. ``ValueError`` for any other text."""
    try:
        if text.startswith("/"):
            return x509.Name([_attribute(each) for each in re.split(r"(?<!\\)/", text[1:]) if each])
        return x509.Name.from_rfc4514_string(text, dict(_ATTRIBUTES))
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        raise ValueError(f"{text!r} is no subject{why}; accepted: such as {_EXAMPLE}") from None


def read_name(text: str) -> x509.GeneralName:
    """``DNS:``, ``IP:``, ``email:`` or ``URI:``, and such a name. ``ValueError`` for any other text."""
    kind, colon, value = text.partition(":")
    read = _KINDS.get(kind.upper())
    if not colon or read is None:
        raise ValueError(f"{text!r} is no name; accepted: DNS:NAME, IP:ADDRESS, email:ADDRESS, URI:URI")
    try:
        return read(value)
    except ValueError:
        raise ValueError(f"{text!r} is no name: {value!r} is no {_WANTED[kind.upper()]}") from None


def alternative_names(names: Iterable[x509.GeneralName]) -> x509.SubjectAlternativeName | None:
    """The extension (RFC 5280 §4.2.1.6), each name once; ``None`` for no names."""
    once = list(dict.fromkeys(names))
    return x509.SubjectAlternativeName(once) if once else None


def is_typed(name: x509.GeneralName) -> bool:
    """Whether it is of a kind that ``read_name`` reads."""
    return isinstance(name, _TYPED)


def told(name: x509.GeneralName) -> str:
    """A name as ``read_name`` takes it; kinds that it does not take with their values, too."""
    if isinstance(name, x509.DNSName):
        return f"DNS:{name.value}"
    if isinstance(name, x509.IPAddress):
        return f"IP:{name.value}"
    if isinstance(name, x509.RFC822Name):
        return f"email:{name.value}"
    if isinstance(name, x509.UniformResourceIdentifier):
        return f"URI:{name.value}"
    if isinstance(name, x509.DirectoryName):
        return f"dirName:{name.value.rfc4514_string()}"
    if isinstance(name, x509.RegisteredID):
        return f"RID:{name.value.dotted_string}"
    if isinstance(name, x509.OtherName):
        return f"otherName:{name.type_id.dotted_string}={name.value.hex()}"
    return type(name).__name__


def _attribute(text: str) -> x509.NameAttribute[Any]:
    kind, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} has no '='")
    escaped = re.sub(r'([,+"\\<>;=#])', r"\\\1", value.replace("\\/", "/"))
    (attribute,) = x509.Name.from_rfc4514_string(f"{kind}={escaped}", dict(_ATTRIBUTES))
    return attribute


def _dns(value: str) -> x509.GeneralName:
    if len(value) > 253 or not _DNS.fullmatch(value):
        raise ValueError
    return x509.DNSName(value)


def _ip(value: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(value))


def _email(value: str) -> x509.GeneralName:
    if not _EMAIL.fullmatch(value):
        raise ValueError
    return x509.RFC822Name(value)


def _uri(value: str) -> x509.GeneralName:
    parts = urlsplit(value)
    if not (parts.scheme and (parts.netloc or parts.path) and value.isascii() and value.isprintable()):
        raise ValueError
    if " " in value:
        raise ValueError
    return x509.UniformResourceIdentifier(value)


_TYPED = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
_KINDS: Mapping[str, Callable[[str], x509.GeneralName]] = {
    "DNS": _dns, "IP": _ip, "EMAIL": _email, "URI": _uri,
}  # fmt: skip
_WANTED = {
    "DNS": "name of a host in ASCII (others begin with xn--), a * for its first part alone",
    "IP": "address of IPv4 or IPv6",
    "EMAIL": "mail address in ASCII",
    "URI": "URI in ASCII with its scheme",
}
