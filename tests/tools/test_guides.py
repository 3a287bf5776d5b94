"""The guides on the agent, the PKCS#11 module and OpenSSL are run as printed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.pages import reader_of, run_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def served_to_reader(tmp_path, tmp_path_factory, engine):
    """A device, and the environment of its owner, who has a home of his own."""
    with (
        ServedEmulator(tmp_path_factory.mktemp("device")) as emulator,
        tempfile.TemporaryDirectory(prefix="hem-") as runtime,  # a socket's path may not be long
    ):
        folders = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
        yield (
            emulator,
            {
                **reader_of(emulator, tmp_path),
                **folders,
                "XDG_RUNTIME_DIR": runtime,
                "HEM_NAME": "office",
            },
        )


@pytest.mark.parametrize("page", ["agent.md", "openssl.md", "pkcs11.md"])
def test_the_commands_of_a_guide_work_as_printed(page, served_to_reader, tmp_path):
    if page == "agent.md" and shutil.which("curl") is None:
        pytest.skip("not run: curl is missing (Debian: curl)")
    emulator, environment = served_to_reader
    try:
        run_page(
            DOCS / page, environment=environment, folder=tmp_path, ordinary=True,
            replacements={"https://my.ence.do": emulator.https},
        )  # fmt: skip
    finally:
        hem = Path(sys.executable).with_name("hem")
        subprocess.run([hem, "agent", "stop"], env=environment, capture_output=True, check=False)
