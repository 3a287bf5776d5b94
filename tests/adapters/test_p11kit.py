"""Who names a module to p11-kit, from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hem_provider.adapters.p11kit import Registration, directories, registrations

NAME = "libhem_pkcs11.so"


@pytest.fixture
def files(tmp_path):
    """Writes a file; the directory is what is looked through."""

    def write(name, text, folder="modules"):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / name).write_bytes(text.encode())
        return place / name

    return write


@pytest.mark.parametrize(
    "text",
    [
        f"module: /opt/{NAME}\n",
        f"# a comment\nmodule:/opt/{NAME}",
        f"managed: yes\r\nmodule:   /opt/{NAME}  \r\npriority: 3\n",
    ],
)
def test_a_module_is_found_as_p11_kit_reads_its_file(files, tmp_path, text):
    file = files("hem.module", text)
    assert registrations(NAME, [tmp_path / "modules"]) == [Registration(file, Path(f"/opt/{NAME}"))]


def test_what_names_another_module_or_nothing_is_left_out(files, tmp_path):
    files("other.module", "module: /usr/lib/opensc-pkcs11.so\n")
    files("hem.module.bak", f"module: /opt/{NAME}\n")
    files("empty.module", "")
    files("odd.module", f"#module: /opt/{NAME}\nmodule\nmodule:\n")
    (tmp_path / "modules" / "folder.module").mkdir()
    (tmp_path / "modules" / "gone.module").symlink_to(tmp_path / "nowhere")
    assert registrations(NAME, [tmp_path / "modules", tmp_path / "no-such"]) == []


def test_the_users_own_directory_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert directories() == (
        tmp_path / "pkcs11" / "modules",
        Path("/etc/pkcs11/modules"),
        Path("/usr/share/p11-kit/modules"),
    )
