"""Features from Loopline: the newest for an application, those of the past for training."""

from loopline_client.async_features import AsyncFeatures
from loopline_client.errors import BadRequest, Conflict, FeatureError, NotFound, Unavailable
from loopline_client.features import Features
from loopline_client.online import OnlineFeatures, ViewStates
from loopline_client.training import TrainingSet

__all__ = [
    "AsyncFeatures",
    "BadRequest",
    "Conflict",
    "FeatureError",
    "Features",
    "NotFound",
    "OnlineFeatures",
    "TrainingSet",
    "Unavailable",
    "ViewStates",
]
