"""What the actions of ``hem ssh`` do."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from pathlib import Path

from hem_provider.agent.ssh.certificates import is_certificate
from hem_provider.agent.ssh.client import add_keys, ssh_socket
from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.identities import SshKey, ssh_key
from hem_provider.cli.login import logged_in
from hem_provider.cli.shape import Given
from hem_provider.device.hem import Hem
from hem_provider.errors import HemConfigError, HemKeyNotFound
from hem_provider.files import read_file, replace_file

__all__ = ["add", "config", "keys"]

#: Largest certificate file, in bytes: OpenSSH's agent takes no larger message.
_MOST_CERTIFICATE = 256 * 1024
#: Letters of OpenSSH's times (sshd_config(5), TIME FORMATS) → seconds.
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = 2**32 - 1


def keys(options: Given) -> int:
    """``hem ssh keys``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        keys = _chosen(hem, options.names)
    if options.json:
        print(json.dumps([_document(each) for each in keys], indent=2))
    elif options.directory is not None:
        _write(keys, options)
    else:
        for each in keys:
            print(each.line)
    return 0


def _chosen(hem: Hem, names: Sequence[str]) -> list[SshKey]:
    """The keys with these labels or KIDs, in this order; all for none. A name without one is an error."""
    if not names:
        return [each for each in map(ssh_key, hem.keys) if each is not None]
    listed = list(hem.keys)
    found: list[SshKey] = []
    for name in names:
        named = [each for each in listed if name in (each.label, each.kid)]
        usable = [each for each in map(ssh_key, named) if each is not None]
        if not usable:
            what = "does not sign, or is of a type that SSH does not have" if named else "is not there"
            raise HemKeyNotFound(f"{hem.config.name}: key {name!r} {what}")
        found += usable
    return list(dict.fromkeys(found))


def _document(key: SshKey) -> dict[str, str]:
    return {
        "kid": key.kid,
        "label": key.label,
        "type": key.type,
        "public_key": key.line,
        "fingerprint": key.fingerprint,
    }


def _write(keys: Sequence[SshKey], options: Given) -> None:
    if not options.directory.is_dir():
        raise HemConfigError(f"{options.directory}: there is no such directory")
    files: dict[Path, SshKey] = {}
    for key in keys:
        path = _file(options.directory, key.kid if key.kid in options.names else key.label)
        if path in files:
            raise HemConfigError(
                f"{path}: keys {files[path].kid} and {key.kid} would both be written there; "
                "name them by their KIDs"
            )
        files[path] = key
    for path, key in files.items():
        replace_file(path, f"{key.line}\n".encode())
        print(path)


def _file(directory: Path, name: str) -> Path:
    """Where the public key of this label or KID is written."""
    return directory / f"hem-{re.sub(r'[^A-Za-z0-9._@+-]', '_', name)}.pub"


def add(options: Given) -> int:
    """``hem ssh add``: its exit status."""
    wanted = Constraints(
        lifetime=None if options.lifetime is None else _seconds(options.lifetime),
        confirm=options.confirm,
        certificates=tuple(map(_certificate, options.certificates)),
    )
    for line in add_keys(options.socket or ssh_socket(), options.names, wanted):
        print(line)
    return 0


def _seconds(text: str) -> int:
    parts = re.findall(r"(\d+)([smhdw]?)", text.lower())
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != text.lower() or not 0 < seconds <= _LONGEST:
        raise HemConfigError(
            f"--lifetime {text!r}; accepted: 1 to {_LONGEST} seconds, or as 90m, 8h, 1h30m, 2d"
        )
    return seconds


def _certificate(path: Path) -> bytes:
    data = read_file(path, "the certificate", limit=_MOST_CERTIFICATE, trusted=False)
    words = data.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        blob = b""
    if not is_certificate(blob):
        raise HemConfigError(f"{path}: {len(data)} bytes that are no certificate of OpenSSH (…-cert.pub)")
    return blob


def config(options: Given) -> int:
    """``hem ssh config``: its exit status."""
    agent = (options.socket or ssh_socket()).absolute()
    given = options.directory and options.directory.absolute()
    if options.sshd:
        directory = given or Path("/etc/ssh")
        lines = [f"HostKeyAgent {_quoted(agent)}"]
        lines += [f"HostKey {_quoted(_file(directory, each))}" for each in options.names]
    else:
        directory = given or Path("~/.ssh")
        lines = [f"Host {options.host}", f"    IdentityAgent {_percent(agent)}"]
        lines += [f"    IdentityFile {_percent(_file(directory, each))}" for each in options.names]
        lines += ["    IdentitiesOnly yes"] if options.names else []
    print("\n".join(lines))
    return 0


def _quoted(path: Path) -> str:
    """A path as OpenSSH's configuration files have one."""
    text = str(path)
    if re.search(r'[\n"\\]|\$\{', text):
        raise HemConfigError(f"{text!r}: a path with what means something else in OpenSSH's configuration")
    return f'"{text}"' if re.search(r"[\s#']", text) else text


def _percent(path: Path) -> str:
    """The same where ``%`` begins a token (ssh_config(5), TOKENS)."""
    return _quoted(path).replace("%", "%%")
