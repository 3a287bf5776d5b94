"""``hem init``: find the device, begin with it or go on, and finish."""

from __future__ import annotations

from hem_provider.cli.choosing import check_nameable
from hem_provider.cli.confirming import show
from hem_provider.cli.init.beginning import begin, go_on
from hem_provider.cli.init.finding import find
from hem_provider.cli.init.finishing import finish
from hem_provider.cli.init.setup import Setup
from hem_provider.cli.init.writing import place
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.creation import key_type_named
from hem_provider.errors import HemConfigError

__all__ = ["initialise"]


def initialise(options: Given) -> int:
    """Its exit status. Raises what the steps raise."""
    if options.key_type is not None:
        try:
            key_type_named(options.key_type)
        except ValueError as error:
            raise UsageFault(f"--key-type: {error}") from None
    if options.key:
        check_nameable(options.key)
    if options.png is not None and options.png.exists():
        raise HemConfigError(f"{options.png}: there is such a file already; name another")
    where = place()
    with find(options.address, options.ca_file) as found:
        there = found.status.initialized
        setup = Setup(options, found, where, goes_on=there, begun=there)
        try:
            if there:
                go_on(setup)
            else:
                begin(setup)
            finish(setup)
        except BaseException:
            if setup.journal is not None and setup.begun:
                show("Not all is done. The same command goes on from here: hem init")
            raise
    return 0
