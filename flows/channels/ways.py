"""Settings of the ways in that fetch by themselves: a watched folder, an address that is polled, devices.

They are members of ``[channels.NAME]``; ``flows/inlets`` works by them.
"""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.secrets import read_secrets
from schemas.codec import MAX_LINE_BYTES

_HERE = {"localhost", "127.0.0.1", "::1"}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class FolderSettings(_Model):
    """A folder whose files are read, each row a payload; see ``files.py``."""

    path: Path = Field(description="That files are put into.")
    done: Path | None = Field(
        default=None,
        description="Where a file goes once its rows are durable; of a sealed channel it is removed then.",
    )
    refused: Path = Field(description="Where a file goes that cannot be read, or not wholly.")
    settle_seconds: float = Field(
        default=5.0,
        ge=0,
        description="A file is whole when it has not changed for so long; 0 where whole files are renamed in.",
    )

    @model_validator(mode="after")
    def _three_folders(self) -> Self:
        folders = [one for one in (self.path, self.done, self.refused) if one is not None]
        if len(set(folders)) < len(folders):
            raise ValueError("path, done and refused are different folders")
        return self


class CursorSettings(_Model):
    """Where an answer says how to go on, and how that is asked for."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="In the answer, as meta.next; a number is the place in an array, -1 the last.",
    )
    header: str | None = Field(
        default=None, min_length=1, description="Of the answer; of Link the address that is next."
    )
    parameter: str | None = Field(
        default=None,
        min_length=1,
        description="Of the query that asks for it; without, a cursor is the address of the next page.",
    )
    kept: bool = Field(
        default=False,
        description="A round begins where the last one ended, as rows are added at the end alone; "
        "else at the first page.",
    )

    @property
    def is_of_a_row(self) -> bool:
        """Whether it is a member of an element of an array."""
        names = (self.path or "").split(".")
        return any(name.removeprefix("-").isdecimal() for name in names)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.header is None):
            raise ValueError("set one of path and header")
        return self


class PollSettings(_Model):
    """An address that is asked again and again for what is new."""

    url: str = Field(description="Of the first page; http or https, without a secret.")
    every_seconds: float = Field(default=60.0, ge=0.1, description="From one round to the next.")
    items: str = Field(default="", description="Path of the array of payloads; the answer without.")
    cursor: CursorSettings | None = Field(
        default=None, description="How to go on; without, the one page is asked for every time."
    )
    page_rows: int | None = Field(
        default=None,
        ge=2,
        description="Of a full page; to be set where the cursor is of a row, as -1.updated_at.",
    )
    token_file: Path | None = Field(default=None, description="Has the token in a line.")
    token_env: str | None = Field(default=None, description="A variable that has the same.")
    header: str = Field(
        default="Authorization",
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="That takes the token.",
    )
    prefix: str = Field(default="Bearer ", description="Before the token in the header.")
    max_bytes: int = Field(
        default=4 * MAX_LINE_BYTES,
        ge=1024,
        le=64 * MAX_LINE_BYTES,
        description="Of a page, unpacked.",
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, description="In which a page must have come."
    )

    @model_validator(mode="after")
    def _goes_nowhere_else(self) -> Self:
        has_token = self.token_file is not None or self.token_env is not None
        if self.token_file is not None and self.token_env is not None:
            raise ValueError("token_file and token_env are both given")
        refuse_address(self.url, ("http", "https"), has_secret=has_token)
        return self

    @model_validator(mode="after")
    def _sees_when_it_is_stuck(self) -> Self:
        if self.cursor is not None and self.cursor.is_of_a_row and self.page_rows is None:
            raise ValueError("a cursor of a row needs page_rows: how many rows a full page has")
        return self

    def token(self) -> str | None:
        """The token, if there is one.

        Raises:
            InputError: there should be, and is not.
        """
        if self.token_file is None and self.token_env is None:
            return None
        return read_secrets(self.token_file, self.token_env)[0]


class MqttSettings(_Model):
    """Topics of an MQTT broker, subscribed to at QoS 1."""

    url: str = Field(description="mqtt://HOST or mqtts://HOST (TLS), with a port if it is another.")
    topics: list[str] = Field(min_length=1, description="Filters, as sensors/+/stock.")
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="By which the broker knows the session again; crossdock-NAME without.",
    )
    username: str | None = Field(default=None, min_length=1, description="If the broker asks.")
    password_file: Path | None = Field(default=None, description="Has the password in a line.")
    password_env: str | None = Field(default=None, description="A variable that has the same.")
    ca_file: Path | None = Field(
        default=None, description="Who may sign the broker's certificate; the system's without."
    )
    certificate: Path | None = Field(default=None, description="Ours, if the broker asks.")
    key: Path | None = Field(default=None, description="Of our certificate.")
    keepalive_seconds: int = Field(default=30, ge=5, le=3_600, description="From ping to ping.")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("password_file and password_env are both given")
        has_password = self.password_file is not None or self.password_env is not None
        if has_password and self.username is None:
            raise ValueError("a password needs a username")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        refuse_address(self.url, ("mqtt", "mqtts"), has_secret=has_password)
        if wrong := [topic for topic in self.topics if not _is_filter(topic)]:
            raise ValueError(f"{wrong[0]!r} is no topic filter")
        return self

    def password(self) -> str | None:
        """The password, if there is one.

        Raises:
            InputError: there should be, and is not.
        """
        if self.password_file is None and self.password_env is None:
            return None
        return read_secrets(self.password_file, self.password_env)[0]


def _is_filter(topic: str) -> bool:
    levels = topic.split("/")
    are_alone = all(level in ("+", "#") for level in levels if "+" in level or "#" in level)
    is_short = 0 < len(topic.encode()) <= 65_535
    return is_short and are_alone and "#" not in levels[:-1] and "\0" not in topic


def refuse_address(address: str, schemes: tuple[str, str], *, has_secret: bool) -> None:
    """See that an address can be used, and that no secret goes over it in the open.

    Args:
        address: as it is set.
        schemes: without and with TLS.
        has_secret: whether one is sent.

    Raises:
        ValueError: it cannot, or would.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("url cannot be read") from None
    if parts.scheme not in schemes or not host:
        raise ValueError(f"url is not {schemes[0]}://HOST or {schemes[1]}://HOST")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url has a user in it: secrets are in a file or the environment")
    if has_secret and parts.scheme == schemes[0] and host not in _HERE:
        raise ValueError(f"a secret goes over {schemes[1]} alone")
