"""HTTP statuses of the device and of the agent, and exit statuses of the command. See ``entries``."""

from __future__ import annotations

from hem_provider.cli.helping.entries import written

__all__ = ["AGENT", "DEVICE", "EXITS"]

#: Of the device's API.
DEVICE = written("""
HTTP-200: done.
  because: all went well.
  do: nothing. An empty body is an answer, too.
HTTP-201: a check of an upload was begun.
  because: the device verifies the vendor's signature in the background.
  do: ask again until it is 200: `hem device upgrade` does.
HTTP-202: the check of an upload goes on.
  because: it takes the device some seconds.
  do: ask again.
HTTP-400: a field is missing, malformed or not known to this firmware.
  because: wrong sizes or types, a key id that is none; of a decryption a wrong length of IV or tag.
  do: the message names the endpoint. `hem doctor` tells the firmware; an older one knows fewer fields.
HTTP-401: the login is not accepted: no token, an expired one, one of before a restart, or a wrong proof.
  because: tokens die with each restart of the device. At a login it is the passphrase (E-PASSPHRASE).
  do: log in again, which this package does by itself, once. A wrong token is refused even where none is
    needed.
HTTP-403: the token's scope or role does not permit it; at a login: the device's clock is not set.
  because: a token is for one key or one purpose; the master secret may not use keys. The clock is lost
    without power.
  do: HemScopeDenied says what is missing; `hem checkin` sets the clock (HemClockError).
HTTP-404: this device has no such endpoint, log file or record.
  because: a rack device (EPA) has no log files, disks and upgrades of this kind; an older firmware lacks
    some.
  do: `hem status` tells model and firmware.
HTTP-406: the operation failed: no such key, another type or use, a duplicate, or a verification that did
    not succeed.
  because: the device says no more than this number for all of these.
  do: `hem keys show KEY`; a signature that is not good is told as such.
HTTP-409: the device is not in a state to do it.
  because: fail state, not initialised, formatting, an upgrade under way; or keys were asked for by plain
    HTTP.
  do: `hem status` tells which.
HTTP-410: the repository of keys could not be searched.
  because: its filter failed inside.
  do: `hem keys list` does without it; `hem device selftest`.
HTTP-411: the request had no length.
  because: a proxy, or software of your own, sends bodies in chunks, which the device does not take.
  do: send `Content-Length`.
HTTP-412: the web page that asks is not on the device's allow-list.
  because: the request has an `Origin`, and the setting `origin` names another one.
  do: `hem device config set origin=https://…`. This package sends no `Origin`.
HTTP-413: the request is too large, or an upload has no file name.
  because: a JSON body may have 7300 bytes, an upload 16 MiB, a firmware image 3 MiB.
  do: see MessageTooLong, which stops it before it is sent.
HTTP-418: keys are used over TLS only.
  because: the request came by plain HTTP.
  do: see E-PLAIN-HTTP.
HTTP-500: the device failed internally.
  because: out of memory, or its secure element does not answer.
  do: `hem device reboot`, then `hem doctor`; if it stays so, the vendor's to repair.
HTTP-795: an ML-DSA signature did not verify.
  because: the device puts an internal number there, where it means 406.
  do: it is told as a signature that is not good.
""")

#: Of an agent, where its answer has a header ``Hem-Agent``.
AGENT = written("""
AGENT-200: done by the agent itself.
  because: the question was its own (`/status`, `/lock`, `/stop`).
  do: nothing.
AGENT-400: this is no request, or a field of it is not accepted.
  because: software of your own speaks to the agent; the body is no JSON object, or a header is malformed.
  do: the `message` says what is accepted (docs/agent.md).
AGENT-401: the agent is locked for this device.
  because: see E-AGENT-LOCKED.
  do: `hem agent unlock`.
AGENT-403: the agent does not permit it, or the PIN is another one.
  because: see E-AGENT-RIGHT.
  do: start it with the right, or go without it: `HEM_AGENT=never`.
AGENT-404: the agent serves no such device, or there is no such path.
  because: see E-AGENT-DEVICE.
  do: `hem agent status` tells which it serves.
AGENT-405: the agent knows no such method.
  because: the device's API has GET, POST and DELETE.
  do: take one of these.
AGENT-413: the request is larger than the agent takes.
  because: a head may have 16 KiB, a body 256 KiB.
  do: no request of the device's API is as large.
AGENT-421: the agent has another device of this name.
  because: the header `Hem-Device` names a URL that is not the one it is configured with.
  do: compare the configurations: `hem agent status`, `hem config show`.
AGENT-431: the head of the request is larger than the agent takes.
  because: more than 16 KiB of headers.
  do: send fewer.
AGENT-501: the request uses a part of HTTP that the agent does not.
  because: a transfer encoding, or an upgrade of the protocol.
  do: send plain HTTP/1.1 with `Content-Length`.
AGENT-502: the way from the agent to the device failed.
  because: `error` names the class, `code` the entry of this page: HemUnreachable, HemTimeout,
    ConnectionLostError.
  do: look there.
AGENT-503: the agent is being locked or stopped; nothing was sent.
  because: somebody typed `hem agent stop` or `lock`.
  do: `hem agent start`, and try again.
""")

#: Of ``hem``.
EXITS = written("""
EXIT-0: done.
  because: all went well.
  do: nothing.
EXIT-1: failed.
  because: the line on standard error says what happened.
  do: `hem help` with the name that stands below that line on a terminal, or in the field `help` with
    `--json`.
EXIT-2: what was typed is no command.
  because: an option or argument is not known, missing or not accepted.
  do: the line says what is accepted, and `--help` all of it.
EXIT-3: the device, or the agent, was not reached.
  because: HemUnreachable, HemTimeout or HemTLSError.
  do: `hem doctor`. Scripts may try again.
EXIT-4: refused: login, scope, or approval.
  because: HemAuthenticationError, HemLoginRequired, HemScopeDenied, HemApprovalDenied or
    HemApprovalTimeout.
  do: scripts must not try again: each wrong login makes the next slower.
EXIT-5: what was named is not there: a key, a configured device, or the like.
  because: HemKeyNotFound, HemDeviceNotConfigured.
  do: `hem keys list`, `hem config show`.
EXIT-130: interrupted.
  because: Ctrl-C.
  do: what was under way is done whole or not at all, and is told where nobody knows.
""")
