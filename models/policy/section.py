"""What every section of a policy shares."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Hours = Annotated[float, Field(ge=0, le=24 * 366, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, le=60 * 24 * 366, allow_inf_nan=False)]


class Section(BaseModel):
    """A mapping in the document; what it does not know is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)
