"""``hem encrypt`` and ``hem decrypt``: calls and logins, age itself on the other side, several devices, and
nothing half done."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.emulator import ServedEmulator, client_of
from support.owner import valid
from support.passphrases import PASSPHRASE
from support.rig import connected

from hem_provider.cli.piping import Output
from hem_provider.rest import keymgmt

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
CHUNK = 64 * 1024
#: What is typed for whom → the stanza, and the device's calls to decrypt.
NAMED = {
    "box": ("X25519", ["ecdh"]),
    "web": ("p256tag", ["ecdh"]),
    "post+box": ("mlkem768x25519", ["ecdh", "pqc/mlkem/decaps"]),
    "web+post": ("mlkem768p256tag", ["ecdh", "pqc/mlkem/decaps"]),
}
PROOF = "POST /api/auth/token"


def make_keys(hem):
    for label, (kind, usage) in {
        "box": ("CURVE25519", None),
        "web": ("SECP256R1", {"derive", "sign"}),
        "post": ("MLKEM768", None),
        "ada": ("ED25519", None),
        "signer": ("SECP256R1", {"sign"}),
        "vault": ("AES256", {"aead"}),
    }.items():
        hem.keys.create(kind, label=label, usage=usage)


@pytest.fixture
def run(run):
    """The same, with nothing on standard input unless it is given."""
    return partial(run, stdin=b"")


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def device(rig, hem, monkeypatch, passphrase):
    """A device with keys, which are not remembered."""
    make_keys(hem)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    rig.requests.clear()
    return rig


@pytest.fixture
def remembered(device, run):
    """The same, listed before, with the public halves met."""
    assert run("encrypt", *NAMED, "--print-recipients")[0] == 2  # not all go together
    for name in NAMED:
        assert run("encrypt", name, "--print-recipients")[0] == 0
    device.requests.clear()
    return device


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def crypto(rig):
    """The device's operations with keys that were asked for."""
    start = "POST /api/crypto/"
    return [each.removeprefix(start) for each in rig.requests if each.startswith(start)]


# --- what it costs ---


@pytest.mark.parametrize("name", NAMED)
def test_a_key_that_is_remembered_is_encrypted_for_without_a_request(remembered, run, name):
    status, out, said = run("encrypt", name, stdin=b"data")
    assert (status, said, remembered.requests) == (0, "", [])
    assert out.startswith(f"age-encryption.org/v1\n-> {NAMED[name][0]} ".encode())
    status, clear, said = run("decrypt", stdin=out)
    assert (status, clear, said) == (0, b"data", "")
    assert crypto(remembered) == NAMED[name][1]
    assert remembered.count(PROOF) == len(NAMED[name][1])  # a login for each key that is used
    assert remembered.count("GET /api/keymgmt/list") == 0


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_remembered_is_asked_for(device, run, monkeypatch, tmp_path, name):
    status, out, _ = run("encrypt", name, stdin=b"data")
    assert status == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    device.requests.clear()
    assert run("decrypt", stdin=out) == (0, b"data", "")
    assert crypto(device) == NAMED[name][1]


def test_a_key_that_was_made_since_the_device_was_listed_is_found(remembered, run):
    with remembered.connect() as hem:
        hem.keys.create("CURVE25519", label="new")
        kid = hem.keys.find(label="new").kid
    status, out, _ = run("encrypt", "new", stdin=b"data")
    assert status == 0
    status, clear, _ = run("decrypt", stdin=out)
    assert (status, clear) == (0, b"data")
    assert run("decrypt", "--key", kid, stdin=out)[1] == b"data"


def test_a_key_that_is_remembered_but_gone_is_an_error_that_names_none(remembered, run):
    _, out, _ = run("encrypt", "box", stdin=b"data")
    with remembered.connect() as hem:
        hem.session.run(keymgmt.delete(hem.keys.find(label="box").kid))
    status, clear, said = run("decrypt", stdin=out)
    assert (status, clear) == (5, b"")
    assert "it is encrypted for other keys (for 1 X25519; tried: hem)" in said


def test_a_key_that_is_named_is_tried_alone(remembered, run):
    _, out, _ = run("encrypt", "web", stdin=b"data")
    status, _, said = run("decrypt", "--key", "box", stdin=out)
    assert (status, crypto(remembered)) == (5, [])
    assert "the given key does not open it" in said
    _, out, _ = run("encrypt", "post+box", stdin=b"data")
    assert run("decrypt", "--key", "box", "--key", "post", stdin=out)[:2] == (0, b"data")


# --- age on the other side ---


