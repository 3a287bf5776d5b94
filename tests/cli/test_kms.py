"""``hem kms serve``, asked by a client that knows the published interface alone: rotation, what it costs, and
what is no request."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of

from hem_provider.adapters.kms import service
from hem_provider.adapters.kms.envelope import MOST_CIPHERTEXT, MOST_PLAINTEXT, Envelopes
from hem_provider.errors import HemConfigError
from hem_provider.installation import install_command
from hem_provider.symmetric import WrongKeyType
from hem_provider.waiting import CLOCK

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
SEED = bytes(range(32))


# --- a client of our own: the wire format of Protocol Buffers, by the numbers of api.proto ---


def varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def packed(fields):
    """``fields``: number → text, bytes, or a list of these."""
    out = b""
    for number, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            data = each.encode() if isinstance(each, str) else each
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def unpacked(data):
    """Number → bytes; there are only fields with a length here."""
    found, place = {}, 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = number()
        assert tag & 7 == 2
        size = number()
        found[tag >> 3] = data[place : place + size]
        place += size
    return found


class Client:
    """As the API server: requests by the numbers of their fields."""

    def __init__(self, path):
        self.channel = grpc.insecure_channel(f"unix:{path}")

    def call(self, method, data):
        run = self.channel.unary_unary(
            f"/v2.KeyManagementService/{method}", lambda each: each, lambda each: each
        )
        return unpacked(run(data, timeout=60))

    def status(self):
        found = self.call("Status", b"")
        return tuple(found.get(number, b"").decode() for number in (1, 2, 3))

    def encrypt(self, plaintext, uid="uid-1"):
        found = self.call("Encrypt", packed({1: plaintext, 2: uid}))
        assert set(found) <= {1, 2}  # no annotations
        return found[1], found[2].decode()

    def decrypt(self, ciphertext, key_id, annotations=()):
        entries = [packed({1: name, 2: value}) for name, value in annotations]
        return self.call("Decrypt", packed({1: ciphertext, 2: "uid-2", 3: key_id, 4: entries})).get(1, b"")


def refused(code, action, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        action(*arguments)
    assert caught.value.code() == code, caught.value
    return caught.value.details()


@pytest.fixture
def place():
    """A folder with a short name, since a socket's path is at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hem-kms-") as folder:
        yield Path(folder)


# --- in this process, over a device in it ---


@pytest.fixture
def keys(hem):
    hem.keys.create("CURVE25519", label="box")
    return [hem.keys.create("AES256", label=f"cluster-{number}", usage={"aead"}) for number in (1, 2)]


@contextmanager
def serving(hem, keys, place, ready=lambda: None):
    server = service.serve(Envelopes(hem, keys), place / "kms.sock", ready)
    client = Client(place / "kms.sock")
    try:
        yield client
    finally:
        client.channel.close()
        server.stop(0).wait()


def crypto(rig):
    return [each for each in rig.requests if "/crypto/" in each]


def test_a_seed_goes_there_and_back_for_a_call_each(rig, hem, keys, place):
    with serving(hem, keys[:1], place) as client:
        client.encrypt(SEED)  # the token for the key
        rig.requests.clear()
        ciphertext, key_id = client.encrypt(SEED)
        assert len(rig.requests) == len(crypto(rig)) == 1
        assert client.decrypt(ciphertext, key_id) == SEED
        assert len(rig.requests) == len(crypto(rig)) == 2
    assert key_id == keys[0].kid
    assert SEED not in ciphertext
    assert len(ciphertext) <= MOST_CIPHERTEXT


def test_status_is_one_call_without_a_login(rig, hem, keys, place):
    with serving(hem, keys[:1], place) as client:
        rig.requests.clear()
        assert client.status() == ("v2", "ok", keys[0].kid)
        assert rig.requests == ["GET /api/system/status"]
        rig.fault("GET /api/system/status", TimeoutError)
        version, healthz, key_id = client.status()
        assert (version, key_id) == ("v2", keys[0].kid)
        assert healthz not in ("ok", "")


def test_after_a_rotation_the_new_key_seals_and_old_ones_open(hem, keys, place):
    old, new = keys
    with serving(hem, [old], place) as client:
        first, of_old = client.encrypt(SEED)
    with serving(hem, [new, old], place) as client:
        assert client.status()[2] == new.kid != of_old
        second, of_new = client.encrypt(SEED)
        assert of_new == new.kid
        assert client.decrypt(first, of_old) == client.decrypt(second, of_new) == SEED
        assert "bytes that key" in refused(grpc.StatusCode.INVALID_ARGUMENT, client.decrypt, first, of_new)
    with serving(hem, [new], place) as client:
        told = refused(grpc.StatusCode.NOT_FOUND, client.decrypt, first, of_old)
        assert f"there are: {new.kid}. Give it with --key, too" in told


