"""Commands ``loopline signing``: trainers' signing keys, and verification of model packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, progress
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person, referenced

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

_HERE = "loopline.cli.access.signing"
signing = LazyGroup(
    "signing",
    {
        "init": (f"{_HERE}:init", "Make the key of whoever trains, and the lines for the environment file."),
        "key": (f"{_HERE}:key", "Show the public halves of a key that never leaves its store, as trainers."),
        "verify": (f"{_HERE}:verify", "Are a model's packages, in the registry and here, what a trainer signed?"),
        "sign": (f"{_HERE}:sign", "Sign a version that was registered before, with the key of whoever trains."),
    },
    "Signed model packages: trainers' keys, verification, signing.",
)


@click.command("init", cls=Command)
@click.option("--file", type=click.Path(path_type=Path), help="Where; <home>/signing/<name> when left out.")
@click.option("--name", default="training", show_default=True, help="The trainer's name, which signatures bear.")
def init(file: Path | None, name: str) -> Answer:
    """Make a key (Ed25519), for its owner's eyes only, and its public half beside it for all who load packages."""
    from loopline.platform_core.audit import keys
    from loopline.platform_core.environment import home

    where = file or home() / "signing" / name
    key = keys.new(name)
    public = keys.write(key, where)
    lines = f"signing:\n  key: {where}\n  trainers:\n    {name}: {{key: {key.verifying.text}}}"
    text = (
        f"{where} signs, {public} verifies; trainings need the first, and servers the second, in their files:\n{lines}"
    )
    return Answer({"key": where, "public_key": key.verifying.text, "public_file": public}, text)


@click.command("key", cls=Command)
@click.argument("reference")
def key(reference: str) -> Answer:
    """Show each version of the key REFERENCE, such as transit://training, as a trainer for the environment file."""
    from loopline.platform_core.audit import remote

    with opened(only=()) as platform:
        versions = remote.named(platform.environment, reference).versions
    named = {f"{one.name}-v{version}": one.text for version, one in sorted(versions.items())}
    lines = "\n".join(f"    {name}: {{key: {line}}}" for name, line in named.items())
    text = f"signing:\n  key: {reference}\n  trainers:\n{lines}"
    return Answer({"key": reference, "trainers": named}, text)


@click.command("verify", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("version", required=False)
def verify(name: str, version: str | None) -> Answer:
    """Verify the packages of MODEL, of all versions or one; nothing of them is loaded.

    What lies here, where it does, is looked at as well as what the registry has.
    """
    with opened(only=("registry",)) as platform, progress("fetching and hashing"):
        ref = referenced(platform, name)
        _require(platform)
        known = [one.version for one in platform.registry.versions(ref.dotted)]
        found = [_verified(platform, ref, one) for one in ([version] if version else known)]
    rows = [(one["version"], one["trainer"], one["signed_at"][:19], one["problem"] or "as signed") for one in found]
    well = not any(one["problem"] for one in found)
    told = table(rows, ("version", "trainer", "signed", "package")) or f"{ref} has no version"
    return Answer({"model": ref, "versions": found, "well": well}, told, exit_code=0 if well else 1)


@click.command("sign", cls=Command)
@click.argument("name", metavar="MODEL")
@click.argument("version")
@click.option("--reason", required=True, help="Why it may be trusted: nobody saw how it was trained.")
def sign(name: str, version: str, reason: str) -> Answer:
    """Sign VERSION of MODEL as it lies in the registry now; the audit's record says who did."""
    import tempfile

    from loopline.platform_core.audit import recording
    from loopline.platform_core.errors import Unsupported
    from loopline.platform_core.loop.deployments import packages
    from loopline.platform_core.signing.signer import signer

    with opened(only=("registry",)) as platform, tempfile.TemporaryDirectory() as scratch:
        ref = referenced(platform, name)
        signs = signer(platform.environment)
        if signs is None:
            raise Unsupported(f"{platform.environment.path} signs no packages", "add a block signing: to it")
        package = platform.registry.fetch(ref.dotted, version, Path(scratch))
        signs.given(platform.registry, platform.registry.get(ref.dotted, version), package)
        packages.renew(platform, ref, version)
        said = {"team": ref.team, "model": ref.model, "version": version, "reason": reason}
        recording.note(platform.ledger, "package.signed", person(None), **said)
    text = f"version {version} of {ref} is signed by {signs.key.name}"
    return Answer({"model": ref, "version": version, "trainer": signs.key.name}, text)


def _verified(platform: Platform, ref: ModelRef, version: str) -> dict[str, Any]:
    import tempfile

    from loopline.platform_core.errors import Untrusted
    from loopline.platform_core.loop.deployments import packages
    from loopline.platform_core.signing.statement import TAG

    note = platform.registry.get(ref.dotted, version).tags.get(TAG, "")
    found: dict[str, Any] = {"version": version, "trainer": "", "signed_at": "", "problem": ""}
    assert platform.trust is not None
    try:
        said = platform.trust.opened(note, ref.dotted, version)
        found |= {"trainer": said.trainer, "signed_at": said.signed_at.isoformat()}
        with tempfile.TemporaryDirectory() as scratch:
            packages.proven(platform, ref, version, Path(scratch))
        if (here := packages.place(platform, ref, version)).is_dir():
            platform.trust.of(ref.dotted, version).opened(here)
    except Untrusted as error:
        found["problem"] = error.problem
    return found


def _require(platform: Platform) -> None:
    """Refuse to look where nothing says whose signatures count.

    Raises:
        Unsupported: the environment signs nothing.
    """
    from loopline.platform_core.errors import Unsupported

    if platform.trust is None:
        raise Unsupported(
            f"{platform.environment.path} names no trainers, so no signature counts",
            "add a block signing: 'loopline signing init' prints one",
        )
