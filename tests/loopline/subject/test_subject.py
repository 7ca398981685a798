"""A person asks what is held on them, and to be erased: everything is found, and nothing is left but what is said."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import threading
import zipfile
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import select

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.errors import BadRequest, ContractBroken, InvalidEnvironment, NotFound, Refused
from loopline.platform_core.features.compute.lookahead import describe_difference
from loopline.platform_core.features.materialization.audit import audit
from loopline.platform_core.foundation.names import (
    ModelRef,
    dead_letter_table,
    online_view,
    prediction_table,
    raw_table,
)
from loopline.platform_core.ingestion.letters.dead_letters import replay
from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.audited import held
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.persons import erasing, place, scan
from loopline.platform_core.persons.subject import Subject
from loopline.platform_core.platform import Platform
from loopline.platform_core.policies.asking import of_version
from loopline.platform_core.policies.engine import Engine
from loopline.platform_core.policies.files import load
from loopline.platform_core.policies.roles import read
from loopline.platform_core.policies.rules import Rules
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.training import lake_care, training_set
from loopline.portal.model import versions

ANN, BEN, CID = "8810471", "8810472", "8810473"
REF = ModelRef("club", "stays")
REASON = "request 17"
PLACES = {
    "files of club/visits": 4,
    "dead letters of club/visits": 2,
    "raw rows of club/visits": 2,
    "files of club/gifts": 1,
    "raw rows of club/gifts": 1,
    "raw rows of club/taps": 1,
    "offline rows of habits": 2,
    "online row of habits": 1,
    "offline rows of tapped": 1,
    "online row of tapped": 1,
    "prediction log of club/stays where it is written": 3,
    "newest batch of the log of club/stays": 2,
    "predictions of club/stays": 2,
    "predictions with labels of club/stays": 2,
    "daily scores of club/stays": 2,
    "explanations of club/stays": 2,
}


def ann(club):
    """Return Ann as the platform is asked about her."""
    return Subject.named(club.team, [f"member_id={ANN}"])


def erased(club):
    """Erase Ann."""
    return erasing.erase(club.platform, ann(club), "alice", REASON)


def rebuilt(club, pinned):
    """Build what is left of a training set."""
    left = training_set.since_erasures(club.platform.ledger, pinned)
    return training_set.rows(club.platform, club.team, club.model, left)


def counts(found, side="after"):
    """Return what a report says of each place that has something."""
    return {one.place: getattr(one, side) for one in found.found if getattr(one, side)}


def told(club):
    """Return all that the ledger and the record say, as text."""
    with club.platform.ledger.reading() as connection:
        names = connection.exec_driver_sql("select name from sqlite_master where type = 'table'").scalars().all()
        rows = [row for name in names for row in connection.exec_driver_sql(f'select * from "{name}"')]
    return "\n".join(str(row) for row in rows)


def test_everything_is_shown(lived, tmp_path) -> None:
    """Every place is named with its rows, those found by another column too; the zip has them, and nobody else's."""
    lived.train("1")
    out = tmp_path / "ann.zip"
    said = lived.run("subject", "access", "club", f"member_id={ANN}", "--out", str(out))
    found = {one["place"]: len(one["rows"]) for one in said["places"] if one["rows"]}
    assert found == {**PLACES, "training sets of club/stays": 2}
    by = {one["place"]: one["by"] for one in said["places"]}
    assert "another name" in by["raw rows of club/gifts"]
    assert by["raw rows of club/visits"] == "by key"
    notes = {one["place"]: one["note"] for one in said["places"]}
    assert "broker" in notes["stream club/taps"]
    assert "gift_id" in notes["view given"]
    with zipfile.ZipFile(out) as archive:
        whole = {name: archive.read(name).decode() for name in archive.namelist()}
    assert len(whole) == 1 + len(found)
    assert not any(BEN in text or CID in text for text in whole.values())
    summary = json.loads(whole["summary.json"])
    assert {one["place"]: one["rows"] for one in summary["places"] if one["rows"]} == found
    assert lived.run("subject", "access", "club", "member_id=1")["places"]
    assert ANN not in told(lived)


