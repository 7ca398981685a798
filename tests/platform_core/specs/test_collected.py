"""A team's models are found in the modules of a package, one file each."""

from __future__ import annotations

import sys

import pytest

from loopline.platform_core import specs
from loopline.platform_core.errors import InvalidSpec

MODULE = """
from loopline.platform_core import specs

orders = specs.Source("orders", contract="orders.yaml", arrives="daily")


@specs.labels(orders, entities=("customer",), time="at", label="label", known_at="known_at")
def label(rows):
    return rows


{name} = specs.Model("{name}", features=(), labels=label, fit=None)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Give a package whose modules may be written."""
    folder = tmp_path / "corner_models"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("corner_models")]:
        del sys.modules[name]


def test_each_module_is_a_model(package):
    """Models come in order of name, whatever the files are called."""
    package.joinpath("b.py").write_text(MODULE.format(name="alpha"))
    package.joinpath("a.py").write_text(MODULE.format(name="beta"))
    assert [model.name for model in specs.models_in("corner_models")] == ["alpha", "beta"]


def test_a_model_that_another_module_imports_counts_once(package):
    """What is imported is the same model, not a second one."""
    package.joinpath("a.py").write_text(MODULE.format(name="alpha"))
    package.joinpath("b.py").write_text("from corner_models.a import alpha")
    assert [model.name for model in specs.models_in("corner_models")] == ["alpha"]


def test_two_models_of_one_name_are_refused(package):
    """The error names the module; nobody's model is dropped silently."""
    package.joinpath("a.py").write_text(MODULE.format(name="alpha"))
    package.joinpath("b.py").write_text(MODULE.format(name="alpha"))
    with pytest.raises(InvalidSpec, match=r"corner_models\.b declares model 'alpha'"):
        specs.models_in("corner_models")
