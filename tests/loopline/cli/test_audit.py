"""``loopline audit``: a key is made, the record sealed, verified and handed out, and an export is verified far away."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loopline.cli import loopline
from loopline.platform_core import environment
from loopline.platform_core.audit import anchoring, keys, recording, removing, sealing
from loopline.platform_core.audit.entry import AuditEntry
from loopline.platform_core.audit.exporting import OFFLINE
from loopline.platform_core.audit.keys import SigningKey
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.retention import Retention
from loopline.resources.folder.anchors import FolderAnchors
from tests.platform_core.audit.installation import T0, Installation


@dataclass
class Home:
    """A home with an environment file, as a person has it."""

    folder: Path
    file: Path

    def run(self, *arguments: object, code: int = 0) -> Result:
        """Run a command."""
        where = ["--home", str(self.folder / "home"), "--environment", str(self.file)]
        result = CliRunner().invoke(loopline, ["audit", *map(str, arguments), *where])
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: object, code: int = 0) -> Any:
        """Run a command for its JSON."""
        return json.loads(self.run(*arguments, "--output", "json", code=code).stdout)

    @property
    def ledger(self) -> Ledger:
        """Open the ledger."""
        return Ledger.open(f"sqlite:///{self.folder}/ledger.db")

    def decide(self, *people: str) -> None:
        """Record a decision of each."""
        ledger = self.ledger
        for who in people:
            ledger.record(Entry("gate.overridden", T0, "retail", "cancellations", "c1", "7", who, "it is säfe"))
        ledger.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give one whose anchors are a folder."""
    file = tmp_path / "e.yaml"
    anchors = f'bindings:\n  anchors: {{vendor: folder, root: "{tmp_path}/anchors"}}\n'
    file.write_text(f'{anchors}ledger: "sqlite:///{tmp_path}/ledger.db"\n')
    return Home(tmp_path, file)


