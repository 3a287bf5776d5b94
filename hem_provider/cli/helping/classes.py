"""Exception classes: those of ``hem_provider.errors`` say by themselves what they are. See ``entries``."""

from __future__ import annotations

from hem_provider.cli.helping.entries import written

__all__ = ["CLASSES", "OTHERS"]

#: Of ``hem_provider.errors``.
CLASSES = written("""
HemError: any error of this package.
  because: it is the base of all the others.
  do: catch it where one answer fits all; `error.code` names the entry of this page, `error.status` an HTTP
    status.
HemConfigError: a setting is missing, malformed, or kept where others may change it.
  because: the message names the file, the line and what is accepted.
  do: `hem config check`; docs/configuration.md has every setting. See E-SETTING, E-CONFIG-FILE, E-RIGHTS.
HemDeviceNotConfigured: no device is configured under this name.
  because: it is mistyped, or stands in another file than the one that is read.
  do: the message tells the names there are; `hem config path` tells the file.
HemConnectionError: no usable answer came from the device or its cloud service.
  because: it is the base of all that goes wrong on the way; nothing was changed unless it is
    HemOutcomeUnknown.
  do: `hem doctor`.
HemUnreachable: nothing was reached, so that nothing was done.
  because: name, route or connection failed. See E-NAME, E-NO-ROUTE, E-REFUSED, E-CONNECT; of an agent
    E-AGENT-NONE.
  do: is the device plugged in and switched on? `hem doctor` goes from the cable to the certificate.
HemTimeout: the device was reached, and did not answer in time.
  because: it is busy (making a key takes seconds), hangs under load, or the network is slow.
  do: try again. If it stays so, raise `timeout` (docs/configuration.md); a device that hangs is pulled and
    plugged in. A `spacing` of 0.15 s helps devices that stall under load.
HemApprovalTimeout: nobody answered on a phone in time.
  because: the phone is off, has no network, or its application is not open.
  do: open the application on the phone, then try again.
HemTLSError: the certificate, or TLS, is not acceptable; nothing was sent.
  because: see E-TLS-NAME, E-TLS-UNTRUSTED, E-TLS-EXPIRED, E-TLS-NOT-YET, E-TLS-PIN, E-TLS-HANDSHAKE.
  do: `hem certificate show` tells what the device presents, `hem doctor` what is wrong with it.
HemProtocolError: the answer is truncated, or none of a HEM.
  because: a proxy, a captive portal or another server answers; or the connection was cut.
  do: look at the URL (`hem config show`) and at what stands between; `curl URL/api/system/status` shows
    what answers.
HemOutcomeUnknown: a change may have been made: its answer was lost.
  because: the connection broke after the request had left, and looking afterwards did not tell.
  do: look before you repeat it, as the message says: `hem keys list`, or try the new passphrase, then the
    old.
HemOutcomePending: no answer came in time, and the change was not made when we looked.
  because: the device is slow; it may yet make it.
  do: wait a minute, look (`hem keys list`), then repeat it if it is still not made.
HemAuthenticationError: the device does not accept the login.
  because: mostly the passphrase, E-PASSPHRASE; or the token was given up by a restart, and a new login was
    refused.
  do: see E-PASSPHRASE.
HemLoginRequired: a login is needed, and there is nothing to log in with.
  because: no passphrase was given, none is configured, no terminal is there to ask on, and no agent is
    unlocked.
  do: `hem agent start`, or `HEM_PASSPHRASE_FILE` or `passphrase_command` in the configuration for programs
    that run alone; `--mobile` asks a phone.
HemApprovalDenied: the login was refused on the phone, or no phone is paired.
  because: somebody has refused it, or see E-NO-PHONE.
  do: if it was not you: who asked? `hem log list` tells of each login. Else try again.
HemScopeDenied: the login does not permit this.
  because: the master secret may not use keys; a phone granted less; or an agent was started without that
    right (E-AGENT-RIGHT).
  do: log in as the user, by passphrase; start the agent with the right.
HemClockError: the device's clock is not set or wrong, and a check-in did not put it right.
  because: a device without power forgets the time; the vendor's service sets it, and was not reached or
    refused.
  do: `hem checkin` on a computer that has internet, or by file (docs/without-cloud.md). See E-CLOUD.
HemKeyNotFound: no key of the device is called so.
  because: it was deleted, is another device's, or the label is mistyped: case and blanks count.
  do: `hem keys list`; in Python `hem.keys.refresh()` looks anew at once.
HemKeyAmbiguous: several keys are called so.
  because: labels need not be unique.
  do: name it by its KID, which the message tells; `hem keys rename` gives it a label of its own.
HemRequestRefused: the device finds the request malformed or too large.
  because: newer software than the device's firmware, or an argument that it does not take. See HTTP-400,
    HTTP-413, HTTP-404.
  do: the message names the field or the endpoint; `hem doctor` tells the firmware.
HemOperationFailed: the device refuses the operation.
  because: the key is of another type, was made for another use, or does not exist. See HTTP-406.
  do: `hem keys show KEY` tells what it is for.
HemDuplicateKey: the same public key is in the device already.
  because: it was taken in, or derived from the same input, before.
  do: use that one: `hem keys list`.
HemDeviceFault: the device cannot answer in its present state.
  because: a fail state (E-FAIL-STATE), formatting (E-FORMATTING), or an internal error, HTTP-500.
  do: `hem status`; if it stays so, `hem device reboot`.
HemNotInitialized: the device is factory-fresh, or was wiped.
  because: nobody owns it yet.
  do: `hem init` (docs/owner/setup.md).
HemAnswerFault: the device answered what cannot be true; nothing of it is used.
  because: a damaged device, a firmware that is not known here, or somebody between.
  do: restart the device, and try again; if it stays so do not use it, and report it with what `hem doctor
    --json` says.
HemLogDamaged: a copy of the device's log is not as it was written.
  because: somebody changed, cut or replaced a file of it; or a disk failed.
  do: keep it as it is: it is evidence. Collect into a new folder, and compare (docs/owner/log.md).
HemKeySetFailed: no device of a set of keys did it.
  because: each has a reason of its own, which the message tells.
  do: look at `error.reasons`; `hem doctor --device NAME` for each.
MessageTooLong: more bytes than the device takes in one operation; nothing was sent.
  because: it takes whole messages of up to 2 KiB, and no digest of a longer one.
  do: sign a digest as a message where verifiers agree to that (`hem sign` does, in forms that are made for
    it); encrypt files by `hem encrypt` (docs/recipes/what-fits.md).
KeyNotExportable: a private or secret key never leaves the device.
  because: something asked for its bytes: an export, pickling, a library that wants a local key.
  do: hand over the key object itself; docs/python.md names what libraries take.
""")