def test_nothing_is_left_but_what_is_said(lived) -> None:
    """Places are empty, the bytes of all files too but for the stream's; others keep their rows, the record holds."""
    pinned = lived.train("1")
    lived.compact()
    rows = {name: lived.members(name) for name in (raw_table("club", "visits"), raw_table("club", "gifts"))}
    pretended = lived.run("subject", "erase", "club", f"member_id={ANN}", "--pretend")
    assert counts(erasing.look(lived.platform, ann(lived)))["raw rows of club/visits"] == 2
    report = lived.run("subject", "erase", "club", f"member_id={ANN}", "--reason", REASON)
    before = {one["place"]: one["before"] for one in report["found"] if one["before"]}
    assert before == {one["place"]: one["after"] for one in pretended["found"] if one["after"]}
    assert {one["place"] for one in report["found"] if one["after"]} == set()
    assert [name for name in report["files"] if "/streams/" not in name] == []
    assert len(report["files"]) == 1
    for name, members in rows.items():
        assert lived.members(name) == [one for one in members if one != ANN]
    online = lived.platform.online_store.read([(online_view("club", lived.team.views[1]), [ANN, BEN, CID])])[0]
    assert [row is not None for row in online] == [False, True, True]
    log = lived.platform.serving.predictions(REF.dotted)[0]
    assert len(log) == 2
    assert len(lived.platform.lake.read(prediction_table(*REF))) == 2
    assert ANN not in told(lived)
    with lived.platform.ledger.reading() as connection:
        assert held(connection)[1] == []
        kinds = connection.execute(select(tables.entries.c.kind).where(tables.entries.c.entry_id == report["entry"]))
        assert kinds.scalar() == erasures.ERASED
    assert report["audit"] is not None
    assert lived.run("subject", "erase", "club", f"member_id={ANN}", "--check", code=1)["files"] == report["files"]
    lived.again()
    left = training_set.since_erasures(lived.platform.ledger, pinned)
    assert rebuilt(lived, pinned)["member_id"].to_pylist() == [
        int(BEN),
        int(CID),
    ]
    assert (pinned.rows, left.rows, left.erased_rows, left.training_set_id) == (4, 2, 2, pinned.training_set_id)
    assert training_set.from_json(training_set.to_json(left)) == left
    with pytest.raises(NotFound):
        training_set.rows(lived.platform, lived.team, lived.model, pinned)


def test_it_is_told_who_had_it_done_and_why(lived) -> None:
    """The ledger's report says by place what there was and is, what stays and why; again it finds nothing to do."""
    first = erased(lived)
    entry = erasures.erasures(lived.platform.ledger, "club")[-1].report
    assert (entry.actor, entry.reason) == ("alice", REASON)
    assert {one["place"]: one["before"] for one in entry.details["found"] if one["before"]} == PLACES
    assert set(entry.details["kept"]) == set(erasing.KEPT)
    again = erased(lived)
    assert counts(again, "before") == {}
    assert again.began != first.began
    assert len(erasures.erasures(lived.platform.ledger, "club")) == 2


def test_what_comes_again_does_not_land(lived) -> None:
    """Neither a late copy, nor letters of it, nor records sent again; it is told how many, and others' rows land."""
    erased(lived)
    lived.later()
    late = [f"{ANN},2030-02-01 10:00:00,5.5,1", f"{ANN},2030-02-02 10:00:00,-1,1", f"{ANN};again"]
    lived.deliver("visits", "late.csv", *late, f"{BEN},2030-02-20 10:00:00,1,1")
    lived.deliver("gifts", "late.csv", f"1,{ANN},2030-02-01 09:00:00,3")
    lived.now -= timedelta(hours=2)
    lived.tap(ANN, CID)
    lived.now += timedelta(hours=2)
    lived.land()
    assert lived.members(raw_table("club", "visits")) == [BEN, BEN, CID]
    assert lived.members(raw_table("club", "gifts")) == [BEN]
    assert lived.members(raw_table("club", "taps")) == [BEN, CID]
    assert counts(erasing.look(lived.platform, ann(lived))) == {"files of club/visits": 3, "files of club/gifts": 1}
    out = lived.platform.ledger.entries(kinds=[erasures.KEPT_OUT])
    assert sorted(entry.details["rows"] for entry in out) == [1, 1, 3]
    assert ANN not in told(lived)
    erased(lived)
    assert counts(erasing.look(lived.platform, ann(lived))) == {}


