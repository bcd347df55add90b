"""Types of config fields with bounds; `msgspec.convert` checks them."""

from typing import Annotated

from msgspec import Meta

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
PositiveRatio = Annotated[float, Meta(gt=0, le=1)]
RatioBelowOne = Annotated[float, Meta(ge=0, lt=1)]
