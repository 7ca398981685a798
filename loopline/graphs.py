"""Public import of model graph steps: ``from loopline import graphs``."""

from loopline.platform_core.graphs import *  # noqa: F403 - the same names, under the address that teams write
from loopline.platform_core.graphs import __all__ as __all__  # noqa: PLC0414 - said again for type checkers
