"""What a release has beside its packages: the list of parts, the sums, their signature, and what to read.

The list is made by cyclonedx-py of an environment in which the release's own wheel is installed, and beside
it what ``packaging/debian/requirements.txt`` pins: all extras but that of pictures. The same environment
signs the sums. It is a demonstration that what is released can sign; the device is emulated and gone
afterwards, and its key vouches for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hem_provider.emulator.process import ServedEmulator
from tools.make_wheels import OF_THE_HOST, ReleaseError
from tools.roots import ROOT

__all__ = ["PINNED", "SUMS", "installed", "list_parts", "notes", "sign_sums", "write_sums"]

SUMS = "SHA256SUMS"
#: What a device takes to sign, in bytes.
_MOST = 2048
PINNED = ROOT / "packaging" / "debian" / "requirements.txt"
_LABEL = "release"
_NOTES = """\
# hem-provider {version}

{changes}

## Checking what you have

```console
$ sha256sum --check --ignore-missing SHA256SUMS
$ openssl dgst -sha256 -verify SHA256SUMS.pem -signature SHA256SUMS.sig SHA256SUMS
Verified OK
```

The first line tells whether files are whole. The second is a demonstration: the signature was made by this
release's own PKCS#11 module with a key of an *emulated* HEM, which is gone. Who could replace the files could
replace that key; the tag `v{version}` has the sums as well. `hem-provider-{version}.cdx.json` (CycloneDX)
lists the Python packages that the Debian package brings. A wheel brings none: pip takes what is newest and
fits.
"""


def installed(folder: Path, python: str, wheel: Path) -> Path:
    """A virtual environment with the wheel and what it can need, and nothing else."""
    _run([python, "-m", "venv", "--without-pip", str(folder)])
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--python",
        str(folder),
        "install",
        "-q",
    ]
    _run([*pip, "--require-hashes", "-r", str(PINNED)])
    _run([*pip, "--no-deps", "--no-index", str(wheel)])
    _run([*pip[:-2], "check"])
    return folder


def list_parts(environment: Path, folder: Path, version: str, files: Iterable[Path]) -> Path:
    """Write the CycloneDX document into ``folder``; where it is. Its own part is this version, with the
    ``files`` that it is handed out in and their sums. It has no address of an index: what publishes it there
    may say that."""
    target = folder / f"hem-provider-{version}.cdx.json"
    project = environment / "pyproject.toml"
    stated = (ROOT / "pyproject.toml").read_text("utf-8")
    project.write_text(stated.replace('dynamic = ["version"]', f'version = "{version}"'), "utf-8")
    _run([
        sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(project),
        "--mc-type", "library", "--output-reproducible", "--output-format", "JSON", "--spec-version", "1.6",
        "--output-file", str(target), str(environment / "bin" / "python"),
    ])  # fmt: skip
    document = json.loads(target.read_text("utf-8"))
    ours = document["metadata"]["component"]
    if (ours["name"], ours.get("version")) != ("hem-provider", version):
        raise ReleaseError(f"cyclonedx-py made a list of {ours['name']} {ours.get('version')}")
    ours["externalReferences"] = [_handed_out(each) for each in files]
    ours["properties"] = [{"name": "hem-provider:needs-of-the-host", "value": each} for each in OF_THE_HOST]
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _check(text)
    target.write_text(text, "utf-8")
    return target


def _handed_out(file: Path) -> dict[str, Any]:
    sums = [{"alg": "SHA-256", "content": _sum(file)}]
    return {"type": "distribution", "url": file.name, "hashes": sums}


def _check(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise ReleaseError(f"the list of parts is not CycloneDX 1.6: {error}")


def notes(version: str, changes: str) -> str:
    """What to read, in Markdown: what changed, and how the release is checked."""
    return _NOTES.format(version=version, changes=changes)


def write_sums(folder: Path, files: Sequence[Path]) -> Path:
    """Write the SHA-256 sums of files of ``folder``, as sha256sum reads them; where they are.
    ``ReleaseError`` where that is more than a device signs."""
    lines = [f"{_sum(each)}  {each.name}\n" for each in sorted(files, key=lambda each: each.name)]
    target = folder / SUMS
    target.write_text("".join(lines), "utf-8")
    if target.stat().st_size > _MOST:
        raise ReleaseError(f"{SUMS} has {target.stat().st_size} bytes; a device signs {_MOST} at most")
    return target


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sign_sums(environment: Path, folder: Path, place: Path) -> Path:
    """Sign the sums of ``folder`` with a new P-256 key of an emulated device, by pkcs11-tool and the module
    of the environment, and verify that as ``notes`` says; the signature, beside which the public key is
    written. What the device writes lies in ``place``."""
    tool = shutil.which("pkcs11-tool")
    if tool is None:
        raise ReleaseError("pkcs11-tool is missing; on Debian: apt-get install opensc")
    sums, signature, public = (folder / f"{SUMS}{end}" for end in ("", ".sig", ".pem"))
    hem = str(environment / "bin" / "hem")
    with ServedEmulator(place) as device:
        own = {
            "HOME": str(place), "PATH": os.environ["PATH"], "HEM_AGENT": "never",
            "HEM_URL": device.https, "HEM_CA_FILE": str(device.ca_file),
            "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
        }  # fmt: skip
        module = _run([hem, "pkcs11", "path"], own).strip()
        by_module = [tool, "--module", module, "--login", "--id", "01"]
        _run([*by_module, "--keypairgen", "--key-type", "EC:prime256v1", "--label", _LABEL], own)
        form = ["--mechanism", "ECDSA-SHA256", "--signature-format", "openssl"]
        _run([*by_module, "--sign", *form, "--input-file", str(sums), "--output-file", str(signature)], own)
        public.write_text(_run([hem, "keys", "public", _LABEL, "--format", "pem"], own), "utf-8")
    signature.chmod(0o644)  # pkcs11-tool makes what it writes its user's alone
    _run(["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", str(signature), str(sums)])
    return signature


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout
