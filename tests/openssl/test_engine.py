"""The engine in a C program over a small software token: methods, errors, forks, threads, faults."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.passphrases import PASSPHRASE

PIN = PASSPHRASE
EC, P384, ED25519, ED448, X25519 = (f"key{number}" for number in range(5))
KID_OF_EC = "0" * 32

Host = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def host(engine: Path, programs: Path, tmp_path: Path) -> Host:
    """Runs the commands of host.c; they must all succeed unless ``check`` is false."""

    def run(
        commands: str,
        *,
        check: bool = True,
        before: tuple[str, ...] = (),
        pin: str | None = PIN,
        library: Path = engine,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
        environment = clean | {
            "TOKEN_KEYS": str(programs / "keys.pem"),
            "TOKEN_CALLS": str(tmp_path / "calls"),
            "HEM_PKCS11_MODULE": str(programs / "token.so"),
        }
        words = ["control", "PIN", pin] if pin is not None else []
        done = subprocess.run(
            [*before, programs / "host", library, *words, *commands.split()],
            env=environment | variables, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        # A failure is one that the program tells (1): a crash is none.
        assert done.returncode == (0 if check else 1), f"{done.returncode}: {done.stdout}{done.stderr}"
        assert "left errors" not in done.stdout, done.stdout
        return done

    return run


@pytest.mark.parametrize("size", [1, 99, 100, 2047, 2048])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_ec_keys_sign_messages_of_every_size_and_digest_of_the_device(host, digest, size):
    host(f"load {EC} sign {digest} {size} load {P384} sign {digest} {size}")


@pytest.mark.parametrize("key", [ED25519, ED448])
def test_edwards_keys_sign_messages(host, key):
    host(f"load {key} sign sha256 1 sign sha256 2048 sign sha256 77")


@pytest.mark.parametrize("key", [EC, P384, X25519])
def test_keys_agree_on_secrets_both_ways(host, key):
    host(f"load {key} derive")


@pytest.mark.parametrize("key", [EC, ED25519])
@pytest.mark.parametrize("size", [0, 2049, 100_000, 524_289])
def test_a_message_of_wrong_length_is_refused_with_both_lengths(host, key, size):
    said = host(f"load {key} sign sha256 {size}", check=False).stdout
    assert "message of wrong length" in said
    assert f"{size} bytes; the device hashes by itself and signs messages of 1 to 2048 bytes" in said


@pytest.mark.parametrize("key", [EC, P384, ED25519])
def test_what_a_message_may_have_is_the_modules_to_say(host, key):
    host(
        f"load {key} sign sha256 2049 sign sha256 40000 sign sha256 524288 sign sha256 1", TOKEN_MOST="524288"
    )


def test_a_ready_made_digest_is_refused_with_what_to_do(host):
    said = host(f"load {EC} digest", check=False).stdout
    assert "cannot sign a ready-made digest" in said
    assert "use EVP_DigestSign" in said


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha3-256", "md5"])
def test_another_digest_is_refused_by_name(host, digest):
    said = host(f"load {EC} sign {digest} 10", check=False).stdout
    assert "digest not supported" in said
    assert "SHA-256, SHA-384 and SHA-512" in said
    assert digest.replace("-", "") in said.lower().replace("-", "")


@pytest.mark.parametrize("key", [EC, ED25519])
def test_too_small_a_buffer_is_refused(host, key):
    assert "buffer too small" in host(f"load {key} short", check=False).stdout


@pytest.mark.parametrize("key", [EC, ED25519])
def test_software_keys_stay_with_openssl_though_the_engine_is_the_default(host, key):
    host(f"default load {key} foreign sign sha256 20")


def test_a_software_key_for_which_a_program_names_the_engine_is_refused(host):
    assert "not a key of this engine" in host(f"load {ED25519} foreign").stdout


def test_a_program_that_only_makes_the_engine_the_default_can_load_keys(host):
    host(f"default load {EC} sign sha256 20")


@pytest.mark.parametrize(
    "name", [EC, KID_OF_EC, "pkcs11:object=key0", "pkcs11:id=%00", "pkcs11:id=%00;object=key0;type=private",
             "pkcs11:token=test%20token;manufacturer=tests;model=software;serial=1;object=key0",
             "pkcs11:slot-id=5;library-version=1.2;object=key0"],
)  # fmt: skip
def test_a_key_is_found_by_each_kind_of_name(host, name):
    host(f"load {name} sign sha256 10 public {name}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "no private key 'nobody' on token 'test token'"),
        ("pkcs11:", "more than one object matches:find.c"),
        ("pkcs11:", "object=key0;id=%00, object=key1;id=%01, object=key2;id=%02, object=key3;id=%03, …"),
        ("pkcs11:token=other;object=key0", "fit none of 'test token'"),
        ("pkcs11:slot-id=4;object=key0", "no slot has a token now"),
        ("pkcs11:library-version=1.3;object=key0", "fit none of"),
        ("pkcs11:object=key0;type=cert", "a private key is wanted here, and the URI says type=cert"),
        ("pkcs11:object=key0;colour=red", "'colour' is no attribute"),
        ("pkcs11:object=key0?module-path=/other.so", "module-path '/other.so' is not the module in use"),
        ("pkcs11:object=key0?pin-value=wrong", "PIN not accepted"),
        ("pkcs11:object=key0?pin-source=/nowhere", "cannot read the PIN file '/nowhere': No such file"),
        ("pkcs11:object=key0?pin-source=|cat", "must be file: and an absolute path"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_name_is_said(host, name, words):
    said = host(f"load {name}", check=False).stdout
    assert words in said
    assert "wrong" not in said.replace("wrong key or certificate name", "") or "PIN not" not in words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nowhere.so", "cannot open shared object file: No such file"),
        ("/nowhere.so", "say where it is by MODULE_PATH"),
        ("libcrypto.so.3", "is no PKCS#11 module: C_GetFunctionList is missing"),
    ],
)  # fmt: skip
def test_an_engine_without_module_says_which_and_how_to_name_it(host, path, words):
    if not path.startswith("/nowhere"):
        path = str(next(Path("/usr/lib").glob("*/libcrypto.so.3")))
    assert words in host(f"control MODULE_PATH {path} load {EC}", check=False).stdout


# --- PINs -----------------------------------------------------------------------------------------


def test_the_host_is_asked_for_the_pin_by_the_tokens_name(host):
    said = host(f"ask X load {EC}", pin=None, check=False).stdout
    assert "asked: Enter PIN for test token:" in said
    assert "PIN not accepted" in said


def test_without_a_way_to_ask_the_sources_of_a_pin_are_named(host):
    said = host(f"load {EC}", pin=None, check=False).stdout
    assert "a PIN is needed" in said
    assert "pin-source" in said


def test_a_module_with_a_source_of_its_own_needs_no_pin(host):
    host(f"load {EC} sign sha256 10", pin=None, TOKEN_FLAGS="504")


def test_a_pin_comes_from_a_file(host, tmp_path):
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(0o600)
    host(f"control PIN_SOURCE {tmp_path}/pin load {EC} sign sha256 10", pin=None)
    for source in (f"{tmp_path}/pin", f"file:{tmp_path}/pin", f"file://{tmp_path}/pin"):
        host(f"load pkcs11:object=key0?pin-source={source} sign sha256 10", pin=None)


@pytest.mark.parametrize("content", ["", "\n", "x" * 256])
def test_a_file_without_a_sensible_pin_is_refused(host, tmp_path, content):
    (tmp_path / "pin").write_text(content)
    (tmp_path / "pin").chmod(0o600)
    said = host(f"control PIN_SOURCE {tmp_path}/pin load {EC}", pin=None, check=False).stdout
    assert "must have 1 to 255 bytes" in said


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o644, "others may read the PIN file (mode 0644); run: chmod go-rwx"),
        (0o604, "others may read the PIN file (mode 0604); run: chmod go-rwx"),
        (0o620, "others may write the PIN file (mode 0620); run: chmod go-rwx"),
        (0o602, "others may write the PIN file (mode 0602); run: chmod go-rwx"),
    ],
)
def test_a_pin_file_that_others_may_read_or_write_is_refused_with_the_chmod(host, tmp_path, mode, said):
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(mode)
    for way in (
        f"control PIN_SOURCE {tmp_path}/pin load {EC}",
        f"load pkcs11:object=key0?pin-source={tmp_path}/pin",
    ):
        done = host(way, pin=None, check=False)
        assert f"{tmp_path}/pin: {said} '{tmp_path}/pin'" in done.stdout
        assert "sign" not in done.stdout


@pytest.mark.parametrize("nearest", [True, False])
def test_a_pin_file_in_a_folder_that_others_may_write_is_refused(host, tmp_path, nearest):
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    (place / "pin").write_text(PIN + "\n")
    (place / "pin").chmod(0o600)
    (tmp_path / "link").symlink_to("a/b/../b/pin")
    host(f"control PIN_SOURCE {tmp_path}/link load {EC} sign sha256 10", pin=None)
    bad = place if nearest else place.parent
    bad.chmod(0o777)
    for path in (place / "pin", tmp_path / "link"):
        done = host(f"control PIN_SOURCE {path} load {EC}", pin=None, check=False)
        assert f"{bad}: others may write" in done.stdout
        assert f"run: chmod go-w '{bad}'" in done.stdout
    bad.chmod(0o1777)  # sticky, as /tmp: nobody can replace what is ours
    host(f"control PIN_SOURCE {place}/pin load {EC} sign sha256 10", pin=None)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("/dev/null", "a character device"),
        ("/tmp", "a directory"),
        ("fifo", "a FIFO"),
        ("loop", "symbolic links"),
    ],
)
def test_what_is_no_regular_file_is_told_by_its_type_and_makes_nobody_wait(host, tmp_path, kind, said):
    path = Path(kind) if kind.startswith("/") else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind == "loop":
        path.symlink_to(path)
    done = host(f"control PIN_SOURCE {path} load {EC}", pin=None, check=False)
    assert said in done.stdout
    assert str(path) in done.stdout
    assert "chmod" not in done.stdout


def test_the_pin_of_the_uri_goes_before_the_command(host):
    pin = PIN.replace(" ", "%20")
    host(f"load pkcs11:object=key0?pin-value={pin} sign sha256 10", pin="other")


def test_a_wrong_pin_is_tried_once(host, tmp_path):
    said = host(f"load {EC}", pin="guess", check=False).stdout
    assert "PIN not accepted" in said
    assert "guess" not in said
    assert (tmp_path / "calls").read_text().split().count("C_Login") == 1


# --- faults, forks, threads -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    ["C_Sign:b3:1", "C_SignInit:b3:1", "C_SignInit:b0:1", "C_SignInit:101:1", "C_SignInit:60:1",
     "C_SignInit:82:1", "C_SignInit:90:1", "C_SignInit:190:1", "C_Sign:190:1", "C_Sign:32:1", "C_Sign:e0:1"],
)  # fmt: skip
def test_a_lost_session_or_device_is_found_again_once(host, tmp_path, fault):
    host(f"load {EC} sign sha256 10", TOKEN_FAIL=fault)
    assert (tmp_path / "calls").read_text().split().count("C_OpenSession") == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("C_Sign:30:1", "C_Sign answered CKR_DEVICE_ERROR"),
        ("C_Sign:5:1", "C_Sign answered CKR_GENERAL_ERROR: the module's log says why"),
        ("C_SignInit:68:1", "CKR_KEY_FUNCTION_NOT_PERMITTED: the key was not made for this use"),
        ("C_SignInit:80000001:1", "C_SignInit answered 0x80000001"),
        ("C_Initialize:30:1", "C_Initialize answered CKR_DEVICE_ERROR"),
        ("C_GetSlotList:5:1", "C_GetSlotList answered"),
        ("C_GetTokenInfo:e0:1", "no slot has a token now: is the device reachable?"),
        ("C_OpenSession:e0:1", "C_OpenSession answered CKR_TOKEN_NOT_PRESENT: the device cannot be reached"),
        ("C_Login:a4:1", "CKR_PIN_LOCKED: the token refuses more attempts"),
        ("C_FindObjectsInit:32:1", "C_FindObjectsInit answered CKR_DEVICE_REMOVED"),
        ("C_FindObjects:5:1", "C_FindObjects answered"),
        ("C_GetAttributeValue:5:1", "cannot read its public key"),
    ],
)  # fmt: skip
def test_what_the_module_refuses_is_said_in_words(host, fault, words):
    assert words in host(f"load {EC} sign sha256 10", check=False, TOKEN_FAIL=fault).stdout


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("C_GetSlotList", "C_GetSlotList answered CKR_GENERAL_ERROR"),
        ("C_FindObjects", "C_FindObjects answered CKR_GENERAL_ERROR"),
        ("C_GetAttributeValue", "cannot read its public key"),
        ("C_Sign", "C_Sign answered CKR_GENERAL_ERROR"),
    ],
)
def test_a_module_that_tells_of_more_than_there_is_room_for_is_not_believed(host, call, words):
    assert words in host(f"load {EC} sign sha256 10", check=False, TOKEN_MORE=call).stdout


def test_children_of_a_fork_sign_with_sessions_of_their_own(host, tmp_path):
    host(f"load {EC} forkbusy 6")
    assert (tmp_path / "calls").read_text().split().count("C_Initialize") == 7


def test_threads_sign_at_the_same_time(host, tmp_path):
    host(f"load {EC} threads 16")
    assert (tmp_path / "calls").read_text().split().count("C_OpenSession") == 1


def test_an_engine_that_was_finished_starts_anew(host, tmp_path):
    sign = "sign sha256 10"
    host(f"load {EC} {sign} again load {ED25519} {sign} control RE_ENUMERATE - load {EC} {sign}")
    calls = (tmp_path / "calls").read_text().split()
    assert calls.count("C_Initialize") == calls.count("C_Finalize") == 3


@pytest.mark.parametrize("name", ["hem", "pkcs11"])
def test_the_engine_answers_to_both_ids(host, name):
    host(f"load {EC} sign sha256 10", ENGINE_ID=name)


def test_the_engine_answers_to_no_other_id(host):
    assert "init failed" in host(f"load {EC}", check=False, ENGINE_ID="other").stdout


def test_a_second_engine_of_the_library_is_refused_and_the_first_goes_on(host, engine):
    said = host(f"load {EC} other {engine} sign sha256 10", check=False).stdout
    assert "init failed" in said
    assert said.endswith("ok\n")


def test_loading_a_key_again_and_again_uses_one_session(host, tmp_path):
    host(f"load {ED25519} repeat 30 key0")
    assert (tmp_path / "calls").read_text().split().count("C_OpenSession") == 1


# --- memory ---------------------------------------------------------------------------------------

EVERYTHING = (
    f"default load {EC} sign sha256 2048 sign sha512 1 derive digest short sign sha256 2049 sign sha1 5 "
    f"foreign fork 2 threads 4 load {ED25519} sign sha256 10 load {X25519} derive public {P384} load nobody "
    f"load pkcs11:object= load pkcs11:%zz again load {KID_OF_EC} repeat 5 {EC} certificate {EC}"
)


def test_valgrind_finds_nothing(host):
    if shutil.which("valgrind") is None:
        pytest.fail("valgrind is missing (Debian: apt-get install valgrind)")
    done = host(
        EVERYTHING,
        check=False,
        before=("valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect",
                "--errors-for-leak-kinds=definite,indirect", "--child-silent-after-fork=no"),
    )  # fmt: skip
    assert "==" not in done.stderr, done.stderr
    assert done.stdout.count("ok\n") >= 15


def test_the_address_sanitizer_finds_nothing(host, tmp_path, monkeypatch):
    from openssl import build_engine

    monkeypatch.setenv("CFLAGS", "-fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE")
    monkeypatch.setattr(build_engine, "_LINK", [each for each in build_engine._LINK if each != "-Wl,-z,defs"])
    library = build_engine.build(tmp_path / "lib", build_dir=tmp_path / "build")
    sanitizers = [
        subprocess.run(
            ["gcc", f"-print-file-name={each}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for each in ("libasan.so", "libubsan.so")
    ]
    done = host(
        EVERYTHING,
        check=False,
        library=library,
        LD_PRELOAD=":".join(sanitizers),
        ASAN_OPTIONS="detect_leaks=0",
    )
    assert "Sanitizer" not in done.stderr, done.stderr
    assert "runtime error" not in done.stderr, done.stderr
    assert done.stdout.count("ok\n") >= 15


# --- the real module ------------------------------------------------------------------------------


def test_the_engine_takes_the_module_beside_it_and_forks_with_it(host, engine, keyed: ServedEmulator):
    host(
        "load web sign sha256 100 forkbusy 2 threads 4 derive load x derive load ed sign sha256 5",
        pin=keyed.passphrase,
        HEM_PKCS11_MODULE="",
        HEM_URL=keyed.https,
        HEM_CA_FILE=str(keyed.ca_file),
    )
