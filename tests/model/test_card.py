"""What a model says of itself: written as it was said, read from anybody, and bounded."""

import json

import pytest

from nicodec.model import card
from nicodec.model.card import MAX_LICENCE, MAX_NAME, MAX_NOTE, MAX_POINTS, Card, Point, cleaned, fault, name_fault


def test_a_card_is_read_as_it_was_written() -> None:
    written = Card("CC0", "of birds", "2026-11-29", "photo 32fc19df", (Point(0, 0.1, 25.5), Point(50, 0.5, 33.25)))
    assert Card.of(written.texts()) == written
    assert Card().texts() == {}
    assert Card.of({}) == Card()
    assert Card(curve=(Point(0, float("nan"), 1),)).texts() == {}


@pytest.mark.parametrize(
    "curve",
    ["", "{", "3", "{}", '{"a": 1}', "[1]", "[[1, 2]]", "[[1, 2, 3, 4]]", '[["a", 1, 2]]', "[[1, 2, NaN]]",
     "[[1, 2, 1e999]]", "[[1, 2, null]]", "[" * 100_000, "null", f"[[1, 2, {10 ** 400}]]"],
    ids=lambda c: c[:20],
)  # fmt: skip
def test_a_curve_that_is_none_is_left_out(curve: str) -> None:
    assert Card.of({"curve": curve}).curve == ()


def test_a_card_of_anybody_is_bounded() -> None:
    long = "x" * 10**6
    found = Card.of(
        {"licence": long, "note": long, "from": long, "made": long, "curve": json.dumps([[1, 2, 3]] * 1000)}
    )
    assert (len(found.licence), len(found.note), len(found.curve)) == (MAX_LICENCE, MAX_NOTE, MAX_POINTS)
    assert len(found.start) < 60
    assert found.made == ""


def test_texts_have_a_length_and_print() -> None:
    assert fault("a note, \u00fcber \u732b", 100) is None
    assert "at most 3" in str(fault("abcd", 3))
    for text in ("a\nb", "a\x1b[2J", "a\u202eb", "\ud800", 3, None):
        assert fault(text, 100) is not None


def test_names_are_words_that_are_no_ids() -> None:
    for name in ("mine", "My_birds-2", "deadbee", "z" * MAX_NAME, "1a2b3c4g"):
        assert name_fault(name) is None
    for name in ("", "a b", "a/b", "a.b", "-a", "\u00fc", "a\n", "deadbeef", "0123456789", "z" * (MAX_NAME + 1)):
        assert name_fault(name), name


def test_any_text_becomes_a_name() -> None:
    assert [cleaned(text) for text in ("my birds", "a.b/c", "\u00fc", "")] == ["my-birds", "a-b-c", "model", "model"]
    assert name_fault(cleaned("x y" * 100)) is None
    assert len(cleaned("\x1b[2J" * 100)) <= card.MAX_NAME
