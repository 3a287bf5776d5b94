"""What ``hem doctor --fix`` can do: harmless things, each after a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hem_provider.cli.confirming import confirm
from hem_provider.cli.doctor.checking import Outcome, Patient
from hem_provider.cli.statuses import Declined
from hem_provider.device.cache import DiskCache
from hem_provider.device.watching import BACK
from hem_provider.errors import HemError, HemOperationFailed
from hem_provider.records import frozen

__all__ = ["MENDINGS", "Mended", "mend"]


@frozen
class _Mending:
    """``question``: what is asked before; ``do``: does it, and tells what was done."""

    question: str
    do: Callable[[Patient], str]


@frozen
class Mended:
    """What became of one: ``done``, or why not."""

    fix: str
    done: bool
    told: str

    def document(self) -> dict[str, Any]:
        """As the schema says."""
        return {"fix": self.fix, "done": self.done, "told": self.told}


def _permissions(patient: Patient) -> str:
    for path, mode in patient.loose.items():
        path.chmod(mode)
    return "; ".join(f"{path} has mode {mode:04o} now" for path, mode in patient.loose.items())


def _check_in(patient: Patient) -> str:
    done = patient.hem.check_in()
    return "the device's clock is set" + (f"; the cloud orders: {done.action}" if done.action != "OK" else "")


def _renew(patient: Patient) -> str:
    new = patient.hem.certificate.renew()
    if new is None:
        raise HemOperationFailed("the cloud has no new certificate yet; nothing was changed")
    patient.hem.admin.await_device(BACK)
    patient.hem.check_in()  # a restart has taken its clock
    return f"the new certificate runs until {new.not_after:%Y-%m-%d}; the device has restarted"


def _register(_: Patient) -> str:
    from hem_provider.cli.built import module_path
    from hem_provider.cli.pkcs11_install import default_directory, install

    return f"{install(module_path(), default_directory())} names the module"


def _forget_cache(patient: Patient) -> str:
    DiskCache(patient.device.url).forget_listing()
    return "the list of keys is forgotten; the next program asks the device"


#: In the order in which they are done: one may be what the next needs.
MENDINGS: Mapping[str, _Mending] = {
    "permissions": _Mending("Take from others the right to read or change these files?", _permissions),
    "renew": _Mending("Install the certificate that the cloud offers, and restart the device?", _renew),
    "check-in": _Mending("Check in, which sets the device's clock by way of its cloud service?", _check_in),
    "forget-cache": _Mending("Forget the list of keys that this machine remembers?", _forget_cache),
    "register": _Mending("Name the PKCS#11 module to p11-kit?", _register),
}


def mend(outcomes: Iterable[Outcome], patient: Patient, *, yes: bool) -> list[Mended]:
    """Do what the findings ask for. What fails, or is declined, does not hinder the others."""
    wanted = {finding.fix for outcome in outcomes for finding in outcome.findings}
    found = []
    for name, mending in MENDINGS.items():
        if name not in wanted:
            continue
        try:
            confirm(_question(name, mending, patient), yes=yes)
            found.append(Mended(name, True, mending.do(patient)))
        except Declined:
            found.append(Mended(name, False, "left as it is"))
        except (HemError, OSError) as error:
            found.append(Mended(name, False, str(error)))
    return found


def _question(name: str, mending: _Mending, patient: Patient) -> str:
    if name != "permissions":
        return mending.question
    return f"{mending.question} ({', '.join(map(str, patient.loose))})"
