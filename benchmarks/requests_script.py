"""Signing without this package: a script with ``requests`` and a token, and whatever client one has."""

from __future__ import annotations

import base64
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

from benchmarks.floor import FULL_FLOOR
from benchmarks.laboratory import Laboratory
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.measure import Case
from hem_provider.measuring.subject import Subject

__all__ = ["other_client_case", "plain_requests_case", "signer_of"]

Signer = Callable[[str, str, str, str], Callable[[bytes], object]]


def plain_requests_case(lab: Laboratory, subject: Subject) -> Case:
    """Sign with P-256; the token is at hand."""
    import requests

    url, ca_file = lab.emulator.https, str(Path(lab.emulator.ca_file))
    kid = subject.keys["SECP256R1"].kid
    token = subject.token(f"keymgmt:use:{kid}")
    session = requests.Session()

    def sign() -> bytes:
        body = {"kid": kid, "msg": base64.b64encode(MESSAGE).decode(), "alg": "SHA256WithECDSA"}
        answer = session.post(
            f"{url}/api/crypto/exdsa/sign",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=ca_file,
            timeout=30,
        )
        answer.raise_for_status()
        return base64.b64decode(answer.json()["sign"])

    return Case("sign SECP256R1", "plain requests script", sign, floor=FULL_FLOOR)


def signer_of(script: Path) -> Signer:
    """What a script of yours defines for another client of the device: ``signer(url, ca_file, passphrase,
    kid)``, which returns a function that takes a message and signs it with ECDSA and SHA-256. ``TypeError``
    when it does not."""
    signer = runpy.run_path(str(script)).get("signer")
    if not callable(signer):
        raise TypeError(f"{script}: defines no function signer(url, ca_file, passphrase, kid)")
    return cast("Signer", signer)


def other_client_case(script: Path, lab: Laboratory, subject: Subject) -> Case:
    """Another client of the device, by its ``signer_of``."""
    signer, kid = signer_of(script), subject.keys["SECP256R1"].kid
    sign = signer(lab.emulator.https, str(lab.emulator.ca_file), lab.passphrase, kid)
    return Case("sign SECP256R1", f"client {script.stem}", lambda: sign(MESSAGE))