@pytest.mark.parametrize("size", [1, 16, 32, MOST_PLAINTEXT])
def test_every_size_that_is_taken_comes_back(hem, keys, place, size):
    with serving(hem, keys[:1], place) as client:
        plaintext = os.urandom(size)
        ciphertext, key_id = client.encrypt(plaintext)
        assert len(ciphertext) <= MOST_CIPHERTEXT
        assert client.decrypt(ciphertext, key_id) == plaintext


def test_what_is_no_request_is_refused_and_asks_the_device_nothing(rig, hem, keys, place):
    bad = grpc.StatusCode.INVALID_ARGUMENT
    with serving(hem, keys[:1], place) as client:
        ciphertext, key_id = client.encrypt(SEED)
        rig.requests.clear()
        for size in (0, MOST_PLAINTEXT + 1, 8192):
            told = refused(bad, client.encrypt, bytes(size))
            assert told.startswith(f"plaintext: {size} bytes; accepted: 1 to {MOST_PLAINTEXT}")
        for wrong in (b"", b"\x02" + ciphertext[1:], ciphertext + bytes(1024), ciphertext[:20]):
            assert f"{len(wrong)} bytes" in refused(bad, client.decrypt, wrong, key_id)
        for name in ("", "0" * 32, "é" * 500, key_id.upper()):
            refused(grpc.StatusCode.NOT_FOUND, client.decrypt, ciphertext, name)
        told = refused(bad, client.decrypt, ciphertext, key_id, [("a.example.org", b"x")])
        assert "annotations: 1; accepted: none" in told
        assert rig.requests == []
        refused(grpc.StatusCode.RESOURCE_EXHAUSTED, client.encrypt, bytes(64 * 1024))
        refused(grpc.StatusCode.INTERNAL, client.call, "Encrypt", b"\xff\xff\xff")
        refused(grpc.StatusCode.UNIMPLEMENTED, client.call, "Nothing", b"")
        for position in range(len(ciphertext)):
            changed = bytearray(ciphertext)
            changed[position] ^= 1
            if position % 8 == 1:
                refused(bad, client.decrypt, bytes(changed), key_id)
        assert client.decrypt(ciphertext, key_id) == SEED


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), method=st.sampled_from(["Status", "Encrypt", "Decrypt"]))
def test_no_bytes_end_it(hem, keys_once, place_once, data, method):
    with pytest.raises(grpc.RpcError) if method == "Decrypt" else _either():
        place_once.call(method, data)


@contextmanager
def _either():
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)  # noqa: PT017


@pytest.fixture
def keys_once(hem):
    return [hem.keys.create("AES256", label="fuzzed", usage={"aead"})]


@pytest.fixture
def place_once(hem, keys_once, place):
    with serving(hem, keys_once, place) as client:
        yield client
        assert client.status()[1] == "ok"


def test_errors_of_the_device_have_their_codes(rig, hem, keys, place):
    with serving(hem, keys[:1], place) as client:
        ciphertext, key_id = client.encrypt(SEED)
        rig.fault("POST /api/crypto/", TimeoutError)
        told = refused(grpc.StatusCode.DEADLINE_EXCEEDED, client.encrypt, SEED)
        assert "hem" in told
        hem.keys.delete(keys[0])
        refused(grpc.StatusCode.NOT_FOUND, client.decrypt, ciphertext, key_id)


def test_a_key_that_was_deleted_shows_in_the_health_once_it_was_to_seal(hem, keys, place):
    with serving(hem, keys, place) as client:
        hem.keys.delete(keys[0])
        refused(grpc.StatusCode.NOT_FOUND, client.encrypt, SEED)
        version, healthz, key_id = client.status()
        assert (version, key_id) == ("v2", keys[0].kid)
        assert f"no key {key_id}" in healthz


def test_nothing_is_done_for_who_waits_no_more(hem, keys, place):
    began, slow = [], threading.Event()

    def ready():
        began.append(None)
        assert slow.wait(60)

    with serving(hem, keys[:1], place, ready) as client:
        run = client.channel.unary_unary("/v2.KeyManagementService/Status")
        try:
            first = run.future(b"", timeout=60)
            for _ in CLOCK.looks(60, 0.02):
                if began:
                    break
            given_up = [run.future(b"", timeout=0.2) for _ in range(30)]
            assert {each.exception().code() for each in given_up} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        finally:
            slow.set()
        assert first.exception() is None
        assert client.status()[1] == "ok"
        assert len(began) == 2


def test_keys_that_are_none_for_this_are_refused(hem, keys):
    with pytest.raises(WrongKeyType):
        Envelopes(hem, [hem.keys.find(label="box")])
    with pytest.raises(HemConfigError, match="keys: 2, of which 1 differ"):
        Envelopes(hem, [keys[0], keys[0]])
    with pytest.raises(HemConfigError, match="keys: 0"):
        Envelopes(hem, [])