def age(*arguments, data=b""):
    done = subprocess.run(
        ["age", *map(str, arguments)], input=data, capture_output=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture
def second(tmp_path):
    """An off-line key of age's own: its file and recipient."""
    path = tmp_path / "off-line.txt"
    subprocess.run(["age-keygen", "-o", path], capture_output=True, check=True, timeout=60)
    shown = subprocess.run(["age-keygen", "-y", path], capture_output=True, text=True, check=True, timeout=60)
    return path, shown.stdout.strip()


@pytest.mark.parametrize("armor", [[], ["--armor"]], ids=["binary", "armor"])
@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * CHUNK + 5, 40 * CHUNK])
def test_age_decrypts_what_hem_encrypts_and_the_other_way_round(device, run, second, size, armor, folder):
    key, recipient = second
    clear = os.urandom(size)
    status, out, said = run("encrypt", "web", "box", "-r", recipient, "-", *armor, stdin=clear)
    assert (status, said) == (0, "")
    assert age("--decrypt", "-i", key, data=out) == clear
    assert run("decrypt", stdin=out) == (0, clear, "")
    box = run("encrypt", "box", "--print-recipients")[1].decode().strip()
    (folder / "recipients").write_text(f"# both\n{box}\n{recipient}\n")
    for who in (["-r", box], ["-R", folder / "recipients"]):
        assert run("decrypt", stdin=age(*who, *armor, data=clear)) == (0, clear, "")
    assert (
        age("--decrypt", "-i", key, data=run("encrypt", "-R", folder / "recipients", stdin=clear)[1]) == clear
    )


# --- several devices ---


@pytest.fixture
def two(device, monkeypatch, template, tmp_path, passphrase, run):
    """A second device, with keys of the same labels; which is asked what, by name."""
    opened = {device: EntryPoint.load(None)}
    with connected(monkeypatch, template, tmp_path / "other.hem") as other:
        opened[other] = EntryPoint.load(None)
        monkeypatch.setattr(
            EntryPoint,
            "load",
            lambda _: lambda place: opened[other if "other.hem" in str(place) else device](place),
        )
        with other.connect() as hem:
            make_keys(hem)
        config = tmp_path / "two.toml"
        config.write_text(
            "".join(
                f'[[device]]\nname = "{name}"\nurl = "emulator:{path}"\npassphrase_file = "{passphrase}"\n'
                for name, path in (("first", device.path), ("second", other.path))
            )
        )
        config.chmod(0o600)
        monkeypatch.delenv("HEM_URL")
        monkeypatch.delenv("HEM_PASSPHRASE_FILE")
        monkeypatch.setenv("HEM_CONFIG", str(config))
        for name in ("first", "second"):
            assert run("keys", "list", "--device", name)[0] == 0
        yield device, other, config


def cleared(*rigs):
    for each in rigs:
        each.requests.clear()


def test_encrypting_needs_to_know_the_device(two, run):
    status, _, said = run("encrypt", "box")
    assert (status, said.count("\n")) == (1, 1)
    assert "say which device by its name: first, second" in said


def test_all_devices_are_candidates_and_a_tag_tells_which(two, run, folder):
    first, second, _ = two
    _, tagged, _ = run("encrypt", "web", "--device", "second", stdin=b"tagged")
    _, plain, _ = run("encrypt", "box", "--device", "second", stdin=b"plain")
    cleared(first, second)
    assert run("decrypt", stdin=tagged) == (0, b"tagged", "")
    assert (first.requests, crypto(second)) == ([], ["ecdh"])
    assert run("decrypt", stdin=plain) == (0, b"plain", "")
    assert "ecdh" in crypto(first)
    status, _, said = run("decrypt", "--device", "first", stdin=plain)
    assert (status, said.count("\n")) == (5, 1)
    status, out, _ = run("decrypt", "-o", "clear", "--json", stdin=plain)
    document = valid(json.loads(out), "decrypt")
    assert (status, document["device"], document["size"]) == (0, "second", 5)
    assert (folder / "clear").read_bytes() == b"plain"


def test_a_device_that_is_away_does_not_keep_another_from_opening(two, run, monkeypatch):
    first, _, config = two
    _, plain, _ = run("encrypt", "box", "--device", "second", stdin=b"plain")
    _, lost, _ = run("encrypt", "box", "--device", "first", stdin=b"plain")
    config.write_text(config.read_text().replace(f"emulator:{first.path}", "https://127.0.0.1:1"))
    assert run("decrypt", stdin=plain) == (0, b"plain", "")
    status, out, said = run("decrypt", stdin=lost)
    assert (status, out) == (3, b"")
    assert "no other device has a key for it" in said


