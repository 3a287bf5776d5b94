"""The pages of docs/recipes on tools are run as printed, over the emulator."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.pages import run_page, steps_of
from tools.test_p11_kit import PREFIX, with_another_token
from tools.test_provider import PROVIDER

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "agent-programs.md", "apache.md", "curl.md", "gnutls.md", "java.md", "nginx.md", "openssl-ca.md",
    "openssl-commands.md", "openssl-engine.md", "p11-kit.md", "python-ssl.md", "stunnel.md",
)  # fmt: skip


#: Tools that treat root otherwise: workers of another user, no modules of one's own.
NOT_FOR_ROOT = {"agent-programs.md", "nginx.md", "p11-kit.md"}


#: Page → whose test runs it with all of its blocks, where there is what they need. That is enough: both times
#: on one device would make keys of one name.
RUN_WHOLE = {
    "agent-programs.md": "test_provider_agent.py" if PREFIX is not None and PROVIDER is not None else None,
    "p11-kit.md": "test_p11_kit.py" if PREFIX is not None else None,
}


#: Program of a block "since" → how it tells its version. What is not here is run by tests of its own.
VERSIONS = {
    "nginx": ["nginx", "-v"],
    "curl": ["curl", "--version"],
    "pkcs11-provider": ["dpkg-query", "-W", "-f", "${Version}", "pkcs11-provider"],
}


def is_there(since, way):
    """Whether a block "since PROGRAM VERSION" can be run: all of them need OpenSSL's provider."""
    program, _, version = since.partition(" ")
    if program not in VERSIONS or way != "provider":
        return False
    done = subprocess.run(VERSIONS[program], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.(\d+)", done.stdout + done.stderr)
    return found is not None and tuple(map(int, found.groups())) >= tuple(map(int, version.split(".")))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(page, bare_environment, way, tmp_path, request):
    if page == "openssl-engine.md":
        request.getfixturevalue("engine")
    if RUN_WHOLE.get(page):
        pytest.skip(f"run with all of its blocks by {RUN_WHOLE[page]}, on the same device")
    if page == "p11-kit.md":
        bare_environment = with_another_token(bare_environment, tmp_path)
    run_page(
        DOCS / "recipes" / page, environment=bare_environment, folder=tmp_path, way=way,
        newer=lambda since: page not in RUN_WHOLE and is_there(since, way),
        ordinary=page in NOT_FOR_ROOT, seconds=120,
    )  # fmt: skip


def test_what_a_page_does_by_one_way_of_openssl_is_left_out_by_the_other():
    commands = {
        way: [step.command for step in steps_of(DOCS / "recipes" / "stunnel.md", way=way)]
        for way in ("engine", "provider")
    }
    assert set(commands["provider"]) < set(commands["engine"])


@pytest.mark.parametrize(
    "page", [f"recipes/{each}" for each in (*PAGES, "openssl-provider.md")] + ["openssl.md", "tools.md"]
)
def test_the_links_of_a_page_lead_somewhere(page):
    path = DOCS / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).is_file(), target


def test_no_page_shows_a_command_that_is_not_run():
    """A block of commands is a console block with prompts."""
    for page in PAGES:
        text = (DOCS / "recipes" / page).read_text()
        assert not re.findall(r"^```(?:sh|bash|shell)$", text, re.MULTILINE), page
        assert len(steps_of(DOCS / "recipes" / page)) >= 3
