"""What rsyslog, as Debian has it, takes over UDP, TCP and TLS, line by line."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import trustme
from support.logcopies import append, entries, filled, line_entry
from support.rsyslog import PROGRAM, Rsyslog, has_driver

from hem_provider.adapters import cef, syslog
from hem_provider.auditlog.facts import SHORT, facts_of

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs rsyslog")

HEM = [sys.executable, "-m", "hem_provider.cli.main"]


@pytest.fixture
def copy(tmp_path):
    return filled(tmp_path / "office")


@pytest.fixture
def export(copy):
    """Runs ``hem log export`` to a server, in a process of its own."""

    def export(server, *arguments):
        done = subprocess.run(
            [*HEM, "log", "export", "--from", copy.folder, "--to", server.url, *map(str, arguments)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    return export


def expected(facts):
    """What rsyslog should have understood."""
    parameters = {
        name: syslog.printable(str(value))
        for name, value in syslog._parameters(facts, whole=True)
        if value not in (None, "")
    }
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(facts.time))
    return {
        "pri": str(13 * 8 + facts.severity),
        "time": moment,
        "host": "office",
        "app": "hem",
        "proc": "-",
        "msgid": facts.name,
        "msg": f"\ufeff{facts.text}",
        "data": {"hem@32473": parameters},
    }


def check(taken, copy):
    told = [{name: value for name, value in line.items() if name != "sd"} for line in taken]
    assert told == [expected(facts_of(each, "office", SHORT)) for each in copy.entries()]
    for line, entry in zip(taken, copy.entries(), strict=True):
        message = syslog.message(facts_of(entry, "office", SHORT)).decode("utf-8")
        assert f" {line['sd']} \ufeff" in message


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "rsyslog"
    made.mkdir()
    return made


def test_over_tcp_every_entry_comes_as_it_is(folder, copy, export):
    with Rsyslog(folder, "tcp") as server:
        status, told = export(server)
        assert (status, told) == (0, f"{server.url}: 491 entries sent; it has got to 491\n")
        check(server.wait(491), copy)
        assert export(server)[1].endswith(" 0 entries sent; it has got to 491\n")
        append(copy.folder, [line_entry(b"one more")])
        export(server)
        check(server.wait(492), copy)


def test_over_udp_every_entry_comes_as_it_is(folder, copy, export):
    """UDP may lose; over this loopback it does not, which is looked at."""
    with Rsyslog(folder, "udp") as server:
        assert export(server)[0] == 0
        check(server.wait(491), copy)


@pytest.fixture
def files(folder):
    """Certificates of the server and of the collector."""
    authority = trustme.CA()
    found = {}
    for name, who in (("", "127.0.0.1"), ("our_", "collector.example")):
        made = authority.issue_cert(who, common_name=who)
        found |= {f"{name}certificate": folder / f"{name}cert.pem", f"{name}key": folder / f"{name}key.pem"}
        found[f"{name}certificate"].write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        made.private_key_pem.write_to_path(found[f"{name}key"])
        found[f"{name}key"].chmod(0o600)
    found["ca"] = folder / "ca.pem"
    authority.cert_pem.write_to_path(found["ca"])
    return found


@pytest.mark.parametrize("driver", ["gtls", "ossl"])
def test_over_tls_every_entry_comes_as_it_is(driver, folder, copy, export, files):
    if not has_driver(driver):
        pytest.skip(f"needs rsyslog's module for TLS: {driver}")
    with Rsyslog(folder, "tls", driver=driver, files=files) as server:
        assert export(server, "--ca-file", files["ca"])[0] == 0
        check(server.wait(491), copy)


@pytest.mark.parametrize("driver", ["gtls", "ossl"])
def test_over_tls_both_sides_are_verified(driver, folder, copy, export, files):
    if not has_driver(driver):
        pytest.skip(f"needs rsyslog's module for TLS: {driver}")
    ours = ("--certificate", files["our_certificate"], "--private-key", files["our_key"])
    with Rsyslog(folder, "tls", driver=driver, files=files, peer="collector.example") as server:
        status, _ = export(server, "--ca-file", files["ca"], "--wait", 2)
        assert status == 3  # refused, or the connection is closed on us
        status, told = export(server, "--ca-file", files["ca"], *ours)
        assert status == 0, told
        check(server.wait(491), copy)
        trustme.CA().cert_pem.write_to_path(folder / "other.pem")
        append(copy.folder, [line_entry(b"never sent")])
        status, told = export(server, "--ca-file", folder / "other.pem", *ours)
        assert (status, "hem: " in told) == (3, True)
        assert len(server.taken) == 491


def test_one_that_is_restarted_gets_all(folder, copy, export):
    """It is stopped as its service is; entries that are collected meanwhile wait."""
    server = Rsyslog(folder, "tcp")
    process = subprocess.Popen(
        [*HEM, "log", "export", "--from", copy.folder, "--to", server.url, "--follow", "--every", "1"],
        stderr=subprocess.PIPE,
    )
    try:
        with server:
            server.wait(491)
        append(copy.folder, entries())
        time.sleep(1.5)
        with server:
            server.wait(982)
            append(copy.folder, [line_entry(b"last")])
            taken = server.wait(983)
        numbers = [int(line["data"]["hem@32473"]["entry"]) for line in taken]
        assert list(dict.fromkeys(numbers)) == list(range(1, 984))
    finally:
        process.kill()
        process.communicate()


def test_cef_comes_within_syslog(folder, copy, export):
    with Rsyslog(folder, "tcp") as server:
        assert export(server, "--format", "cef")[0] == 0
        taken = server.wait(491)
    assert [line["msg"] for line in taken] == [
        f"\ufeff{cef.line(facts_of(each, 'office', SHORT))}" for each in copy.entries()
    ]
