"""A model in ``defs.yaml`` as a Dagster Component is the model that the team loads by itself."""

import importlib
import traceback
from pathlib import Path

import dagster as dg
import pytest
import retail

from loopline.asset_defs import code_location
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.specs import Team

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
YAML = Path(retail.__file__).parent / "defs/repeat_orders/defs.yaml"


def components(package) -> dg.Definitions:
    """Load a package's components as Dagster does, wherever the package is installed."""
    defs = importlib.import_module(f"{package.__name__}.defs")
    return dg.ComponentTree.from_module(defs_module=defs, project_root=Path(package.__file__).parent).build_defs()


def graph(definitions: dg.Definitions, name: str = "") -> dict[str, list[str]]:
    """Return the assets that are made, those of one name or all, with what they depend on."""
    found = definitions.resolve_asset_graph()
    keys = [key for key in found.materializable_asset_keys if key.path[-1].startswith(f"{name}_") or not name]
    return {str(key): sorted(map(str, found.get(key).parent_keys)) for key in sorted(keys)}


def checks(definitions: dg.Definitions, name: str = "") -> dict[str, bool]:
    """Return the checks of the assets of one name, or all, and whether they block."""
    found = definitions.resolve_asset_graph()
    keys = [check for check in found.asset_check_keys if check.asset_key.path[-1].startswith(f"{name}_") or not name]
    return {str(check): found.get_check_spec(check).blocking for check in sorted(keys)}


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    """Load retail's components."""
    return components(retail)


def test_the_component_is_the_teams_own_model(loaded):
    """Asset keys, dependencies and checks are those that the team's code location has for the model."""
    own = code_location.retail
    assert graph(loaded) == graph(own, "repeat_orders")
    assert len(graph(loaded)) == 6
    assert checks(loaded) == checks(own, "repeat_orders")
    assert [name for name in checks(loaded) if "name='gates'" in name]


def test_a_component_can_run_by_itself(loaded):
    """It brings the platform's resource: nothing else is to be bound."""
    dg.Definitions.validate_loadable(loaded)


def test_components_and_a_team_are_one_location(loaded):
    """A team may declare some models in Python and others as components of the same location."""
    others = [model for model in retail.team.models if model.name != "repeat_orders"]
    rest = Team("retail", retail.__file__, models=tuple(others))
    both = dg.Definitions.merge(team_definitions(rest), loaded)
    assert graph(both) == graph(code_location.retail)


def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path, monkeypatch):
    """A misspelt field is refused when Dagster loads the file, by file and line."""
    folder = tmp_path / "misspelling" / "defs" / "model"
    folder.mkdir(parents=True)
    (tmp_path / "misspelling" / "__init__.py").touch()
    text = YAML.read_text().replace("cooldown_hours", "cool_down_hours")
    (folder / "defs.yaml").write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "cool_down_hours" in line)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Exception, match="LooplineModel") as refused:
        components(importlib.import_module("misspelling"))
    told = "".join(traceback.format_exception(refused.value))
    assert f"{folder / 'defs.yaml'}:{line}" in told
    assert "cool_down_hours" in told
