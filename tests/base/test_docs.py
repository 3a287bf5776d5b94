"""Documents that list what the code has must list all of it, as it is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from support.pages import taken

from hem_provider.config import DeviceConfig, Pkcs11Config
from hem_provider.config.load import ENVIRONMENT, load_config

ROOT = Path(__file__).parents[2]


def test_every_setting_is_documented_with_its_variable():
    text = (ROOT / "docs" / "configuration.md").read_text()
    variables = {setting: variable for variable, setting in ENVIRONMENT.items()}
    for setting in (each.name for each in (*fields(DeviceConfig), *fields(Pkcs11Config))):
        (row,) = re.findall(rf"^\| `{setting}` \|.*$", text, re.MULTILINE)
        assert f"`{variables[setting]}`" in row if setting in variables else "HEM_" not in row


def test_what_the_page_shows_of_a_file_is_a_configuration(tmp_path):
    [shown] = taken(ROOT / "docs" / "configuration.md", "toml")
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(shown)
    [device] = load_config(path).devices
    limits = device.firmware_limits
    assert (device.url, limits.message, limits.descr) == ("https://my.ence.do", 65536, 128)


def test_what_the_recipe_shows_of_a_file_is_a_configuration(tmp_path):
    [shown] = taken(ROOT / "docs" / "recipes" / "jwt-service.md", "toml")
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(shown)
    assert [each.name for each in load_config(path).devices] == ["east", "west"]


def test_the_readme_opens_with_what_it_is_and_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert text.index("Encedo HEM") < text.index("\nmake demo\n") < text.index("\nmake test\n") < 1200


def test_what_a_login_takes_is_told_alike_everywhere():
    telling = re.compile(
        r"\b[Aa] login(?: takes(?: \w+){1,3}|, which is two calls,| \|[^|]+it takes the device)? "
        r"(\d[\d.]*(?: to [\d.]+)?) (s|seconds)\b"
    )
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    told = {
        f"{page.relative_to(ROOT)}: {found[0]}": f"{found[1]} {found[2]}"
        for page in pages
        if "development" not in page.parts
        for found in telling.finditer(page.read_text())
    }
    assert len(told) > 5
    assert set(told.values()) == {"2 to 2.5 s"}, told


def test_the_version_of_the_changelog_is_the_packages():
    from hem_provider import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in text or f"## {__version__}" in text
