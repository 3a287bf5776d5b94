"""The examples of README.md work as printed, one after another, on the emulator that it tells to start."""

from __future__ import annotations

import re
from pathlib import Path

from support.pages import run_page, steps_of

README = Path(__file__).parents[2] / "README.md"
CONNECT = 'hem_provider.connect("https://my.ence.do", passphrase="…")'
#: What a reader without a device does otherwise, as the README says, or by hand.
OTHERWISE = {
    "export HEM_URL=https://my.ence.do": "true",
    # In another terminal; the lines to paste are those that it prints.
    "--admin-passphrase-file admin.txt": "--admin-passphrase-file admin.txt --latency none 2>told >ready &\n"
    "for _ in $(seq 300); do grep -q ^ready ready && break; sleep 0.1; done\n"
    "grep -q ^ready ready && eval \"$(grep '^  export' told)\"",
    "tls://logs.example.org:6514": "events.log",  # there is no such receiver
    "hem exporter ": "hem exporter --once",
    "keyring set mail ada": "echo secret | keyring set mail ada",
}


def test_the_readme_works_from_top_to_bottom_on_its_emulator(bare_environment, tmp_path):
    text = README.read_text()
    assert CONNECT in text
    python = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (tmp_path / "example.py").write_text(python.replace(CONNECT, "hem_provider.connect()"))
    emulator, *others = sorted(
        re.findall(r"^```console\n.*?^```", text, re.MULTILINE | re.DOTALL),
        key=lambda block: "hem emulator serve" not in block,
    )
    blocks = [
        emulator,
        "```console\n$ python example.py\n```",
        *(each for each in others if "$ make" not in each),
    ]
    assert len(blocks) == 8
    page = tmp_path / "README.md"
    page.write_text("\n".join(blocks))
    folder = tmp_path / "a folder"  # its blank must not break the lines to paste
    folder.mkdir()
    (tmp_path / "example.py").rename(folder / "example.py")
    environment = {name: value for name, value in bare_environment.items() if not name.startswith("HEM_")}
    assert "hem pkcs11 path" in "".join(step.command for step in steps_of(page))
    run_page(page, environment=environment, folder=folder, replacements=OTHERWISE)
    assert (folder / "letter.sig").stat().st_size > 60
    assert "[hem@32473 " in (folder / "events.log").read_text()
    assert "BEGIN CERTIFICATE REQUEST" in (folder / "request.pem").read_text()