def test_who_comes_back_is_a_member_again(lived) -> None:
    """What happened after the erasure lands, and is served; what says no time lands once somebody lets it."""
    erased(lived)
    lived.later(24)
    at = f"{lived.now:%Y-%m-%d %H:%M:%S}"
    lived.deliver("visits", "new.csv", f"{ANN},{at},9,1", f"{ANN},2030-02-01 10:00:00,5.5,1")
    lived.later()
    lived.land()
    assert lived.members(raw_table("club", "visits")).count(ANN) == 1
    found = lived.platform.online_store.read([(online_view("club", lived.team.views[1]), [ANN])])[0]
    assert [row and row.values for row in found] == [(9.0,)]
    lived.run("subject", "admit", "club", f"member_id={ANN}", "--reason", "a member again")
    lived.deliver("visits", "old.csv", f"{ANN},2030-02-02 10:00:00,4,1")
    lived.land()
    assert lived.members(raw_table("club", "visits")).count(ANN) == 2
    with pytest.raises(NotFound, match="not kept out"):
        erasing.admit(lived.platform, ann(lived), "alice", REASON)
    erased(lived)
    assert counts(erasing.look(lived.platform, ann(lived))) == {}


def test_a_training_set_says_what_it_lost(lived) -> None:
    """Its id and hash stay; it is built from what is left, is held to that, and its versions are kept by tidying."""
    first = lived.train("1")
    erased(lived)
    left = erasures.reduced(lived.platform.ledger, REF)[first.training_set_id]
    assert (left.rows, left.rows_erased, left.persons, left.problem) == (2, 2, 1, "")
    lived.later()
    lived.deliver("visits", "more.csv", f"{BEN},2030-03-01 10:00:00,3,1")
    lived.land()
    kept = {one.table: one.pinned for one in lake_care.care(lived.platform, "club", timedelta(0))}
    assert set(left.tables.values()) <= {version for versions in kept.values() for version in versions}
    lived.again()
    assert len(rebuilt(lived, first)) == 2
    erasing.erase(lived.platform, Subject.named(lived.team, [f"member_id={BEN}"]), "alice", REASON)
    left = erasures.reduced(lived.platform.ledger, REF)[first.training_set_id]
    assert (left.rows, left.rows_erased, left.persons) == (1, 3, 2)
    assert erasures.persons_of(lived.platform.ledger, REF, "1") == 2
    assert erasures.persons_of(lived.platform.ledger, REF, "2") == 0
    forged = {**asdict(left), "began": 1, "row_hash": "0" * 64}
    lived.platform.ledger.record(Entry(erasures.REDUCED, lived.now, *REF, details=forged))
    with pytest.raises(ContractBroken, match=r"1 rows hash to .*, not 000000000000; .* rows were erased since"):
        rebuilt(lived, first)


class Killed(BaseException):
    """The process is gone: nothing catches this."""


STEPS = ("lake.erase", "event_source.redact", "online_store.erase", "serving.erase", "ledger.record")


def killing(monkeypatch, platform, at):
    """Kill at the so-many-th call of what an erasure does, before or behind it in turn; return how many there were."""
    count = iter(range(10_000))

    def around(whole):
        def call(*args, **how):
            number = next(count)
            if number == at and number % 2 == 0:
                raise Killed
            found = whole(*args, **how)
            if number == at:
                raise Killed
            return found

        return call

    for step in STEPS:
        part, name = step.split(".")
        owner = type(getattr(platform, part))
        monkeypatch.setattr(owner, name, around(getattr(owner, name)))
    return count


