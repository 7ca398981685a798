"""Breaks promise 1: whoever declares a model waits for a library."""

import numpy as np

from loopline.platform_core.targets import Binary


class Heavy(Binary):
    """As any other one, once it is there."""

    zero = np.float64(0)
