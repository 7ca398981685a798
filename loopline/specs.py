"""Public import of what a team declares: ``from loopline import specs``; all that a team's package needs."""

from loopline.platform_core.specs import *  # noqa: F403 - the same names, under the address that teams write
from loopline.platform_core.specs import __all__ as __all__  # noqa: PLC0414 - said again for type checkers
