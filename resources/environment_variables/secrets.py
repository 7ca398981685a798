"""Secret store on environment variables of the process."""

from __future__ import annotations

import os
import re

from loopline.platform_core.contracts.secrets import Secrets, bad_name, no_such

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvironmentVariables(Secrets):
    """``secret://NAME`` is the variable ``<prefix>NAME``; nobody changes those of a process that runs.

    So a changed secret is seen when the process is started anew.
    """

    prefix: str = ""

    def current(self, name: str) -> bytes:
        """Return the variable's bytes."""
        if not _NAME.fullmatch(name):
            raise bad_name(name, "the name of a variable has letters, digits and underscores")
        value = os.environb.get(os.fsencode(self.prefix + name))
        if value is None:
            raise no_such(self.prefix + name, "this process's environment")
        return value
