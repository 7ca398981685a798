"""What a training registers is signed, on a real MLflow: in a home of its own, for what others registered is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopline.platform_core import plugins
from loopline.platform_core.audit import keys
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Untrusted
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.signing.statement import TAG
from loopline.platform_core.training.packaging.materials import FILE, requirements
from loopline.platform_core.training.task import train
from loopline.platform_core.turn import start_rollout

if TYPE_CHECKING:
    from conftest import Post

REF = ModelRef("parcels", "late")


def signing(post: Post, name: str, key: str, known: keys.SigningKey) -> Path:
    """Write an environment that knows a trainer."""
    file = post.home / f"{name}.yaml"
    block = f"signing:\n  key: {key}\n  trainers: {{it: {{key: {known.verifying.text}, teams: [parcels]}}}}\n"
    file.write_text(post.file("mlflow").read_text() + block)
    return file


def test_what_is_registered_is_signed(post: Post, tmp_path: Path) -> None:
    """With its number, once, whole: fetched by whoever knows the trainer it is proven, and swapped it is not."""
    key = keys.new("parcels-2026")
    keys.write(key, tmp_path / "key")
    file = signing(post, "signed", str(tmp_path / "key"), key)
    args = post.args("mlflow", "signed-1") | {"environment": str(file)}
    told = train(**args)
    fits = post.fits()
    assert train(**args)["version"] == told["version"]
    assert post.fits() > fits  # the task was repeated whole
    platform = Platform.open(file)
    version = platform.registry.get(REF.dotted, told["version"])
    kept = packages.place(platform, REF, told["version"])
    proof = platform.proof(REF, told["version"])
    proof.opened(kept)
    load_model(packages.proven(platform, REF, told["version"], tmp_path / "fetched"), proof)
    assert version.tags[TAG].endswith("\n")
    assert requirements(kept) == told["requirements"]
    assert [line.split("==")[0] for line in told["requirements"]].count("lightgbm") == (
        told["package_kind"] == "lightgbm"
    )
    assert any(line.startswith("numpy==") for line in told["requirements"])
    assert _live(post, platform, told["version"]) == kept
    kept.joinpath(FILE).write_text("{}")
    with pytest.raises(Untrusted, match=r"bill\.cdx\.json is not what was signed"):
        proof.opened(kept)
    platform.close()


def _live(post: Post, platform: Platform, version: str) -> Path:
    """Let a version pass its gates and go live; returns the package that servers are asked to load."""
    model, now = plugins.installed(only=["parcels"]).team("parcels").model("late"), platform.clock.now()
    cycle = cycles.open_cycle(platform.ledger, REF, model.drift, "signed", "signed", now, force=True)
    gates.record_verdict(platform.ledger, REF, cycle.cycle_id, version, gates.Verdict(()), now)
    start_rollout(platform, REF, model, version, cycle.cycle_id, now)
    asked = states.desired(post.home / "serving", REF.dotted)
    return asked.stable.package


def test_without_the_key_nothing_is_trained(post: Post, tmp_path: Path) -> None:
    """It is said before the first fit."""
    known, fits = keys.new("parcels"), post.fits()
    for key, error in (("''", InvalidEnvironment), (str(tmp_path / "nowhere"), NotFound)):
        file = signing(post, "keyless", key, known)
        with pytest.raises(error):
            train(**(post.args("mlflow", "keyless") | {"environment": str(file)}))
    assert post.fits() == fits
