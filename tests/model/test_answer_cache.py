"""Answers asked once: an interrupted list goes on where it stopped and ends as if nothing had happened."""

import pytest

from irae_lib.files import DATA
from irae_lib.model.adapters import load_adapters
from irae_lib.model.answer_cache import AnswerCache
from irae_lib.model.answers import Answer
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import answer_all, sampler
from irae_lib.schemas import Case
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE, choose_profile

NOTES = [case.case for case in make_cases(10, pool="test", seed=5, prefix="book", detail="short")]
MINE = {"adapter": "a", "prompt": "compact-1"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers" / "full, test.jsonl"


def cache(path, notes=NOTES, belongs=MINE):
    return AnswerCache(path, notes, belongs)


def filled(path, *places):
    one = cache(path)
    for place in places:
        one.add({place: Answer(text=f"answer {place}")})
    return one


def test_what_was_added_is_known_to_the_next_one(path):
    filled(path, 3, 1)
    assert {i: one.text for i, one in cache(path).known.items()} == {3: "answer 3", 1: "answer 1"}


@pytest.mark.parametrize(
    "other",
    [
        {"belongs": MINE | {"adapter": "b"}},
        {"notes": [*NOTES[:-1], Case(text="another note")]},
    ],
)
def test_another_adapter_or_another_note_starts_a_new_cache(path, other):
    filled(path, 3)
    assert cache(path, **other).known == {}
    cache(path, **other).add({0: Answer(text="new")})
    assert cache(path, **other).known.keys() == {0}
    assert cache(path).known == {}


@pytest.mark.parametrize("tail", ['{"place": 7, "text": "half', "\0\0\0\0\n", '{"place": 7}\n'])
def test_a_torn_end_is_dropped_and_written_over(path, tail):
    filled(path, 3, 1)
    with path.open("a") as file:
        file.write(tail)
    again = cache(path)
    assert again.known.keys() == {3, 1}
    again.add({7: Answer(text="whole")})
    assert {i: one.text for i, one in cache(path).known.items()} == {3: "answer 3", 1: "answer 1", 7: "whole"}


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def asked():
    model = load_adapters(load_base(choose_profile("rehearsal")), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    return lambda **how: answer_all(model, tokenizer, NOTES, batch_size=3, max_new_tokens=320, **how)


@pytest.mark.slow
def test_an_interrupted_list_ends_like_an_undisturbed_one(path, asked, monkeypatch):
    survived = 2
    undisturbed = asked()
    broken, real = cache(path), AnswerCache.add
    count = iter(range(survived))

    def add(self, batch):
        if next(count, None) is None:
            raise Stop
        real(self, batch)

    monkeypatch.setattr(AnswerCache, "add", add)
    with pytest.raises(Stop):
        asked(cache=broken)
    monkeypatch.setattr(AnswerCache, "add", real)
    rest = cache(path)
    assert len(rest.known) == 3 * survived
    assert asked(cache=rest) == undisturbed
    assert [cache(path).known[i] for i in range(len(NOTES))] == undisturbed


@pytest.mark.slow
def test_drawn_answers_are_kept_whole_or_drawn_again(path, asked):
    drawn = asked(choose=sampler(0.7, 1), cache=cache(path))
    assert asked(choose=sampler(0.7, 99), cache=cache(path)) == drawn, "a finished list is not drawn again"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]))
    assert asked(choose=sampler(0.7, 1), cache=cache(path)) == drawn
