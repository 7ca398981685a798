"""No version begins a rollout that nobody known has signed, where packages are; a pickle needs a policy besides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from msgspec import structs

from loopline.platform_core import alarms, plugins
from loopline.platform_core.audit import keys
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.environment import Access
from loopline.platform_core.errors import Denied, Untrusted
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.model.pickles import unpickled
from loopline.platform_core.signing.signer import Signer
from loopline.platform_core.signing.statement import FILE, TAG
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.trainers import Signing, Trainer
from loopline.platform_core.turn import start_rollout
from tests.platform_core.loop.conftest import PASSED, REF, RULE, Loop

KEY = keys.new("training")
KNOWN = Signing("", (Trainer("training", KEY.verifying.text),))


@pytest.fixture
def signing(sqlite_loop: Loop) -> Loop:
    """Let the environment know a trainer."""
    sqlite_loop.platform.environment = replace(sqlite_loop.platform.environment, signing=KNOWN)
    return sqlite_loop


def candidate(loop: Loop, name: str, kind: str = "lightgbm", *, signed: bool = True) -> tuple[str, str]:
    """Open a cycle and register a version of a form, which passed its gates; signed, if that is wanted."""
    opened = cycles.open_cycle(loop.ledger, REF, RULE, f"drift of {name}", name, loop.now, force=True)
    folder = loop.home / "built" / name
    write_package(folder, Constant(0.5))
    structs.replace(manifest.load(folder), kind=kind, file=f"model.{kind}").save(folder)
    folder.joinpath("model.pkl").rename(folder / f"model.{kind}")
    publication = Publication(REF.dotted, folder, None, pa.table({}), tags={"key": name})
    version = loop.platform.registry.publish(publication)
    if signed:
        Signer(KEY).given(loop.platform.registry, version, folder)
    gates.record_verdict(loop.ledger, REF, opened.cycle_id, version.version, PASSED, loop.now)
    return version.version, opened.cycle_id


def start(loop: Loop, version: str, cycle: str) -> None:
    """Start its rollout, and let it be what answers."""
    start_rollout(loop.platform, REF, loop.model, version, cycle, loop.now)


def start_declared(loop: Loop, version: str, cycle: str) -> None:
    """Start it as the team declares its model, which policies look at."""
    declared = plugins.installed([REF.team]).team(REF.team).model(REF.model)
    start_rollout(loop.platform, REF, replace(declared, rollout=loop.rule), version, cycle, loop.now)


def standing(loop: Loop) -> list[str]:
    """Return the causes of alarms that stand."""
    return [one.alarm.cause for one in alarms.standing(loop.ledger)]


def test_a_version_that_is_signed_goes_live(signing: Loop) -> None:
    """Its package lies where servers load it, with its signature, and holds against it."""
    version, cycle = candidate(signing, "first")
    start(signing, version, cycle)
    assert signing.stable.package.joinpath(FILE).exists()
    proof = signing.platform.proof(REF, version)
    proof.opened(signing.stable.package)
    assert standing(signing) == []


def test_one_that_is_not_what_was_signed_does_not(signing: Loop) -> None:
    """The version that answers goes on, an alarm stands, and nothing of the other lies here; a newer one ends that."""
    start(signing, *candidate(signing, "first"))
    signing.later(60)
    version, cycle = candidate(signing, "second")
    registry = signing.platform.registry
    registry._package(REF.dotted, version).joinpath("model.lightgbm").write_text("another")  # type: ignore[attr-defined]
    with pytest.raises(Untrusted, match=r"cancellations version 2: its package is refused: model\.lightgbm is not"):
        start(signing, version, cycle)
    assert (signing.stable.version, signing.live.candidate) == ("1", None)
    assert standing(signing) == [f"untrusted:{REF}:2"]
    assert not packages.place(signing.platform, REF, version).exists()
    cycles.close_cycle(signing.ledger, cycle, "failed", "its package was refused", signing.now)
    start(signing, *candidate(signing, "third"))
    assert standing(signing) == []


def test_a_signature_of_another_version_is_no_signature(signing: Loop) -> None:
    """Neither an older version's package with its signature under a new number, nor none at all."""
    old, cycle = candidate(signing, "first")
    start(signing, old, cycle)
    signing.later(60)
    version, cycle = candidate(signing, "second", signed=False)
    with pytest.raises(Untrusted, match="it is not signed"):
        start(signing, version, cycle)
    registry = signing.platform.registry
    registry.tag(REF.dotted, version, {TAG: registry.get(REF.dotted, old).tags[TAG]})
    with pytest.raises(Untrusted, match=r"its signature is of retail\.cancellations version 1"):
        start(signing, version, cycle)


