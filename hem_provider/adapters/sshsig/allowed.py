"""Files of allowed signers (ssh-keygen(1), "ALLOWED SIGNERS"): who may sign for which namespace, and when."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import translate

from hem_provider.records import frozen
from hem_provider.sshwire import Reader, WireError

__all__ = ["AllowedSigner", "matches", "read_allowed"]

#: Its first word, in quotes in whole or in part, as ``strdelimw`` of OpenSSH takes it.
_PRINCIPALS = re.compile(r'[ \t]*([^ \t\r"]*)(?:"([^"]*)"|[ \t\r])[ \t\r]*')
#: Options, with blanks in quotes alone, where \\" is no end of them, and one of these.
_OPTIONS = re.compile(r'((?:\\"|[^ \t"]|"(?:\\"|[^"])*")+)[ \t]+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:\\"|[^"])*)")?(?:,(?=.)|$)')
_TYPES = ("ssh-", "ecdsa-", "sk-")
#: Characters of a longer pattern, with which OpenSSH ends a list.
_LONGEST_PATTERN = 1022
#: In the place of a character that a pattern leaves open; in no file.
_ANY = "\0"
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
            and (bool(self.names) if identity is None else matches(identity, self.principals))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The patterns of those whom the line permits: none is empty, excludes, or is excluded in whole."""
        return tuple(
            each
            for each in self.principals.split(",")
            if each and not each.startswith("!") and any(matches(one, self.principals) for one in _some(each))
        )


def read_allowed(text: str) -> Iterator[AllowedSigner]:
    """The lines of a file, which end with ``\\n`` alone. ``ValueError`` names the first that is none."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r").lstrip(" \t")
        if line and not line.startswith("#"):
            try:
                yield _read(line)
            except (ValueError, WireError) as error:  # that of base64 is a ValueError
                raise ValueError(f"line {number}: {error}") from None


def matches(text: str, patterns: str) -> bool:
    """As ``match_pattern_list`` of OpenSSH: patterns with ``*`` and ``?`` between commas, of which one with
    ``!`` before it excludes."""
    found = False
    for pattern in patterns.split(",") if patterns else ():
        excluded = pattern.startswith("!")
        plain = pattern.removeprefix("!").replace("[", "[[]")  # which OpenSSH takes as it is
        if len(pattern) > _LONGEST_PATTERN:
            return False
        if re.match(translate(plain), text):
            if excluded:
                return False
            found = True
    return found


def _some(pattern: str) -> Iterator[str]:
    """Two that it matches: with nothing in the place of each ``*``, and with more than another pattern has
    characters. What excludes all that it matches excludes both."""
    for more in ("", _ANY * (_LONGEST_PATTERN + 1)):
        yield pattern.replace("?", _ANY).replace("*", more)


def _read(line: str) -> AllowedSigner:
    if _ANY in line:
        raise ValueError("a character of code 0")
    found = _PRINCIPALS.match(line)
    if found is None:
        raise ValueError("a principal and a key are needed")
    principals, rest = found[1] + (found[2] or ""), line[found.end() :]
    options: Mapping[str, str | None] = {}
    if not rest.startswith(_TYPES):
        between = _OPTIONS.match(rest)
        if between is None:
            raise ValueError("there is no public key")
        options, rest = _options(between[1]), rest[between.end() :]
    begin, end = (_moment(options.get(name)) for name in ("valid-after", "valid-before"))
    if begin is not None and end is not None and end <= begin:
        raise ValueError("its valid-before is not after its valid-after")
    return AllowedSigner(
        principals, _blob(rest), options.get("namespaces"), (begin, end), "cert-authority" in options
    )


def _blob(rest: str) -> bytes:
    kind, *more = re.split(r"[ \t]+", rest, maxsplit=2)
    if not more or not more[0] or not kind.startswith(_TYPES):
        raise ValueError("there is no public key")
    blob = base64.b64decode(more[0], validate=True)
    if Reader(blob, "public key").text("type") != kind:
        raise ValueError("a public key of another type than it says")
    return blob


def _options(text: str) -> dict[str, str | None]:
    known = {"cert-authority": False, "namespaces": True, "valid-after": True, "valid-before": True}
    options: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        found = _OPTION.match(text, at)
        name = found[1].lower() if found else ""
        if found is None or known.get(name) is not (found[2] is not None) or name in options:
            raise ValueError(f"option {text[at:]!r:.60}; accepted, once each: {', '.join(known)}")
        options[name] = None if found[2] is None else found[2].replace('\\"', '"')
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
