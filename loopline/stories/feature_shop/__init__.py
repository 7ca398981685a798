"""Test shop with fixed features, on which servers and SDKs must give the same bytes (``sdk/vectors``)."""

from loopline.stories.feature_shop.calls import CALLS, ROWS, Call
from loopline.stories.feature_shop.content import fill, train
from loopline.stories.feature_shop.team import NOW, team

__all__ = ["CALLS", "NOW", "ROWS", "Call", "fill", "team", "train"]
