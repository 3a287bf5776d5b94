"""What is typed wrongly is told in one line, and what is meant is guessed."""

from __future__ import annotations

import pytest

from hem_provider.cli import main as cli

#: What is typed → what the line has to say.
WRONG = {
    "pkcs1 path": ["'pkcs1'", "did you mean pkcs11?"],
    "nonsense": ["'nonsense'", "there are: age, agent, bench, "],
    "pkcs11": ["path, info, install, test"],
    "pkcs11 instal": ["hem pkcs11 has no command 'instal'", "did you mean install?"],
    "agent stat": ["did you mean start or status?"],
    "--versoin": ["hem has no option '--versoin'; did you mean --version?"],
    "ssh keys --devise x": ["hem ssh keys has no option '--devise'", "did you mean --device?"],
    "pkcs11 path -x": ["'-x'", "-h"],
    "ssh keys --zzz": ["'--zzz'", "there are: --device, --directory, --help, --json, --mobile, -h."],
    "bench --rounds 0": ["'--rounds'", "'0'", "1 to 10000"],
    "bench --rounds": ["'--rounds'", "N: times each operation is run"],
    "bench --rounds 1_0": ["'--rounds'", "1 to 10000"],
    "bench extra": ["extra"],
    "emulator serve --state s --https-port 65536": ["'--https-port'", "0 to 65535"],
    "emulator init --state s": ["'--passphrase-file'", "FILE: the user's passphrase"],
    "emulator reset --state s": ["--reboot, --power-cycle, --wipe, --factory"],
    "emulator reset --state s --wipe --factory": ["--wipe and --factory do not go together"],
    "emulator phone --state s --answer perhaps": ["'--answer'", "'approve', 'refuse', 'ignore'"],
    "emulator faults --count few": ["'--count'", "'few'"],
    "agent start --allow all": ["'--allow'", "'use'"],
    "agent start --idle -1": ["'--idle'", "seconds from 0 to 10000000"],
    "agent run": ["COMMAND"],
    "openssl config --id other": ["'--id'", "'hem', 'pkcs11'"],
    "openssl pem": ["NAME", "pkcs11: URI"],
    "ssh keys --json --directory d": ["--json and --directory do not go together"],
    "keyring init --key 1 --label x": ["--key and --label do not go together"],
    "keyring init --key 1 --label keyring": ["--key and --label do not go together"],
    "keyring list --vault ~nobody-is-called-so/v": ["'--vault'", "no home is known"],
    "status --mobile": ["give --login with it"],
    "doctor --mobile --no-login": ["--mobile and --no-login do not go together"],
    "doctor --fixx": ["hem doctor has no option '--fixx'; did you mean --fix?"],
    "completion tcsh": ["'tcsh'", "'bash', 'zsh', 'fish'"],
}


@pytest.mark.parametrize("typed", WRONG)
def test_a_usage_error_is_one_line_that_says_what_is_accepted(typed, capsys):
    assert cli.main(typed.split()) == 2
    told = capsys.readouterr()
    if "--json" not in typed:
        assert told.out == ""
        assert told.err.startswith("hem: ")
        assert told.err.count("\n") == 1
        assert "usage: hem" in told.err
    for each in WRONG[typed]:
        assert each in told.err + told.out
