"""The statements of IAM policies on AWS, as ``aws_iam_policy_document`` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.deploy.terraform.hcl import Configuration, Tree


@dataclass(frozen=True)
class Statement:
    """One of a policy's document."""

    policy: str
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]


def statements(made: Configuration, policy: str | None = None) -> list[Statement]:
    """Return the statements of one policy's document, with those of documents that it begins with, or of all.

    Statements inside ``dynamic`` are included.
    """
    documents = {block.name: block.body for block in made.blocks("aws_iam_policy_document", "data")}
    names = documents if policy is None else [policy, *_begins_with(documents[policy])]
    return [_statement(name, one) for name in names for one in _written(documents[name])]


def _begins_with(body: Tree) -> list[str]:
    said = _several(body.get("source_policy_documents"))
    found = [re.fullmatch(r"\$\{data\.aws_iam_policy_document\.(\w+)\.json\}", one) for one in said]
    if not all(found):
        raise ValueError(f"{said}: a way of beginning a policy that is not known here")
    return [one[1] for one in found if one is not None]


def _written(body: Tree) -> Iterator[Tree]:
    yield from body.get("statement", ())
    for dynamic in body.get("dynamic", {}).get("statement", ()):
        yield from dynamic["content"]


def _statement(policy: str, said: Tree) -> Statement:
    return Statement(
        policy,
        said.get("sid", ""),
        said.get("effect", "Allow"),
        _several(said.get("actions")),
        _several(said.get("resources")),
        tuple(each for one in said.get("principals", ()) for each in _several(one["identifiers"])),
        tuple((one["test"], one["variable"], _several(one["values"])) for one in said.get("condition", ())),
    )


def _several(said: Any) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said or ())
