"""Which groups of heavy tests, and which test files, a change can reach: by the import graph, and by folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

import grimp

from tests.groups import FILES, GROUPS

ROOT = Path(__file__).parents[2]
TEAMS = tuple(sorted(path.name for path in (ROOT / "plugins").iterdir() if path.joinpath("pyproject.toml").is_file()))
PRODUCT = ("platform_core/", "asset_defs/", "resources/", "loopline/", "plugins/", "pyproject.toml", "constraints.txt")
"""Where what runs as processes comes from, whatever the test files import."""
AS_PROCESSES = frozenset({"daemon", "tutorials", "load", "chart", "cluster", "endpoints", "stories", "lowest"})
"""Groups that start the product by its commands or images: any change of the product reaches them."""
BY_FOLDER = {
    "deploy/": {"chart", "cluster", "endpoints"},
    "scripts/cluster": {"chart", "cluster", "endpoints"},
    "scripts/images/": {"chart", "cluster", "endpoints", "pages"},
    "tests/cluster/": {"chart", "cluster", "endpoints"},
    "scripts/lowest.sh": {"lowest"},
    "scripts/core-tests.sh": {"lowest"},
    "docs/tutorials/": {"tutorials"},
    "docs/site.css": {"pages"},
    "docs/site.js": {"pages"},
    "docs/": set(),
    "sdk/": set(),
    "README.md": set(),
    "CONTRIBUTING.md": set(),
    "CODE_OF_CONDUCT.md": set(),
    "SECURITY.md": set(),
    "MAINTAINING.md": set(),
    ".github/": set(),
    "LICENSE": set(),
    "scripts/": set(),
    "benchmarks/": set(),
    ".ci/": set(),
    "Makefile": set(),
    "mkdocs.yml": {"pages"},
}
"""By the beginning of a path that is no Python module of the graph; the first that fits decides."""
_FIXTURE = re.compile(r"^@pytest\.fixture.*?^def (\w+)", re.MULTILINE | re.DOTALL)


class Reach:
    """What imports what, in the product and its tests."""

    @cached_property
    def graph(self) -> grimp.ImportGraph:
        """Return the import graph; a second, or two."""
        return grimp.build_graph("loopline", "tests", "scripts", "benchmarks", *TEAMS, cache_dir=None)

    def __init__(self) -> None:
        """Keep what was found of a path, for each group asks again."""
        self._groups_of, self._below = cache(self._find_groups), cache(self._find_below)

    def groups(self, changed: Iterable[str]) -> dict[str, str]:
        """Return, by group that is reached, the first path that reaches it and how many others do."""
        found: dict[str, list[str]] = {}
        for path in changed:
            for name in self._groups_of(path):
                found.setdefault(name, []).append(path)
        return {name: f"{one} and {len(more)} more" if more else one for name, (one, *more) in found.items()}

    def test_files(self, changed: Iterable[str]) -> list[str]:
        """Return the test files that are changed or import what is, the closest by imports first."""
        changed = list(changed)
        tests = {module for module in self.graph.modules if module.rpartition(".")[2].startswith("test_")}
        distances: dict[str, int] = {}
        for path in changed:
            for test in self._importers(path) & tests:
                distance = self._distance(test, module_of(path))
                distances[test] = min(distance, distances.get(test, distance))
        closest = sorted(distances, key=lambda test: (distances[test], test))
        files = [test.replace(".", "/") + ".py" for test in closest]
        return [file for file in files if not _is_of_another_distribution(file)]

    def _distance(self, test: str, module: str) -> int:
        """Return the length of the shortest chain of imports; a test reached through a conftest is the furthest."""
        chain = () if test == module else self.graph.find_shortest_chain(test, module)
        return len(self.graph.modules) if chain is None else len(chain)

    def _find_groups(self, path: str) -> set[str]:
        found = set(AS_PROCESSES) if path.startswith(PRODUCT) else set()
        if path.endswith(".py") and module_of(path) in self.graph.modules:
            importers = {module.replace(".", "/") + ".py" for module in self._importers(path)}
            found |= {name for name, files in FILES.items() if files & importers}
            named = self._names(path)
            found |= {
                name for name, files in FILES.items() if named and any(named.search(_text(file)) for file in files)
            }
            return found
        for beginning, names in BY_FOLDER.items():
            if path.startswith(beginning):
                return found | names
        return found if path.startswith(PRODUCT) and path.endswith(".md") else set(GROUPS)

    def _importers(self, path: str) -> set[str]:
        module = module_of(path)
        if module not in self.graph.modules:
            return set()
        found = {module, *self.graph.find_downstream_modules(module)}
        for conftest in [one for one in found if one.startswith("tests.") and one.endswith(".conftest")]:
            found |= self._below(conftest.removesuffix("conftest"))
        return found

    def _find_below(self, folder: str) -> set[str]:
        return {one for one in self.graph.modules if one.startswith(folder)}

    def _names(self, path: str) -> re.Pattern[str] | None:
        """Return what test files say that use a module without an import: a vendor's name, or a plugin's fixtures."""
        parts = path.split("/")
        if parts[0] == "resources" and parts[1:-1]:
            return re.compile(rf"\b{re.escape(parts[1])}\b")
        names = _FIXTURE.findall(_text(path)) if parts[0] == "tests" and not parts[-1].startswith("test_") else []
        return re.compile(rf"\b({'|'.join(names)})\b") if names else None


def module_of(path: str) -> str:
    """Return the module that a file is: links in ``loopline/`` lead to the folders beside it."""
    name = re.sub(r"^plugins/\w+/src/", "", path)
    if name.split("/")[0] in ("platform_core", "asset_defs", "resources"):
        name = f"loopline/{name}"
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def changed_since(commit: str) -> list[str] | None:
    """Return the paths that differ between a commit and HEAD, or None if the commit is not in this repository."""
    done = subprocess.run(
        ["git", "diff", "--name-only", commit, "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else None


def _is_of_another_distribution(path: str) -> bool:
    """Return whether a test comes with a package of its own, which its tests need installed."""
    return any(ROOT.joinpath(folder, "pyproject.toml").exists() for folder in list(Path(path).parents)[:-1])


def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else ""
