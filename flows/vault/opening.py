"""The vault that the settings name."""

from flows.settings import Settings
from flows.vault.keys import Vault
from schemas.errors import InputError


def vault_of(settings: Settings) -> Vault | None:
    """The vault, made if need be; none where the settings have none.

    Raises:
        InputError: the master key is missing, or another one.
        StoreError: the file cannot be used.
    """
    if settings.vault is None:
        return None
    return Vault(settings.vault.file, settings.vault.master_key())


def existing_vault(settings: Settings) -> Vault:
    """The vault, for those who ask about what is in it: a new one would have nothing to say.

    Raises:
        InputError: none is set, or there is none; and see ``vault_of``.
        StoreError: see ``vault_of``.
    """
    if settings.vault is None:
        raise InputError("no vault is set: set file and a master key under [vault]")
    if not settings.vault.file.exists():
        raise InputError(f"there is no vault at {settings.vault.file}")
    return Vault(settings.vault.file, settings.vault.master_key())