def test_who_is_killed_goes_on(lived) -> None:
    """Killed at some calls, run again it ends: with what it had found at first, and with one report."""
    goes_on(lived, range(4, 60, 7))


def test_killed_anywhere_it_goes_on(lived) -> None:
    """So it is at every call."""
    goes_on(lived, range(60))


def goes_on(lived, places) -> None:
    """Kill one erasure at each of these calls in turn, and let it end."""
    first = lived.train("1")
    for at in places:
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            killing(patch, lived.platform, at)
            erased(lived)
        lived.again()
        if any(one.report for one in erasures.erasures(lived.platform.ledger, "club")):
            break
    else:
        erased(lived)
    (only,) = erasures.erasures(lived.platform.ledger, "club")
    assert {place: n for place, n in only.before.items() if n} == {**PLACES, "training sets of club/stays": 2}
    assert counts(erasing.look(lived.platform, ann(lived))) == {}
    assert erasures.persons_of(lived.platform.ledger, REF, "1") == 1
    assert len(rebuilt(lived, first)) == 2
    assert lived.members(raw_table("club", "visits")) == [BEN, CID]


def test_two_at_once_do_no_harm(lived) -> None:
    """Of one person or of two: each ends, and nobody else loses a row."""
    failed = []

    def run(member) -> None:
        platform = Platform.open()
        try:
            subject = Subject.named(lived.team, [f"member_id={member}"])
            erasing.erase(platform, subject, "alice", REASON)
        except BaseException as error:  # noqa: BLE001 - it is told below
            failed.append(error)
        finally:
            platform.close()

    threads = [threading.Thread(target=run, args=(member,)) for member in (ANN, ANN, CID)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert lived.members(raw_table("club", "visits")) == [BEN]


def test_several_keys_name_one_person(lived) -> None:
    """Where two entities name somebody together, only rows of both are theirs, and only those go."""
    both = Subject.named(lived.team, [f"member_id={ANN}", "gift_id=1"])
    report = erasing.look(lived.platform, both)
    assert counts(report) == {"files of club/gifts": 1, "raw rows of club/gifts": 1}
    assert {one.by for one in report.found if one.place in {"source club/visits", "view habits"}} == {"not looked at"}
    with pytest.raises(Refused, match="marks 'gift_id' as personal"):
        erasing.erase(lived.platform, both, "alice", REASON)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([], BadRequest),
        (["member_id"], BadRequest),
        (["member_id="], BadRequest),
        (["member_id=1", "member_id=2"], BadRequest),
        (["shoe=42"], NotFound),
        (["gift_id=1x"], BadRequest),
        (["gift_id=1_0"], BadRequest),
        (["gift_id=٨"], BadRequest),
        ([f"gift_id={'9' * 5000}"], BadRequest),
        (["member_id=p:" + "0" * 40], BadRequest),
        (["member_id=\udcff\udcfe"], BadRequest),
    ],
)
def test_who_is_meant_must_be_said(club, given, error) -> None:
    """Nobody, half a key, a key twice, and an entity that no contract has are refused."""
    with pytest.raises(error):
        Subject.named(club.team, given)


def test_a_number_is_the_same_however_it_is_written(lived) -> None:
    """Whoever is asked about by zeros before the number is erased as the number is, everywhere."""
    zeros = Subject.named(lived.team, [f"member_id=00{ANN}"])
    assert (zeros.keys, zeros.pseudonym) == (ann(lived).keys, ann(lived).pseudonym)
    visits = raw_table("club", "visits")
    assert place.table(lived.platform.lake, visits, visits, [{"member_id": f"0{ANN}"}]).erase is None


