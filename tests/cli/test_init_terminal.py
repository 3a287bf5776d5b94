"""``hem init`` as a conversation over real HTTP and TLS: ended at every step, and gone on with."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time

import pytest
from support.emulator import ServedEmulator
from support.terminal import HEM, Terminal

from hem_provider.cli.init.words import table
from hem_provider.config import load_config
from hem_provider.device import Role, connect
from hem_provider.emulator import EmulatedDevice, control

PASSPHRASE = "kite-lamp-ocean-9"
#: Question → what is typed, in their order; and those where the device has its owner already.
BEFORE = {
    "Whose device is it (shown at logins): ": "Ada",
    "E-mail address (may be empty): ": "",
    "Name of the device here [hem]: ": "office",
    "Host name on the network [my.ence.do]: ": "",
    "Its open disk, when it starts: ro, rw or hidden [ro]: ": "rw",
    "Size of that disk in MiB (the rest is encrypted) [4096]: ": "100",
    "Passphrase of the device: ": PASSPHRASE,
    "The same again: ": PASSPHRASE,
    "Press Enter when they are written down: ": "",
    "Word ": None,
    "Go on? [y/N] ": "y",
}
AFTER = {"Pair a phone, which approves logins in the place of the passphrase? [y/N] ": "n",
         "Label of a first key (may be empty): ": "web"}  # fmt: skip
AGAIN = {"Passphrase of HEM office": PASSPHRASE}
#: Questions that have another default when they are asked again.
KEPT = {
    "Whose device is it (shown at logins): ": "Whose device is it (shown at logins) [Ada]: ",
    "Name of the device here [hem]: ": "Name of the device here [office]: ",
    "Its open disk, when it starts: ro, rw or hidden [ro]: ":
        "Its open disk, when it starts: ro, rw or hidden [rw]: ",
    "Size of that disk in MiB (the rest is encrypted) [4096]: ":
        "Size of that disk in MiB (the rest is encrypted) [100]: ",
}  # fmt: skip


@pytest.fixture(scope="module")
def module_served(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served"), init=False) as emulator:
        yield emulator


@pytest.fixture
def device(module_served):
    """A factory-fresh device."""
    steer(module_served, "clear")
    steer(module_served, "reset", how="factory")
    return module_served


def steer(served, command, **parameters):
    with EmulatedDevice(served.state) as device:
        return control.run(device, command, parameters)


@pytest.fixture
def environment(device, tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "hem.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return {
        **os.environ,
        "HEM_CA_FILE": str(device.ca_file),
        "HEM_CLOUD_URL": device.cloud,
        "HEM_CLOUD_CA_FILE": str(device.ca_file),
        "TERM": "xterm",
        "NO_COLOR": "1",
    }


@pytest.fixture
def start(device, environment):
    return lambda *options, **settings: Terminal(
        ["init", "--address", device.http, "--url", device.https, *options], environment, **settings
    )


def converse(terminal, questions, until=None):
    """Answer each of the questions, up to ``until``; the words of the master secret, if they were shown."""
    words = {}
    for question, answer in questions.items():
        before = terminal.expect(question)
        if question.startswith("Press Enter"):
            words = {int(number): word for number, word in re.findall(r"(\d+) ([a-z]+)", before)}
            assert sorted(words) == list(range(1, 25))
        if question == until:
            return words
        if question == "Word ":
            for each in range(3):
                place = int(terminal.expect(": "))
                terminal.type(words[place])
                if each < 2:
                    terminal.expect("Word ")
        else:
            terminal.type(answer)
    return words


def keys_of(device, passphrase=PASSPHRASE):
    with connect(
        device.https, passphrase=passphrase, ca_file=device.ca_file,
        cloud_url=device.cloud, cloud_ca_file=device.ca_file,
    ) as hem:  # fmt: skip
        return [each.label for each in hem.keys]


def test_a_conversation_brings_a_device_into_use(start, device, tmp_path):
    with start() as terminal:
        words = converse(terminal, BEFORE | AFTER)
        assert terminal.end() == 0
        shown = terminal.shown
    assert keys_of(device) == ["web"]
    phrase = " ".join(words[number] for number in range(1, 25))
    with connect(device.https, ca_file=device.ca_file) as hem:
        hem.login(phrase, role=Role.MASTER, scope="system:config")
        settings = hem.admin.configuration()
    assert (settings.user, settings.storage_mode) == ("Ada", 0x53)
    assert PASSPHRASE not in shown
    apart, _, rest = shown.partition("\x1b[2J\x1b[3J\x1b[H\x1b[?1049l")
    assert "\x1b[?1049h" in apart
    assert not any(f"{number:2} {word}" in rest for number, word in words.items())
    assert "office is ready at https://127.0.0.1:" in rest
    for path in tmp_path.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert PASSPHRASE not in text
            assert sum(word in text for word in words.values()) < 4  # such as "key"
    assert load_config().device("office").url == device.https


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_at_every_step_it_can_be_ended_and_gone_on_with(start, device, tmp_path, how):
    for until in BEFORE:
        kept = list(BEFORE).index(until) > list(BEFORE).index("Passphrase of the device: ")
        questions = {KEPT.get(each, each) if kept else each: answer for each, answer in BEFORE.items()}
        with start() as terminal:
            converse(terminal, questions, KEPT.get(until, until) if kept else until)
            end(terminal, how)
            if how == "interrupted":
                assert terminal.shown.count("\x1b[?1049h") == terminal.shown.count("\x1b[?1049l")
    kept_questions = {KEPT.get(each, each): answer for each, answer in BEFORE.items()}
    for number, until in enumerate(AFTER):
        with start() as terminal:
            first = kept_questions if number == 0 else AGAIN
            converse(terminal, first | AFTER, until)
            end(terminal, how)
            if how == "interrupted":
                assert "The same command goes on from here: hem init" in terminal.shown
        for path in (tmp_path / "data").rglob("*.json"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert PASSPHRASE not in path.read_text()
    with start() as terminal:
        rest = dict(list(AFTER.items())[1:])  # that of the phone is settled
        converse(terminal, AGAIN | rest)
        assert terminal.end() == 0
    assert keys_of(device) == ["web"]
    assert not list((tmp_path / "data").rglob("*.json"))


def end(terminal, how):
    if how == "killed":
        assert terminal.kill() == -signal.SIGKILL
    else:
        terminal.press(b"\x03")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_words_do_not_stay_on_the_screen_when_it_is_ended_from_outside(start, number):
    with start() as terminal:
        converse(terminal, BEFORE, "Press Enter when they are written down: ")
        assert terminal.kill(number) == 130
        assert terminal.shown.rstrip().endswith("\x1b[2J\x1b[3J\x1b[H\x1b[?1049l")


def test_words_that_are_not_known_end_it_before_anything_is_done(start, device):
    with start() as terminal:
        converse(terminal, BEFORE, "Word ")
        for _ in range(3):
            terminal.type("zebra", after=": ")
            terminal.expect("That is another word.")
        assert terminal.end() == 1
        assert "nothing was done: these words are not written down" in terminal.shown
    assert not steer(device, "state")["initialised"]


def test_what_cannot_be_is_asked_again(start):
    with start() as terminal:
        terminal.type("", after="Whose device is it (shown at logins): ")
        refusal = "That cannot be: 0 characters; accepted: 1 to 64 printable characters."
        terminal.type("Ada", after=f"{refusal}\nWhose")
        terminal.type("ada", after="E-mail")
        terminal.expect("That cannot be: 3 characters; accepted: an address")
        terminal.press(b"\x04", after="E-mail")
        assert terminal.end() == 1
        assert "hem: the input ended before an answer was typed" in terminal.shown


def test_a_no_ends_it(start, device):
    with start() as terminal:
        converse(terminal, BEFORE, "Go on? [y/N] ")
        terminal.type("n")
        assert terminal.end() == 1
    assert not steer(device, "state")["initialised"]


def test_a_person_tells_where_the_device_is(device, environment):
    environment = {**environment, "HEM_URL": "http://127.0.0.1:1"}
    del environment["HEM_CONFIG"]
    with Terminal(["init"], environment) as terminal:
        terminal.type(device.http, after="Where is it (http://HOST): ")
        terminal.expect(f"{device.http}: PPA rev 2.2 EMULATOR")
        terminal.expect("factory-fresh.")


@pytest.fixture
def by_options(device, environment, tmp_path):
    """``hem init`` without a terminal: the process."""
    for name, text in (("p", PASSPHRASE), ("m", "abandon " * 23 + "art")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text + "\n")
    options = ["--owner", "Ada", "--passphrase-file", tmp_path / "p", "--master-file", tmp_path / "m"]
    options += ["--yes", "--key", "web", "--name", "office", "--address", device.http, "--url", device.https]

    def run(*more):
        return subprocess.Popen(
            [*HEM, "init", *map(str, options), *more],
            env={**environment, "HEM_TIMEOUT": "100"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return run


def ended(process):
    """Its exit status and what it said."""
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("hostname", ["my.ence.do", "ada.ence.do"])
def test_a_device_without_a_certificate_gets_one(by_options, device, hostname):
    steer(device, "fault", name="lost-certificate")
    status, said = ended(by_options("--hostname", hostname))
    assert status == 0, said
    assert "Getting a certificate from the vendor's service; the device restarts then.\n" in said
    assert "Its certificate is good until 20" in said
    assert keys_of(device) == ["web"]


def test_a_name_that_somebody_has_is_told_before_the_device_has_it(by_options, device):
    steer(device, "fault", name="lost-certificate")
    assert ended(by_options("--hostname", "eve.ence.do"))[0] == 0
    steer(device, "reset", how="wipe")
    status, said = ended(by_options("--hostname", "eve.ence.do", "--name", "other"))
    assert status == 1
    assert said.endswith("hem: eve.ence.do: somebody has this name; choose another by --hostname\n")
    assert not steer(device, "state")["initialised"]


def test_a_device_may_go_without_a_certificate(by_options, device):
    steer(device, "fault", name="lost-certificate")
    status, said = ended(by_options("--no-certificate"))
    assert status == 0, said
    assert "the device does not work with keys or phones." in said
    assert load_config().device("office").url == device.http


def test_a_name_that_no_certificate_is_for_is_told_before_the_device_has_it(by_options, device):
    steer(device, "fault", name="lost-certificate")
    status, said = ended(by_options("--hostname", "hem.example.org"))
    assert status == 2
    assert "hem: --hostname: 'hem.example.org' has no certificate, and gets none, since it is not in" in said
    assert not steer(device, "state")["initialised"]
    status, said = ended(by_options("--hostname", "hem.example.org", "--no-certificate"))
    assert status == 0, said


def test_a_name_that_has_a_certificate_needs_none(by_options, device):
    status, said = ended(by_options("--hostname", "hem.example.org"))
    assert status == 0, said
    assert load_config().device("office").url == device.https


def test_a_person_is_asked_for_another_name_where_no_certificate_is_for_one(device, environment):
    steer(device, "fault", name="lost-certificate")
    with Terminal(["init", "--address", device.http], environment) as terminal:
        terminal.type("Ada", after="Whose device is it")
        terminal.type("", after="E-mail address")
        terminal.type("office", after="Name of the device here")
        terminal.type("hem.example.org", after="Host name on the network")
        terminal.expect("That cannot be: 'hem.example.org' has no certificate")
        terminal.expect("Host name on the network")


@pytest.mark.parametrize("url", ["https://nowhere.invalid", "https://127.0.0.1:1"])
def test_a_place_where_the_device_is_not_is_told_before_it_has_its_owner(by_options, device, url):
    steer(device, "fault", name="lost-certificate")
    status, said = ended(by_options("--url", url))
    assert status == 3
    assert f"hem: {url}: the device would not be reached there" in said
    assert "say where it will be by --url https://HOST" in said
    assert not steer(device, "state")["initialised"]


def test_a_setup_that_ends_at_the_certificate_leaves_no_address_without_tls(by_options, device, tmp_path):
    steer(device, "fault", name="lost-certificate")
    steer(device, "fault", name="status", endpoint="POST /api/system/config", status=406)
    status, said = ended(by_options())
    assert status == 1, said
    assert "Not all is done" in said
    assert not (tmp_path / "hem.toml").exists()
    steer(device, "clear")
    assert ended(by_options())[0] == 0
    assert load_config().device("office").url == device.https


STEPS = [
    "POST /api/auth/init",
    "POST /api/system/config",
    "GET /api/system/reboot",
    "POST /api/keymgmt/create",
]


#: A device that has done it and does not say so is the harder case; ``test_init`` has every request, before
#: and after, in one process.
STRIKES = [
    pytest.param(endpoint, fault, marks=[pytest.mark.long] if fault == "hang" and number else [])
    for number, endpoint in enumerate(STEPS)
    for fault in ("hang", "hang-after")
]


@pytest.mark.parametrize(("endpoint", "fault"), STRIKES)
def test_killed_while_the_device_is_asked_it_goes_on(by_options, device, tmp_path, endpoint, fault):
    steer(device, "fault", name="lost-certificate")
    steer(device, "fault", name=fault, endpoint=endpoint, seconds=60, count=1)
    process = by_options()
    struck = False
    for _ in range(300):
        struck = not any(each["name"] == fault for each in steer(device, "faults"))
        if struck or process.poll() is not None:
            break
        time.sleep(0.1)
    assert struck
    time.sleep(0.3)
    process.kill()
    ended(process)
    status, said = ended(by_options())
    assert status == 0, said
    assert keys_of(device) == ["web"]
    assert load_config().device("office").url == device.https


@pytest.mark.parametrize(("wide", "beside"), [(80, 4), (40, 3), (30, 2), (10, 1)])
def test_words_fit_on_a_narrow_terminal(wide, beside):
    words = [f"word{chr(97 + number)}abc" for number in range(24)]
    lines = table(words, wide)
    assert max(map(len, lines)) <= max(wide, 13)
    assert len(lines) == -(-24 // beside)
    found = dict(re.findall(r"(\d+) ([a-z]+)", "\n".join(lines)))
    assert [found[str(number)] for number in range(1, 25)] == words