def test_what_was_here_before_packages_were_signed(sqlite_loop: Loop) -> None:
    """Is refused until somebody signs it; then the copy that is here gets its signature."""
    version, cycle = candidate(sqlite_loop, "first", signed=False)
    start(sqlite_loop, version, cycle)
    platform = sqlite_loop.platform
    platform.environment = replace(platform.environment, signing=KNOWN)
    platform.__dict__.pop("trust", None)
    proof = platform.proof(REF, version)
    with pytest.raises(Untrusted, match="it is not signed"):
        proof.opened(packages.fetched(platform, REF, version))
    Signer(KEY).given(platform.registry, platform.registry.get(REF.dotted, version), sqlite_loop.home / "built/first")
    proof.opened(packages.fetched(platform, REF, version))


ROLES = "teams: {retail: {owner: [ana]}}\n"
NEVER = """@id("pickles-outside-production") @grant("security")
permit (principal is Loop, action == Action::"serve pickles", resource) when { context.production };
"""
OWN = f"""{NEVER}@id("pickles-of-retail") @grant("security")
permit (principal is Loop, action == Action::"serve pickles", resource) when {{ resource.team.name == "retail" }};"""


@pytest.mark.parametrize("kind", ["pickle", "python", "graph"])
def test_a_pickle_needs_a_policy(signing: Loop, kind: str) -> None:
    """Without any policies it is refused; then until one of one's own lets it, for this team."""
    version, cycle = candidate(signing, "first", kind)
    if kind == "graph":
        registry = signing.platform.registry
        registry._package(REF.dotted, version).joinpath("graph.json").write_text("{}")  # type: ignore[attr-defined]
        Signer(KEY).given(registry, registry.get(REF.dotted, version), registry._package(REF.dotted, version))  # type: ignore[attr-defined]
    with pytest.raises(Denied, match=f"unpickling model.{kind}, which runs code: access names no policies"):
        start(signing, version, cycle)
    roles, own = signing.home / "roles.yaml", signing.home / "policies"
    roles.write_text(ROLES)
    platform = signing.platform
    own.mkdir()
    for policies in (NEVER, OWN.replace('"retail"', '"demand"')):
        own.joinpath("own.cedar").write_text(policies)
        platform.environment = replace(platform.environment, access=Access(roles, own))
        with pytest.raises(Denied, match="no policy permits it"):
            start_declared(signing, version, cycle)
    own.joinpath("own.cedar").write_text(OWN)
    start_declared(signing, version, cycle)
    assert signing.stable.version == version


def test_outside_production_signed_pickles_are_served(signing: Loop) -> None:
    """By a policy that ships."""
    roles = signing.home / "roles.yaml"
    roles.write_text(ROLES)
    signing.platform.environment = replace(signing.platform.environment, access=Access(roles))
    start_declared(signing, *candidate(signing, "first", "pickle"))


def test_what_is_unpickled(tmp_path: Path) -> None:
    """In averages the members, in graphs the steps; of forms that are only read nothing."""
    folder = write_package(tmp_path / "package", Constant(0.5))
    known = manifest.load(folder)
    members = [{"kind": kind, "file": f"member.{kind}", "weight": 0.5} for kind in ("onnx", "pickle")]
    folder.joinpath("model.json").write_text(json.dumps(members))
    for kind, file, found in (
        ("pickle", "model.pkl", ["model.pkl"]),
        ("python", "model.pkl", ["model.pkl"]),
        ("lightgbm", "model.txt", []),
        ("onnx", "model.onnx", []),
        ("average", "model.json", ["member.pickle"]),
    ):
        structs.replace(known, kind=kind, file=file).save(folder)
        assert unpickled(folder) == found, kind
