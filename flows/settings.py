"""What the surroundings may set, by environment variables that begin with ``CROSSDOCK_``."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of a process; the defaults are right for one machine."""

    model_config = SettingsConfigDict(env_prefix="CROSSDOCK_", extra="ignore")

    model_dirs: list[Path] = Field(default=[], description="More places to look for ONNX models.")
    checkpoint_seconds: float = Field(default=10.0, gt=0, description="Least time between two.")
