"""``hem doctor``: what it says of a machine, what it repairs, and how it ends. What it says of a device that
fails is in ``test_doctor_faults``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli.test_keys import valid
from support.clocks import quick_clock
from support.hosts import copied, fake_python, name_home
from support.passphrases import PASSPHRASE

from hem_provider.adapters import p11kit
from hem_provider.adapters.p11kit import Registration
from hem_provider.cli import doctor_actions, machine, pkcs11_install
from hem_provider.cli import main as cli
from hem_provider.cli.built import module_path
from hem_provider.cli.doctor import around, openssl
from hem_provider.cli.doctor.checking import Patient
from hem_provider.cli.doctor.loading import load_module
from hem_provider.cli.doctor.mending import MENDINGS
from hem_provider.cli.doctor.order import CHECKS
from hem_provider.config import device_from_url
from hem_provider.device.cache import DiskCache
from hem_provider.device.health import Finding, Level
from hem_provider.installation import update_command

NAMES = [each.name for each in CHECKS]


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """Nothing of this machine: where p11-kit looks is a directory of the test."""
    modules = tmp_path / "modules"
    modules.mkdir()
    settings = tmp_path / "settings" / "hem" / "config.toml"  # which keeps the machine's out
    settings.parent.mkdir(parents=True)
    settings.touch(mode=0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings.parents[1]))
    monkeypatch.setattr(p11kit, "_SYSTEM", (modules,))
    monkeypatch.setattr(pkcs11_install, "SYSTEM_DIRECTORY", modules)
    return modules


@pytest.fixture
def passphrase(rig, monkeypatch, tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(path))
    return path


@pytest.fixture
def quick(monkeypatch):
    """Without the two checks that start other programs."""
    slow = ("module", "openssl")
    monkeypatch.setattr(doctor_actions, "CHECKS", tuple(each for each in CHECKS if each.name not in slow))


@pytest.fixture
def run(capsys):
    """Runs ``hem doctor --json``: its status, and check → (state, names of findings); ``run.document``."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["doctor", "--json", *arguments])
        run.document = valid(json.loads(capsys.readouterr().out), "doctor")
        assert run.document["status"] == status
        return status, {
            each["check"]: (each["state"], [finding["name"] for finding in each["findings"]])
            for each in run.document["checks"]
        }

    return run


def patient(**settings):
    found = Patient(SimpleNamespace(device=None, mobile=False, no_login=False))
    found.config = replace(device_from_url("https://hem.example"), **settings)
    return found


def test_a_device_that_is_well_is_said_to_be_and_nothing_is_changed(rig, passphrase, run):
    status, checks = run()
    assert status == 0
    assert list(checks) == NAMES
    assert {name for name, (state, _) in checks.items() if state == "fault"} == set()
    assert checks["login"] == checks["scopes"] == checks["self-test"] == checks["module"] == ("ok", [])
    assert checks["name"] == checks["certificate"] == ("not-used", [])
    posted = {each for each in rig.requests if " POST " in f" {each}"}
    assert posted == {"POST /api/auth/token", "CLOUD POST /checkin"}, "no check-in, no key"


def test_what_it_costs(rig, passphrase, quick, run):
    run()
    assert (run.document["calls"], run.document["logins"]) == (16, 3)
    assert run.document["calls"] == len(rig.requests)
    rig.requests.clear()
    run("--no-login")
    assert (run.document["calls"], run.document["logins"]) == (len(rig.requests), 0)
    assert run.document["calls"] == 5


def test_without_a_login_what_needs_one_is_not_tried(rig, passphrase, quick, run, monkeypatch):
    for arguments, told in ((("--no-login",), "left out"), ((), "there is no terminal")):
        if not arguments:
            monkeypatch.delenv("HEM_PASSPHRASE_FILE")
        status, checks = run(*arguments)
        assert (status, checks["login"]) == (0, ("not-tried", []))
        (login, log) = (each for each in run.document["checks"] if each["check"] in ("login", "log"))
        assert told in login["told"]
        assert log["told"] == login["told"], "the reason is that of the first that was not tried"


def test_the_first_fault_gives_the_status(rig, passphrase, quick, run, monkeypatch):
    passphrase.write_text("wrong\n")
    status, checks = run()
    assert (status, checks["login"], checks["scopes"]) == (4, ("fault", ["login-refused"]), ("not-tried", []))
    rig.fls(8)
    assert run()[0] == 1
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    status, checks = run()
    assert (status, checks["connection"]) == (3, ("fault", ["unreachable"]))
    passphrase.chmod(0o644)
    assert run()[0] == 1


