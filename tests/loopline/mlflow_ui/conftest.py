"""An environment without a vendor in which people sign in and have roles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopline.platform_core import environment
from loopline.platform_core.platform import Platform
from tests.loopline.mlflow_ui.guarded_server import environment_file


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Open it."""
    home = tmp_path_factory.mktemp("guarded")
    with pytest.MonkeyPatch.context() as here:
        here.setenv("LOOPLINE_HOME", str(home))
        opened = Platform(environment.read(environment_file(home), only=()))
    yield opened
    opened.close()
