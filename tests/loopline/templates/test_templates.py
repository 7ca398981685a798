"""Templates: what they make is sound, and an update keeps what people changed."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from loopline import templates
from loopline.platform_core.contracts import CONTRACTS
from loopline.platform_core.errors import InvalidSpec, NotFound, Refused
from loopline.templates import repositories

LAPTOP = Path(__file__).parents[3] / "deploy" / "environments" / "laptop.yaml"
SHOP = {"team": "shop", "source": "orders", "entity": "customer"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the repositories of templates in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def shop(tmp_path) -> Path:
    """Make a team with one model, in a repository of its own."""
    folder = tmp_path / "work" / "plugins" / "shop"
    templates.create("team", folder, SHOP)
    templates.create("model", folder, {**SHOP, "model": "outcome"})
    return folder


def git(folder: Path, *arguments: str) -> None:
    """Run Git as a person would."""
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


def asked(folder: Path, *arguments: str) -> str:
    """Ask Git."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def committed(folder: Path) -> Path:
    """Put a project into Git."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "from the template")
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a fresh interpreter that finds the team."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from loopline.cli import main; main()"
    source = str(folder / "src")
    return subprocess.run(
        [sys.executable, "-c", code, source, *command], cwd=folder, check=False, capture_output=True, text=True
    )


def installed(folder: Path) -> None:
    """Write the entry points of a project beside its package, as an installation would."""
    import tomllib

    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / "src" / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def own_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests that came with a project, on its code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    env = {"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)


def test_a_fresh_team_passes_plugin_check(shop):
    """Nothing needs mending before a team from the template is sound, its second model included."""
    templates.create("model", shop, {**SHOP, "model": "second"})
    installed(shop)
    where = ("--home", str(shop / "home"), "--environment", str(LAPTOP))
    checked = run(shop, "plugin", "check", "shop", "--output", "json", *where)
    answer = json.loads(checked.stdout)
    assert checked.returncode == 0, answer
    assert answer["models"] == {"shop": ["outcome", "second"]}


def test_a_fresh_team_passes_its_own_tests(shop):
    """The tests that come with a team hold on what comes with it, and fail when a feature counts wrongly."""
    assert own_tests(shop).returncode == 0
    features = shop / "src" / "shop" / "features.py"
    features.write_text(features.read_text().replace("settled=nw.len()", "settled=nw.len() + 1"))
    assert own_tests(shop).returncode == 1


def test_a_fresh_kind_of_models_keeps_the_promises_of_every_kind(tmp_path):
    """The kit passes as it comes, and finds what is no longer kept."""
    folder = tmp_path / "rating"
    templates.create_kind("rating", folder)
    done = own_tests(folder)
    assert done.returncode == 0, done.stdout
    module = folder / "src" / "rating" / "__init__.py"
    module.write_text(module.read_text().replace(".clip(self.lowest, self.highest)", " * 2"))
    assert "test_5_raw_is_so_many_numbers_a_row" in own_tests(folder).stdout


def test_a_kind_that_is_installed_is_not_made_again(tmp_path):
    """Nobody could say which is meant."""
    with pytest.raises(InvalidSpec, match="'regression' is installed already"):
        templates.create_kind("regression", tmp_path / "regression")


def test_what_is_made_is_formatted(shop, tmp_path):
    """What people get follows the style that they are asked for."""
    templates.create_vendor("shelf", "online_store", tmp_path / "work" / "shelf")
    templates.create_kind("rating", tmp_path / "work" / "rating")
    ruff = Path(sys.executable).parent / "ruff"
    style = ["--line-length", "120", str(tmp_path / "work")]
    for check in (["format", "--check"], ["check", "--select", "E,F,B,UP"]):
        done = subprocess.run([ruff, *check, "--isolated", *style], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_a_vendor_of_each_contract_begins_with_its_methods_and_its_kit(contract, tmp_path):
    """Class and tests are valid Python, name every method of the contract, and ask for the kit by its name."""
    folder = tmp_path / contract
    made = templates.create_vendor("acme", contract, folder)
    assert {path.suffix for path in made.files} >= {".py", ".toml", ".md", ".yml"}
    classes = [
        node for node in ast.parse((folder / "src/acme/__init__.py").read_text()).body if isinstance(node, ast.ClassDef)
    ]
    methods = {node.name for node in classes[0].body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert methods == CONTRACTS[contract].__abstractmethods__
    assert "Kit" in (folder / "tests/test_acme.py").read_text()


def test_the_kit_of_a_fresh_vendor_says_what_is_missing(tmp_path):
    """Its tests run, and every promise is unkept: none passes by accident."""
    folder = tmp_path / "shelf"
    templates.create_vendor("shelf", "online_store", folder)
    done = own_tests(folder)
    assert "NotImplementedError" in done.stdout
    assert " passed" not in done.stdout.splitlines()[-1]


@pytest.fixture
def next_version(tmp_path) -> Path:
    """Give the shipped templates with a version 2 of the team's: a line more in README and in pyproject."""
    shipped = tmp_path / "shipped"
    shutil.copytree(repositories.SHIPPED, shipped)
    shutil.copytree(shipped / "team" / "v1", shipped / "team" / "v2")
    for name, old, new in (
        ("README.md.jinja", "A team on Loopline.", "A product team on Loopline."),
        ("pyproject.toml.jinja", 'version = "0.1.0"', 'version = "0.1.0"\ndescription = "A team on Loopline"'),
    ):
        file = shipped / "team" / "v2" / "template" / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    return shipped


