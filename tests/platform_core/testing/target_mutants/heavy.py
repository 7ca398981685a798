"""A kind whose module brings a library."""

import numpy as np

from loopline.platform_core.targets import Binary


class Heavy(Binary):
    """Breaks promise 1: whoever declares a model waits for a library."""

    zero = np.float64(0)