def test_a_fresh_device_is_told_to_be_initialised(rig, passphrase, quick, run):
    with rig.device.model.transaction():
        rig.device.model.state = replace(rig.device.model.state, config=None)
    status, checks = run()
    assert (status, checks["state"]) == (1, ("fault", ["not-initialised"]))
    assert checks["login"][0] == "not-tried"


def test_without_a_configuration_the_machine_is_looked_at_all_the_same(quick, run):
    status, checks = run()
    assert (status, checks["configuration"]) == (1, ("fault", ["not-configured"]))
    assert checks["status"] == checks["agent"] == ("not-tried", [])
    assert checks["p11-kit"][0] == "warning"
    assert run.document["device"] is None


def test_a_configuration_that_cannot_be_used_is_told(quick, run, monkeypatch, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[[device]]\nurl = "nonsense"\n')
    path.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(path))
    assert run()[1]["configuration"] == ("fault", ["configuration-wrong"])
    path.write_text('[[device]]\nname = "a"\nurl = "https://a"\n[[device]]\nname = "b"\nurl = "https://b"\n')
    assert run()[1]["configuration"] == ("fault", ["device-unnamed"])
    assert run("--device", "c")[1]["configuration"] == ("fault", ["device-unnamed"])
    assert run("--device", "b", "--no-login")[0] == 3
    assert run.document["device"] == "b"
    path.write_text('[[device]]\nurl = "http://127.0.0.1:1"\ninsecure = true\n')
    assert run()[1]["configuration"] == ("warning", ["verification-off", "plain-http"])


def test_files_that_others_may_change_are_mended(rig, passphrase, quick, run, monkeypatch, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f'[[device]]\nurl = "emulator:{rig.path}"\npassphrase_file = "{passphrase}"\n')
    path.chmod(0o666)
    passphrase.chmod(0o644)
    monkeypatch.delenv("HEM_URL")
    monkeypatch.setenv("HEM_CONFIG", str(path))
    assert run()[1]["configuration"] == ("fault", ["files-unsafe"])
    assert path.stat().st_mode & 0o777 == 0o666, "nothing is changed without --fix"
    assert run("--fix")[1]["configuration"] == ("fault", ["files-unsafe"])
    assert path.stat().st_mode & 0o777 == 0o666, "nor where nobody can be asked"
    assert run.document["fixed"] == []
    status, checks = run("--fix", "--yes")  # the settings name what else is to be looked at
    assert path.stat().st_mode & 0o777 == 0o644
    assert (status, checks["configuration"]) == (1, ("fault", ["files-unsafe"]))
    status, checks = run("--fix", "--yes")
    assert passphrase.stat().st_mode & 0o777 == 0o600
    assert (status, checks["configuration"]) == (0, ("ok", []))


def test_a_file_that_is_named_and_not_there_is_told(rig, passphrase, quick, run):
    passphrase.unlink()
    status, checks = run()
    assert (status, checks["configuration"]) == (1, ("fault", ["files-missing"]))
    assert checks["login"][1] == ["login-source-unusable"]


def test_what_is_harmless_is_repaired_and_looked_at_again(rig, passphrase, quick, run, places):
    with rig.device.model.transaction():
        rig.device.model.change_boot(rtc_set=False)
    status, checks = run()
    assert (status, checks["clock"]) == (1, ("fault", ["clock-unset"]))
    status, checks = run("--fix", "--yes")
    assert (status, checks["clock"], checks["login"]) == (0, ("ok", []), ("ok", []))
    assert checks["p11-kit"] == ("ok", [])
    assert [(each["fix"], each["done"]) for each in run.document["fixed"]] == [
        ("check-in", True),
        ("register", True),
    ]
    assert str(module_path()) in (places / "hem.module").read_text()
    run("--fix", "--yes")
    assert run.document["fixed"] == []


