"""Commands ``loopline model``: the group, and ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, cell, table
from loopline.cli.subject import declaration, opened, referenced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

model = LazyGroup(
    "model",
    {
        "status": ("loopline.cli.model.model:status", "What is live, what is on its way, and how it does."),
        "promote": ("loopline.cli.model.model_promote:promote", "Roll a version out, now or by a pull request."),
        "trials": ("loopline.cli.model.model_trials:trials", "Trials of a version's hyperparameter search, by score."),
        "refresh": ("loopline.cli.model.model_refresh:refresh", "Apply a new image or size to endpoints now."),
        "retire": ("loopline.cli.model.model_retire:retire", "End the endpoint of a model that no team declares."),
        "card": ("loopline.cli.model.model_card:card", "Write a version's model card."),
        "annex": ("loopline.cli.model.model_card:annex", "Write its documentation by the EU AI Act's Annex IV."),
        "sbom": ("loopline.cli.model.model_card:sbom", "Write its software bill of materials, as CycloneDX."),
        "export-edge": (
            "loopline.cli.model.model_edge:export_edge",
            "Export a version as ONNX, with a scoring script.",
        ),
    },
    "Models: status, promotion, search trials, model card, retirement, edge export.",
)


@click.command("status", cls=Command)
@click.argument("name", metavar="[MODEL]", required=False)
def status(name: str | None) -> Answer:
    """Say what is live of MODEL, or of every model: versions, cycle, gates, rollout, drift, realised quality."""
    with opened(only=("serving",)) as platform, progress("reading the ledger"):
        found = [_status(platform, ref) for ref in _models(platform, name)]
    said = "\n\n".join(_text(one) for one in found) or "no team is installed, and nothing was ever deployed"
    return Answer({"models": found}, said)


def _models(platform: Platform, name: str | None) -> list[ModelRef]:
    """Return the model named; else all that are declared or deployed."""
    from loopline.platform_core import plugins
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.deployments import deployments

    if name:
        return [referenced(platform, name)]
    declared = {ModelRef(team.name, m.name) for team in plugins.installed().teams for m in team.models}
    live = {ModelRef(e.team, e.model) for e in platform.ledger.entries(kinds=[deployments.CHANGED])}
    return sorted(declared | live)


def _status(platform: Platform, ref: ModelRef) -> dict[str, Any]:
    from loopline.cli.model import findings

    return {
        "model": ref,
        **findings.live(platform, ref),
        "cycle": findings.last_cycle(platform, ref),
        "gates": findings.last_verdict(platform, ref),
        "rollout": findings.running_rollout(platform, ref),
        "drift": findings.last_window(platform, ref),
        "quality": findings.quality(platform, ref),
        "frozen": findings.freeze(platform, ref),
    }


def _text(found: Mapping[str, Any]) -> str:
    stable, candidate, shadow = found["stable"], found["candidate"], found["shadow"]
    lines = [
        ("stable", f"version {stable['version']}, cycle {stable['cycle']}" if stable else "nothing is live"),
        ("candidate", f"version {candidate['version']} for {found['percent']} %" if candidate else None),
        ("shadow", f"version {shadow['version']}" if shadow else None),
        ("erased", _erased(found)),
        ("endpoint", _endpoint(found["endpoint"])),
        ("image", _image(found["image"])),
        ("cycle", _cycle(found["cycle"])),
        ("rollout", _rollout(found["rollout"])),
        ("drift", _drift(found["drift"])),
        ("frozen", _frozen(found["frozen"])),
    ]
    parts = [str(found["model"]), _indented(table([line for line in lines if line[1]]))]
    return "\n".join([*parts, *_gates(found["gates"]), *_quality(found["quality"], found["model"])])


def _erased(found: Mapping[str, Any]) -> str | None:
    """Say which versions were trained on persons who were erased since; nothing where none was."""
    sides = {name: found[name] for name in ("stable", "candidate", "shadow")}
    told = [
        f"{side['version']} ({name}) was trained on {side['erased_persons']} persons who were erased since"
        for name, side in sides.items()
        if side and side["erased_persons"]
    ]
    return f"version {'; version '.join(told)}" if told else None


def _endpoint(endpoint: Mapping[str, Any] | None) -> str | None:
    if not endpoint:
        return None
    state = "ready" if endpoint["ready"] else endpoint["problem"] or "not ready"
    return f"{endpoint['url']} ({state})"


def _image(image: Mapping[str, Any] | None) -> str | None:
    """Say which image the servers run, and what became of the one that is wanted."""
    if not image:
        return None
    if image["candidate"]:
        state = "ready" if image["ready"] else image["problem"] or "starting"
        return f"{image['candidate']} on trial beside {image['stable']} ({state})"
    if image["refusal"]:
        return f"{image['stable']}; {image['refusal']}"
    return f"{image['stable']}" + ("" if image["wanted"] == image["stable"] else f"; {image['wanted']} is to follow")


def _cycle(cycle: Mapping[str, Any] | None) -> str | None:
    return f"{cycle['cycle_id']}: {cycle['state']}; {cycle['verdict'] or cycle['cause']}" if cycle else None


def _rollout(rollout: Mapping[str, Any] | None) -> str | None:
    return f"version {rollout['version']} at {rollout['percent']} %, {rollout['state']}" if rollout else None


def _drift(window: Mapping[str, Any] | None) -> str | None:
    return f"{window['said']} ({cell(window['at'])})" if window else None


def _frozen(freeze: Mapping[str, Any] | None) -> str | None:
    return f"by {freeze['by']}: {freeze['reason']}" if freeze else None


def _gates(gates: Mapping[str, Any] | None) -> list[str]:
    if not gates:
        return []
    rows = [
        (r["gate"], r["value"], r["bound"], r["passed"], r["detail"], r["overridden_by"]) for r in gates["readings"]
    ]
    header = ("gate", "value", "bound", "passed", "detail", "overridden by")
    return [f"  gates of version {gates['version']}", _indented(_indented(table(rows, header)))]


def _quality(versions: list[Mapping[str, Any]], ref: ModelRef) -> list[str]:
    from loopline.platform_core.specs.quality import unit

    if not versions:
        return []
    columns, model = list(dict.fromkeys(name for version in versions for name in version)), declaration(ref)
    header = [f"{name} ({told_in})" if (told_in := unit(model, name)) else name for name in columns]
    return ["  realised quality", _indented(_indented(table([[v.get(c) for c in columns] for v in versions], header)))]


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