# --- files ---


def test_a_file_is_encrypted_and_comes_back(device, run, folder):
    (folder / "f").write_bytes(b"x" * 100_000)
    status, out, _ = run("encrypt", "box", "f", "-o", "f.age", "--json")
    document = valid(json.loads(out), "encrypt")
    assert (status, document["output"], document["size"]) == (0, "f.age", (folder / "f.age").stat().st_size)
    assert run("decrypt", "f.age", "-o", "g") == (0, b"", "")
    assert (folder / "g").read_bytes() == b"x" * 100_000
    assert (folder / "g").stat().st_mode & 0o777 == 0o600
    assert run("encrypt", "box", "f", "-o", "-")[1].startswith(b"age-encryption.org/v1\n")
    listed = valid(json.loads(run("encrypt", "box", "--print-recipients", "--json")[1]), "encrypt")
    assert listed == {"recipients": document["recipients"]}


@pytest.mark.parametrize("command", [("encrypt", "box", "f"), ("decrypt", "f.age")], ids=lambda each: each[0])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_done(device, run, folder, command):
    (folder / "f").write_bytes(b"data")
    assert run("encrypt", "box", "f", "-o", "f.age")[0] == 0
    (folder / "there").write_text("mine")
    device.requests.clear()
    for output, status, told in (
        ("there", 1, "there: there is such a file already; --force replaces it"),
        ("nowhere/g", 1, "nowhere: No such file or directory"),
        ("/dev/full", 1, "/dev/full: this is no file"),
        (str(folder), 1, "this is no file"),
        ("/proc/g", 1, "/proc"),
    ):
        found, out, said = run(*command, "-o", output)
        assert (found, out, said.count("\n")) == (status, b"", 1), output
        assert told in said
        assert device.count("POST /api/crypto") == 0
    assert (folder / "there").read_text() == "mine"
    assert sorted(each.name for each in folder.iterdir()) == ["f", "f.age", "there"]
    assert run(*command, "-o", "there", "--force")[0] == 0
    assert (folder / "there").read_bytes() != b"mine"


@pytest.mark.parametrize(
    "command", [("encrypt", "box", "-"), ("decrypt", "-"), ("seal", "vault"), ("open", "vault")]
)
def test_a_file_that_comes_while_a_command_runs_is_not_replaced(device, run, folder, monkeypatch, command):
    given = b"text"
    if command[0] in ("decrypt", "open"):
        given = run(*(("encrypt", "box") if command[0] == "decrypt" else ("seal", "vault")), stdin=given)[1]
    place = folder / "there"

    class Slow(io.BytesIO):
        """Another program writes the file before the input has ended."""

        def read(self, *most):
            place.write_text("theirs")
            return super().read(*most)

        def readinto(self, *buffers):
            place.write_text("theirs")
            return super().readinto(*buffers)

    for force in ([], ["--force"]):
        place.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(io, "BytesIO", Slow)
            status, _, said = run(*command, "-o", place, *force, stdin=given)
        assert (status, place.read_bytes() == b"theirs") == ((0, False) if force else (1, True)), said
        assert bool(force) or said == f"hem: {place}: there is such a file already; --force replaces it\n"
        assert list(folder.iterdir()) == [place]


@pytest.mark.parametrize("name", ["f", "link", "hard"])
@pytest.mark.parametrize(
    ("command", "done"),
    [
        (["encrypt", "box", "f"], "encrypted"),
        (["encrypt", "box", "-R", "f", "other"], "read for recipients"),
        (["decrypt", "f"], "decrypted"),
        (["seal", "vault", "f"], "sealed"),
        (["open", "vault", "f"], "opened"),
        (["sign", "f", "--key", "ada"], "signed"),
    ],
)
def test_a_file_does_not_take_the_place_of_what_it_is_made_from(device, run, folder, command, done, name):
    (folder / "f").write_text("# the only copy\n")
    (folder / "other").touch()
    (folder / "link").symlink_to("f")
    (folder / "hard").hardlink_to(folder / "f")
    status, _, said = run(*command, "--output", name, "--force")
    assert (status, said) == (2, f"hem: --output {name}: it is the file that is to be {done}\n")
    assert (folder / "f").read_text() == "# the only copy\n"
    assert device.requests == []


def test_neither_does_it_where_that_is_standard_input(environment, folder):
    (folder / "f").write_text("the only copy")
    with (folder / "f").open("rb") as file:
        ended = subprocess.run(
            [*HEM, "encrypt", "box", "-o", "f", "--force"],
            stdin=file, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        2,
        "hem: --output f: it is the file that is to be encrypted\n",
    )
    assert (folder / "f").read_text() == "the only copy"


