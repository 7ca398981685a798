"""An entry in CEF is one line, and whatever stands in it is read back as it was by who follows the format."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from loopline.platform_core.audit import cef
from loopline.platform_core.audit.cef import line
from loopline.platform_core.audit.entry import AuditEntry
from loopline.platform_core.audit.exporting import event

ENTRY = AuditEntry(
    "gate.overridden", "alice", "2011-03-01T12:00:00+00:00", "2011-03-01T12:00:01.500000+00:00", team="retail",
    model="cancellations", version="7", reason="it is safe", source="desk:loopline:7", policy="team-owners-decide@1a2b",
)  # fmt: skip
HOSTILE = (
    "a|b", "a=b", "a\\b", "\\", "\\|", "\\=", "\\n", "a\nb", "a\r\nb", "x outcome=success", "| suser=root",
    "CEF:0|x|y|", "tail\\", "=", "é 漢 🙂",
)  # fmt: skip


def read(text: str) -> tuple[list[str], dict[str, str]]:
    """Read a line as its format says: header fields up to the seventh bare pipe, then keys and values."""
    *header, extension = _split(text)
    keys = list(re.finditer(r"(?:^| )(\w+)=", extension))
    ends = [one.start() for one in keys[1:]] + [len(extension)]
    found = {key[1]: extension[key.end() : end] for key, end in zip(keys, ends, strict=True)}
    plain = {"n": "\n", "r": "\r"}
    unescaped = {key: re.sub(r"\\(.)", lambda one: plain.get(one[1], one[1]), value) for key, value in found.items()}
    return [re.sub(r"\\(.)", r"\1", one) for one in header], unescaped


def _split(text: str) -> list[str]:
    """Split at the first seven bare pipes: what follows a backslash is none."""
    fields, at, start = [], 0, 0
    while len(fields) < 7:
        if text[at] == "|":
            fields.append(text[start:at])
            start = at + 1
        at += 2 if text[at] == "\\" else 1
    return [*fields, text[start:]]


def test_what_an_entry_says_has_its_key():
    """Who, what, when, how it ended, and of which model and version, by which policy."""
    header, told = read(line(ENTRY, 41))
    assert (header[:3], header[4:]) == (
        ["CEF:0", "Loopline", "Loopline"], ["gate.overridden", "gate overridden", "3"],
    )  # fmt: skip
    assert told == {
        "rt": "1298980801500", "suser": "alice", "act": "gate.overridden", "outcome": "success", "msg": "it is safe",
        "sourceServiceName": "desk:loopline:7", "externalId": "default/41", "cs1": "retail/cancellations",
        "cs1Label": "about", "cs2": "7", "cs2Label": "version", "cs3": "team-owners-decide@1a2b", "cs3Label": "policy",
    }  # fmt: skip
    denied, told = read(line(replace(ENTRY, outcome="denied"), 41))
    assert (denied[6], told["outcome"]) == ("6", "failure")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_stays_where_it_was_put(value: str):
    """In a person's name, a reason, a policy and a model: it neither ends a line nor makes another key."""
    said = {"who": value, "reason": value, "policy": value, "model": value, "version": value}
    text = line(replace(ENTRY, **said), 1)
    assert len(text.splitlines()) == 1
    _, told = read(text)
    assert set(told) == set(read(line(ENTRY, 1))[1])
    assert (told["suser"], told["msg"], told["cs2"], told["cs3"]) == (value,) * 4
    assert (told["outcome"], told["cs1"]) == ("success", f"retail/{value}")


@pytest.mark.parametrize("value", ["a|b", "a\\b", "a\\|b", "\\"])
def test_a_hostile_header_keeps_its_fields(value: str):
    """What was done is a field of the header, which escapes pipes and backslashes, and no equals."""
    header, told = read(line(replace(ENTRY, what=f"{value}.x=y"), 1))
    assert (len(header), header[4], header[6]) == (7, f"{value}.x=y", "3")
    assert told["act"] == f"{value}.x=y"


def test_what_would_end_a_line_or_order_a_terminal_is_a_space():
    """Also where the format has no escape for it, and in a name that is no whole text."""
    text = line(replace(ENTRY, what="a\nb.c", who="\x00\x1b[2J\u2028\u2029\x85\x0b\x0c\ud800", reason="t\ta"), 1)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert read(text)[1]["msg"] == "t a"


def test_nothing_is_shown_backwards():
    """What turns the direction of text would show the keys after it as if they stood in that value."""
    turned = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    text = line(replace(ENTRY, what=f"a{turned}.b", reason=f"{turned}x"), 1)
    assert text.isprintable()
    assert read(text)[1]["msg"] == " " * len(turned) + "x"


def test_a_release_is_read_once(monkeypatch):
    """From a file: with each line it would take longer than all the rest."""
    asked: list[str] = []
    monkeypatch.setattr(cef, "version", lambda name: asked.append(name) or "1.2.3")
    cef.release.cache_clear()
    try:
        assert {read(line(ENTRY, number))[0][3] for number in range(3)} == {"1.2.3"}
        assert event(ENTRY, 1)["metadata"]["product"]["version"] == "1.2.3"
    finally:
        cef.release.cache_clear()
    assert asked == ["loopline"]


def test_a_value_is_cut_to_what_a_key_holds():
    """Before it is escaped, so that no escape is cut apart."""
    _, told = read(line(replace(ENTRY, reason="=" * 2000, tenant="t" * 128), 1))
    assert told["msg"] == "=" * 1023
    assert (len(told["externalId"]), told["externalId"][-2:]) == (40, "/1")
