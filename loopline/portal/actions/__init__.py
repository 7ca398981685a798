"""Actions of the portal: decisions that a person signs with a name and a reason.

They call what the command line calls; here are only what a form needs to know and the sentences around it.
"""

from __future__ import annotations

from collections.abc import Mapping

from loopline.portal.actions import access, alarms, letters, loops, rollouts, starts
from loopline.portal.actions.action import Action

ACTIONS: Mapping[str, Action] = {
    action.name: action for module in (rollouts, loops, letters, alarms, starts, access) for action in module.ACTIONS
}
"""By the name that stands in the address: ``/actions/<name>``."""
