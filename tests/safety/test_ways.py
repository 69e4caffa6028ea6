"""Ways and their matching: what the quick tests pass over is never said, and a table names only classes it has."""

import re

import pytest

from irae_lib.safety.alternatives import any_of
from irae_lib.safety.matching import classes_of, closest, place_of, said, words_of
from irae_lib.safety.ways import WORD, Ways

WORDS = {"STOOL": "stool, motion, poo", "BLOOD": "blood, =red", "TEST": "occult blood test", "NOT": "no, not"}


def table(*ways: str) -> Ways:
    said = [("bleeding", "", way) for way in ways]
    return Ways("a file", WORDS, {"MANY": [[6, 99]]}, said, lambda word: (word,))


def found(ways: Ways, text: str) -> list[str]:
    words = words_of(text, 0, len(text))
    places = [place_of(words, i, n, c) for i in range(len(words)) for n, c in classes_of(ways, words, i).items()]
    numbers = ways.candidates(ways.held(WORD.findall(text)))
    groups = [group for _, groups in said(ways, numbers, places) for group in closest(groups)]
    assert groups == [g for _, gs in said(ways, list(range(len(ways.opened))), places) for g in closest(gs)]
    return [text[min(p.start for p in group) : max(p.end for p in group)] for group in groups]


@pytest.mark.parametrize(
    "way, text, quotes",
    [
        ("BLOOD STOOL", "there is blood in the stools", ["blood in the stools"]),
        ("BLOOD STOOL", "stools, some with blood", ["stools, some with blood"]),
        ("BLOOD > STOOL", "stools with blood", []),
        ("BLOOD STOOL @0", "blood in the stools", []),
        ("BLOOD STOOL -TEST", "occult blood test of the stool", []),
        ("BLOOD STOOL -NOT", "no blood in the stool", []),
        ("BLOOD STOOL -NOT", "blood in the stool, no fever", ["blood in the stool"]),
        ("MANY > STOOL", "5 motions, then 9 motions", ["9 motions"]),
        ("loose STOOL", "a loose motion", ["loose motion"]),
    ],
)
def test_a_way_is_said(way, text, quotes):
    assert found(table(way), text) == quotes


def test_a_way_names_only_classes_of_its_file():
    with pytest.raises(ValueError, match="a file: bleeding uses WATER"):
        table("BLOOD WATER")


def test_alternatives_take_the_longest():
    pattern = re.compile(any_of(["pal", "palsy", "pain (acute)", "in"]))
    assert [m.group() for m in pattern.finditer("palsy pal pain (acute) in")] == ["palsy", "pal", "pain (acute)", "in"]
