"""Settings of the vault: the table ``[vault]`` of the settings file. The master key itself is never in it."""

from base64 import b64decode
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.secrets import read_secrets
from schemas.errors import InputError

MASTER_BYTES = 32


class VaultSettings(BaseModel):
    """Where the keys are, and where the key to them is."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    file: Path = Field(description="A SQLite file, which is made; on a disk of this machine.")
    master_key_file: Path | None = Field(
        default=None, description="Has 32 random bytes as Base64: openssl rand -base64 32"
    )
    master_key_env: str | None = Field(default=None, description="A variable that has the same.")

    @model_validator(mode="after")
    def _one_master_key(self) -> Self:
        if (self.master_key_file is None) == (self.master_key_env is None):
            raise ValueError("set one of master_key_file and master_key_env")
        return self

    def master_key(self) -> bytes:
        """The key that the keys are kept under.

        Raises:
            InputError: there is none, or it is no key; the message says where, never what.
        """
        lines = read_secrets(self.master_key_file, self.master_key_env, "master key of the vault")
        try:
            key = b64decode("\n".join(lines), validate=True)
        except ValueError:
            key = b""
        if len(key) != MASTER_BYTES:
            where = self.master_key_file or f"variable {self.master_key_env}"
            raise InputError(f"{where}: a master key is {MASTER_BYTES} bytes as Base64")
        return key