def test_a_socket_is_for_its_user_alone(hem, keys, place):
    with serving(hem, keys[:1], place):
        assert stat.S_IMODE((place / "kms.sock").stat().st_mode) == 0o600
    with pytest.raises(HemConfigError, match="a socket's path has at most 107"):
        service.serve(Envelopes(hem, keys[:1]), place / ("x" * 120), lambda: None)
    with pytest.raises(HemConfigError, match="no socket can be made there"):
        service.serve(Envelopes(hem, keys[:1]), place / "nowhere" / "kms.sock", lambda: None)


# --- the command ---


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("kms-device")) as emulator:
        with client_of(emulator) as hem:
            hem.keys.create("AES256", label="cluster", usage={"aead"})
        yield emulator


@pytest.fixture
def environment(device):
    return {
        **os.environ,
        "HEM_URL": device.https,
        "HEM_NAME": "k",
        "HEM_CA_FILE": str(device.ca_file),
        "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
    }


@contextmanager
def started(environment, path, keys=("cluster",)):
    process = subprocess.Popen(
        [*HEM, "kms", "serve", "--socket", str(path), *(f"--key={each}" for each in keys)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        process.line = process.stdout.readline()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_stopped_and_leaves_nothing(environment, place, number):
    path = place / "kms.sock"
    with started(environment, path) as process:
        assert process.line.endswith(f"(cluster) serves on {path}\n"), process.stderr.read()
        client = Client(path)
        ciphertext, key_id = client.encrypt(SEED)
        assert client.status() == ("v2", "ok", key_id)
        assert client.decrypt(ciphertext, key_id) == SEED
        client.channel.close()
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert list(place.iterdir()) == []


def test_it_is_rotated_by_a_restart_which_the_api_server_gets_over_by_itself(device, environment, place):
    path = place / "kms.sock"
    with client_of(device) as hem:
        new = hem.keys.create("AES256", label="cluster-new", usage={"aead"})
    with started(environment, path) as process:
        client = Client(path)
        sealed, of_old = client.encrypt(SEED)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    refused(grpc.StatusCode.UNAVAILABLE, client.status)
    with started(environment, path, ["cluster-new", "cluster"]) as process:
        assert new.kid in process.line
        for _ in CLOCK.looks(60, 0.2):  # the client, which is the same, connects anew after a pause
            with suppress(grpc.RpcError):
                assert client.status() == ("v2", "ok", new.kid)
                break
        assert client.decrypt(sealed, of_old) == SEED
        again, of_new = client.encrypt(SEED)
        assert of_new == new.kid != of_old
        assert client.decrypt(again, of_new) == SEED
        client.channel.close()


def test_with_an_agent_it_needs_no_passphrase_and_a_locked_one_shows_in_its_health(
    device, environment, place
):
    path = place / "kms.sock"
    with RunningAgent(device) as running:
        running.unlock()
        mine = {**environment, "HEM_AGENT": "auto", "XDG_RUNTIME_DIR": str(running.run)}
        del mine["HEM_PASSPHRASE_FILE"]
        with started(mine, path) as process:
            assert process.line, process.stderr.read()
            client = Client(path)
            ciphertext, key_id = client.encrypt(SEED)
            before = len(device.calls())
            assert client.decrypt(ciphertext, key_id) == SEED
            assert (len(device.calls()) - before, device.logins(before)) == (1, 0)
            assert client.status()[1] == "ok"
            running.calls.lock()
            running.wait_until(lambda: client.status()[1] != "ok")
            assert "no login is at hand; run 'hem agent unlock'" in client.status()[1]
            refused(grpc.StatusCode.UNAUTHENTICATED, client.decrypt, ciphertext, key_id)
            client.channel.close()


def run_once(environment, path):
    return subprocess.run(
        [*HEM, "kms", "serve", "--socket", str(path), "--key", "cluster"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_what_is_at_the_place_of_the_socket_is_looked_at_first(environment, place):
    path = place / "kms.sock"
    path.write_text("mine")
    done = run_once(environment, path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no socket; it is not ours to remove" in done.stderr
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        done = run_once(environment, path)
        assert done.returncode == 1
        assert f"somebody listens on {path} already: stop what serves there" in done.stderr
    assert path.exists()  # stale by now
    if os.geteuid() == 0:
        os.chown(path, 1, 1)
        done = run_once(environment, path)
        assert done.returncode == 1
        assert "is a socket of another user (1)" in done.stderr
        os.chown(path, 0, 0)
    with started(environment, path) as process:
        assert process.line.endswith(f"serves on {path}\n"), process.stderr.read()
        client = Client(path)
        assert client.status()[1] == "ok"
        client.channel.close()


def test_without_its_libraries_it_says_what_to_install(environment, place, tmp_path):
    (tmp_path / "grpc.py").write_text("raise ModuleNotFoundError('no', name='grpc')\n")
    done = run_once({**environment, "PYTHONPATH": str(tmp_path)}, place / "kms.sock")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "'hem kms' needs the extra 'kms', which is not installed" in done.stderr
    assert done.stderr.rstrip().endswith(install_command("kms"))
