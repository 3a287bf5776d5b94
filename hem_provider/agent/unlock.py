"""``python -m hem_provider.agent.unlock NAME``: unlocks an agent from the configured source, in a process of
its own, so that the passphrase never is in the agent's memory. Its standard error says why it could not."""

from __future__ import annotations

import sys

from hem_provider.agent.calls import AgentCalls
from hem_provider.config import load_config
from hem_provider.config.login_source import read_passphrase
from hem_provider.errors import HemError, HemLoginRequired

__all__ = ["main"]


def main(name: str) -> int:
    """Exit status: 0 unlocked, 1 not, with the reason on standard error."""
    try:
        passphrase = read_passphrase(load_config().device(name))
        if passphrase is None:
            raise HemLoginRequired(f"{name}: no source of the passphrase is configured")
        AgentCalls().unlock(name, passphrase)
    except HemError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
