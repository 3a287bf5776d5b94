"""The pages of docs/recipes on tools are run as printed, over the emulator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import run_page, steps_of

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "agent-programs.md", "apache.md", "curl.md", "gnutls.md", "java.md", "nginx.md", "openssl-ca.md",
    "openssl-engine.md", "p11-kit.md", "stunnel.md",
)  # fmt: skip


#: Tools that treat root otherwise: workers of another user, no modules of one's own.
NOT_FOR_ROOT = {"agent-programs.md", "nginx.md", "p11-kit.md"}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(page, bare_environment, tmp_path):
    ordinary = page in NOT_FOR_ROOT
    run_page(DOCS / "recipes" / page, environment=bare_environment, folder=tmp_path, ordinary=ordinary)


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
