"""Settings of ``crossdock inlet``: the table ``[inlets]`` of the settings file.

What is fetched from where is in ``[channels]``, see ``flows/channels/ways.py``.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class InletsSettings(BaseModel):
    """What all ways have in common."""

    model_config = ConfigDict(extra="forbid")

    state: Path | None = Field(
        default=None, description="Folder of the cursors of what is polled; a small file each."
    )
    keep_seconds: float = Field(
        default=10.0,
        ge=0.1,
        description="In which the brokers must have it; then it is tried again.",
    )
