"""Decisions: what was written is read back, and nothing is lost."""

import pytest

from fashion_jax.datasets.duplicates.decisions import (
    Decision,
    read_decisions,
    refuse_to_lose,
    write_decisions,
)
from fashion_jax.errors import FashionJaxError

DECIDED = [Decision("a,1", 'b"2', "same", "both\nlines"), Decision("ä", "ä", "different")]


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "pairs.csv"
    pairs = [{"first": "c", "second": "d", "decision": "", "kind": "identical"}]
    write_decisions(path, DECIDED, pairs)
    assert read_decisions([path]) == DECIDED
    path.write_text(path.read_text("utf-8-sig").replace("c,d,,", "c,d,Same ,"), "utf-8")
    assert read_decisions([path]) == [*DECIDED, Decision("c", "d", "same")]


def test_several_lists_in_any_order_and_with_further_columns(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("Decision;second;first;x\ndifferent;b;a;1\n")
    other.write_text("first,second,decision\nb,a,different\nc,a,same\n")
    assert read_decisions([one, other]) == [
        Decision("a", "b", "different"),
        Decision("c", "a", "same"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("first,second\na,b\n", "column decision is missing"),
        ("", "column first, second, decision is missing"),
        ("first,second,decision\na,b,sane\n", "line 2: 'sane' is neither same nor different; did"),
        ("first,second,decision\na,b,same\n\nb,a,different\n", "line 4: b and a are same"),
        ("first,second,decision\na,,same\n", "line 2: a photo without a name"),
        ("first,second,decision\na,b\n", "not as many cells"),
    ],
)
def test_a_wrong_list_is_refused_with_the_line(tmp_path, text, words):
    path = tmp_path / "decisions.csv"
    path.write_text(text)
    with pytest.raises(FashionJaxError, match=words) as raised:
        read_decisions([path])
    assert str(path) in str(raised.value)


def test_a_list_with_other_decisions_is_not_replaced(tmp_path):
    path = tmp_path / "pairs.csv"
    refuse_to_lose(path, [])
    write_decisions(path, DECIDED, [])
    refuse_to_lose(path, DECIDED)
    with pytest.raises(FashionJaxError, match="holds 1 decisions that would be lost"):
        refuse_to_lose(path, DECIDED[:1])