def test_a_key_with_spaces_around_it_is_the_person_s(club) -> None:
    """As it came, in a column of texts: raw, offline, online, and in files; who else has such a name stays."""
    contract = club.team.folder / "visits.yaml"
    contract.write_text(contract.read_text().replace("Member, logicalType: integer", "Member, logicalType: string"))
    at = "2030-02-01 10:00:0"
    names = ("ann_1", '" ann_1 "', '"ann_1\t"', "ann_12", '"a\'b%\\\\c"')
    club.deliver("visits", "a.csv", *(f"{name},{at}{n},5,1" for n, name in enumerate(names)))
    club.land("visits")
    assert len(club.members(raw_table("club", "visits"))) == 5
    subject = Subject.named(club.team, ["member_id=ann_1"])
    erasing.erase(club.platform, subject, "alice", REASON)
    left = [name.strip('"') for name in names[3:]]
    assert sorted(club.members(raw_table("club", "visits"))) == sorted(left)
    view = club.team.models[0].features[0]
    online = club.platform.online_store.read([(online_view("club", view), ["ann_1", " ann_1 ", "ann_1\t", *left])])[0]
    assert [row is not None for row in online] == [False, False, False, True, True]
    assert counts(erasing.look(club.platform, subject)) == {}
    assert scan.files(club.platform, subject) == []


def test_who_stands_in_what_could_not_be_split(lived) -> None:
    """Letters of JSON without spaces, and of ``id=key``, go with the person, and do not come again."""
    half = b'{"Member":%s,"at":"2030-03-01 10:00:00","door":}' % ANN.encode()
    lived.platform.event_stream.publish("club/taps", [Record(half)])
    lived.deliver("visits", "bad.csv", f"member={ANN}&at=now")
    lived.land()
    tables = [dead_letter_table("club", source) for source in ("visits", "taps")]
    assert all(ANN in str(lived.platform.lake.read(table)["row"].to_pylist()) for table in tables)
    erased(lived)
    lived.later()
    lived.deliver("visits", "again.csv", f"member={ANN}&at=then")
    lived.platform.event_stream.publish("club/taps", [Record(half.replace(b"10:", b"11:"))])
    lived.land()
    assert not any(ANN in str(lived.platform.lake.read(table)["row"].to_pylist()) for table in tables)


def test_nobody_is_let_in_while_they_are_erased(lived) -> None:
    """Else the erasure would end, and late rows land all the same."""
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        killing(patch, lived.platform, 4)
        erased(lived)
    with pytest.raises(Refused, match="has not ended"):
        erasing.admit(lived.platform, ann(lived), "alice", REASON)
    erased(lived)
    assert ann(lived).pseudonym in erasures.kept_out(lived.platform.ledger, "club").persons["member_id",]


def test_a_key_is_seen_however_a_file_is_written(lived, monkeypatch) -> None:
    """In UTF-16, behind what is larger than is read at once, in a database with an odd name, table or text."""
    monkeypatch.setattr(scan, "_PIECE", 100_000)
    folder = lived.home / "odd"
    folder.mkdir()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        folder.joinpath(encoding).write_text(f"x,{ANN}\n", encoding=encoding)
        folder.joinpath(f"{encoding}.another").write_text(f"x,{ANN}1\n", encoding=encoding)
    folder.joinpath("large").write_text(" " * 99_996 + ANN + " " * 200_000)
    folder.joinpath("large.gz").write_bytes(gzip.compress(folder.joinpath("large").read_bytes()))
    for name, table in (("a?b%20#.db", "members"), ("table.db", 'a""b'), ("text.db", "members")):
        with closing(sqlite3.connect(folder / name)) as database:
            database.execute("create table aaa as select cast(x'ff' as text) t")
            database.execute(f'create table "{table}" as select {ANN} member_id')
            database.commit()
    found = {Path(one).name for one in scan.files(lived.platform, ann(lived)) if "/odd/" in one}
    wanted = {"utf-16", "utf-16-le", "utf-16-be", "large", "large.gz", "a?b%20#.db", "table.db", "text.db"}
    assert found == wanted == {one.name for one in folder.iterdir() if not one.name.endswith("another")}


