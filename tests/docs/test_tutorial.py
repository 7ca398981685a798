"""The tutorial, done as a reader does it: every file written, every command typed, every output compared."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from loopline.up.ports import free_port

ROOT = Path(__file__).parents[2]
PAGES = ("tutorials/your-first-team.md", "how-to/begin-from-a-template.md")
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
"""What pip is built with is installed already; of an option that begins with "no", false means: do not."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return what the reader needs of the repository: the environment files."""
    shutil.copytree(ROOT / "deploy", tmp_path / "clone" / "deploy")
    return tmp_path / "clone"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Return a reader's variables, with a venv that has all that this one has and keeps what the page installs."""
    home, own = tmp_path / "venv", Path(sysconfig.get_path("purelib"))
    venv.create(home, symlinks=True)
    site = home / own.relative_to(sys.prefix)
    site.joinpath("parent.pth").write_text(f"import site; site.addsitedir({str(own)!r})\n")
    for name, module in (("loopline", "loopline.cli"), ("pip", "pip._internal.cli.main")):
        script = home / "bin" / name
        script.write_text(f"#!{home}/bin/python\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    ours = ("LOOPLINE", "PYTHON", "DAGSTER", "PIP")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | OFFLINE | {"PATH": f"{home}/bin{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(home)}


@pytest.mark.daemon
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(page, steps, open_shell, clone, variables):
    """From an empty folder to a live model, under the real daemon; only the ports are this machine's."""
    inference, web = free_port(), free_port(3100)
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").replace("127.0.0.1:8080", f"127.0.0.1:{inference}")
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{web}").replace("loopline up >", f"loopline up --port {web} >")
    shell = open_shell(clone, variables | {"LOOPLINE_INFERENCE_PORT": str(inference)})
    for step in steps(text):
        step.take(shell)