def test_what_is_remembered_of_another_device_is_forgotten(rig, passphrase, quick, run):
    cache = DiskCache(f"emulator:{rig.path}")
    cache.keep_listing("another", [])
    assert run("--no-login")[1]["caches"] == ("warning", ["cache-of-another"])
    assert run("--fix", "--yes", "--no-login")[1]["caches"] == ("not-used", [])
    cache.keep_listing("another", [])
    cache.place("list").write_text("{")
    assert run("--no-login")[1]["caches"] == ("warning", ["cache-damaged"])
    run()
    assert run("--no-login")[1]["caches"][0] == "ok"


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False), ("", False)])
def test_each_repair_is_asked_for(rig, passphrase, quick, monkeypatch, capsys, places, answer, done):
    typed = io.StringIO(f"{answer}\n")
    for stream in (typed, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
    assert cli.main(["doctor", "--fix"]) == 0
    told = capsys.readouterr()
    assert "Name the PKCS#11 module to p11-kit? [y/N]" in told.err
    assert (places / "hem.module").exists() is done
    assert ("left as it is" in told.out) is not done


@pytest.mark.parametrize(("happens", "status"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_a_question_can_be_left(rig, passphrase, quick, monkeypatch, capsys, places, happens, status):
    def leave(*_, **__):
        raise happens

    monkeypatch.setattr(doctor_actions, "can_ask", lambda: True)
    monkeypatch.setattr("hem_provider.cli.confirming.ask", leave)
    assert cli.main(["doctor", "--fix"]) == status
    assert not (places / "hem.module").exists()


def test_without_a_terminal_repairs_need_a_yes(rig, passphrase, capsys):
    assert cli.main(["doctor", "--fix"]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert rig.requests == []


def test_a_repair_that_fails_hinders_no_other(rig, passphrase, quick, run, places):
    with rig.device.model.transaction():
        rig.device.model.change_boot(rtc_set=False)
    rig.order(name="cloud-down")
    status, checks = run("--fix", "--yes")
    assert (status, checks["clock"][0], checks["p11-kit"][0]) == (1, "fault", "ok")
    assert [(each["fix"], each["done"]) for each in run.document["fixed"]] == [
        ("check-in", False),
        ("register", True),
    ]


def test_every_repair_that_a_finding_names_is_there():
    """As all that makes findings is written here, their text is looked through."""
    folder = Path(doctor_actions.__file__).parents[1]
    text = "".join(
        path.read_text() for path in (*folder.glob("cli/doctor/*.py"), folder / "device/health.py")
    )
    for fix in MENDINGS:
        assert text.count(f'"{fix}"') >= 2, fix


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_lines_fit_the_terminal(rig, passphrase, quick, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    cli.main(["doctor"])
    for line in capsys.readouterr().out.splitlines():
        assert len(line) <= columns or " " not in line.strip(), line


def test_signs_are_words_where_the_terminal_has_no_others(rig, passphrase):
    rig.fls(4)
    environment = {
        **os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HEM_PASSPHRASE_FILE": "",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "doctor", "--no-login"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    text = done.stdout.decode("ascii")
    assert done.returncode == 1
    assert "\\x" not in text
    assert "\\u" not in text
    assert "FAIL state" in text
    assert "ok   status" in text
    assert "-> let it cool down" in text


def test_the_last_line_names_what_was_found(rig, passphrase, quick, capsys):
    rig.fls(6)
    assert cli.main(["doctor"]) == 1
    last = " ".join(capsys.readouterr().out.split())
    assert "2 faults (entropy-failed, too-hot), 1 warning (module-not-registered); 5 not tried." in last


def test_colours_are_left_out_where_they_are_not_wanted(rig, passphrase, quick, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    cli.main(["doctor"])
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    cli.main(["doctor"])
    assert "\x1b[3" not in capsys.readouterr().out
    monkeypatch.setenv("TERM", "dumb")
    cli.main(["doctor"])
    assert "\x1b" not in capsys.readouterr().out


def test_a_device_behind_an_agent_is_looked_at_as_far_as_that_goes(fake_agent, quick, run, monkeypatch):
    monkeypatch.setenv("HEM_URL", f"unix:{fake_agent.path}#office")
    status, checks = run()
    assert (status, checks["status"], checks["state"], checks["cloud"]) == (
        0, ("ok", []), ("ok", []), ("not-used", []),
    )  # fmt: skip
    assert checks["login"] == ("not-tried", [])


def test_a_phone_is_asked_once(rig, passphrase, quick, run, monkeypatch, capsys):
    with rig.connect() as hem:
        pairing = hem.phones.begin()
        with rig.phone() as simulated:
            simulated.pair(json.loads(pairing.qr_text)["link"])
        pairing.wait(5)
    monkeypatch.setattr("hem_provider.device.mobile.CLOCK", quick_clock())
    rig.requests.clear()
    status, checks = run("--mobile")
    assert (status, checks["login"], checks["self-test"]) == (0, ("ok", []), ("ok", []))
    assert checks["scopes"] == checks["log"] == ("not-tried", [])
    assert rig.count("CLOUD POST /notify/event/new") == 1
    rig.phone_answers("refuse")
    status, checks = run("--mobile")
    assert (status, checks["login"]) == (4, ("fault", ["approval-denied"]))


def test_on_a_terminal_it_says_what_it_looks_at(rig, passphrase, quick, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    cli.main(["doctor"])
    assert "\n  self-test …\r\x1b[K✔ self-test" in capsys.readouterr().out


def test_it_can_be_interrupted_anywhere(rig, passphrase, monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    broken = tuple(replace(each, run=interrupt) if each.name == "self-test" else each for each in CHECKS)
    monkeypatch.setattr(doctor_actions, "CHECKS", broken)
    assert cli.main(["doctor"]) == 130
    assert "\N{HEAVY CHECK MARK} scopes" in capsys.readouterr().out


def test_a_rack_device_lacks_what_it_does_not_have(rig, passphrase, quick, run):
    with rig.device.model.transaction():
        state = rig.device.model.state
        rig.device.model.state = replace(state, factory=replace(state.factory, model="epa"))
    status, checks = run()
    assert (status, checks["secure-element"], checks["log"]) == (0, ("not-used", []), ("not-used", []))


def test_a_finished_log_is_verified(rig, passphrase, quick, run):
    rig.reboot()
    rig.check_in()
    assert run()[1]["log"] == ("ok", [])
    rig.alter = lambda line, body: body[:-4] + b"AAA\n" if "/api/logger/" in line and b"|" in body else body
    status, checks = run()
    assert (status, checks["log"][0]) == (1, "fault")
    assert set(checks["log"][1]) == {"log-altered"}


# --- what is around a device ---


def test_a_module_is_loaded_as_programs_do():
    found = load_module(module_path(), ask=False)
    assert (found.slots, found.problem) == ((), "")


def test_a_module_that_does_not_load_is_told(tmp_path, monkeypatch):
    library = tmp_path / "libhem_pkcs11.so"
    library.write_bytes(b"not a library")
    assert str(library) in load_module(library, ask=False).problem
    monkeypatch.setattr(around, "module_path", lambda: library)
    (found,) = around.module(patient()).findings
    assert (found.level, found.name) == (Level.FAULT, "module-unusable")


def test_a_package_that_is_too_old_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(around, "outdated", lambda: iter([("cryptography", "38.0.4", "45")]))
    (found,) = around.firmware(patient()).findings
    assert (found.level, found.name) == (Level.WARNING, "package-old")
    assert found.cause == "cryptography 38.0.4 is installed, and hem-provider needs 45 or newer"
    assert found.advice == update_command(["cryptography>=45"])


def test_a_module_without_a_python_to_run_is_told_with_the_package(tmp_path, monkeypatch):
    """It loads into this process, which is Python; pkcs11-tool is not."""
    module = copied(module_path(), tmp_path / "hem_pkcs11", package=True)
    name_home(module.parent, fake_python(tmp_path / "static", None) / "bin")
    monkeypatch.setattr(around, "module_path", lambda: module)
    (found,) = around.module(patient()).findings
    assert (found.level, found.name) == (Level.FAULT, "module-without-python")
    assert f"apt-get install libpython{sysconfig.get_python_version()}" in found.cause


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (machine.AgentSeen(running=False, away="no agent runs"), []),
        (machine.AgentSeen(running=True, version=around.__version__, state="unlocked"), []),
        (machine.AgentSeen(running=True, version=around.__version__, state="locked"), ["agent-locked"]),
        (machine.AgentSeen(running=True, version="0.0.1", state="unlocked"), ["agent-old"]),
        (machine.AgentSeen(running=True, version=around.__version__), ["agent-of-others"]),
        (
            machine.AgentSeen(running=True, version=around.__version__, state="waiting", memory_hidden=False),
            ["agent-memory-open"],
        ),
    ],
)
def test_an_agent_is_looked_at_by_its_socket(monkeypatch, seen, found):
    monkeypatch.setattr(machine, "agent", lambda _: seen)
    assert [each.name for each in around.agent(patient()).findings] == found


def test_an_agent_that_must_be_there_is_missed(monkeypatch):
    (found,) = around.agent(patient(agent="always")).findings
    assert (found.level, found.name) == (Level.FAULT, "agent-away")


def test_what_p11_kit_is_told_of_is_held_against_what_is_there(monkeypatch, places, tmp_path):
    def found():
        return [(str(each.level), each.name) for each in around.p11kit(patient()).findings]

    monkeypatch.setattr(around.shutil, "which", lambda _: "/usr/bin/p11-kit")
    assert found() == [("warning", "module-not-registered")]
    file = places / "hem.module"
    file.write_text(f"module: {tmp_path}/libhem_pkcs11.so\n")
    assert found() == [("fault", "registered-module-missing")]
    (tmp_path / "libhem_pkcs11.so").touch()
    assert found() == [("warning", "registered-other-module")]
    file.write_text(f"module: {module_path()}\n")
    assert found() == []
    file.unlink()
    monkeypatch.setattr(around.shutil, "which", lambda _: None)
    assert around.p11kit(patient()).state == "not-used"
    assert machine.ModuleSeen(None, (Registration(file, file),)).is_registered is False


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (machine.KeyringSeen(None), []),
        (machine.KeyringSeen(Path("v")), ["keyring-missing"]),
        (machine.KeyringSeen(Path("v"), installed=True), ["keyring-not-chosen"]),
        (machine.KeyringSeen(Path("v"), installed=True, chosen=True), []),
    ],
)
def test_a_vault_is_to_be_used(monkeypatch, seen, found):
    monkeypatch.setattr(machine, "keyring", lambda: seen)
    assert [each.name for each in around.keyring(patient()).findings] == found


OPENSSLS = {
    "1.1.1w": ("engine",),
    "3.0.19": ("engine",),
    "3.2.0": ("provider", "engine"),
    "3.5.4": ("provider", "engine"),
    "4.0.0": ("provider",),
}


@pytest.mark.parametrize("version", OPENSSLS)
def test_each_openssl_has_its_ways(version):
    assert openssl.ways_of(openssl.release_of(f"OpenSSL {version} 1 Jan 2026")) == OPENSSLS[version]


@pytest.fixture
def program(monkeypatch, tmp_path):
    """An openssl that answers so to ``version``, ``engine`` and ``list``."""

    def make(version, engine="", listed="", modules=None):
        path = tmp_path / "openssl"
        path.write_text(
            "#!/bin/sh\n"
            f"""case "$1 $2" in "version -m") echo 'MODULESDIR: "{modules or tmp_path / "none"}"';;\n"""
            f'"version "*) echo "{version}";; engine*) echo "{engine}";; list*) printf "{listed}";; esac\n'
        )
        path.chmod(0o755)
        monkeypatch.setattr(openssl.shutil, "which", lambda _: str(path))
        return [(str(each.level), each.name) for each in openssl.openssl(patient()).findings]

    return make


def test_the_way_of_this_openssl_is_looked_for(program, tmp_path):
    good = "(hem) Encedo HEM\n     [ available ]"
    assert program("OpenSSL 3.0.19 27 Jan 2026", engine=good) == []
    assert program("OpenSSL 3.0.19 27 Jan 2026", engine="no such engine") == [("fault", "engine-unusable")]
    assert program("OpenSSL 4.0.0 1 Apr 2026", engine=good) == [("warning", "openssl-without-way")]
    (tmp_path / "pkcs11.so").touch()
    listed = "Providers:\\n  pkcs11\\n    name: PKCS#11 Provider\\n    version: 1.0\\n"
    assert program("OpenSSL 4.0.0 1 Apr 2026", listed=listed, modules=tmp_path) == []
    assert program("OpenSSL 4.0.0 1 Apr 2026", modules=tmp_path) == [("fault", "provider-unusable")]
    assert program("OpenSSL 3.5.0 1 Apr 2026", engine=good) == []
    assert program("LibreSSL 3.8.2") == [("warning", "openssl-unknown")]
    assert program("") == [("warning", "openssl-unknown")]


def test_the_openssl_of_this_machine_is_tried():
    found = openssl.openssl(patient())
    assert found.state == "not-used" or found.told.startswith("OpenSSL ")
    assert all(isinstance(each, Finding) for each in found.findings)
