"""Birth, boot and wipe of a device (device API §6, §7.4, §17.4)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.emulator import element, tls
from hem_provider.emulator.audit import Event
from hem_provider.emulator.device import Device
from hem_provider.emulator.firmware import Firmware
from hem_provider.emulator.keys import kid_of
from hem_provider.emulator.keytypes import CERTIFICATE, DER_KEY
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.repository import Record
from hem_provider.emulator.state import Identity, Knobs, State, Task, Tls, make_factory, new_boot

__all__ = [
    "MODELS",
    "create",
    "disks_at_boot",
    "install_tls",
    "power_cycle",
    "power_off",
    "reboot",
    "renew",
    "start_log",
    "start_task",
    "store_tls_records",
    "wipe",
]

MODELS = ("ppa", "epa")


def create(
    device: Device, model: str, *, knobs: Knobs | None = None, firmware: Firmware | None = None
) -> None:
    """Make a factory-fresh device of ``model`` in an empty state file, with TLS from the emulator's own
    authority. ``ValueError`` for an unknown model."""
    if model not in MODELS:
        raise ValueError(f"model is one of {', '.join(MODELS)}, not {model!r}")
    knobs = knobs or Knobs()
    if knobs.ca is None:
        knobs = replace(knobs, ca=tls.make_authority())
    key = secrets.token_bytes(31).rjust(32, b"\x01")
    factory = make_factory(model, element_key=key, firmware=firmware)
    factory = replace(factory, element_certificate=element.make_certificate(factory))
    now = device.host_time()
    certificate = tls.issue(knobs.ca, tls.DEFAULT_NAMES) if knobs.ca else None
    device.state = State(
        factory=factory,
        identity=_new_identity(),
        boot=new_boot(0, now, tls=certificate),
        knobs=knobs,
        tls=certificate,
        rtc_device=now,
        rtc_host=now,
        firmware=factory.firmware.version,
    )
    _start(device, clear_clock=True)


def _new_identity() -> Identity:
    return Identity(secrets.token_bytes(32), secrets.token_bytes(32))


def _start(device: Device, *, clear_clock: bool) -> None:
    """Power-up: fresh boot state, a new log file, the start records."""
    state, old, switches = device.state, device.boot, device.switches
    host = device.host_time()
    # Gain so far stays in the clock: rebase it, so that a changed gain counts from now on only.
    now = device.now()
    boot = new_boot(old.number + 1, host, tls=state.tls)
    restart = state.knobs.latency.get("restart", 0.0)
    boot = replace(
        boot,
        last_fls=old.fls,
        disks=disks_at_boot(device),
        ready_at=host + restart if restart else 0.0,
        upgraded=state.upgraded,
    )
    if not switches.on(Q.BOOT_ENDS_TOKENS):
        boot = replace(
            boot, session_private=old.session_private, bearer_key=old.bearer_key, nonce_key=old.nonce_key
        )
    if old.rtc_set and not clear_clock:
        boot = replace(boot, rtc_set=True)
    device.state = replace(state, boot=boot, powered=True, rtc_device=now, rtc_host=host, upgraded=False)
    start_log(device)
    device.log(Event.STARTUP)
    device.log(Event.SELFTEST_PASSED)


def start_log(device: Device) -> None:
    """Begin a log file under the device's log key; the one before it is finished."""
    file, key = device.log_files.start_file(
        now=device.now(),
        firmware=device.state.firmware,
        signing_key=device.state.identity.log_key,
        base=device.switches.number(Q.LOG_SEQUENCE_BASE),
    )
    device.change_boot(log_file=file, log_mac_key=key)


def disks_at_boot(device: Device) -> tuple[str, ...]:
    """Exposure of the two disks: disk 0 by the low nibble of the storage mode, disk 1 hidden."""
    config = device.config
    if config is None:
        return ("-", "-")
    return ({1: "ro", 3: "rw"}.get(config.storage_mode & 0x0F, "-"), "-")


def reboot(device: Device) -> None:
    """Restart without power loss: tokens and session keys end, the clock counts as unset (U8)."""
    switches = device.switches
    keep = not switches.on(Q.REBOOT_CLEARS_RTC) or not switches.on(Q.BOOT_ENDS_TOKENS)
    _start(device, clear_clock=not keep)


def power_cycle(device: Device) -> None:
    """Unplug and plug in again: also ends a shutdown and a stop by the backend."""
    device.state = replace(device.state, bricked=False)
    _start(device, clear_clock=True)


def start_task(device: Device, name: str, seconds: float, outcome: str = "") -> None:
    """Begin a background task that ends by itself after ``seconds``; it replaces one of the same name."""
    others = tuple(task for task in device.boot.tasks if task.name != name)
    device.change_boot(tasks=(*others, Task(name, device.host_time() + seconds, outcome)))


def power_off(device: Device) -> None:
    """Stop USB and web servers until the next power cycle."""
    device.state = replace(device.state, powered=False)


def wipe(device: Device) -> None:
    """Erase configuration, keys and log; new identity and log-signing key; restart."""
    keep = device.switches.on(Q.WIPE_KEEPS_TLS)
    device.repository.erase(keep=(CERTIFICATE, DER_KEY) if keep else ())
    device.log_files.erase()
    state = device.state
    device.state = replace(
        state, config=None, identity=_new_identity(), tls=state.tls if keep else None, csr_key="", staged={}
    )
    _start(device, clear_clock=True)


def renew(device: Device) -> None:
    """Back to the factory: a new device of the same model, with the same switches and the same authority."""
    state = device.state
    for table in ("slot", "tombstone", "nonce", "log", "cloud"):
        device.store.database.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
    device.repository.erase()
    create(device, state.factory.model, knobs=state.knobs, firmware=state.factory.firmware)


def install_tls(device: Device, material: Tls) -> None:
    """Store TLS key and chain; the TLS server takes them at the next start (device API §1.3)."""
    device.state = replace(device.state, tls=material, csr_key="")
    if device.config is not None:
        store_tls_records(device)


def store_tls_records(device: Device) -> None:
    """Put TLS key and certificate into the repository, as records of their own kinds."""
    state, config = device.state, device.config
    if state.tls is None or config is None:
        return
    certificate = x509.load_pem_x509_certificate(state.tls.chain.encode())
    public = certificate.public_key()
    point = b""
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    der = certificate.public_bytes(Encoding.DER)
    now = device.now()
    descr = f"DNS:{config.hostname}".encode()
    capacity = device.switches.number(Q.CAPACITY)
    for kind, label, content in ((DER_KEY, "TLS PrivateKey", point), (CERTIFICATE, "TLS Certificate", der)):
        device.repository.remove_type(kind)
        record = Record(
            kid_of(content), kind, label, descr, now, now, private=kind == DER_KEY, public=content
        )
        device.repository.add(record, capacity=capacity)
