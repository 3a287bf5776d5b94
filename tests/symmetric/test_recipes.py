"""The documentation's code runs as printed, over an emulated device."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.pages import taken
from support.passphrases import PASSPHRASE
from support.rawkeys import raw_key
from support.undone import differing_files, files_of, has_undo

from hem_provider.symmetric import seal

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    "symmetric.md",
    *sorted(f"recipes/{path.name}" for path in (DOCS / "recipes").glob("symmetric-*.md")),
]


def test_all_recipes_are_there():
    assert len(PAGES) == 5


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, rig, monkeypatch, tmp_path):
    secret = tmp_path / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(secret))
    monkeypatch.chdir(tmp_path)
    text, before = (DOCS / page).read_text("utf-8"), files_of(tmp_path, {})
    names: dict[str, object] = {"__name__": page}
    for number, block in enumerate(taken(DOCS / page, "python")):
        exec(compile(block, f"{page}, block {number + 1}", "exec"), names)  # noqa: S102
    assert rig.count("POST /api/crypto/") >= 1
    if has_undo(text):
        assert [each.label for each in names["hem"].keys] == [], f"{page} is undone"
        assert differing_files(text, before, files_of(tmp_path, {})) == [], f"{page} is undone"


@pytest.mark.parametrize(("number", "aad"), [(0, b"up to 15 bytes"), (1, b"16 bytes and more of them")])
def test_the_sealed_form_is_opened_elsewhere_as_the_guide_says(hem, rig, number, aad):
    key = hem.keys.create("AES256", label="db", usage={"aead"})
    [block] = taken(DOCS / "symmetric.md", "py")
    data = b"secret"
    names = {
        "AESGCM": AESGCM,
        "raw": raw_key(rig.device, key.kid),
        "sealed": seal(key, data, aad),
        "aad": aad,
        "D": hashlib.sha256(aad).digest(),
        "data": data,
    }
    assert eval(block.splitlines()[number], names) in (data, True)  # noqa: S307


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).is_file(), target
