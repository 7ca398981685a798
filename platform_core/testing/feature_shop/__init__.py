"""A small shop with fixed features, on which servers and SDKs are held to the same bytes (``sdk/vectors``)."""

from platform_core.testing.feature_shop.calls import CALLS, ROWS, Call
from platform_core.testing.feature_shop.content import fill, train
from platform_core.testing.feature_shop.team import NOW, team

__all__ = ["CALLS", "NOW", "ROWS", "Call", "fill", "team", "train"]
