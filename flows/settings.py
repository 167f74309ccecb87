"""What the surroundings may set: a TOML file, and over it environment variables.

``CROSSDOCK_LAKE`` is ``lake``, ``CROSSDOCK_KAFKA__BOOTSTRAP`` is ``bootstrap`` under ``[kafka]``. Values are
never shown in an error: any of them may be a secret.
"""

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from flows.channels.settings import Channels, refuse_shared_topics
from flows.hooks.settings import HooksSettings
from flows.inlets.settings import InletsSettings
from flows.kafka.client import KafkaSettings
from flows.notices.settings import NotifySettings
from flows.vault.settings import VaultSettings
from schemas.errors import InputError

_PREFIX = "CROSSDOCK_"


class Settings(BaseSettings):
    """Settings of a process; the defaults are right for one machine."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    model_dirs: list[Path] = Field(default=[], description="More places to look for ONNX models.")
    checkpoint_seconds: float = Field(default=10.0, gt=0, description="Least time between two.")
    checkpoints: str | None = Field(
        default=None,
        description="Where to keep them, as s3://BUCKET/PREFIX; without, beside the lake's data.",
    )
    lake: Path | None = Field(default=None, description="The lake that the job writes.")
    lake_catalogue: str | None = Field(
        default=None,
        description="PostgreSQL database for the catalogue of a new lake, so that several processes "
        "can write it, as host=… dbname=… user=…; the password by PGPASSWORD or a passfile.",
    )
    xref_wait_seconds: float = Field(
        default=86_400.0, gt=0, description="How long a message may wait to be looked up."
    )
    processes: int = Field(default=1, ge=1, description="That share the work; see ordinal.")
    ordinal: int = Field(
        default=0,
        ge=0,
        description="This one of them: has partitions ordinal, ordinal + processes, …",
    )
    ingest: str = Field(
        default="ingest", pattern="^[A-Za-z0-9._-]+$", description="With ordinal, signs its ticks."
    )
    tick_seconds: float = Field(default=1.0, gt=0, description="Least time between two ticks.")
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="Serves /metrics, /health, /ready; not without."
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address to serve them at.")
    link_secret: str = Field(
        default="",
        description="Tokens by which the public sees one order are made with it: 32 characters or more.",
    )
    kafka: KafkaSettings | None = Field(default=None, description="The cluster; see [kafka].")
    notify: NotifySettings | None = Field(
        default=None, description="What is sent to whom; see [notify] in flows/notices/settings.py."
    )

    customer_secret: str = Field(
        default="",
        repr=False,
        description="Customers of channels become tokens with it; whoever changes it knows none again.",
    )
    channels: Channels = Field(
        default={},
        description="Sources with a mapping; see [channels.NAME] in flows/channels/settings.py.",
    )
    hooks: HooksSettings = Field(
        default=HooksSettings(), description="The webhook receiver; see [hooks]."
    )
    inlets: InletsSettings = Field(
        default=InletsSettings(), description="What fetches for channels; see [inlets]."
    )

    vault: VaultSettings | None = Field(
        default=None,
        description="Keys of personal data; see [vault] in flows/vault/settings.py. Without, of what is "
        "kept of payloads all that is personal is left out.",
    )

    @model_validator(mode="after")
    def _topics_of_their_own(self) -> Self:
        refuse_shared_topics(self.channels, self.kafka.topics if self.kafka is not None else [])
        return self

    @model_validator(mode="after")
    def _sealed_by_a_vault(self) -> Self:
        for name, channel in self.channels.items():
            if channel.sealed and self.vault is None:
                raise ValueError(f"channels.{name}.sealed: set [vault], which has the keys")
        return self

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.ordinal >= self.processes:
            raise ValueError(
                f"ordinal {self.ordinal}: of {self.processes} processes the first is 0"
            )
        return self

    def mine(self, partitions: int) -> list[int]:
        """Of so many partitions those of this process."""
        return list(range(self.ordinal, partitions, self.processes))

    @field_validator("lake_catalogue")
    @classmethod
    def _no_password(cls, text: str | None) -> str | None:
        if text is not None and ("password" in text.lower() or "://" in text):
            raise ValueError("it is kept beside the data: say host=… dbname=… user=…, no password")
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment counts for more than the file, whose content is given to the class."""
        return env_settings, init_settings


def load_settings(file: Path | None) -> Settings:
    """The settings of the file, as far as the environment says nothing else.

    Raises:
        InputError: the file cannot be read, or a setting is unknown or wrong; each is named.
    """
    content = _read(file) if file is not None else {}
    try:
        return Settings(**content)
    except ValidationError as error:
        where = str(file) if file is not None else "the environment"
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise InputError(f"{where}: {'; '.join(faults)}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: {error}") from error
