"""Draw what commands show on a terminal: an SVG a scene, in ``docs/images/``.

    python tools/make_screenshots.py            draw them
    python tools/make_screenshots.py --check    fail when one does not show what the commands print now

The commands run on a terminal of their own (a pty) against a fresh emulated device, and ``rich`` draws what
they print. What differs from run to run (KIDs, addresses, times) is replaced by something as wide.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import io
import itertools
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hem_provider.device import connect
from hem_provider.emulator.process import ServedEmulator

__all__ = ["IMAGES", "SCENES", "Scene", "drawn", "normal", "shown", "text_of"]

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.options import only_checks  # noqa: E402

IMAGES = ROOT / "docs" / "images"
_SECONDS = 60.0
#: Label → type and usages of the keys on the device.
_KEYS = {
    "backup": ("AES256", {"aead"}),
    "deploy": ("ED25519", {"sign"}),
    "letters": ("CURVE25519", None),
    "web": ("SECP256R1", {"sign", "derive"}),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is typed, one command after the other, on a terminal of so many columns. ``same``: whether every
    machine shows the same; what looks at the machine itself does not."""

    typed: tuple[str, ...]
    columns: int = 80
    same: bool = True


SCENES = {
    "hem": Scene(("hem",)),
    "keys": Scene(("hem keys list", "hem keys show web"), columns=90),
    "status": Scene(("hem status",)),
    "doctor": Scene(("hem doctor",), columns=100, same=False),
    "narrow": Scene(("hem keys public --help",), columns=40),
}
#: What differs → what is shown instead.
_DIFFERENT = (
    (re.compile(r"https://127\.0\.0\.1:\d{5}(?= answers the device)"), "https://api.encedo.com"),
    (re.compile(r"https://127\.0\.0\.1:\d{5}"), "https://localhost:18443"),
    (re.compile(r"\bport \d{5}\b"), "port 18443"),
    (re.compile(r"\b[A-Za-z0-9+/]{43}="), "M4E4zCIHXyUQYKce4LQBXfzGhhukNG9NiHHyTRjKCR8="),
    (re.compile(r"\bup for \d+ s\b"), "up for 9 s"),
    (re.compile(r"\bafter \d\.\d\d s\b"), "after 0.25 s"),
    (re.compile(r"/tmp/hem\w{8}/\.cache\b"), "/home/ada/.cache"),  # noqa: S108
    (re.compile(r"/tmp/hem\w{8}\b"), "/home/ada/.local"),  # noqa: S108
    (re.compile(r"\buntil \d{4}-\d\d-\d\d"), "until 2026-05-01"),
    (re.compile(r"(?<!until )\d{4}-\d\d-\d\d"), "2026-01-31"),
    (re.compile(r"(?<!\d)\d\d:\d\d:\d\d(?!\d)"), "12:00:00"),
    (re.compile(r"12:00:00 UTC, \d+ s (behind|ahead of) this machine"), "12:00:00 UTC, as this machine"),
)
_KID = re.compile(r"\b[0-9a-f]{32}\b")
_BASE64 = re.compile(r"^([A-Za-z0-9+/]{40,64})(={0,2})(?=\r?$)", re.MULTILINE)
#: How the public half of each P-256 key begins.
_P256 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
_FONT = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)
_BLANK = "&#160;"
_TEXT = re.compile(
    r'(<text class="[^"]*" x=")([\d.]+)(" y="[\d.]+" textLength=")([\d.]+)("[^>]*>)([^<]*)</text>'
)
_PROMPT = "\x1b[1;32m$\x1b[0m "


