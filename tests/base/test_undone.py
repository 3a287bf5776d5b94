"""What a page's "Undo" leaves is found, by which all recipes are held."""

from __future__ import annotations

import pytest
from support.pages import run_page
from support.undone import differing_files, differing_variables, files_of, had_before

PAGE = """\
# Sign a letter

```console
$ echo 'Dear Ada' > letter.txt
$ export LETTER="$PWD/letter.txt"
$ {does}
```

## Undo

```console
$ unset LETTER
$ {undoes}
```

Keep `letter.sig`.
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the page with these two commands; it has no device."""
    monkeypatch.setattr("support.pages.keys_of", lambda _: set())
    folder = tmp_path / "folder"
    folder.mkdir()

    def run(does="true", undoes="rm letter.txt"):
        page = tmp_path / "page.md"
        page.write_text(PAGE.format(does=does, undoes=undoes))
        run_page(page, environment={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, folder=folder)

    return run


def test_a_page_that_is_undone_passes_and_keeps_what_it_names(run):
    run("touch letter.sig")


@pytest.mark.parametrize(
    ("does", "undoes", "told"),
    [
        ("true", "true", "letter.txt is left"),
        ("mkdir empty", "rm letter.txt", "empty/ is left"),
        ("git config --global user.name Ada", "rm letter.txt", ".gitconfig is changed"),
        ("echo 'ada@example.org …' >> ~/.ssh/allowed_signers", "rm letter.txt", "allowed_signers is changed"),
        ("true", "rm letter.txt; sed -i /^enable-ssh/d ~/.gnupg/gpg-agent.conf", "gpg-agent.conf is changed"),
        ("true", "rm -r letter.txt ~/.gnupg/openpgp-revocs.d", "OTHER.rev is gone"),
        ("export SSH_AUTH_SOCK=$PWD/agent", "rm letter.txt", "SSH_AUTH_SOCK=.*/agent"),
        ("export OPENSSL_CONF=$PWD/x.cnf", "unset HOME; rm letter.txt", r"HOME=\(not set\)', 'OPENSSL_CONF="),
        ("export PATH=$PATH:$PWD", "rm letter.txt", "PATH="),
        ("mkdir letters; cd letters", "rm -r ../letter.txt ../letters", "PWD="),
    ],
)
def test_what_a_page_leaves_is_told(run, does, undoes, told):
    with pytest.raises(AssertionError, match=rf"is undone, and not its (files|variables): .*{told}"):
        run(does, undoes)


def test_what_programs_keep_by_themselves_does_not_count(tmp_path):
    had_before(tmp_path)
    before = files_of(tmp_path, {"XDG_DATA_HOME": str(tmp_path / "data")})
    for name in (".cache/hem/keys", "data/hem/store", ".gnupg/trustdb.gpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    after = files_of(tmp_path, {"XDG_DATA_HOME": str(tmp_path / "data")})
    assert differing_files("", before, after) == []
    assert any("data/ is left" in each for each in differing_files("", before, files_of(tmp_path, {})))


def test_variables_of_the_shell_itself_do_not_count():
    before = b"A=1\0B=2\nC=3\0_=/usr/bin/env\0SHLVL=1\0"
    assert differing_variables(before, b"B=2\nC=3\0A=1\0_=x\0SHLVL=2\0OLDPWD=/\0") == []
    assert differing_variables(before, b"A=1\0B=2\0") == ["B=2"]
