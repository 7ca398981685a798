"""Notebook API: pinned training sets, views, versions, and fits compared with the champion.

    from loopline import lab

    shop = lab.open()
    rows = shop.training_set("shop/outcome")

Everything reads, and writes nothing but one file of a team's package when it is asked to. What goes live goes the way
of every model: trained from pinned rows, judged by its gates, rolled out.
"""

from loopline.lab.comparing import Comparison
from loopline.lab.fitting import Fitted
from loopline.lab.opening import Lab, open  # noqa: A004 - ``lab.open()``, as of files
from loopline.lab.packaging import Packaged
from loopline.lab.rows import Frame, TrainingRows
from loopline.lab.versions import Version

__all__ = ["Comparison", "Fitted", "Frame", "Lab", "Packaged", "TrainingRows", "Version", "open"]