@contextmanager
def _device(folder: Path) -> Iterator[dict[str, str]]:
    """An emulated device with keys; the environment in which commands find it."""
    with ServedEmulator(folder) as emulator:
        with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
            for label, (kind, usage) in _KEYS.items():
                hem.keys.create(kind, label=label, usage=usage)
        # As if it were installed there: paths of one checkout are shown to nobody, and all are as wide.
        (folder / "lib").mkdir()
        for package in (ROOT / "hem_provider", ROOT / "shim" / "hem_pkcs11"):
            (folder / "lib" / package.name).symlink_to(package)
        yield {
            "PYTHONPATH": str(folder / "lib"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "HEM_URL": emulator.https,
            "HEM_CA_FILE": str(emulator.ca_file),
            "HEM_PASSPHRASE_FILE": str(emulator.passphrase_file),
            "HEM_CLOUD_URL": emulator.cloud,
            "HEM_CLOUD_CA_FILE": str(emulator.ca_file),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
        }


def shown(command: str, columns: int, environment: dict[str, str]) -> str:
    """What a shell's command prints on a terminal of so many columns, with its colours."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command], env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    printed = b""
    try:
        while chunk := os.read(ours, 65536):
            printed += chunk
    except OSError:  # it has closed its end
        pass
    os.close(ours)
    process.wait(_SECONDS)
    return printed.decode().replace("\r\n", "\n")


def normal(text: str) -> str:
    """The same with nothing that differs from run to run."""
    for pattern, instead in _DIFFERENT:
        text = pattern.sub(instead, text)
    kids = {kid: _digest(number)[:32] for number, kid in enumerate(dict.fromkeys(_KID.findall(text)))}
    text = _KID.sub(lambda found: kids[found[0]], text)
    lines = itertools.count()
    return _BASE64.sub(lambda found: _line(found[1], next(lines)) + found[2], text)


def _line(line: str, number: int) -> str:
    """Base64 as long as a line of it, which begins alike where each does."""
    noise = base64.b64encode(hashlib.sha512(b"line %d" % number).digest()).decode()
    start = _P256 if line.startswith(_P256) else ""
    return (start + noise)[: len(line)]


def _digest(number: int) -> str:
    return hashlib.sha256(b"key %d" % number).hexdigest()


def scenes() -> dict[str, str]:
    """Name → what the terminal shows, prompts and commands included."""
    with tempfile.TemporaryDirectory(prefix="hem", dir="/tmp") as folder:
        with _device(Path(folder)) as environment:
            return {
                name: normal(
                    "\n".join(
                        f"{_PROMPT}{command}\n{shown(command, scene.columns, environment)}"
                        for command in scene.typed
                    )
                )
                for name, scene in SCENES.items()
            }


def drawn(name: str, printed: str) -> str:
    """The picture of a scene. No font is fetched from elsewhere: any of fixed width does."""
    columns = SCENES[name].columns
    console = Console(width=columns, record=True, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.from_ansi(printed), overflow="fold", no_wrap=False)
    picture = console.export_svg(title=SCENES[name].typed[0], unique_id=f"hem-{name}")
    return _TEXT.sub(_trimmed, _FONT.sub("", picture).replace("Fira Code", "monospace"))


def _trimmed(found: re.Match[str]) -> str:
    """A piece of text without the blanks around it, which not every program draws."""
    head, left, middle, length, tail, text = found.groups()
    wide = float(length) / len(unescape(text))
    kept = text.removesuffix("\n")
    while kept.endswith(_BLANK):
        kept = kept.removesuffix(_BLANK)
    bare = kept
    while bare.startswith(_BLANK):
        bare = bare.removeprefix(_BLANK)
    if not bare:
        return ""
    start = float(left) + wide * (len(kept) - len(bare)) / len(_BLANK)
    return f"{head}{start:g}{middle}{wide * len(unescape(bare)):g}{tail}{bare}</text>"


def text_of(picture: str) -> list[str]:
    """The lines that a picture shows, without their blanks: what two versions of ``rich`` draw alike."""
    lines: dict[str, str] = {}
    for line, text in re.findall(r'clip-path="url\(#[\w-]+-line-(\d+)\)">(.*?)</text>', picture, re.DOTALL):
        lines[line] = lines.get(line, "") + re.sub(r"\s", "", unescape(text))
    return [text for _, text in sorted(lines.items(), key=lambda each: int(each[0])) if text]


def main(arguments: Sequence[str]) -> int:
    """Draw, or with ``--check`` compare what is shown."""
    check = only_checks(arguments, "Draw what commands show, docs/images/.")
    stale = []
    IMAGES.mkdir(exist_ok=True)
    for name, printed in scenes().items():
        path, picture = IMAGES / f"{name}.svg", drawn(name, printed)
        there = text_of(path.read_text("utf-8")) if path.exists() else []
        if there != text_of(picture) and (SCENES[name].same or not there):
            stale.append(name)
        if not check:
            path.write_text(picture, "utf-8")
    if check and stale:
        print(f"docs/images is not what the commands show: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
