"""Kinds of failures that a person meets: more precise than the class of the error. See ``entries``."""

from __future__ import annotations

from hem_provider.cli.helping.entries import written

__all__ = ["KINDS"]

KINDS = written("""
E-NAME: the device's host name has no address.
  because: it is mistyped, no name server is asked, or the one that is asked does not know it. `my.ence.do`
    is told by the device itself, so that it has to be plugged in; another name stands in your network's DNS
    or in `/etc/hosts`.
  do: try `getent hosts my.ence.do`. Where it tells nothing: is the device plugged in, and its network
    interface up (`ip address`: 192.168.7.10 to 12)? A VPN or DNS over HTTPS may hide it: add `192.168.7.1
    my.ence.do` to `/etc/hosts`.
E-REFUSED: something answers at the address, and takes no connection on the port.
  because: the device is still starting, it is in USB mode or being upgraded, or another machine has its
    address. An emulator (`https://localhost:…`, `https://127.0.0.1:…`) does not run, as after a restart of
    the computer.
  do: wait for a minute after it was plugged in. `ip neighbour` tells whose address it is; the port stands
    in the URL, 443 where none does. `hem doctor` goes through it in order. An emulator comes up at the same
    port by `hem emulator start` in its folder.
E-NO-ROUTE: no way leads to the device's network.
  because: it is not plugged in, or its interface is down; a VPN may have taken over the routes.
  do: plug it in, look for its interface (`ip address`), and leave its network (192.168.7.0/24) out of the
    VPN.
E-CONNECT: the device did not take a connection within `connect_timeout`.
  because: it is switched off, hangs, a firewall drops what is sent to it, or what listens at this port
    speaks no TLS.
  do: `ping` it, and look at the port in the URL; pull it and plug it in again. A rack device may be far
    away: raise `connect_timeout` (docs/configuration.md).
E-CLOUD: the vendor's service was not reached, which sets the device's clock, asks phones and issues
    certificates.
  because: this computer has no internet, a proxy is needed, or a firewall lets nobody out.
  do: a proxy is `HEM_CLOUD_PROXY`, or `cloud_proxy` in the configuration. A device without internet is
    checked in by carrying what it says to a computer that has it: `hem checkin --challenge`
    (docs/without-cloud.md).
E-TLS-NAME: the certificate is for another name than the one in the URL.
  because: the device was addressed by its number (`https://192.168.7.1`), by a nickname, or it has another
    name.
  do: write the URL with the name that `hem certificate show` tells. Where nobody resolves it, `/etc/hosts`
    does.
E-TLS-UNTRUSTED: nobody that is trusted here has signed the certificate.
  because: the device is an emulator, or has a certificate of your own authority or none of a public one; or
    somebody else answers.
  do: name the authority, `ca_file` or `HEM_CA_FILE`, or pin the key, `pin_sha256`: `hem certificate show`
    tells it. Compare it with what was noted when the device was set up before you trust it.
E-TLS-EXPIRED: the certificate has expired.
  because: certificates of devices run for 90 days, and firmware 1.2.2 does not put in by itself the one
    that it is offered. Or this machine's clock is wrong.
  do: look at `date`; then `hem certificate renew`, which asks the cloud for one and restarts the device
    (docs/owner/certificates.md).
E-TLS-NOT-YET: the certificate is not valid yet.
  because: this machine's clock is behind.
  do: set it: `timedatectl`, then try again.
E-TLS-PIN: the key of the certificate is not the one that is pinned.
  because: the device was wiped and set up anew, or somebody else answers at its address.
  do: find out which. Only where you know of the new key, set `pin_sha256` to what `hem certificate show`
    tells.
E-TLS-HANDSHAKE: TLS could not be agreed on.
  because: what answers speaks no TLS, or none of 1.3, as each device does: a proxy, an old server, a port
    of HTTP.
  do: look at host and port of the URL, and what stands between; `hem doctor` says what was answered.
E-PLAIN-HTTP: keys are used over HTTPS only, and the URL says `http://`.
  because: a device answers 418 to everything with keys on its plain port.
  do: configure the device by `https://` and the name of its certificate.
E-PASSPHRASE: the device does not accept the passphrase.
  because: it is mistyped, ends with a blank or was changed by somebody; it is that of another device; or it
    was set by software that makes the key from it in another way. After three wrong ones each try takes
    longer.
  do: try it once more, typed; look at the file that `HEM_PASSPHRASE_FILE` names (one line). `hem doctor`
    says when the form is the matter. With the 24 words of the master secret a new one can be set
    (docs/owner/phones.md).
E-PASSPHRASE-SOURCE: the passphrase's file or command does not give one.
  because: the file is missing, empty, has several lines, a byte order mark or is no UTF-8; or the command
    ended with an error, printed nothing or took over a minute.
  do: run the command, or look at the file, as the user that the program runs as. The passphrase stands
    alone on one line (docs/configuration.md).
E-SECRET-READABLE: others may read the file of the passphrase.
  because: its mode allows group or others to read it.
  do: `chmod 600 FILE`, as the line says. For a service: let root own it, and give its group the right to
    read.
E-RIGHTS: others may change a file that decides about your keys, or put another in its place.
  because: the configuration, the passphrase's file or command, a CA file or a folder on the way to it
    belongs to somebody else, is writable for group or others, or is no regular file.
  do: `chmod go-w` it, as the line says, or keep it in a folder of your own. What is root's may stay root's.
E-CA-FILE: the file of the certificate authority cannot be used.
  because: it is missing, not readable for this user, or has no certificate in PEM (`-----BEGIN
    CERTIFICATE-----`).
  do: name the file of the authority itself, not of a key or a certificate in DER; `openssl x509 -inform
    DER` turns it.
E-CONFIG-FILE: the configuration cannot be read.
  because: it is no TOML: often a value without quotes, or a byte order mark of an editor.
  do: the line names the place. `hem config check` goes through all of it, `hem config path` tells which
    file is meant.
E-SETTING: a setting is not known, or its value is not accepted.
  because: it is mistyped, stands in the wrong table, or two contradict each other.
  do: the line says what is accepted; docs/configuration.md has all. `hem config set` writes them without an
    editor.
E-NO-DEVICE: no device is configured.
  because: neither `HEM_URL` is set nor a file found: a service or another user has neither your environment
    nor your home.
  do: `hem config init`, or `export HEM_URL=https://my.ence.do`. For services `/etc/hem/config.toml`.
E-WHICH-DEVICE: several devices are configured, and none was named.
  because: a command is for one.
  do: give `--device NAME`; the line tells the names.
E-NO-PHONE: no phone is paired with the device.
  because: none was, or a wipe has removed them; each device has phones of its own.
  do: `hem phones pair`, or log in by passphrase: leave `--mobile` away, or set `auth = "passphrase"`.
E-FAIL-STATE: the device has found something wrong with itself, and refuses to work with keys.
  because: a self-test or its source of randomness failed, it was too hot (87 °C), or its storage is
    damaged; bits of its status say which.
  do: `hem doctor` names it. Let a hot device cool; restart it: `hem device reboot`, or pull it. What comes
    back after a restart is the vendor's to repair (docs/owner/status.md).
E-FORMATTING: the device is formatting its storage.
  because: it was just initialised, or its disks were changed.
  do: wait some minutes; `hem status` says when it is done.
E-AGENT-NONE: no agent runs, and the configuration wants one.
  because: `agent = "always"` or `HEM_AGENT=always`, and nobody started it; or `XDG_RUNTIME_DIR` is another
    one here.
  do: `hem agent start`; or go without it: `HEM_AGENT=never` (docs/agent.md).
E-AGENT-LOCKED: the agent is there, and locked.
  because: it was not used for an hour, the computer slept or the session was locked, or ten wrong PINs
    came.
  do: `hem agent unlock`.
E-AGENT-RIGHT: the agent was not started with the right to do this.
  because: it lets programs list, read and use keys, and no more, unless it was told so when it started.
  do: start it anew, as the line says: `hem agent stop`, then `hem agent start --allow make`; or do this one
    thing without it: `HEM_AGENT=never`.
E-AGENT-DEVICE: the agent does not serve this device.
  because: its configuration is another one than this program's, or was changed since it started.
  do: compare with `hem agent status`; start it anew.
E-AGENT-SOCKET: the socket of the agent is another user's.
  because: `HEM_AGENT_SOCK` or the folder leads to one that somebody else made.
  do: ask nobody's agent but your own: unset the variable, and look whose folder it is.
E-EXTRA: a package is missing that only this command needs.
  because: extras are not installed unless they are asked for (docs/install.md).
  do: type the command at the end of the line.
E-OLD-PACKAGE: a package beside this one is older than it needs.
  because: something else was installed by force into the same environment.
  do: type the command at the end of the line; or give hem-provider an environment of its own.
E-FILE-THERE: there is a file of this name already.
  because: nothing is overwritten unless you say so.
  do: `--force` replaces it; or choose another name.
E-DISK-FULL: a file could not be written.
  because: the disk is full, a quota or a limit (`ulimit -f`) is met, or the disk is read-only.
  do: make room, and try again. What was there before is still there: a file is replaced whole or not at
    all.
E-DENIED: the system does not let this user read or write a file.
  because: it is another user's, or a folder on the way is; a service runs as somebody else than you.
  do: `ls -ld` the file and its folders, as the user that the program runs as; change owner or place.
E-FAULT: this program has met what it does not expect.
  because: it is a fault of hem-provider.
  do: `HEM_DEBUG=1` before the same command shows where; please report that, with the version (`hem
    --version`).
""")
