"""Settings of ``crossdock notify``: the table ``[notify]`` of the settings file.

A *way* is a receiver and how it is reached; a *rule* says which notifications go by which ways. Secrets
come from the environment (``CROSSDOCK_NOTIFY__WAYS__ERP__SECRET``) or from a file that is read again
for every attempt, so that it can be replaced while the process runs. They are never shown.
"""

from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from schemas.codes import Audience, Template
from schemas.errors import InputError

WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s#]*$")]
Zone = Annotated[str, Field(description="Such as Europe/Berlin.")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Secret(_Model):
    """A secret, or the file that has it."""

    secret: SecretStr | None = Field(default=None, description="By the environment, best.")
    secret_file: Path | None = Field(default=None, description="Read for every attempt.")

    @model_validator(mode="after")
    def _not_twice(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file are both given")
        return self

    def reveal(self) -> str | None:
        """The secret, if there is one.

        Raises:
            InputError: its file cannot be read.
        """
        if self.secret_file is None:
            return self.secret.get_secret_value() if self.secret is not None else None
        try:
            return self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.secret_file} cannot be read: {error}") from error


class Auth(Secret):
    """How a gateway knows us: a header, or a parameter of the address."""

    header: str = "Authorization"
    prefix: str = Field(default="Bearer ", description="Before the secret in the header.")
    parameter: str | None = Field(default=None, description="Of the query, instead of a header.")


class Answer(_Model):
    """Gateways that say in the body of a 200 whether they took a message."""

    field: str = Field(description="Of the JSON object, such as errcode.")
    good: list[str] = Field(description="Its values that mean it was taken.")
    again: list[str] = Field(default=[], description="Those that mean later; others are final.")


class _Way(_Model):
    timeout_seconds: float = Field(default=10.0, gt=0, le=60, description="For the whole attempt.")
    at_once: int = Field(default=4, ge=1, le=64, description="So many attempts at a time.")
    per_second: float | None = Field(default=None, gt=0, description="At most so many messages.")


class WebhookWay(_Way, Secret):
    """A CloudEvent, signed as Standard Webhooks say."""

    kind: Literal["webhook"]
    url: WebAddress
    secret: SecretStr | None = Field(
        default=None, description="whsec_…; while it is changed both, with a blank between."
    )
    quiet: bool = Field(default=False, description="Whether quiet hours count.")


class _Gateway(_Way):
    url: WebAddress
    auth: Auth = Auth()
    headers: dict[str, str] = {}
    answer: Answer | None = None
    quiet: bool = Field(default=True, description="Whether quiet hours count.")


class SmsWay(_Gateway):
    """A gateway for short messages."""

    kind: Literal["sms"]
    method: Literal["POST", "PUT"] = "POST"
    body: dict[str, str] = Field(
        default={"to": "{{ phone }}", "text": "{{ text }}", "reference": "{{ key }}"},
        description="Fields of the JSON body; may name phone, text, key, template, language, data.",
    )
    parts_max: int = Field(default=2, ge=1, le=8, description="Messages that a text may take.")
    to: str | None = Field(default=None, description="Who gets what is not for a customer.")


class MiniProgramWay(_Gateway):
    """Messages of a mini-program: touser, template_id, page, data."""

    kind: Literal["mini_program"]
    template_ids: dict[Template, str] = Field(
        min_length=1, description="By template; without one it goes by the next way of the rule."
    )
    page: str = Field(default="", description="Before the path of the order's page.")
    to: str | None = Field(default=None, description="Who gets what is not for a customer.")


class EmailWay(_Way):
    """A mail server."""

    kind: Literal["email"]
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(pattern=r"^[^\r\n]*[^\s@]+@[^\s@]+$")
    user: str | None = None
    password: Secret = Secret()
    quiet: bool = Field(default=True, description="Whether quiet hours count.")
    to: str | None = Field(default=None, description="Who gets what is not for a customer.")


Way = Annotated[WebhookWay | SmsWay | MiniProgramWay | EmailWay, Field(discriminator="kind")]


class Rule(_Model):
    """Which notifications it takes; an empty list takes all. They go by the first way that can."""

    audience: Audience
    tiers: list[str] = []
    channels: list[str] = Field(default=[], description="That the order came by.")
    templates: list[Template] = []
    tenants: list[str] = []
    networks: list[str] = []
    ways: list[str] = Field(
        min_length=1, description="In order of preference; the first that has an address is it."
    )


class QuietHours(_Model):
    """When customers are left alone, by the clock of their network."""

    begin: time = time(22)
    end: time = time(8)

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.begin == self.end:
            raise ValueError("begin and end are the same: leave quiet_hours out instead")
        return self


class NotifySettings(_Model):
    """What is sent to whom; a way and a rule at least."""

    store: Path | None = Field(default=None, description="An SQLite file; beside the lake without.")
    ways: dict[Annotated[str, Field(pattern="^[a-z0-9-]+$")], Way] = Field(min_length=1)
    rules: list[Rule] = Field(min_length=1)
    addresses: Path | None = Field(
        default=None,
        description="CSV, JSON lines or Parquet: token, phone, email, open_id, language.",
    )
    texts: Path | None = Field(default=None, description="Folder of texts that replace ours.")
    pages: WebAddress | None = Field(default=None, description="Host of the orders' pages.")
    language: str = Field(default="en", description="Where neither customer nor order has one.")
    time_zone: Zone = "UTC"
    time_zones: dict[str, Zone] = Field(default={}, description="By network, as tenant/network.")
    quiet_hours: QuietHours | None = None
    urgent: list[Template] = Field(
        default=[
            Template.EXCURSION,
            Template.LOST,
            Template.DAMAGED,
            Template.OUT_FOR_DELIVERY,
            Template.ATTEMPT_FAILED,
        ],
        description="Sent in quiet hours too.",
    )
    retry_seconds: list[Annotated[float, Field(gt=0)]] = Field(
        default=[5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200],
        description="Pauses between attempts; a dead letter after the last.",
    )
    expire_hours: float = Field(default=48.0, gt=0, description="Older ones are not sent.")
    keep_days: float = Field(default=30.0, gt=0, description="What is done is kept so long.")
    poll_seconds: float = Field(default=1.0, gt=0, description="Most time between two looks.")

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {name!r}") from error
        return name

    @field_validator("time_zones")
    @classmethod
    def _are_known(cls, zones: dict[str, str]) -> dict[str, str]:
        for network, name in zones.items():
            cls._is_known(name)
            if network.count("/") != 1:
                raise ValueError(f"{network!r} is no network: say tenant/network")
        return zones

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for number, rule in enumerate(self.rules, 1):
            for name in rule.ways:
                if name not in self.ways:
                    raise ValueError(f"rule {number} names the way {name!r}, which is not there")
                way = self.ways[name]
                if rule.audience is Audience.CUSTOMER or isinstance(way, WebhookWay):
                    continue
                if way.to is None:
                    raise ValueError(
                        f"rule {number} sends to an {rule.audience} by {name!r}, which has no 'to'"
                    )
        return self

    def zone(self, tenant: str, network: str) -> ZoneInfo:
        """By whose clock a network lives."""
        return ZoneInfo(self.time_zones.get(f"{tenant}/{network}", self.time_zone))
