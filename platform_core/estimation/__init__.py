"""Performance estimation: how good a model seems before labels come; which ways a kind of models may use."""

from loopline.platform_core.estimation.chances import Chances
from loopline.platform_core.estimation.class_chances import ClassChances, LabelChances
from loopline.platform_core.estimation.estimation import Estimation
from loopline.platform_core.estimation.first_steps import LossOfFirstSteps
from loopline.platform_core.estimation.losses import LossByReading

__all__ = ["Chances", "ClassChances", "Estimation", "LabelChances", "LossByReading", "LossOfFirstSteps"]