def test_no_plaintext_of_a_file_that_fails_later_is_left(device, run, folder):
    (folder / "f").write_bytes(b"x" * (40 * CHUNK))
    assert run("encrypt", "box", "f", "-o", "f.age")[0] == 0
    whole = (folder / "f.age").read_bytes()
    (folder / "there").write_text("mine")
    start = whole.index(b"\n--- ") + 49 + 16
    for place in (start + 20 * (CHUNK + 16), start + 39 * (CHUNK + 16) - 1, len(whole) - 1):
        (folder / "cut.age").write_bytes(whole[:place])
        status, out, said = run("decrypt", "cut.age", "-o", "there", "--force")
        assert (status, out) == (1, b"")
        assert said.startswith("hem: cut.age: the file was ")
        assert (folder / "there").read_text() == "mine"
        assert not list(folder.glob(".*"))
        status, out, said = run("decrypt", "cut.age")
        assert (status, out) == (1, b"x" * len(out))
        assert len(out) == (place - start) // (CHUNK + 16) * CHUNK
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["encrypt"], 2, "say for whom: KEY, -r AGE1... or -R FILE"),
        (["encrypt", "boxx"], 5, "no key with label 'boxx'; did you mean 'box'?"),
        (["encrypt", "0" * 32], 5, "no key " + "0" * 32),
        (["encrypt", "x" * 33], 5, f"no key with label '{'x' * 33}'"),
        (["encrypt", "ключ"], 5, "no key with label"),
        (["encrypt", "post+boxx"], 5, "no key with label 'boxx'; did you mean 'box'?"),
        (["encrypt", "twin"], 1, "2 keys with label 'twin'"),
        (["encrypt", "ada"], 1, "key 'ada' is ED25519: a file can be encrypted for CURVE25519"),
        (["encrypt", "signer"], 1, "SECP256R1 keys made for 'derive'"),
        (["encrypt", "post"], 1, "an MLKEM768 key together with one of these"),
        (["encrypt", "box+web"], 1, "key 'box' is CURVE25519"),
        (["encrypt", "vault"], 1, "key 'vault' is AES256"),
        (["encrypt", "box", "web"], 2, "web: there is no such file; the last word is the file"),
        (["encrypt", "age1abc", "-"], 2, "age1abc… is a public key as age has it: give it with -r"),
        (["encrypt", "-r", "age1abc", "-"], 2, "--recipient: "),
        (["encrypt", "-r", "age1abc", "-r", "age1x", "-"], 2, "--recipient number 1: "),
        (["encrypt", "-R", "nowhere", "-"], 1, "nowhere: No such file or directory"),
        (["encrypt", "-R", ".", "-"], 1, "Is a directory"),
        (["encrypt", "-R", "binary", "-"], 1, "binary: this is no text"),
        (["encrypt", "-R", "empty", "-"], 1, "empty: no recipient is in it"),
        (["encrypt", "box", "."], 1, ".: Is a directory"),
        (["encrypt", "--print-recipients"], 2, "say which keys to print"),
        (["encrypt", "box", "post+box", "-"], 2, "not safe from quantum computers"),
        (["decrypt", "nowhere"], 1, "nowhere: No such file or directory"),
        (["decrypt", "binary"], 1, "binary: this is no file that age or hem encrypted"),
        (["decrypt", "empty"], 1, "empty: this is no file that age or hem encrypted"),
        (["decrypt", "binary", "--device", "other"], 5, "no device is called 'other'"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_is_wrong_is_told_in_one_line(device, hem, run, folder, arguments, status, told):
    for _ in range(2):
        hem.keys.create("CURVE25519", label="twin")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "empty").write_bytes(b"")
    found, out, said = run(*arguments)
    assert (found, out, said.count("\n")) == (status, b"", 1)
    assert said.startswith("hem: ")
    assert told in said


@pytest.mark.parametrize("arguments", [["encrypt", "box"], ["decrypt"], ["decrypt", "-o", "-"]], ids=" ".join)
def test_json_goes_with_a_file(device, run, arguments):
    status, out, said = run(*arguments, "--json")
    assert (status, said) == (2, "")
    assert "give --output FILE" in valid(json.loads(out), "error")["message"]


