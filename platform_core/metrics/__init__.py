"""Building blocks of model metrics; which there are, each kind of models says (``loopline.platform_core.targets``)."""

from loopline.platform_core.metrics.metric import Figure, Losses, Metric, OfChances, Predictions, Ranked
from loopline.platform_core.metrics.shares import Share

__all__ = ["Figure", "Losses", "Metric", "OfChances", "Predictions", "Ranked", "Share"]
