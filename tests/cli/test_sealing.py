"""``hem seal`` and ``hem open``: secrets by an AES key of the device."""

from __future__ import annotations

import base64
import os
import pty
import stat
import sys
from functools import partial
from pathlib import Path

import pytest
from support.emulator import ServedEmulator, client_of
from support.passphrases import PASSPHRASE

from hem_provider import symmetric
from hem_provider.rest import keymgmt

HEM = ["-m", "hem_provider.cli.main"]
SHORT, LONG = "shop", "the database of the shop"


@pytest.fixture
def run(run):
    """The same, with nothing on standard input unless it is given."""
    return partial(run, stdin=b"")


@pytest.fixture
def device(rig, hem, monkeypatch, tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    hem.keys.create("AES256", label="vault", usage={"aead"})
    hem.keys.create("AES256", label="other", usage={"aead"})
    hem.keys.create("AES256", label="stream", usage={"cipher"})
    hem.keys.create("CURVE25519", label="box")
    rig.requests.clear()
    return rig


@pytest.fixture
def sealed(device, run):
    return run("seal", "vault", "--context", SHORT, stdin=b"secret\n")[1]


@pytest.mark.parametrize("binary", [[], ["--binary"]], ids=["text", "binary"])
@pytest.mark.parametrize("context", [None, "", SHORT, LONG, "ключ"])
@pytest.mark.parametrize("size", [1, 100, 2032])
def test_a_secret_comes_back_for_one_call_each_way(device, run, size, context, binary):
    clear = os.urandom(size)
    words = [*binary, *([] if context is None else ["--context", context])]
    status, out, said = run("seal", "vault", *words, stdin=clear)
    assert (status, said) == (0, "")
    if not binary:
        assert out.endswith(b"\n")
        assert len(base64.b64decode(out)) == size + 32 + 16 * (len((context or "").encode()) >= 16)
    assert run("open", "vault", *words, stdin=out) == (0, clear, "")
    assert device.count("POST /api/crypto/") == 2


def test_what_is_sealed_is_what_the_library_seals(device, hem, sealed, run):
    key = hem.keys.find(label="vault")
    assert symmetric.open(key, base64.b64decode(sealed), SHORT.encode()) == b"secret\n"
    ours = symmetric.seal(key, b"mine", LONG.encode())
    assert run("open", key.kid, "--binary", "--context", LONG, stdin=ours)[1] == b"mine"


def test_text_that_went_by_mail_is_read(device, run, sealed):
    text = b"\r\n".join(sealed[start : start + 20] for start in range(0, len(sealed), 20))
    assert run("open", "vault", "--context", SHORT, stdin=b" \n" + text)[1] == b"secret\n"


def test_files_are_written_whole_with_the_rights_they_need(device, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("token").write_bytes(b"secret")
    assert run("seal", "vault", "token", "-o", "sealed") == (0, b"", "")
    assert run("open", "vault", "sealed", "-o", "clear") == (0, b"", "")
    assert Path("clear").read_bytes() == b"secret"
    assert stat.S_IMODE(Path("clear").stat().st_mode) == 0o600
    device.requests.clear()
    for words in (("seal", "vault", "token", "-o", "sealed"), ("open", "vault", "sealed", "-o", "clear")):
        status, _, said = run(*words)
        assert (status, said) == (
            1,
            f"hem: {words[-1]}: there is such a file already; --force replaces it\n",
        )
        assert device.requests == []
        assert run(*words, "--force")[0] == 0
        device.requests.clear()
    status, _, said = run("open", "other", "sealed", "-o", "clear", "--force")
    assert (status, Path("clear").read_bytes()) == (1, b"secret")


@pytest.mark.parametrize(
    ("words", "stdin", "status", "told"),
    [
        (["seal", "vault"], b"", 1, "standard input: it is empty; there is nothing to seal"),
        (["seal", "vault"], bytes(2049), 1, "more than the 2048 bytes that the device seals at once"),
        (["seal", "vault"], bytes(10**7), 1, "'hem encrypt' takes any"),
        (["seal", "vault", "--context", LONG], bytes(2033), 1, "more than the 2032 bytes"),
        (["seal", "box"], b"x", 1, "is CURVE25519; accepted: AES128, AES192 or AES256"),
        (["seal", "stream"], b"x", 1, "stream|cipher"),
        (["seal", "valt"], b"x", 5, "no key with label 'valt'; did you mean 'vault'?"),
        (["seal", "x" * 33], b"x", 5, "no key with label"),
        (["seal"], b"x", 2, "KEY: label or KID of an AES key"),
        (["seal", "vault", "nowhere"], b"", 1, "nowhere: No such file or directory"),
        (["open", "vault"], b"", 1, "standard input: key 'vault' with no --context did not seal this"),
        (["open", "vault"], b"???", 1, "nothing that hem sealed as text; try --binary"),
        (["open", "vault"], b"\xff" * 60, 1, "nothing that hem sealed as text"),
        (["open", "vault"], b"QQ==" * 5000, 1, "it has more than 16384 bytes"),
        (["open", "vault", "--binary"], bytes(100), 1, "did not seal this, or it was changed since"),
        (["open", "box"], b"QUFB", 1, "is CURVE25519"),
    ],
    ids=lambda each: " ".join(each)[:40] if isinstance(each, list) else "",
)
def test_what_is_wrong_is_told_in_one_line(device, run, words, stdin, status, told):
    found, out, said = run(*words, stdin=stdin)
    assert (found, out, said.count("\n")) == (status, b"", 1)
    assert any(each in said for each in told.split("|"))


@pytest.mark.parametrize("words", [["other", "--context", SHORT], ["vault"], ["vault", "--context", "x"]])
def test_another_key_or_context_opens_nothing(device, run, sealed, words):
    status, out, said = run("open", *words, stdin=sealed)
    assert (status, out) == (1, b"")
    assert f"key '{words[0]}' with {'this' if len(words) > 1 else 'no'} --context did not seal this" in said


def test_what_was_changed_is_not_opened(device, run, sealed):
    whole = base64.b64decode(sealed)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        status, out, _ = run("open", "vault", "--binary", "--context", SHORT, stdin=bytes(changed))
        assert (status, out) == (1, b"")
        assert run("open", "vault", "--binary", "--context", SHORT, stdin=whole[:place])[:2] == (1, b"")


def test_a_key_of_other_software_is_used_with_a_word_about_it(device, run, hem):
    key = hem.keys.create("AES256", label="theirs", usage={"aead"})
    hem.session.run(keymgmt.update(key.kid, label="theirs", descr=b"unknown", limits=hem.limits))
    status, out, said = run("seal", "theirs", stdin=b"x")
    assert status == 0
    assert said.count("\n") <= 1
    assert "Warning" not in said
    assert run("open", "theirs", stdin=out)[1] == b"x"


def test_a_secret_that_is_no_text_is_not_sent_to_a_terminal(device, run, monkeypatch):
    _, text, _ = run("seal", "vault", stdin="schlüssel\n".encode())
    _, binary, _ = run("seal", "vault", stdin=b"\x1b[2J")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert run("open", "vault", stdin=text)[1] == "schlüssel\n".encode()
    status, out, said = run("open", "vault", stdin=binary)
    assert (status, out) == (2, b"")
    assert "the secret is not text: give --output FILE" in said
    assert run("open", "vault", "-o", "-", stdin=binary)[1] == b"\x1b[2J"


# --- at a terminal ---


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        with client_of(emulator) as hem:
            hem.keys.create("AES256", label="vault", usage={"aead"})
            hem.keys.create("CURVE25519", label="box")
        yield {
            **os.environ,
            "HEM_URL": emulator.https,
            "HEM_CA_FILE": str(emulator.ca_file),
            "HEM_PASSPHRASE_FILE": str(emulator.passphrase_file),
        }


def typed(arguments, asked, text, environment):
    """Run a command at a terminal, and type once it has asked; its status and what the terminal showed."""
    pid, terminal_end = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.execve(sys.executable, [sys.executable, *HEM, *arguments], environment)  # noqa: S606
    shown = b""
    try:
        while asked not in shown:
            shown += os.read(terminal_end, 1024)
        os.write(terminal_end, text)
        while chunk := os.read(terminal_end, 1024):
            shown += chunk
    except OSError:  # the child has closed its end
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal_end)
    return status, shown.decode()


def test_a_secret_is_typed_without_being_shown(environment, tmp_path):
    sealed = tmp_path / "sealed"
    words = ["seal", "vault", "-o", str(sealed)]
    status, shown = typed(words, b"not shown): ", b"hunter2\n", environment)
    assert status == 0
    assert "hunter2" not in shown
    status, shown = typed(["open", "vault", str(sealed)], b"", b"", environment)
    assert (status, "hunter2" in shown) == (0, True)


@pytest.mark.parametrize(("text", "status"), [(b"\x03", 130), (b"\x04", 1), (b"\n", 1)])
def test_a_prompt_that_is_left_seals_nothing(environment, tmp_path, text, status):
    sealed = tmp_path / "sealed"
    found, shown = typed(["seal", "vault", "-o", str(sealed)], b"not shown): ", text, environment)
    assert (found, sealed.exists()) == (status, False)
    assert "Traceback" not in shown


def test_a_person_who_encrypts_what_is_typed_is_told_how_to_end_it(environment):
    status, shown = typed(["encrypt", "box", "--armor"], b"Ctrl-D", b"a line\n\x04", environment)
    assert status == 0
    assert "BEGIN AGE ENCRYPTED FILE" in shown
    status, shown = typed(["encrypt", "box", "--armor"], b"Ctrl-D", b"\x03", environment)
    assert status == 130
    assert "Traceback" not in shown
