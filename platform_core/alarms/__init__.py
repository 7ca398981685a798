"""Alarms: one per cause while it is active; raised, acknowledged, cleared, and delivered by notifiers.

``raise_alarm`` and ``clear`` write to the ledger and nothing else, so whoever finds something wrong is not held up;
the watchdog calls ``deliver``, which tells the notifiers.
"""

from loopline.platform_core.alarms.active_alarms import Standing, acknowledge, clear, past, raise_alarm, standing
from loopline.platform_core.alarms.alarm import Alarm

__all__ = ["Alarm", "Standing", "acknowledge", "clear", "past", "raise_alarm", "standing"]
