"""What fresh interpreters import: the kernel little and fast, the graph no library of a vendor.

import-linter holds the arrows between our own packages (``make check``); this holds what it cannot see: what an
import really pulls in.
"""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("lightgbm", "matplotlib", "onnxruntime", "optuna", "pandas", "polars", "scipy", "skl2onnx", "sklearn")
VENDORS = (
    "azure",
    "boto3",
    "botocore",
    "confluent_kafka",
    "deltalake",
    "duckdb",
    "evidently",
    "google.cloud",
    "kserve",
)
VENDORS += ("mlflow", "pyspark", "redis")
KERNEL = ("specs", "contracts", "environment", "plugins", "platform", "foundation.clock", "foundation.names", "errors")
LOADED = """
import json, sys
before = set(sys.modules)
{code}
files = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]  # no bare namespaces
print(json.dumps(sorted(set(files) - before)))
"""
LOAD_ALL = """
from loopline.asset_defs import LooplineModel
LooplineModel.get_model_cls()
from loopline.asset_defs import code_location
from loopline.platform_core import plugins
found = plugins.installed()
assert not found.quarantined, found.quarantined
assert found.teams
for team in found.teams:
    getattr(code_location, team.name).get_repository_def()
"""


def fresh(code: str) -> list[str]:
    """Run code in a fresh interpreter; gives the modules that it loads."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code)], text=True, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded(modules: list[str], names: tuple[str, ...]) -> list[str]:
    """Return which of the names are loaded, themselves or by a part of theirs."""
    return [name for name in names if any(m == name or m.startswith(f"{name}.") for m in modules)]


def test_the_kernel_is_light():
    """The kernel's own modules come with pydantic, yaml and msgspec and nothing else."""
    added = fresh("\n".join(f"import loopline.platform_core.{name}" for name in KERNEL))
    outside = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    known = {"loopline", "pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"}
    known |= {"yaml", "msgspec", "cython_runtime"}
    assert {name for name in outside if not name.startswith("_")} - known == set()


def test_a_declaration_needs_the_standard_library_only():
    """What a team imports to declare itself costs no third party's import."""
    modules = fresh("import loopline.platform_core.specs")
    assert loaded(modules, ("pydantic", "yaml", "numpy", "narwhals", "pyarrow", "sqlalchemy", "dagster")) == []


def test_the_graph_imports_no_vendor():
    """Dagster loads all definitions of all teams without a library of a vendor, or one that takes long to import."""
    modules = fresh(LOAD_ALL)
    assert "dagster" in modules
    assert loaded(modules, VENDORS + HEAVY) == []
    assert loaded(modules, ("loopline.resources", "loopline.cli", "loopline.portal", "loopline.up")) == []


WAITING = """
import loopline.portal.server, loopline.portal.app, loopline.features_api.server, loopline.features_api.app
from loopline.cli.installation import watchdog
from loopline.graphql import Dagster
from loopline.platform_core.errors import StoreUnavailable
from loopline.watchdog import assembly
try:
    Dagster("http://127.0.0.1:9/graphql").locations()
except StoreUnavailable:
    pass
else:
    raise AssertionError("somebody answers on the port that discards")
"""
"""What processes of ``loopline up`` import that wait most of the day: portal, feature service, watchdog."""


def test_what_waits_holds_no_library_of_arrays():
    """It reads what others have computed: each of these libraries would be held all day, 10 to 50 MB a process."""
    assert loaded(fresh(WAITING), ("numpy", "pyarrow", "httpx", "dagster", *HEAVY)) == []
