"""How long answers take: profiles by kind of call (device API §18). Times in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from hem_provider.emulator.smallfile import read_small_file

__all__ = ["KINDS", "PROFILES", "delay_of", "load_profile"]

PROFILES: Final[Mapping[str, Mapping[str, float]]] = {
    "none": {},
    "ppa": {
        "call": 0.2,
        "crypto": 0.238,
        "login": 1.0,
        "checkin": 0.75,
        "selftest": 5.0,
        "create": 1.5,
        "create-slow": 12.0,
        "format": 20.0,
        "kat": 30.0,
        "restart": 12.0,
        "image": 8.0,
    },
    "browser": {
        "call": 0.6,
        "crypto": 1.5,
        "login": 1.9,
        "checkin": 0.75,
        "selftest": 5.0,
        "create": 1.5,
        "create-slow": 12.0,
        "format": 20.0,
        "kat": 30.0,
        "restart": 12.0,
        "image": 8.0,
    },
}
"""``none``; ``ppa`` with the figures measured on hardware, ``browser`` with those seen from a browser
(device API §24)."""

KINDS: Final = tuple(PROFILES["ppa"])
_SLOW_TYPES: Final = (b"SECP521R1", b"MLKEM", b"MLDSA")


def load_profile(name: str) -> dict[str, float]:
    """A profile by name or from a JSON file that maps kinds to seconds; ``ValueError`` says what is wrong."""
    if name in PROFILES:
        return dict(PROFILES[name])
    try:
        data = read_small_file(name)
    except FileNotFoundError:
        raise ValueError(f"latency is none, ppa, browser or a JSON file; there is no file {name!r}") from None
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name}: not an object that maps kinds to seconds")  # noqa: TRY004 - a bad file
    for kind, seconds in content.items():
        if kind not in KINDS:
            raise ValueError(f"{name}: unknown kind {kind!r}; accepted: {', '.join(KINDS)}")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 3600:
            raise ValueError(f"{name}: {kind} is a number of seconds from 0 to 3600, not {seconds!r}")
    return {kind: float(seconds) for kind, seconds in content.items()}


def delay_of(profile: Mapping[str, float], method: str, path: str, body: bytes) -> float:
    """Seconds that a call of the device takes under a profile."""
    if not profile:
        return 0.0
    return profile.get(_kind(method, path, body), 0.0)


def _kind(method: str, path: str, body: bytes) -> str:
    if path.startswith("/api/crypto/"):
        return "crypto"
    if path == "/api/keymgmt/create":
        return "create-slow" if any(name in body for name in _SLOW_TYPES) else "create"
    if method == "POST" and path in ("/api/auth/token", "/api/auth/ext/token"):
        return "login"
    return {"/api/system/checkin": "checkin", "/api/system/selftest": "selftest"}.get(path, "call")