def test_a_key_with_letters_of_its_own_is_seen(lived) -> None:
    """As UTF-8, as Latin-1, and as JSON writes it; a key with quotes too."""
    subject = Subject(lived.team, {"giver": 'José"Ñ'})
    folder = lived.home / "odd"
    folder.mkdir()
    folder.joinpath("utf-8").write_text('x,José"Ñ,', encoding="utf-8")
    folder.joinpath("latin-1").write_text('x,José"Ñ,', encoding="latin-1")
    folder.joinpath("json").write_text(json.dumps({"giver": 'José"Ñ'}))
    folder.joinpath("raw.json").write_text(json.dumps({"giver": 'José"Ñ'}, ensure_ascii=False))
    assert {Path(one).name for one in scan.files(lived.platform, subject)} == {"utf-8", "latin-1", "json", "raw.json"}


def test_the_ledger_is_never_told_a_key(lived, monkeypatch) -> None:
    """A reason that names the person is refused; without a secret, or a reason, nobody is erased."""
    for reason in ("", f"member {ANN} called"):
        with pytest.raises(Refused):
            erasing.erase(lived.platform, ann(lived), "alice", reason)
    monkeypatch.delenv(personal.VARIABLE)
    with pytest.raises(InvalidEnvironment, match="secret"):
        erased(lived)
    assert erasures.erasures(lived.platform.ledger, "club") == []


def test_without_the_secret_nothing_lands_unseen(lived, monkeypatch) -> None:
    """Once somebody is erased, a landing that cannot know whom it must keep out stops and says so."""
    erased(lived)
    monkeypatch.delenv(personal.VARIABLE)
    lived.deliver("gifts", "x.csv", f"3,{BEN},2030-03-01 09:00:00,3")
    with pytest.raises(InvalidEnvironment, match=personal.VARIABLE):
        lived.land("gifts")
    monkeypatch.setenv(personal.VARIABLE, "another secret altogether")
    with pytest.raises(InvalidEnvironment, match="under another secret"):
        lived.land("gifts")
    assert lived.members(raw_table("club", "gifts")) == [BEN]


def test_where_nobody_is_found_versions_stay(lived) -> None:
    """An erasure ends no time travel of tables that never had the person."""
    before = lived.platform.lake.version(raw_table("club", "gifts"))
    erasing.erase(lived.platform, Subject.named(lived.team, [f"member_id={CID}"]), "alice", REASON)
    assert lived.platform.lake.version(raw_table("club", "gifts")) == before
    with pytest.raises(NotFound):
        lived.platform.lake.read(raw_table("club", "visits"), version=1)


def test_a_difference_of_features_names_no_member(lived) -> None:
    """What a nightly audit tells of a person is a pseudonym, in the ledger and in the record for ever."""
    view = lived.team.views[1]
    name = online_view("club", view)
    at = pa.array([lived.now], pa.timestamp("us", "UTC"))
    lived.platform.online_store.write(
        name, "member_id", pa.table({"member_id": [int(ANN)], "event_time": at, "spent": [99.0]})
    )
    found = audit(lived.platform, lived.team, view)
    assert found.cause == "online differs"
    assert ann(lived).pseudonym in found.example
    assert ANN not in told(lived)


def test_letters_of_the_erased_are_not_let_in(lived, monkeypatch) -> None:
    """A letter that a wider contract would take is none any more; another member's is let in."""
    lived.deliver("visits", "bens.csv", f"{BEN},2030-02-05 10:00:00,-2,1")
    lived.land()
    erased(lived)
    contract = lived.team.folder / "visits.yaml"
    contract.write_text(contract.read_text().replace("minimum: 0", "minimum: -9"))
    source = next(source for source in lived.team.sources if source.name == "visits")
    assert replay(lived.platform, lived.team, source).replayed == 1
    assert lived.members(raw_table("club", "visits")) == [BEN, BEN, CID]


def test_a_version_says_on_how_many_erased_persons_it_was_trained(lived) -> None:
    """The command and the policies' context count them."""
    lived.train("1")
    package = lived.home / "package"
    package.mkdir()
    (package / "manifest.json").write_text("{}")
    lived.platform.registry.publish(Publication(REF.dotted, package, None, pa.table({})))
    stable = Served("1", package, "c")
    change(lived.platform, REF, stable, None, 0, actor="test", reason="test", cycle="c", now=lived.now)
    assert lived.run("model", "status", "club/stays")["models"][0]["stable"]["erased_persons"] == 0
    erased(lived)
    assert lived.run("model", "status", "club/stays")["models"][0]["stable"]["erased_persons"] == 1
    details = lived.platform.ledger.entries(REF, ["training_set.pinned"])[0].details
    row = versions._training_set(details, erasures.reduced(lived.platform.ledger, REF))
    assert (row.erased_persons, row.erased_rows, row.rows) == (1, 2, 4)


