"""``docs/development/emulator.md`` names every endpoint, switch and fault, and only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import taken

from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.faults import FAULTS
from hem_provider.emulator.firmwarefile import load_firmware
from hem_provider.emulator.quirks import QUIRKS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "development" / "emulator.md"
TEXT = PAGE.read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ")
]


def test_the_firmware_that_the_page_shows_is_one(tmp_path):
    [shown] = taken(PAGE, "toml")
    (tmp_path / "firmware.toml").write_text(shown)
    firmware = load_firmware(tmp_path / "firmware.toml")
    assert (firmware.version, firmware.limits.message) == ("1.7.0", 65536)
    assert {"Q23": 404, "Q40": 131072, "U29": 128}.items() <= firmware.quirks.items()


def test_every_endpoint_has_a_row():
    documented = {row[0].strip("`") for row in ROWS if "/api/" in row[0]}
    assert documented == {f"{row.method} {row.path}" for row in ENDPOINTS}


def test_every_switch_has_a_row_with_its_default():
    documented = {row[0]: row[2] for row in ROWS if re.fullmatch(r"[QU]\d+", row[0])}
    words = {True: "on", False: "off"}
    assert documented == {
        name: words[row.default] if isinstance(row.default, bool) else str(row.default)
        for name, row in QUIRKS.items()
    }


def test_every_fault_has_a_row():
    assert {row[0].strip("`") for row in ROWS if row[1] in ("request", "condition", "action")} == set(FAULTS)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:test_\w+\.py::)?test_\w+)`", TEXT))))
def test_every_named_test_exists(name):
    file, _, function = name.rpartition("::")
    source = (HERE / (file or "test_quirks.py")).read_text()
    assert re.search(rf"^def {function}\(", source, re.MULTILINE)


def test_switches_named_beside_endpoints_exist():
    for row in ROWS:
        if "/api/" in row[0] and row[1] != "–":
            assert set(row[1].split(", ")) <= set(QUIRKS)
