"""The documentation site: built without a warning, each page at one place of its navigation, nothing fetched
by any page; and the same to read as on a forge."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import markdown
import pytest
from markdown_it import MarkdownIt
from mkdocs.config import load_config

from tools import make_commands, make_recipes, make_site
from tools.site import hooks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Place in the site → file, of every page.
PAGES = {
    **{str(each.relative_to(DOCS)): each for each in sorted(DOCS.rglob("*.md"))},
    **{place: ROOT / page for page, place in hooks.OUTSIDE.items()},
}
#: What is counted of a page in its two forms.
COUNTED = (
    "h1",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "td",
    "pre",
    "blockquote",
    "img",
    "strong",
)
#: A site of two pages.
SMALL = "site_name: small\ncopyright: none\ntheme: {{name: mkdocs}}\nplugins: []\nnav: [index.md]\n{more}"
STRICT = "validation: {omitted_files: warn, links: {not_found: warn, anchors: warn}}\n"


@pytest.fixture(scope="module")
def config():
    return hooks.on_config(load_config(str(make_site.CONFIGURATION)))


@pytest.fixture
def small(tmp_path):
    """Builds a small site of what its pages say."""

    def build(more: str = "", **pages: str) -> Path:
        (tmp_path / "docs").mkdir()
        for name, text in pages.items():
            (tmp_path / "docs" / f"{name}.md").write_text(text, "utf-8")
        configuration = tmp_path / "mkdocs.yml"
        configuration.write_text(SMALL.format(more=STRICT + more), "utf-8")
        return configuration

    return build


def listed(entries: list[object]) -> list[str]:
    """The pages of a navigation, in its order."""
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, dict):
            for below in entry.values():
                found += listed(below if isinstance(below, list) else [below])
        else:
            found.append(str(entry))
    return found


def test_every_page_has_one_place_in_the_navigation(config):
    counted = Counter(listed(config.nav))
    assert set(counted) == set(PAGES)
    assert set(counted.values()) == {1}


def test_the_site_is_built_without_a_warning_and_is_whole(tmp_path):
    """One test, since a build takes 6 s: what is below looks at parts of it."""
    site = make_site.build(tmp_path)  # raises what was warned of
    has_every_page(site)
    asks_nobody_else(site)
    can_be_searched_also_without_a_server(site)
    is_known_to_the_chooser(site)


def has_every_page(site: Path) -> None:
    for place in PAGES:
        made = site / re.sub(r"(README)?\.md$", lambda found: "index.html" if found[1] else ".html", place)
        assert made.is_file() or place.startswith("project/"), place
    assert (site / "project" / "index.html").is_file()
    assert "lunr" not in {each.name for each in site.rglob("*")}


def asks_nobody_else(site: Path) -> None:
    asked = re.compile(
        r"""<(?:script|img|iframe|source|link(?![^>]*rel="?canonical))\b[^>]*(?:src|href)="?((?:https?:)?//[^">\s]+)"""
    )
    for page in site.rglob("*.html"):
        assert not asked.findall(page.read_text("utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?https?:[^)]*", style.read_text("utf-8")), style
    assert asked.findall('<link rel="stylesheet" href="https://fonts.example/css">')


def can_be_searched_also_without_a_server(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    found = {each["location"].partition("#")[0] for each in index["docs"]}
    assert found == {str(each.relative_to(site)) for each in site.rglob("*.html")}
    assert (site / "search" / "search_index.js").read_text("utf-8").startswith("var __index = {")
    assert "assets/iframe-worker.js" in (site / "index.html").read_text("utf-8")
    assert (site / "assets" / "iframe-worker.js").is_file()


def is_known_to_the_chooser(site: Path) -> None:
    told = json.loads((site.parent / "versions.json").read_text("utf-8"))
    assert told == [{"version": site.name, "title": site.name, "aliases": ["latest"]}]
    assert f"url={site.name}/index.html" in (site.parent / "index.html").read_text("utf-8")


def test_the_newest_version_is_the_first(tmp_path):
    for name in ("0.9.0", "0.10.0", "0.10.0rc1", "notes", "0.11.0"):
        (tmp_path / name).mkdir()
        if name != "0.11.0":  # nothing is in it
            (tmp_path / name / "index.html").write_text("", "utf-8")
    assert make_site.versions(tmp_path) == ["0.10.0", "0.10.0rc1", "0.9.0"]
    assert make_site.main(["--versions", str(tmp_path)]) == 0
    assert "0.10.0/index.html" in (tmp_path / "index.html").read_text("utf-8")


def test_a_folder_without_a_version_is_no_site(tmp_path, capsys):
    assert make_site.main(["--versions", str(tmp_path)]) == 1
    assert "no version is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ({"index": "# A\n\n[b](b.md)\n"}, "b.md"),
        ({"index": "# A\n\n[b](#b)\n"}, "#b"),
        ({"index": "# A\n", "other": "# B\n"}, "other.md"),
    ],
    ids=["page", "anchor", "navigation"],
)
def test_what_leads_nowhere_or_is_led_to_by_nothing_is_an_error_and_nothing_stays(
    tmp_path, small, pages, told
):
    configuration = small(**pages)
    with pytest.raises(make_site.SiteError, match=re.escape(told)):
        make_site.build(tmp_path / "site", configuration=configuration)
    assert list((tmp_path / "site").iterdir()) == []


def test_a_setting_that_mkdocs_does_not_take_is_an_error_of_ours(tmp_path, small):
    configuration = small("plugins_: []\ntheme: 1\n", index="# A\n")
    with pytest.raises(make_site.SiteError):
        make_site.build(tmp_path / "site", configuration=configuration)


def test_two_archives_are_the_same_bytes(tmp_path, small, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769860800")
    configuration = small(index="# A\n")
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(make_site.archive(tmp_path / name, version="1.0", configuration=configuration))
    assert made[0].name.endswith("-1.0-docs.tar.gz")
    assert made[0].read_bytes() == made[1].read_bytes()


# --- the same as on a forge ------------------------------------------------------------------------


def counts(html: str) -> dict[str, int]:
    return {each: len(re.findall(rf"<{each}[ >]", html)) for each in COUNTED}


def forge_anchors(text: str) -> list[str]:
    """Those of a page's headings, as GitHub makes them of what is shown; but a second one gets ``_1``."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    shown = [
        "".join(each.content for each in inline.children or [] if each.type in ("text", "code_inline"))
        for opened, inline in itertools.pairwise(tokens)
        if opened.type == "heading_open"
    ]
    slugs = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in shown]
    before = [slugs[:number].count(each) for number, each in enumerate(slugs)]
    return [f"{each}_{count}" if count else each for each, count in zip(slugs, before, strict=True)]


@pytest.mark.parametrize("place", PAGES)
def test_a_page_has_the_same_parts_and_anchors_as_on_a_forge(place, config):
    text = PAGES[place].read_text("utf-8")
    forge = MarkdownIt("commonmark").enable("table").render(text)
    site = markdown.markdown(
        hooks.rewritten(text, place),
        extensions=config.markdown_extensions, extension_configs=config.mdx_configs,
    )  # fmt: skip
    assert re.findall(r'<h\d id="([^"]*)"', site) == forge_anchors(text)
    assert counts(re.sub(r"<!--.*?-->", "", site)) == counts(re.sub(r"<!--.*?-->", "", forge))


@pytest.mark.parametrize(
    ("place", "text", "made"),
    [
        ("security.md", "[x](../SECURITY.md#a)", "[x](project/SECURITY.md#a)"),
        ("development/architecture.md", "[x](../../README.md)", "[x](../project/README.md)"),
        ("project/README.md", "[x](docs/owner/keys.md)", "[x](../owner/keys.md)"),
        ("project/README.md", "[x](CHANGELOG.md)", "[x](CHANGELOG.md)"),
        ("python.md", "[x](recipes/)", "[x](recipes/index.md)"),
        ("owner/device.md", "[x](../schemas/)", "[x](../schemas/README.md)"),
        ("owner/log.md", "[x](../../packaging/systemd/)", "x"),
        ("project/README.md", "[x](LICENSE)", "x"),
        ("python.md", "[x](nowhere.md) `[y](../SECURITY.md)`", "[x](nowhere.md) `[y](../SECURITY.md)`"),
        ("python.md", "```\n[y](../SECURITY.md)\n```", "```\n[y](../SECURITY.md)\n```"),
        ("python.md", "```python a.py\nx\n```", '```python title="a.py"\nx\n```'),
        ("python.md", "* a\n  * b\n    c\n* d\n", "* a\n    * b\n      c\n* d\n"),
        ("python.md", "![a picture](images/hem.svg)", "![a picture](images/hem.svg)"),
        (
            "python.md",
            "<https://a.example> [x](https://a.example)",
            "<https://a.example> [x](https://a.example)",
        ),
    ],
)
def test_links_lead_to_pages_of_the_site_and_blocks_have_titles(place, text, made):
    assert hooks.rewritten(text, place) == made


# --- pages that are made ---------------------------------------------------------------------------


@pytest.mark.parametrize("tool", [make_commands, make_recipes], ids=lambda tool: tool.__name__)
def test_pages_that_are_made_are_what_the_code_says(tool):
    assert tool.main(["--check"]) == 0, f"run: python {tool.__name__.replace('.', '/')}.py"


def test_a_stale_page_of_a_command_is_told_and_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_commands, "OUT", tmp_path / "commands")
    assert make_commands.main(["--check"]) == 1
    assert "keys.md" in capsys.readouterr().err
    assert make_commands.main([]) == 0
    (tmp_path / "commands" / "old.md").write_text("x")
    assert make_commands.main(["--check"]) == 1
    assert make_commands.main([]) == 0
    assert not (tmp_path / "commands" / "old.md").exists()
    assert make_commands.main(["--check"]) == 0


def test_every_option_and_action_of_a_command_is_on_its_page():
    made = make_commands.pages()
    keys = made["keys.md"]
    for text in (
        "## `hem keys create`",
        "`--use WORDS`: of sign",
        "(#hem-keys-import-public)",
        "$ hem keys list",
    ):
        assert text in keys
    assert "[`hem keys`](keys.md)" in made["index.md"]
    assert "| `HEM_URL` |" in made["index.md"]


def test_the_table_of_recipes_has_what_a_recipe_says(tmp_path):
    recipe = tmp_path / "nginx.md"
    recipe.write_text(
        "# nginx\n\n*Needs:* a [key](x.md) · *Tried with:* nginx 1.22, 1.26 · *Last tried:* 2026-11-28\n\nX."
    )
    assert make_recipes.facts(recipe) == ("nginx", "a [key](x.md)", "nginx 1.22, 1.26", "2026-11-28")
    recipe.write_text("# nginx\n\nText.\n")
    assert make_recipes.facts(recipe) == ("nginx", "–", "–", "–")


def test_every_recipe_is_in_the_table():
    there = {each.name for each in make_recipes.RECIPES.glob("*.md")} - {"index.md"}
    assert there == {name for names in make_recipes.groups().values() for name in names}
