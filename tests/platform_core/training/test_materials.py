"""What a version needs where it is loaded is read off its package, and nothing is run for that."""

from __future__ import annotations

import json
import pickle
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression

from loopline.platform_core.foundation import bill
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.model.manifest import ApartField
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.training.packaging import materials
from tests.platform_core.signing.signed import Trap


def needs(package: Path) -> dict[str, str]:
    """Write the bill, and return versions by name."""
    materials.save(manifest.load(package), package)
    return dict(line.split("==") for line in materials.requirements(package))


def test_a_pickle_needs_what_it_names(tmp_path: Path) -> None:
    """With all that those need in turn, each as it is installed here."""
    package = write_package(tmp_path / "package", LogisticRegression().fit(np.eye(2), [0, 1]))
    found = needs(package)
    assert {"numpy", "scikit-learn", "scipy", "joblib"} <= set(found)
    assert found["scikit-learn"] == version("scikit-learn")
    assert not {"lightgbm", "onnxruntime", "dagster", "pyarrow"} & set(found)


def test_forms_and_processes_of_their_own(tmp_path: Path) -> None:
    """What reads LightGBM's text, and what the estimator's own process asks for."""
    package = write_package(tmp_path / "package", Constant(0.5))
    package.joinpath("model.txt").write_text("trees")
    assert "lightgbm" in needs(package)
    known = msgspec.structs.replace(manifest.load(package), apart=ApartField(["pyarrow>=1", "nowhere-to-be-had"], 1.0))
    known.save(package)
    found = needs(package)
    assert "pyarrow" in found
    assert "nowhere-to-be-had" not in found


def test_no_pickle_is_run(tmp_path: Path) -> None:
    """It is read as a list of what it would do."""
    package = write_package(tmp_path / "package", Constant(0.5))
    package.joinpath("model.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    needs(package)
    assert not (tmp_path / "mark").exists()


def test_a_bill_is_the_same_for_the_same(tmp_path: Path) -> None:
    """To the byte; the one that is made again from the ledger's lines names the same components."""
    package = write_package(tmp_path / "package", Constant(0.5))
    lines = [f"{name}=={number}" for name, number in needs(package).items()]
    first = package.joinpath(materials.FILE).read_bytes()
    needs(package)
    assert package.joinpath(materials.FILE).read_bytes() == first
    again = materials.from_requirements("kit/model@1", lines)
    assert [one["purl"] for one in again["components"]] == [one["purl"] for one in json.loads(first)["components"]]
    assert bill.component("Zope.Interface_X", "1")["purl"] == "pkg:pypi/zope-interface-x@1"
