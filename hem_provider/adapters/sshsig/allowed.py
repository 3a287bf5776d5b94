"""Files of allowed signers (ssh-keygen(1), "ALLOWED SIGNERS"): who may sign for which namespace, and when."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import translate

from hem_provider.records import frozen

__all__ = ["AllowedSigner", "matches", "read_allowed"]

_OPTION = re.compile(r'([A-Za-z-]+)(?:="([^"]*)")?(?:,|$)')
_TYPES = ("ssh-", "ecdsa-", "sk-")
_TIME = re.compile(r"(\d{8})(\d{4})?(\d{2})?(Z?)")


@frozen
class AllowedSigner:
    """A line. ``principals`` and ``namespaces`` are lists of patterns; ``valid`` is from when to when."""

    principals: str
    blob: bytes
    namespaces: str | None = None
    valid: tuple[datetime | None, datetime | None] = (None, None)
    authority: bool = False

    def permits(self, blob: bytes, namespace: str, moment: datetime, identity: str | None) -> bool:
        """Whether this line lets the key sign for a namespace at that moment; ``identity``: ``None`` for
        anybody's. Keys of authorities sign certificates, not files."""
        begin, end = self.valid
        return (
            not self.authority
            and self.blob == blob
            and (self.namespaces is None or matches(namespace, self.namespaces))
            and (begin is None or moment >= begin)
            and (end is None or moment <= end)
            and (identity is None or matches(identity, self.principals))
        )


def read_allowed(text: str) -> Iterator[AllowedSigner]:
    """The lines of a file. ``ValueError`` names the first that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            try:
                yield _read(line)
            except (ValueError, binascii.Error) as error:
                raise ValueError(f"line {number}: {error}") from None


def matches(text: str, patterns: str) -> bool:
    """As ``match_pattern_list`` of OpenSSH: patterns with ``*`` and ``?`` between commas, of which one with
    ``!`` before it excludes."""
    found = False
    for pattern in patterns.split(","):
        excluded = pattern.startswith("!")
        plain = pattern.removeprefix("!").replace("[", "[[]")  # which OpenSSH takes as it is
        if re.match(translate(plain), text):
            if excluded:
                return False
            found = True
    return found


def _read(line: str) -> AllowedSigner:
    found = re.match(r'("[^"]*"|\S+)\s+(.*)', line)
    if found is None:
        raise ValueError("a principal and a key are needed")
    principals, rest = found[1].strip('"'), found[2]
    options: Mapping[str, str | None] = {}
    if not rest.startswith(_TYPES):
        text, rest = _split(rest)
        options = _options(text)
    words = rest.split()
    if len(words) < 2 or not words[0].startswith(_TYPES):
        raise ValueError("there is no public key")
    valid = tuple(_moment(options.get(name)) for name in ("valid-after", "valid-before"))
    return AllowedSigner(
        principals,
        base64.b64decode(words[1], validate=True),
        options.get("namespaces"),
        (valid[0], valid[1]),
        "cert-authority" in options,
    )


def _split(rest: str) -> tuple[str, str]:
    """Options, which may have blanks in quotes, and what follows them."""
    found = re.match(r'((?:[^\s"]|"[^"]*")+)\s+(.*)', rest)
    if found is None:
        raise ValueError("there is no public key")
    return found[1], found[2]


def _options(text: str) -> dict[str, str | None]:
    known = {"cert-authority": False, "namespaces": True, "valid-after": True, "valid-before": True}
    options: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        found = _OPTION.match(text, at)
        name = found[1].lower() if found else ""
        if found is None or known.get(name) is not (found[2] is not None) or name in options:
            raise ValueError(f"option {text[at:]!r:.60}; accepted, once each: {', '.join(known)}")
        options[name] = found[2]
        at = found.end()
    return options


def _moment(text: str | None) -> datetime | None:
    """A time as ssh-keygen has it: UTC with ``Z``, else the time of this machine."""
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise ValueError(f"time {text!r:.40}; accepted: YYYYMMDD[HHMM[SS]][Z]")
    moment = datetime.strptime(f"{found[1]}{found[2] or '0000'}{found[3] or '00'}", "%Y%m%d%H%M%S")
    return moment.replace(tzinfo=UTC) if found[4] else moment.astimezone()
