"""``docs/operations.md`` is run as printed, and is found from the pages that lead to it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from support.pages import run_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
#: It has two devices and sixty commands.
_SECONDS = 300.0


def test_the_commands_of_the_page_work_as_printed(tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    personal = tmp_path / ".config" / "hem" / "config.toml"
    personal.parent.mkdir(parents=True)
    personal.touch(mode=0o600)
    with tempfile.TemporaryDirectory(prefix="hem-") as runtime:  # a socket's path may not be long
        settings = {
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / ".config"),
            "XDG_DATA_HOME": str(tmp_path / ".local" / "share"),
            "XDG_CACHE_HOME": str(tmp_path / ".cache"),
            "XDG_RUNTIME_DIR": runtime,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        run_page(PAGE, environment=clean | settings, folder=tmp_path, seconds=_SECONDS)


def test_the_page_is_found_from_the_readme_and_the_page_for_owners():
    assert "docs/operations.md" in (ROOT / "README.md").read_text()
    assert "operations.md" in (ROOT / "docs" / "owner.md").read_text()
