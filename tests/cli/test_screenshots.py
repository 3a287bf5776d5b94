"""The pictures in the documentation show what the commands print."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tools import make_screenshots
from tools.make_screenshots import IMAGES, SCENES

DOCS = IMAGES.parent
#: Bytes that a picture has at most.
MOST = 60 * 1024


@pytest.fixture(scope="module")
def now():
    """What each scene shows today."""
    return make_screenshots.scenes()


def test_there_is_a_picture_of_each_scene_and_no_other():
    assert {each.stem for each in IMAGES.glob("*.svg")} == set(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_shows_what_is_printed_now(name, now):
    """If not: make docs."""
    picture = (IMAGES / f"{name}.svg").read_text("utf-8")
    lines = make_screenshots.text_of(picture)
    drawn = make_screenshots.text_of(make_screenshots.drawn(name, now[name]))
    assert lines == drawn if SCENES[name].same else lines[:3] == drawn[:3]
    assert lines[0] == f"${re.sub(r'[ ]', '', SCENES[name].typed[0])}"
    assert len(lines) > 5


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_is_small_and_fetches_nothing(name):
    path = IMAGES / f"{name}.svg"
    assert path.stat().st_size < MOST
    root = ElementTree.fromstring(path.read_bytes())  # noqa: S314 - our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert re.search(r"@import|url\((?!#)|href=", path.read_text("utf-8")) is None


@pytest.mark.parametrize("name", SCENES)
def test_nothing_in_a_scene_is_of_one_run(name, now):
    assert re.search(r"127\.0\.0\.1:\d", now[name]) is None
    assert "Traceback" not in now[name]
    assert "/tmp" not in now[name]
    assert str(make_screenshots.ROOT) not in now[name]


def test_a_page_has_each_picture():
    pages = "".join(path.read_text("utf-8") for path in [DOCS / "owner.md", *DOCS.glob("owner/*.md")])
    shown = set(re.findall(r"images/([\w-]+)\.svg", pages))
    assert shown == set(SCENES)


def test_what_differs_from_run_to_run_is_replaced():
    text = "key 0123456789abcdef0123456789abcdef at https://127.0.0.1:45678, 2027-03-04T05:06:07Z\n"
    same = text.replace("0123456789abcdef", "f" * 16).replace("45678", "39999").replace("05:06", "23:59")
    assert make_screenshots.normal(text) == make_screenshots.normal(same)
    assert len(make_screenshots.normal(text)) == len(text)
    shown = "/tmp/hem1a2b3c4d/lib/x.so port 12345 answers after 0.07 s, up for 13 s"
    assert make_screenshots.normal(shown) == (
        "/home/ada/.local/lib/x.so port 18443 answers after 0.25 s, up for 9 s"
    )
    assert make_screenshots.normal("/tmp/hem1a2b3c4d/.cache/hem") == "/home/ada/.cache/hem"
    cloud = make_screenshots.normal("https://127.0.0.1:45678 answers the device; https://127.0.0.1:45679")
    assert cloud == "https://api.encedo.com answers the device; https://localhost:18443"
    pem = make_screenshots._P256 + "a" * 28 + "\n" + "b" * 58 + "==\n"
    first, second = make_screenshots.normal(pem).split()
    assert (len(first), len(second), second[-2:]) == (64, 60, "==")
    assert first.startswith(make_screenshots._P256)
    assert re.search(r"[G-Zg-z]", second) is not None, "it is base64, and no hex"
    two = "a" * 32 + " " + "b" * 32
    first, second = make_screenshots.normal(two).split()
    assert first != second
