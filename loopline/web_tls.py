"""TLS settings of our web servers: the portal, the feature service, Dagster's UI, the collector.

Three variables name its files, as a chart or a service's unit sets them for all of them; the inference server has its
own, which its environment file names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.sign_in_settings import is_local

if TYPE_CHECKING:
    from collections.abc import Mapping

CERTIFICATE, KEY, CLIENTS = "LOOPLINE_TLS_CERTIFICATE", "LOOPLINE_TLS_KEY", "LOOPLINE_TLS_CLIENTS"
VARIABLES = (CERTIFICATE, KEY, CLIENTS)
"""Files in PEM form: what the server shows, its key, and the authority of those who alone are answered."""


def options(host: str, variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return uvicorn's options; a server that others reach in clear says so on standard error.

    Raises:
        InvalidEnvironment: a variable is missing beside the others, or a file cannot be used.
    """
    given = {name: value for name in VARIABLES if (value := variables.get(name, "").strip())}
    if not given:
        if not is_local(host):
            line = f"listens on {host} in clear: name {CERTIFICATE} and {KEY}, or let a mesh or a proxy encrypt\n"
            sys.stderr.write(line)
        return {}
    missing = [name for name in (CERTIFICATE, KEY) if name not in given]
    if missing:
        raise InvalidEnvironment(
            f"{' and '.join(given)} without {' and '.join(missing)}", "name both files, or neither"
        )
    from loopline.platform_core.foundation.tls import Tls

    tls = Tls(certificate=Path(given[CERTIFICATE]), key=Path(given[KEY]), clients=_path(given.get(CLIENTS)))
    return tls.for_uvicorn(", ".join(given))


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
