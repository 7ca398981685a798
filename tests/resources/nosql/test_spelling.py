"""Names that every service takes, one for each key."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from loopline.resources.nosql.key_encoding import spelled

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("_./-0af ")), max_size=12)


@given(TEXTS, TEXTS)
def test_two_keys_have_two_names(one: str, other: str) -> None:
    """Whatever stands in them, also what looks like a spelling."""
    assert (spelled(one) == spelled(other)) == (one == other)


@given(TEXTS)
def test_a_name_is_plain(text: str) -> None:
    """It has the signs that are promised, is never longer than three times the key's bytes, and begins with no dot."""
    name = spelled(text)
    assert re.fullmatch(r"[A-Za-z0-9\-_][A-Za-z0-9.\-_]*", name)
    assert len(name) <= max(3 * len(text.encode("utf-8", "surrogatepass")), 1)


def test_a_key_of_letters_and_digits_is_its_own_name() -> None:
    """People find it."""
    assert [spelled(key) for key in ("4711", "a-b.c", "Ærø", "", "_", ".x")] == [
        "4711",
        "a-b.c",
        "_c3_86r_c3_b8",
        "_",
        "_5f",
        "_2ex",
    ]