def test_an_update_brings_the_new_version_and_keeps_what_people_wrote(shop, next_version):
    """A view that the team added stays; what the template changed elsewhere comes."""
    features = shop / "src" / "shop" / "features.py"
    features.write_text(features.read_text() + "\n# our own\n")
    committed(shop)
    done = {one.answers.name: one for one in templates.update(shop, next_version)}
    assert (done["template.yml"].before, done["template.yml"].after) == ("v1", "v2")
    assert done["outcome.template.yml"].after == "v1"
    assert "# our own" in features.read_text()
    assert "A product team on Loopline." in (shop / "README.md").read_text()
    assert 'description = "A team on Loopline"' in (shop / "pyproject.toml").read_text()
    assert not [path for one in done.values() for path in one.conflicts]


def test_every_part_is_updated(shop, next_version):
    """Two models of a template that has changed both get the change, and so does the team; nothing is committed."""
    templates.create("model", shop, {**SHOP, "model": "second"})
    shutil.copytree(next_version / "model" / "v1", next_version / "model" / "v2")
    (file,) = (next_version / "model" / "v2" / "template").rglob("*.py.jinja")
    file.write_text(file.read_text().replace("Will the outcome be 1?", "Will it be 1?"))
    committed(shop)
    head = asked(shop, "rev-parse", "HEAD")
    done = {one.answers.name: one.after for one in templates.update(shop, next_version)}
    assert done == {"outcome.template.yml": "v2", "second.template.yml": "v2", "template.yml": "v2"}
    models = shop / "src" / "shop" / "models"
    assert all("Will it be 1?" in (models / f"{name}.py").read_text() for name in ("outcome", "second"))
    assert asked(shop, "rev-parse", "HEAD") == head
    assert len(asked(shop, "worktree", "list").splitlines()) == 1


def test_an_update_in_a_repository_of_several_teams(shop, next_version):
    """The team's folder need not be the repository's root; its neighbours stay as they are."""
    root = shop.parent.parent
    neighbour = root / "plugins" / "other.txt"
    neighbour.write_text("ours")
    committed(root)
    assert templates.update(shop, next_version)[-1].after in {"v1", "v2"}
    assert "A product team on Loopline." in (shop / "README.md").read_text()
    assert neighbour.read_text() == "ours"


def test_a_line_that_both_sides_changed_is_named(shop, next_version):
    """Nothing is decided silently: the file holds both, and the update says so."""
    readme = shop / "README.md"
    readme.write_text(readme.read_text().replace("A team on Loopline.", "The shop's team."))
    committed(shop)
    conflicts = {path for one in templates.update(shop, next_version) for path in one.conflicts}
    assert conflicts == {Path("README.md")}
    assert "The shop's team." in readme.read_text()
    assert "A product team on Loopline." in readme.read_text()


def test_an_update_of_changed_files_is_refused(shop, next_version):
    """What is not committed could be lost, so it must be first."""
    committed(shop)
    (shop / "README.md").write_text("not committed")
    with pytest.raises(Refused, match="dirty"):
        templates.update(shop, next_version)
    assert (shop / "README.md").read_text() == "not committed"


def test_the_template_is_known_by_an_address_that_holds_on_every_machine(shop):
    """No path of the machine that made it stands in a project."""
    answers = (shop / "src" / "shop" / "template.yml").read_text()
    assert "loopline-templates://team.git" in answers
    assert "/" not in answers.replace("loopline-templates://", "").replace("'loopline", "")


def test_bad_names_and_taken_folders_are_refused(shop, tmp_path):
    """The error says what to use instead, and nothing is written."""
    with pytest.raises(InvalidSpec, match="lower-case"):
        templates.create("team", tmp_path / "x", {**SHOP, "team": "My Shop"})
    assert not (tmp_path / "x").exists()
    with pytest.raises(Refused, match="there already"):
        templates.create("team", shop, SHOP)
    with pytest.raises(Refused, match="there already"):
        templates.create("model", shop, {**SHOP, "model": "outcome"})
    with pytest.raises(NotFound, match="use one of kind, model, team, vendor"):
        templates.create("pipeline", tmp_path / "x", SHOP)
    with pytest.raises(NotFound, match="loopline new"):
        templates.update(tmp_path / "cache")


def test_no_team_of_this_name_is_installed_here():
    """The tests above find the team in its folder, not one that someone left behind."""
    assert "shop" not in {point.name for point in entry_points(group="loopline.teams")}
