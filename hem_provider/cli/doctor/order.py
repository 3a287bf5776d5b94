"""The order of all checks, and what each cannot do without: settings first, then the way to the device, then
what is in it, then what this machine has around it."""

from __future__ import annotations

from hem_provider.cli.doctor import around, inside, reaching
from hem_provider.cli.doctor.checking import Check
from hem_provider.cli.doctor.openssl import openssl

__all__ = ["CHECKS"]

CHECKS = (
    Check("configuration", reaching.configuration),
    Check("name", reaching.name, ("configuration",), reaching=True),
    Check("connection", reaching.connection, ("name",), reaching=True),
    Check("certificate", reaching.certificate, ("connection",), reaching=True),
    Check("status", reaching.status, ("certificate",), reaching=True),
    Check("state", reaching.state, ("status",)),
    Check("cloud", reaching.cloud, ("status",)),
    Check("clock", reaching.clock, ("status",)),
    Check("login", inside.login, ("status", "state", "clock")),
    Check("scopes", inside.scopes, ("login",)),
    Check("self-test", inside.selftest, ("login",)),
    Check("secure-element", inside.secure_element, ("login",)),
    Check("log", inside.log, ("login",)),
    Check("module", around.module, ("configuration",)),
    Check("p11-kit", around.p11kit),
    Check("openssl", openssl),
    Check("keyring", around.keyring),
    Check("agent", around.agent, ("configuration",)),
    Check("caches", around.caches, ("configuration",)),
    Check("versions", around.firmware),
)