#: Of other modules.
OTHERS = written("""
ConnectionLostError: the connection ended after the request had left and before the answer was here.
  because: the device restarted, was pulled, or stalled; a network fails.
  do: what may be repeated was repeated already. A change says HemOutcomeUnknown or that it was not made.
NoTurnError: the device's turn did not come; nothing was sent.
  because: other programs use it, one of them hangs or is stopped; one request at a time is sent to a
    device.
  do: wait; end the program that is stopped (`ps`, state T). Through an agent all programs wait in one line.
MisshapenError: the status of the device is not one.
  because: something else answers, or the device is damaged.
  do: `hem doctor` says what came; look at the URL.
UnsuitableKey: the key cannot be used for this operation; nothing was sent.
  because: see WrongKeyType, WrongKeyFamily, KeyUseDenied.
  do: make a key for it: `usage={"aead"}`, `{"cipher"}`, `{"wrap"}` or `{"mac"}` (docs/symmetric.md).
WrongKeyType: the operation needs a key of another type.
  because: an AES operation with a key pair, or the like.
  do: `hem keys list` tells types; the message what is accepted.
WrongKeyFamily: the key was made for another family of modes, which this one would undo.
  because: who may use a key in ECB can open what it has sealed otherwise.
  do: take a key of its own for each family (docs/symmetric.md).
KeyUseDenied: who made the key has ruled out this use.
  because: it was made by a PKCS#11 template that denies it, or with limits.
  do: take another key; this one's limits cannot be changed.
Declined: you were asked whether it is meant, and said no.
  because: what destroys something is asked.
  do: nothing was done. `--yes` answers for you.
NotThere: what was named is not there.
  because: it is mistyped, or was removed.
  do: the message says where you see what is there.
BadSignature: the signature is not one of this file by this key.
  because: the file was changed, it is another's signature, or of another form.
  do: do not trust the file. Was it signed by `--key` and with this `--format`?
InputChanged: the file was changed while it was signed; nothing was written.
  because: a program writes to it.
  do: wait until it is done, and sign again.
GnupgFailed: a program of GnuPG ended with an error.
  because: the text is what it said.
  do: docs/recipes/gnupg.md; `hem gpg status`.
Busy: another process collects into this copy of the log.
  because: a timer and a person, or two timers, have one folder.
  do: wait; the message names the process.
DamagedFile: the file is none of age's, or was changed, cut or added to.
  because: a transfer broke off, or somebody altered it.
  do: fetch it again; what was released before the error is its true beginning.
NotForThisKey: no key that was tried opens the file.
  because: it was encrypted for somebody else, or for a key of another device.
  do: `hem age recipient KEY` tells for whom it has to be encrypted.
TooManyTries: finding the key by trying would take the device too long.
  because: the file has many recipients, and the device many keys.
  do: name the key: `--key`.
ProtocolFault: what started the plugin does not keep to the protocol, or ended.
  because: it was started by hand, or by another version of age.
  do: let `age` or `rage` start it: docs/recipes/age.md.
VaultError: something is wrong with a file of passwords.
  because: it is the base of the next ones.
  do: `hem keyring check`.
VaultMissing: there is no vault at this path.
  because: none was made, or `KEYRING_PROPERTY_VAULT` leads elsewhere.
  do: `hem keyring init` (docs/keyring.md).
VaultExists: a vault is there already, and is never overwritten.
  because: `hem keyring init` was run before.
  do: use it, or move the file away.
VaultDamaged: the vault is not as it was written.
  because: cut by a full disk of other software, altered, or another file.
  do: `hem keyring check` tells what still opens; take it back from a backup.
EntryRejected: one entry of the vault does not open.
  because: it was altered, moved, or is of another vault or device.
  do: take that entry back from a backup; all others open.
VaultVersion: a later version of this package has written the vault.
  because: it was downgraded, or the file is shared with a newer machine.
  do: upgrade here (docs/upgrade.md).
VaultBusy: the lock of the vault was not free in time.
  because: another program writes it, or is stopped while it does.
  do: wait; end the program that is stopped.
VaultUnwritable: the vault could not be written; it is as it was.
  because: see E-DISK-FULL and E-DENIED.
  do: make room, or mend rights; then again.
SourceError: the other keyring gives no entry.
  because: it is locked, or its backend cannot list.
  do: unlock it; name the entries: `--names FILE` (docs/recipes/keyring-import.md).
NotSealed: the ciphertext was made by another key, or was changed.
  because: the key of Kubernetes' configuration is another one than before.
  do: give all keys that ever sealed: `--key` again for each (docs/recipes/kubernetes.md).
CertificateRefused: what is asked for would be no good certificate, or the key is none for certificates.
  because: the message names the rule.
  do: mend the request; docs/owner/certificates.md.
""")
