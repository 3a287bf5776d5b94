"""The recipes are run as they stand, over real TLS, configured as the documentation says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.pages import python_of, taken
from support.undone import differing_files, files_of, has_undo

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
#: The recipes that this suite runs, and what is looked at afterwards.
PAGES = [
    "acme-account",
    "cms-signing",
    "dnssec",
    "hpke-decryption",
    "jose-libraries",
    "jwt",
    "ssh-certificates",
    "supply-chain-metadata",
    "threads-and-processes",
    "tink",
    "what-fits",
    "x509-authority",
    "xml-signature",
]


#: Page → a library that not every machine has.
NEEDS = {"tink": "tink"}


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def look_at_sizes(namespace) -> None:
    text = (RECIPES / "what-fits.md").read_text("utf-8")
    for kind, values in namespace["measured"].items():
        [row] = re.findall(rf"^\| {kind} \|(.*)\|$", text, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        assert [int(cell.strip("*")) for cell in cells] == list(values)
        assert [cell.startswith("**") for cell in cells[:3]] == [size > 2048 for size in values[:3]]


def look_at_authority(_) -> None:
    run("openssl", "verify", "-CAfile", "root.pem", "root.pem", "web.pem")
    assert "verify OK" in run("openssl", "req", "-in", "web.csr", "-verify", "-noout")
    assert "verify OK" in run("openssl", "crl", "-in", "root.crl", "-CAfile", "root.pem", "-noout")


def look_at_cms(_) -> None:
    [block] = taken(RECIPES / "cms-signing.md", "console")
    assert "successful" in run(*block.removeprefix("$ ").replace("\\\n", " ").split())


def look_at_ssh(_) -> None:
    assert "ada@example.org" in run("ssh-keygen", "-L", "-f", "id_ed25519-cert.pub")


AFTERWARDS = {
    "x509-authority": look_at_authority,
    "cms-signing": look_at_cms,
    "ssh-certificates": look_at_ssh,
    "what-fits": look_at_sizes,
}


@pytest.mark.parametrize("page", [*PAGES, "../python"])
def test_a_recipe_runs_as_it_stands(page, served, monkeypatch, tmp_path):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page], reason="not run: it has no wheel for this machine")
    monkeypatch.setenv("HEM_URL", served.https)
    monkeypatch.setenv("HEM_CA_FILE", str(served.ca_file))
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(served.passphrase_file))
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "recipe"}
    before = files_of(tmp_path, {})
    try:
        path = RECIPES / f"{page}.md"
        text = path.read_text("utf-8")
        exec(compile(python_of(path), str(path), "exec"), namespace)  # noqa: S102
        if page in AFTERWARDS:
            AFTERWARDS[page](namespace)
        if has_undo(text):
            assert [each.label for each in namespace["hem"].keys] == [], f"{page} is undone"
            assert differing_files(text, before, files_of(tmp_path, {})) == [], f"{page} is undone"
    finally:
        hem = namespace.get("hem")
        if hem is not None:
            for key in list(hem.keys):
                hem.keys.delete(key)
            hem.close()
