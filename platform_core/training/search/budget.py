"""Time budget of a search: given in seconds, or as money at the price of the machines asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.training import prices

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model


def seconds(platform: Platform, model: Model) -> float | None:
    """Return for how long trials of a model may be begun; None for as long as there are any.

    Raises:
        Unsupported: it is limited by money, and there is no price sheet or it prices nothing that is asked for.
    """
    search, asked = model.search, model.compute
    if search.cost is None:
        return search.seconds
    sheet = prices.of_platform(platform)
    if sheet is None:
        raise Unsupported(
            f"the search of {model.name!r} is limited to a cost, and there is no price sheet",
            "name one in the environment file ('prices: ...'), or limit its seconds",
        )
    at_once = max(1, search.parallel) * asked.workers
    a_second = at_once * sheet.of(asked.cpu, asked.memory_gb, asked.gpu)
    if not a_second > 0:
        raise Unsupported(f"by {sheet.name} nothing of what {model.name!r} asks for has a price", "limit its seconds")
    bought = search.cost / a_second
    return bought if search.seconds is None else min(bought, search.seconds)