def test_a_file_is_called_as_before_though_it_is_another(lived) -> None:
    """What is left of it counts as landed, and the list of arrivals knows its name; it can be taken back."""
    erased(lived)
    lived.again()
    listed = lived.run("arrivals", "list", "club/visits")["arrivals"]
    assert [(one["name"], one["rows"]) for one in listed] == [("two.csv", 1), ("one.csv", 1)]
    assert lived.run("arrivals", "withdraw", "club/visits", "one.csv", "--reason", "twice")["rows"] == 1
    lived.land()
    assert lived.members(raw_table("club", "visits")) == sorted([BEN, CID, "None"])


ROLES = "teams: {club: {owner: [alice], operator: [olaf]}}\n"


def test_who_may_is_asked_and_told_of_no_key(lived, monkeypatch) -> None:
    """An operator may neither see nor erase persons; the record says so, and not whom."""
    file = lived.home.parent / "test.yaml"
    file.write_text(file.read_text() + "access: {roles: roles.yaml}\n")
    file.with_name("roles.yaml").write_text(ROLES)
    monkeypatch.setenv("LOOPLINE_USER", "olaf")
    for words in (["access"], ["erase", "--reason", REASON], ["erase", "--check"], ["admit", "--reason", REASON]):
        said = lived.run("subject", words[0], "club", f"member_id={ANN}", *words[1:], code=1)
        assert said["error"] == "Denied"
        assert "person of club/member_id" in said["problem"]
    assert ANN not in told(lived)
    assert "erase person of club/member_id" in told(lived)
    monkeypatch.setenv("LOOPLINE_USER", "alice")
    assert lived.run("subject", "erase", "club", f"member_id={ANN}", "--reason", REASON)["entry"]


def test_the_policy_of_the_page_asks_for_retraining(lived, tmp_path) -> None:
    """What learnt from somebody who was erased does not go live in production; what learnt from nobody does."""
    page = Path(__file__).parents[3] / "docs/how-to/answer-a-person.md"
    (text,) = re.findall(r"```cedar\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/own.cedar").write_text(text)
    (tmp_path / "roles.yaml").write_text(ROLES)
    engine = Engine(load(tmp_path / "policies"))
    rules = Rules(engine, read(tmp_path / "roles.yaml"))
    lived.train("1")
    asked = of_version(lived.platform, rules, REF, lived.model, "1")
    assert asked.here.erased == 0
    erased(lived)
    asked = of_version(lived.platform, rules, REF, lived.model, "1")
    assert asked.here.erased == 1
    live = replace(asked.here, production=True, judged=frozenset({"AtLeast(roc_auc)"}))
    resource = replace(asked.resource, persons=True, retention_days=30)
    said = {n: engine.decide(replace(asked, resource=resource, here=replace(live, erased=n))) for n in (0, 1)}
    assert (said[0].allowed, said[1].allowed) == (True, False)
    assert [policy.policy_id for policy in said[1].policies] == ["retrain-without-the-erased"]


def test_a_view_that_fails_names_no_member(lived, monkeypatch) -> None:
    """The error of a view that looks ahead stands in the ledger, with a pseudonym."""
    view = lived.team.views[1]
    rows = pa.table({"member_id": [int(ANN)], "event_time": [lived.now], "spent": [1.0]})
    said = describe_difference(view, rows, rows.set_column(2, "spent", pa.array([2.0])))
    assert ann(lived).pseudonym in said
    assert ANN not in said
    monkeypatch.delenv(personal.VARIABLE)
    assert personal.shown("member_id", ANN, is_person=True) == "somebody"
    assert ANN in describe_difference(view, rows, rows)
