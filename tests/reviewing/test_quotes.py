"""Quotes of a verdict: whatever is moved, added or removed, each is in the note word for word."""

from hypothesis import given
from hypothesis import strategies as st

from irae_lib.reviewing.quotes import Quotes
from irae_lib.schemas import MAX_QUOTE

NOTE = "Nivolumab. ALT 640 U/L\n(ref 7-56) since Monday."


def quotes(*parts):
    return Quotes(NOTE, [(NOTE.index(part), NOTE.index(part) + len(part)) for part in parts])


def test_edges_move_by_words_over_line_ends_and_stop_at_the_ends():
    one = quotes("ALT 640 U/L")
    assert one.move_end(1) == ""
    assert one.texts == ("ALT 640 U/L\n(ref",)
    one.move_end(-1)
    one.move_start(-1)
    assert one.texts == ("Nivolumab. ALT 640 U/L",)
    assert "further" in one.move_start(-1)
    for _ in range(9):
        one.move_start(1)
    assert one.texts == ("U/L",)
    assert "further" in one.move_end(-1)


def test_a_quote_that_starts_inside_a_word_grows_to_its_beginning():
    one = quotes("40 U/L")
    one.move_start(-1)
    assert one.texts == ("640 U/L",)


def test_a_quote_is_never_longer_than_its_limit():
    text = "word " * 100
    one = Quotes(text, [(0, 4)])
    while not (problem := one.move_end(1)):
        pass
    assert problem == f"a quote has at most {MAX_QUOTE} characters"
    assert len(one.texts[0]) <= MAX_QUOTE


def test_only_what_is_in_the_note_is_added_and_at_most_six():
    one = quotes()
    assert one.move_start(1) == "there is no quote to move"
    assert "word for word" in one.add("alt 640")
    assert "word for word" in one.add("  ")
    for part in ("Nivolumab.", "ALT", "640", "U/L", "(ref", "7-56)"):
        assert one.add(f" {part} ") == ""
    assert one.at == 5
    assert "at most 6" in one.add("since")
    assert one.remove() == ""
    assert one.texts[-1] == "(ref"


@given(st.text(alphabet="ab \n", max_size=60), st.lists(st.sampled_from("[]{}xq"), max_size=30), st.data())
def test_every_quote_stays_in_its_note(text, keys, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    one = Quotes(text, [(start, end)])
    moves = {"[": lambda: one.move_start(-1), "{": lambda: one.move_start(1), "]": lambda: one.move_end(1)}
    moves |= {"}": lambda: one.move_end(-1), "x": one.remove, "q": lambda: one.choose(one.at + 1)}
    for key in keys:
        moves[key]()
        assert all(0 < b - a <= MAX_QUOTE and 0 <= a < b <= len(text) for a, b in one.spans)
        assert not one.spans or one.at < len(one.spans)