def test_a_device_that_is_away_and_a_wrong_passphrase_have_their_statuses(
    device, run, monkeypatch, passphrase
):
    _, out, _ = run("encrypt", "box", stdin=b"data")
    passphrase.write_text("wrong\n")
    assert run("decrypt", stdin=out)[0] == 4
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    assert run("decrypt", stdin=out)[0] == 3
    assert run("encrypt", "box", stdin=b"data")[0] == 3
    status, shown, said = run("encrypt", "box", "-o", "f", "--json", stdin=b"data")
    assert (status, valid(json.loads(shown), "error")["status"], said) == (3, 3, "")


def test_bytes_are_not_sent_to_a_terminal(device, run, monkeypatch):
    _, out, _ = run("encrypt", "box", stdin=b"data")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    status, _, said = run("encrypt", "box", stdin=b"data")
    assert status == 2
    assert "an encrypted file without --armor is not text: give --output FILE" in said
    status, _, said = run("decrypt", stdin=out)
    assert status == 2
    assert "what was encrypted is not text: give --output FILE" in said
    assert run("decrypt", "-o", "-", stdin=out)[:2] == (0, b"data")
    assert run("encrypt", "box", "--armor", stdin=b"data")[0] == 0


def test_a_phone_approves_what_is_asked_for_with_mobile(device, run, monkeypatch):
    _, out, _ = run("encrypt", "box", stdin=b"data")
    status, _, said = run("decrypt", "--mobile", stdin=out)
    assert (status, said.count("\n")) == (4, 1)  # none is paired


@given(st.lists(st.binary(max_size=50), max_size=40), st.integers(1, 30))
def test_what_a_system_writes_in_parts_is_written_whole(pieces, most):
    written = bytearray()

    def write(given):
        part = b"".join(given)[:most]
        written.extend(part)
        return len(part)

    output = Output("f", write)
    output.take(pieces, "writing", None)
    assert bytes(written) == b"".join(pieces)
    assert output.written == len(written)


# --- whole processes ---


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A device for processes of their own."""
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        with client_of(emulator) as hem:
            make_keys(hem)
        yield emulator


@pytest.fixture
def environment(served):
    return {
        **os.environ,
        "HEM_URL": served.https,
        "HEM_CA_FILE": str(served.ca_file),
        "HEM_PASSPHRASE_FILE": str(served.passphrase_file),
    }


@pytest.fixture
def large(environment):
    """2.5 MiB, encrypted."""
    return subprocess.run(
        [*HEM, "encrypt", "box"], env=environment, input=bytes(40 * CHUNK), capture_output=True, check=True,
        timeout=60,
    ).stdout  # fmt: skip


def written(pid, folder):
    """Whether a process has put something into a file of this folder, which may have no name."""
    with contextlib.suppress(FileNotFoundError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            if each.readlink().is_relative_to(folder) and each.stat().st_size:
                return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["encrypt", "decrypt"])
def test_a_command_that_is_ended_leaves_nothing(folder, environment, large, command, number):
    words = ["encrypt", "box"] if command == "encrypt" else ["decrypt"]
    running = subprocess.Popen(
        [*HEM, *words, "-o", folder / "f"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    running.stdin.write(large[: 36 * CHUNK])
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while not written(running.pid, folder):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not (folder / "f").exists()
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert (said, list(folder.iterdir())) == (b"", [])


@pytest.mark.parametrize("command", ["encrypt", "decrypt"])
def test_a_reader_that_leaves_and_a_full_disk_end_it(environment, large, command):
    words = ["encrypt", "box"] if command == "encrypt" else ["decrypt"]
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("wb") as full:
        for stdout, told in ((writing, b""), (full, b"hem: standard output: No space left on device\n")):
            done = subprocess.run(
                [*HEM, *words], env=environment, input=large, stdout=stdout, stderr=subprocess.PIPE,
                check=False, timeout=60,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (1, told)
    os.close(writing)


def peak(command, environment, **options):
    """The most memory of a process, in MiB."""
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, command)], env=environment, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, check=True, timeout=120, **options,
    )  # fmt: skip
    return int(done.stderr) / 1024


def test_memory_does_not_grow_with_the_file(folder, environment):
    peaks = {}
    for size in (1, 200):
        with (folder / "f").open("wb") as file:
            file.truncate(size * 1024 * 1024)
        there = [peak([*HEM, "encrypt", "box", "f", "-o", "f.age", "--force"], environment)]
        there.append(peak([*HEM, "decrypt", "f.age", "-o", "g", "--force"], environment))
        assert (folder / "g").stat().st_size == size * 1024 * 1024
        peaks[size] = there
    assert all(large < small + 20 for small, large in zip(peaks[1], peaks[200], strict=True)), peaks
