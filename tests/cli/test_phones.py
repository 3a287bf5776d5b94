"""``hem phones``: the code that is shown is what a camera reads, and no half pairing is left."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess

import pytest
from support.owner import valid
from support.passphrases import PASSPHRASE

from hem_provider.cli import main as cli
from hem_provider.cli import phones_actions, qr

TEXT = json.dumps({"link": f"https://api.encedo.com/notify/register/challenge/{'a0' * 32}", "user": "Ada"})


@pytest.fixture
def passphrase(rig, monkeypatch, tmp_path):
    """The rig's device is configured, with its passphrase in a file."""
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text(f"{PASSPHRASE}\n")
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(path))
    return path


@pytest.fixture
def run(passphrase, capsys):
    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["phones", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def scanned(rig, monkeypatch):
    """The simulated phone scans the code as soon as it is shown."""
    real = phones_actions._display

    def display(text, image, **force):
        real(text, image, **force)
        with rig.phone() as phone:
            phone.pair(json.loads(text)["link"])

    monkeypatch.setattr(phones_actions, "_display", display)


def test_a_phone_is_paired_listed_and_removed(rig, run, scanned):
    assert run("list") == (0, "", "No phone is paired with hem: hem phones pair\n")
    rig.requests.clear()
    status, out, said = run("pair")
    assert status == 0
    [kid] = re.fullmatch(
        r"Its link: https://\S+\n"
        r"'Emulated phone' is paired as ([0-9a-f]{32}): it may approve logins to hem\.\n",
        out,
    ).groups()
    assert said.startswith("Scan this with the application on the phone:\n")
    assert "Waiting for the phone: 5:00 left" in said
    assert rig.count("POST /api/auth/token") == 1
    lines = [re.split("  +", each) for each in run("list")[1].splitlines()]
    assert lines[0] == ["label", "KID", "pairing"]
    assert lines[1][:2] == ["Emulated phone", kid]
    status, out, said = run("remove", "Emulated phone", "--yes")
    assert (status, out, said) == (0, "", "'Emulated phone' approves nothing any more.\n")
    assert valid(run("list", "--json")[1], "phones-list")["phones"] == []


def test_what_is_told_as_json_is_as_the_schemas_say(run, scanned):
    paired = valid(run("pair", "--json")[1], "phones-pair")["phone"]
    assert valid(run("list", "--json")[1], "phones-list")["phones"] == [paired]
    assert valid(run("remove", paired["kid"], "--yes", "--json")[1], "phones-remove")["phone"] == paired


def test_a_phone_that_is_not_there_is_told_with_those_that_are(run, scanned):
    status, out, said = run("remove", "mine", "--yes")
    assert (status, said) == (5, "hem: no phone 'mine'; none is paired\n")
    run("pair")
    status, out, said = run("remove", "mine", "--yes", "--json")
    error = valid(out, "error")
    assert (error["error"], error["status"]) == ("HemKeyNotFound", 5)
    assert error["message"].endswith("no phone 'mine'; there are: 'Emulated phone'")


def test_two_of_one_label_are_told_apart_by_kid(run, scanned):
    kids = [json.loads(run("pair", "--json")[1])["phone"]["kid"] for _ in range(2)]
    status, _, said = run("remove", "Emulated phone", "--yes")
    assert status == 1
    assert "2 phones with label 'Emulated phone'; give the KID: " in said
    assert all(each in said for each in kids)
    assert run("remove", kids[0].upper(), "--yes")[0] == 0
    assert [each["kid"] for each in json.loads(run("list", "--json")[1])["phones"]] == kids[1:]


def test_no_more_than_eight_are_tried(run, scanned, rig):
    for _ in range(8):
        assert run("pair")[0] == 0
    rig.requests.clear()
    status, _, said = run("pair")
    assert (status, said.count("\n")) == (1, 1)
    assert "8 phones are paired, more it does not know: hem phones remove PHONE" in said
    assert rig.count("POST /api/auth/ext/init") == 0


def test_it_is_asked_whether_removing_is_meant(run, scanned):
    run("pair")
    status, _, said = run("remove", "Emulated phone")
    assert status == 2
    assert "give --yes" in said
    assert len(json.loads(run("list", "--json")[1])["phones"]) == 1


def test_a_phone_can_be_removed_without_the_service(run, scanned, rig):
    run("pair")
    rig.fault("CLOUD POST /notify/session", 503)
    assert run("remove", "Emulated phone", "--yes")[0] != 0
    assert len(json.loads(run("list", "--json")[1])["phones"]) == 1
    rig.requests.clear()
    assert run("remove", "Emulated phone", "--yes", "--device-only")[0] == 0
    assert rig.count("CLOUD") == 0
    assert json.loads(run("list", "--json")[1])["phones"] == []


def test_nobody_answers(run, rig):
    status, out, said = run("pair", "--wait", "1")
    assert (status, out.count("\n")) == (4, 1)
    assert said.endswith("No phone was paired.\nhem: no phone has answered within 1 s\n")


def test_a_phone_refuses(run, rig, monkeypatch):
    def display(text, _image, **_):
        with rig.phone() as phone:
            phone.refuse_pairing(json.loads(text)["link"])

    monkeypatch.setattr(phones_actions, "_display", display)
    status, _, said = run("pair")
    assert (status, said.endswith("hem: the pairing was refused or has expired\n")) == (1, True)


PLACES = ["GET /api/system/config", "POST /api/auth/ext/init", "CLOUD GET /notify/register/check",
          "POST /api/auth/ext/validate", "CLOUD POST /notify/register/finalise"]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", PLACES)
def test_an_interrupt_anywhere_leaves_no_phone(run, rig, scanned, place, after):
    struck = []

    def interrupt(line, body=b""):
        if line.startswith(place) and not struck:
            struck.append(line)
            raise KeyboardInterrupt
        return body

    if after:
        rig.alter = interrupt
    else:
        rig.fault(place, lambda: interrupt(place))
    status, out, said = run("pair")
    assert struck
    assert status == 130
    assert "is paired" not in out
    assert "Traceback" not in said
    rig.alter = None
    assert json.loads(run("list", "--json")[1])["phones"] == []


def test_the_login_is_told_when_it_is_refused(run, passphrase):
    passphrase.write_text("wrong\n")
    assert [run(*each)[0] for each in (("pair",), ("list",), ("remove", "x", "--yes"))] == [4, 4, 4]


def test_a_phone_cannot_stand_for_the_owner(run, monkeypatch):
    monkeypatch.setenv("HEM_AUTH", "mobile")
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    status, _, said = run("pair")
    assert status == 4
    assert "there is no terminal to ask on" in said


def test_the_code_is_written_as_an_image_for_its_owner_alone(run, scanned, tmp_path):
    for option, start in (("--png", b"\x89PNG"), ("--svg", b"<?xml")):
        path = tmp_path / f"code.{option[2:]}"
        status, _, said = run("pair", option, path)
        assert status == 0
        assert path.read_bytes().startswith(start)
        assert path.stat().st_mode & 0o777 == 0o600
        assert f"Scan the code in {path}" in said
        status, _, said = run("pair", option, path)
        assert (status, said) == (1, f"hem: {path}: there is such a file already; --force replaces it\n")
    assert run("pair", "--png", "a", "--svg", "b")[0] == 2
    assert run("pair", "--png", tmp_path / "nowhere" / "a")[0] == 1


class Screen(io.StringIO):
    """A terminal, or a file."""

    def __init__(self, encoding, terminal):
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    encoding = property(lambda self: self._encoding)

    def isatty(self):
        return self._terminal


def pixels(lines):
    """What a person sees: rows of dark modules, of half blocks or of coloured blanks."""
    rows = []
    for line in lines:
        if " \x1b[0m" in line and "█" not in line:
            rows.append([code == "40" for code in re.findall(r"\x1b\[(107|40)m  \x1b\[0m", line)])
            continue
        text = re.sub(r"\x1b\[[0-9;]*m", "", line)
        rows.append([each in " ▄" for each in text])
        rows.append([each in " ▀" for each in text])
    return rows


SHOWN = [
    ("utf-8", True, "80", ""),
    ("utf-8", True, "80", "1"),
    ("utf-8", False, "", ""),
    ("ascii", True, "200", ""),
]


@pytest.mark.parametrize(("encoding", "terminal", "columns", "colourless"), SHOWN)
def test_what_the_terminal_shows_is_the_code(monkeypatch, tmp_path, encoding, terminal, columns, colourless):
    monkeypatch.setenv("NO_COLOR", colourless)
    monkeypatch.setenv("COLUMNS", columns)
    code = qr.made(TEXT)
    lines = qr.shown(code, Screen(encoding, terminal))
    "\n".join(lines).encode(encoding)
    rows = pixels(lines)
    wanted = [[bool(each) for each in row] for row in code.matrix_iter(border=2)]
    assert rows[: len(wanted)] == wanted
    assert not any(any(row) for row in rows[len(wanted) :])
    if shutil.which("zbarimg"):
        image = tmp_path / "seen.pgm"
        scale = 6
        body = b"".join(
            b"".join((b"\x00" if dark else b"\xff") * scale for dark in row) * scale for row in rows
        )
        image.write_bytes(f"P5 {len(rows[0]) * scale} {len(rows) * scale} 255\n".encode() + body)
        assert read_by_camera(image) == TEXT


def read_by_camera(image):
    done = subprocess.run(
        ["zbarimg", "--quiet", "--raw", str(image)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.removesuffix("\n")


@pytest.mark.skipif(shutil.which("zbarimg") is None, reason="no zbarimg")
def test_the_image_is_read_by_a_camera(tmp_path):
    qr.save(qr.made(TEXT), tmp_path / "code.png", force=False)
    assert read_by_camera(tmp_path / "code.png") == TEXT


@pytest.mark.parametrize(("encoding", "columns"), [("utf-8", "40"), ("ascii", "80")])
def test_a_code_that_does_not_fit_is_not_shown(monkeypatch, encoding, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert qr.shown(qr.made(TEXT), Screen(encoding, terminal=True)) is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert qr.shown(qr.made(TEXT), Screen("ascii", terminal=True)) is None


def test_where_to_see_it_is_told_where_it_does_not_fit(run, monkeypatch):
    monkeypatch.setattr(qr, "shown", lambda *_: None)
    status, _, said = run("pair")
    assert status == 1
    assert "give --png FILE or --svg FILE and show that" in said
