"""Short runs of the real thing: every layer is there, and makes no more device calls than it may."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.age import measure_age
from benchmarks.agent import measure_agent
from benchmarks.commands import WARM
from benchmarks.crowd import measure_crowd, waits
from benchmarks.floor import FULL_FLOOR, KEPT_FLOOR
from benchmarks.gate import LIMITS, counted, grown
from benchmarks.laboratory import HARDWARE, Laboratory
from benchmarks.report import read_run
from benchmarks.scale import ANOTHER, HALFWAY, TAKES
from benchmarks.waits import Waits
from hem_provider.measuring.measure import FLOOR

ROOT = Path(__file__).parents[2]


def benchmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    done = benchmark("--rounds", "1", "--groups", "operations", "--output", folder)
    assert done.returncode == 0, done.stderr
    return read_run(folder / "results.json"), folder


def test_no_operation_makes_more_calls_than_it_may(operations):
    assert counted(operations[0].figures) == []


def test_a_signature_is_measured_at_every_layer(operations):
    layers = {each.layer for each in operations[0].figures if each.operation == "sign SECP256R1"}
    ours = {"bare HTTPS", "REST", "Hem", "cryptography", "C_Sign", "python-pkcs11"}
    kept = {f"{each}, connection kept" for each in ("REST", "Hem", "cryptography", "C_Sign")}
    assert layers >= ours | kept | {"plain requests script"}


def test_what_is_compared_with_a_floor_makes_as_many_calls(operations):
    figures = operations[0].figures
    floors = {(each.operation, each.layer): each for each in figures if each.layer == each.floor}
    assert {layer for _, layer in floors} == {FLOOR, KEPT_FLOOR, FULL_FLOOR}
    compared = [each for each in figures if each.ratio is not None]
    assert [each for each in compared if each.calls != floors[each.operation, each.floor].calls] == []
    # A listing stays fresh for a while, a PIN that is kept asks nothing, and SoftHSM2 has no device.
    left_out = {each.layer for each in figures if each.ratio is None and (each.operation, FLOOR) in floors}
    assert left_out <= {"C_FindObjects", "C_Login, PIN kept", "python-pkcs11", "SoftHSM2, digest"}


def test_each_kind_of_connection_is_compared_with_its_own(operations):
    signing = [each for each in operations[0].figures if each.operation == "sign SECP256R1"]
    floors = {each.layer: each.floor for each in signing}
    assert (floors["REST"], floors["REST, connection kept"]) == (FLOOR, KEPT_FLOOR)
    assert floors["plain requests script"] == FULL_FLOOR


def test_the_pictures_are_drawn(operations):
    names = {each.name for each in operations[1].iterdir()}
    assert names == {"layers.png", "layers.svg", "report.md", "results.json"}


def test_commands_make_no_more_calls_and_logins_than_they_may(tmp_path):
    figures = Waits(tmp_path, hardware=False, size=1024**2, signatures=12).measure(1)
    assert counted(figures) == []
    measured = {(each.operation, each.layer) for each in figures}
    named = {(each.operation, each.layer) for each in LIMITS if each.group == "commands"}
    missing = {
        (operation, layer)
        for operation, layer in named
        if not any(name.startswith(operation.rstrip("*")) and layer == by for name, by in measured)
    }
    assert missing == set()
    others = {layer for _, layer in measured}
    assert others >= {"key in a file", "gpg, key in a file", "age", "plain requests"}
    assert next(each.ratio for each in figures) == 1


@pytest.mark.long
def test_on_a_slow_device_a_command_is_compared_with_one_call(tmp_path):
    figures = Waits(tmp_path, hardware=True, size=1024**2, signatures=12).measure(1)
    assert counted(figures) == []
    one, found = figures[0], {(each.operation, each.layer): each for each in figures}
    assert (one.operation, one.ratio, one.calls) == ("one call", 1.0, 1)
    assert one.median > HARDWARE["crypto"]
    first = found["pkcs11-tool --sign", "keys remembered"]
    assert first.ratio == first.median / one.median
    assert first.median > 2 * HARDWARE["call"] + HARDWARE["login"]


def test_what_an_agent_takes_is_measured_and_is_not_too_much(tmp_path):
    facts = []
    figures = [each for group in measure_agent(tmp_path, 1, facts) for each in group]
    assert counted(figures) == []
    assert {each.operation: len(each.samples) for each in figures if "16" in each.layer} == {
        "sign SECP256R1 by many": 16
    }
    assert grown(facts) == []
    assert [each.unit for each in facts] == ["µs", "KiB", "KiB"]


def test_files_are_measured_beside_age_and_ask_for_no_more_than_they_may(tmp_path):
    figures = measure_age(tmp_path, 1, 1024**2)
    assert counted(figures) == []
    layers = {(each.operation, each.layer) for each in figures}
    assert layers == {(f"{what} 1 MiB", by) for what in ("encrypt", "decrypt") for by in ("age", "hem")}
    assert all(each.ratio == 1 for each in figures if each.layer == "age")


def test_a_key_among_many_is_found_without_asking_the_device(tmp_path):
    done = benchmark("--rounds", "1", "--groups", "scale", "--largest", "100", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "results.json")
    assert counted(run.figures) == []
    calls = {(each.operation, each.layer): each.calls for each in run.figures}
    assert calls["list all, 100 keys", "first time"] == 8
    assert calls["list all, 100 keys", HALFWAY] == 4
    assert calls["list all, 100 keys", ANOTHER] == 4 + 2
    assert all(calls[f"start, find by {by}, 100 keys", WARM] == 2 for by in ("id", "label", "URI"))
    assert all(calls[f"find by {by}, 100 keys", "listed"] == 0 for by in ("id", "label", "URI"))
    assert [each.name for each in run.facts] == [f"{TAKES} {size} keys" for size in (10, 100)]
    assert all(10_000 < each.value < 200_000 for each in run.facts)


def test_the_gate_ends_with_status_1_and_says_what_is_worse(tmp_path):
    script = (
        "import benchmarks.gate as gate, benchmarks.__main__ as main, sys;"
        "limit = gate.Limit('start', 'hem --version', None, gate.Measure.RATIO, 0.01);"
        "main.broken = lambda figures: gate.broken(figures, [limit]);"
        "sys.exit(main.main())"
    )
    command = [sys.executable, "-c", script, "--rounds", "1", "--groups", "start", "--gate"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert "worse than it may be: start: hem --version" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--rounds", "99"), "99 rounds, at least 100"), (("--groups", "start"), "left out: operations")],
)
def test_a_run_that_is_not_fit_for_it_is_not_published(options, said):
    done = benchmark("--publish", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "not to be published" in done.stderr
    assert said in done.stderr


def test_pictures_and_text_are_made_of_an_earlier_run(operations, tmp_path):
    done = benchmark("--draw", operations[1] / "results.json", "--output", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert {each.name for each in tmp_path.iterdir()} == {"layers.png", "layers.svg", "report.md"}
    assert (tmp_path / "report.md").read_text() == (operations[1] / "report.md").read_text()


@pytest.mark.parametrize("rounds", ["0", "x", "10001"])
def test_rounds_are_checked(rounds):
    done = benchmark("--rounds", rounds)
    assert done.returncode == 2
    assert "1 to 10000" in done.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Laboratory(tmp_path_factory.mktemp("device")) as device:
        yield device


def hem_bench(lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = lab.environment(lab.folder / "cache")
    environment["HEM_PASSPHRASE_FILE"] = str(lab.emulator.passphrase_file)
    command = [sys.executable, "-m", "hem_provider.cli.main", "bench", "--rounds", "1", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_hem_bench_only_looks_at_the_device(lab):
    done = hem_bench(lab)
    assert done.returncode == 0, done.stderr
    assert "list 15 keys" in done.stdout
    assert {call["method"] + call["path"] for call in lab.emulator.calls()} <= {
        "GET/api/system/status", "GET/api/auth/token", "POST/api/auth/token", "GET/api/keymgmt/list/0/15",
    }  # fmt: skip


def test_hem_bench_deletes_the_keys_it_made_and_writes_every_figure(lab, tmp_path):
    done = hem_bench(lab, "--make-keys", "--json", str(tmp_path / "figures.json"))
    assert done.returncode == 0, done.stderr
    operations = {each["operation"] for each in json.loads((tmp_path / "figures.json").read_text())}
    assert operations >= {"sign ED25519", "ECDH X25519", "AES-GCM 2 KiB", "unwrap 32 B", "create AES256"}
    with lab.connect() as hem:
        assert list(hem.keys) == []


def test_hem_bench_signs_with_a_key_of_the_users(lab):
    with lab.connect() as hem:
        key = hem.keys.create("ED25519", label="mine")
        try:
            done = hem_bench(lab, "--key", "mine", "--key", key.kid)
        finally:
            hem.keys.delete(key)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sign ED25519") == 8
    assert hem_bench(lab, "--key", "nobody").stderr == "hem: bench: no key with label 'nobody'\n"


def test_a_crowd_of_threads_and_of_processes_is_served_to_the_last(tmp_path):
    figures = measure_crowd(tmp_path, 3, crowds=(1, 3))
    assert {each.layer: len(each.samples) for each in figures} == {
        "1 thread": 12, "1 process": 12, "3 threads": 9, "3 processes": 9,
    }  # fmt: skip
    head, _, *rows = waits(figures).splitlines()
    assert head.split() == ["who", "p50", "p99", "longest", "p99", "/", "p50"]
    assert len(rows) == 4


def test_another_client_is_measured_in_the_same_run(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        "import hem_provider\n"
        "def signer(url, ca_file, passphrase, kid):\n"
        "    hem = hem_provider.connect(url, passphrase=passphrase, ca_file=ca_file)\n"
        "    return lambda message: hem.sign(kid, message, 'SHA256WithECDSA')\n"
    )
    wanted = ("--groups", "operations", "--only", "sign SECP256R1", "--rounds", "1")
    done = benchmark(*wanted, "--client", script)
    assert done.returncode == 0, done.stderr
    assert "  client mine  " in done.stdout
    script.write_text("")
    assert "defines no function signer" in benchmark(*wanted, "--client", script).stderr
