"""What a team's code reaches in one instance: decision 0125 says so, and a tenant of its own is what would end it."""

from __future__ import annotations

import json

from tests.loopline.up.rights.two_teams import World

TRY = """mutation {sensorDryRun(selectorData: {repositoryLocationName: "corner", repositoryName: "__repository__",
  sensorName: "reach"}, cursor: "") {__typename ... on DryRunInstigationTick {evaluationResult {skipReason
  error {message}}}}}"""


def test_a_team_s_code_reaches_the_whole_instance_and_its_ledger(world: World) -> None:
    """It deletes another team's run, and writes into the record under another's name: roles do not hold code."""
    other = world.run("retail")
    told = world.ways["guarded"].ask("alice", TRY)["data"]["sensorDryRun"]["evaluationResult"]
    assert told["error"] is None, told
    reached = json.loads(told["skipReason"])
    assert reached["deleted"] == other
    assert not world.instance.has_run(other)
    assert reached["ledger"] == world.platform.environment.ledger
    newest, *_ = world.record("attempt.allowed")
    assert (newest.who, newest.subject) == ("bob", "said by corner")


def test_who_let_the_code_run_stands_in_the_record(world: World) -> None:
    """So that whoever reads it finds the person whose act it was."""
    world.run("retail")
    world.ways["guarded"].ask("alice", TRY)
    assert ("alice", "sensorDryRun in corner") in [(one.who, one.subject) for one in world.record("attempt.allowed")]
