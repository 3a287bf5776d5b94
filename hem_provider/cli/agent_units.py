"""The units of systemd's user manager for the agent; ``packaging/systemd`` has them for packages."""

from __future__ import annotations

import shlex

__all__ = ["unit_files"]

_SERVICE = """\
[Unit]
Description=HEM agent: one login for all programs
Requires=hem-agent.socket

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} agent start --foreground
Restart=on-failure
LimitCORE=0
NoNewPrivileges=yes

[Install]
Also=hem-agent.socket
"""

_SOCKET = """\
[Unit]
Description=Sockets of the HEM agent

[Socket]
ListenStream=%t/hem/agent.sock
ListenStream=%t/hem/ssh-agent.sock
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
"""


def unit_files(*program: str) -> dict[str, str]:
    """Name → text, for the words by which ``hem`` is started."""
    words = shlex.join(program).replace("%", "%%")  # as systemd reads them
    return {"hem-agent.service": _SERVICE.format(program=words), "hem-agent.socket": _SOCKET}
