"""The class that ``keyring`` loads; ``hem_provider.adapters.keyring`` has it where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.credentials import SimpleCredential
from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError, PasswordSetError

from hem_provider.adapters.keyring.vault.errors import VaultError
from hem_provider.adapters.keyring.vault.store import default_path, is_vault
from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import named_path

if TYPE_CHECKING:
    from hem_provider.adapters.keyring.vault.opening import Opener
    from hem_provider.adapters.keyring.vault.vault import Vault

__all__ = ["HemKeyring"]

_PRIORITY = 8.0  # above the desktop's keyrings: who ran 'hem keyring init' wants this one


class HemKeyring(KeyringBackend):
    """One vault. Errors: ``KeyringLocked`` when device or login are missing, ``PasswordSetError``
    and ``PasswordDeleteError`` when that failed, else ``KeyringError``; never ``NotImplementedError``,
    at which a chain of backends would store the password in the next one.
    """

    #: Path of the vault; ``None`` for the default one.
    vault: str | None = None
    #: Name of a configured device; ``None`` for the one the vault names, or the only one.
    device: str | None = None

    def __init__(self) -> None:
        self._opener: list[Opener] = []  # made when needed; shared by the copies keyring makes
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's has no types

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805
        """8 when there is a vault; else ``RuntimeError``: no backend without one.

        ``keyring`` asks often: the vault is looked for and not opened, no connection is made.
        """
        try:
            path = default_path()
        except HemConfigError as error:
            raise RuntimeError(str(error)) from None
        if not is_vault(path):
            raise RuntimeError(f"{path}: there is no vault; make one with: hem keyring init")
        return _PRIORITY

    def get_password(self, service: str, username: str) -> str | None:
        """The password, or ``None`` when there is no such entry. One device call once a token is at hand;
        none when there is no such entry. With hidden names one more each time."""
        with _translated(KeyringError):
            return self._vault().get(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Write an entry, in place of one of the same name. One device call once a token is at hand; with
        hidden names one more."""
        with _translated(PasswordSetError):
            self._vault().set(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        """No device call; with hidden names one. ``PasswordDeleteError`` also when there is no such entry."""
        with _translated(PasswordDeleteError):
            found = self._vault().delete(service, username)
        if not found:
            raise PasswordDeleteError(f"no password of {username!r} for {service!r}")

    def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
        """With ``None`` for the user name: the service's first entry. Calls as ``get_password``."""
        with _translated(KeyringError):
            if username is None:
                content = self._vault().first(service)
                return None if content is None else SimpleCredential(content.user, content.password)
            password = self._vault().get(service, username)
            return None if password is None else SimpleCredential(username, password)

    def close(self) -> None:
        """Drop connections and logins; the next use makes them anew."""
        while self._opener:
            self._opener.pop().close()

    def _vault(self) -> Vault:
        # Every program that uses keyring loads this module; only those with a vault pay for the rest.
        from hem_provider.adapters.keyring.vault.opening import Opener
        from hem_provider.adapters.keyring.vault.vault import Vault

        if not self._opener:
            self._opener.append(Opener())
        path = default_path() if self.vault is None else named_path(self.vault)
        return Vault(path, self._opener[0].unlock(self.device))

    def __repr__(self) -> str:
        return f"<HemKeyring vault={self.vault!r} device={self.device!r}>"


HemKeyring.__module__ = "hem_provider.adapters.keyring"  # the name by which people choose it


@contextmanager
def _translated(failure: type[KeyringError]) -> Iterator[None]:
    """Errors of ours as ``keyring``'s; ``failure`` is what the operation itself raises."""
    try:
        yield
    except (VaultError, HemConfigError) as error:
        raise failure(str(error)) from error
    except HemError as error:
        raise KeyringLocked(str(error)) from error
    except (TypeError, ValueError) as error:
        raise failure(str(error)) from None