def offline(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script by itself, as an auditor does: nothing of Loopline is imported."""
    command = [sys.executable, "-I", str(OFFLINE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_from_a_key_to_an_export_that_is_verified_far_away(home: Home):
    """Who decided is listed and proven; a changed export, another key and a rewritten record are refused there."""
    told = home.json("init")
    home.decide("alice", "bob", "alice")
    assert home.run("seal").stdout == "3 entries are sealed; 3 are anchored\n"
    earlier = home.folder / "earlier"
    earlier.write_text(json.loads((home.folder / "anchors" / "default" / f"{3:020d}").read_text())["checkpoint"])
    home.decide("carol", "alice")
    home.run("seal")
    assert home.run("verify").stdout.endswith("all is well\n")
    listed = home.json("list", "--who", "alice", "--limit", 2)["entries"]
    found = [(one["audit_id"], one["who"], one["what"]) for one in listed]
    assert found == [(5, "alice", "gate.overridden"), (3, "alice", "gate.overridden")]
    out = home.folder / "export.jsonl"
    assert home.json("export", out, "--who", "alice", "--since-size", 3, "--by", "auditor")["entries"] == 3
    done = offline(out, told["public_file"], earlier)
    assert (done.returncode, done.stdout) == (0, "3 entries are among the 5 that were signed\n")
    exported = home.json("list", "--what", "audit.")["entries"]
    assert [(one["what"], one["who"], one["subject"]) for one in exported] == [("audit.exported", "auditor", str(out))]
    _refused_far_away(out, told, earlier, home.folder)


def _refused_far_away(out: Path, told: Any, earlier: Path, folder: Path) -> None:
    head, *lines = out.read_text().splitlines()
    other = folder / "other"
    other.write_text(keys.new().verifying.text)
    assert "another key" in offline(out, other).stderr
    forged = folder / "forged.jsonl"
    forged.write_text("\n".join([head, lines[0].replace("alice", "mallory"), *lines[1:]]))
    assert offline(forged, told["public_file"]).stderr == "wrong: entry 0 is not what was signed\n"
    moved = json.loads(lines[1]) | {"seq": 4}
    forged.write_text(f"{head}\n{json.dumps(moved)}")
    assert "entry 4" in offline(forged, told["public_file"]).stderr
    proof = json.loads(head)["consistency"]
    for wrong in ([], proof[:-1], [*proof, proof[0]], [base64.b64encode(bytes(32)).decode(), *proof[1:]]):
        forged.write_text(json.dumps(json.loads(head) | {"consistency": wrong}))
        assert "of 3 entries was rewritten" in offline(forged, told["public_file"], earlier).stderr


def test_the_watchdog_seals_and_anchors(home: Home):
    """As a person or 'loopline up' starts it, with what the environment file binds."""
    home.json("init")
    home.decide("alice")
    text = home.file.read_text()
    home.file.write_text(
        text.replace("bindings:", f'bindings:\n  serving: {{vendor: local, root: "{home.folder}/s", port: 0}}')
    )
    where = ["--home", str(home.folder / "home"), "--environment", str(home.file)]
    result = CliRunner().invoke(loopline, ["watchdog", "--once", *where])
    assert result.exit_code == 0, result.output
    assert home.json("verify")["anchored"] == 1


def test_verify_names_what_was_done(home: Home):
    """A table of findings, and the exit code says so too; whoever has the public key alone can ask."""
    public = home.json("init")["public_key"]
    home.decide("alice", "bob")
    home.run("seal")
    ledger = home.ledger
    Installation(ledger, None, None).owner("UPDATE audit_entries SET body = replace(body, 'bob', 'eve')")
    ledger.close()
    text = home.run("verify", code=1).stdout
    assert "changed  1      2" in text
    assert text.endswith("2 findings\n")  # the ledger knows bob as well
    assert "entry 2 is not what was sealed" in home.run("export", home.folder / "out", code=1).output
    assert not list(home.folder.glob("*out*"))
    assert "no folder" in home.run("export", home.folder / "none" / "out", code=1).output
    assert "entry 2 is not what was sealed" in home.run("prove", 2, code=1).output
    assert home.run("prove", 1).stdout.count("alice") == 1
    found = home.json("verify", "--key", public, "--no-ledger", code=1)
    assert [(one["kind"], one["seq"]) for one in found["findings"]] == [("changed", 1)]
    assert "not signed by the key" in home.run("verify", "--key", keys.new().verifying.text, code=1).stdout


def test_one_entry_is_proven(home: Home):
    """Its two lines are an export by themselves; one that is not sealed is told.

    A command without a key says how to make one; a second one is refused: what the first has signed needs it.
    """
    home.decide(*"abcdefg")
    for command in ("seal", "verify"):
        assert "make one with 'loopline audit init'" in home.run(command, code=1).output
    told = home.json("init")
    assert "is there already" in home.run("init", code=1).output
    assert "SQLite has no roles" in home.run("role", "app", code=1).output
    assert "there is no key" in home.run("verify", "--key", "/nowhere", code=1).output
    assert "not sealed" in home.run("prove", 3, code=1).output
    home.run("seal")
    one = home.folder / "one"
    one.write_text(home.run("prove", 3).stdout)
    assert offline(one, told["public_file"]).stdout == "1 entries are among the 7 that were signed\n"


def test_an_export_for_a_siem(home: Home):
    """Each line is an event of OCSF's API Activity, with what that class requires; or a line of CEF."""
    home.run("init")
    home.decide("alice")
    home.run("seal")
    home.run("export", home.folder / "out", "--form", "ocsf")
    event = json.loads((home.folder / "out").read_text())
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert (event["class_uid"], event["category_uid"], event["status_id"]) == (6003, 6, 1)
    assert (event["actor"]["user"]["name"], event["api"]["operation"]) == ("alice", "gate.overridden")
    assert event["resources"] == [{"name": "retail/cancellations", "version": "7"}]
    assert abs(event["time"] / 1000 - __import__("time").time()) < 600
    assert home.run("export", home.folder / "out", "--form", "cef").stdout.startswith("1 entries are in")
    (line,) = (home.folder / "out").read_text().splitlines()
    assert line.startswith("CEF:0|Loopline|Loopline|")
    assert ("|gate.overridden|gate overridden|3|rt=" in line, " suser=alice " in line) == (True, True)


def test_what_is_no_text_is_shown_all_the_same(home: Home):
    """A file whose name is none is in the record, and neither the list nor an export ends by it."""
    public = home.json("init")["public_file"]
    ledger = home.ledger
    recording.note(ledger, "audit.exported", "bob", subject="report\udce9.jsonl")
    ledger.close()
    home.run("seal")
    assert home.json("list")["entries"][0]["subject"] == "report?.jsonl"
    for form in ("proofs", "ocsf", "cef"):
        out = home.folder / form
        home.run("export", out, "--form", form)
        assert "audit.exported" in out.read_text()
    assert offline(home.folder / "proofs", public).stdout.endswith("that were signed\n")


def test_entries_are_let_go_by_policy(home: Home):
    """First it is said what would go; then it goes, the record verifies, and a shorter policy has its notice."""
    home.run("init")
    key = keys.signing((home.folder / "home" / "audit" / "key").read_text())
    ledger, file = home.ledger, home.file.read_text()
    for ago in (300, 260):
        at = datetime.now(UTC) - timedelta(days=ago)
        removing.Keeper(ledger, Retention({"x.": 200}), now=lambda at=at: at).say("alice")
        with ledger.writing() as connection:
            recording.record(connection, AuditEntry("x.old", "alice", at.isoformat()), at)
        sealing.seal(ledger, key, now=lambda at=at: at)
        anchoring.anchor(ledger, FolderAnchors(root=home.folder / "anchors"), key.verifying)
    ledger.close()
    home.file.write_text(f"{file}audit: {{retention_days: {{x.: 200}}}}\n")
    assert home.json("retain", "--dry-run")["entries"] == {"x.old": 2}
    assert home.json("verify")["retained"] == 0
    assert home.run("retain", "--by", "carol").stdout.endswith("2 entries are let go\n")
    assert "of 2 of them only the hash is kept" in home.run("verify").stdout
    assert home.json("list", "--what", "audit.retained")["entries"][0]["who"] == "carol"
    assert "only its hash is kept" in home.run("prove", 2, code=1).output
    home.file.write_text(f"{file}audit: {{retention_days: {{x.: 190}}}}\n")
    assert "x.=190 holds from" in home.run("retain").stdout
    for wrong, said in (
        ("{x.: 100}", "kept for 100 days"),
        ("{x.: yes}", "kept for True days"),
        ("{x: 400}", "nothing that an entry tells"),
        ("{audit.retained: 400}", "nothing that an entry tells"),
        ("{x.y.z: 400}", "nothing that an entry tells"),
        ("{}", "is no mapping"),
        ("400", "is no mapping"),
    ):
        home.file.write_text(f"{file}audit: {{retention_days: {wrong}}}\n")
        with pytest.raises(InvalidEnvironment, match=said):
            environment.read(home.file, only=())


def test_the_key_is_asked_for_from_the_store_of_secrets(home: Home):
    """By its name in the environment file; it never shows, and one in clear is refused with its line."""
    key: SigningKey = keys.new()
    kept = home.folder / "kept"
    kept.mkdir()
    (kept / "audit").write_text(key.text + "\n")
    written = home.file.read_text()
    home.file.write_text(
        written.replace("bindings:", f'bindings:\n  secrets: {{vendor: files, root: "{kept}"}}')
        + "audit: {key: secret://audit}\n"
    )
    home.decide("alice")
    home.run("seal")
    assert home.json("verify", "--key", key.verifying.text)["well"]
    assert home.json("verify")["well"]
    for wrong, said in (
        (f"audit: {{key: '{key.text}'}}", "credential in clear"),
        ("audit: {key: 5}", "audit names no key"),
        ("audit: {key: x, more: y}", "unknown key 'more'"),
        ("audit: yes", "audit names no key"),
    ):
        home.file.write_text(f"{written}{wrong}\n")
        with pytest.raises(InvalidEnvironment, match=said) as told:
            environment.read(home.file, only=())
        assert key.text not in str(told.value)
