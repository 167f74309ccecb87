"""Settings of ``crossdock hooks``: the table ``[hooks]`` of the settings file.

Who may post what is in ``[channels]``, see ``flows/channels/settings.py``.
"""

from pydantic import BaseModel, ConfigDict, Field

from schemas.codec import MAX_LINE_BYTES


class HooksSettings(BaseModel):
    """Where the receiver listens, and its bounds."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen at.")
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes any that is free.")
    max_bytes: int = Field(
        default=1024 * 1024, ge=1024, le=MAX_LINE_BYTES, description="Of a body, unpacked."
    )
    connections: int = Field(
        default=512, ge=1, description="So many at a time; each may hold one body."
    )
    read_seconds: float = Field(default=10.0, gt=0, description="In which a body must have come.")
    keep_seconds: float = Field(
        default=3.0,
        ge=0.1,
        description="In which the brokers must have it; Shopify waits for an answer for 5.",
    )
