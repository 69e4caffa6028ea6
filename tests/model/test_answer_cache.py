"""Answers asked once: an interrupted list goes on where it stopped and ends as if nothing had happened."""

import pytest

from irae_lib import prompts
from irae_lib.files import DATA
from irae_lib.model import answer_cache
from irae_lib.model.adapters import load_adapters
from irae_lib.model.answer_cache import AnswerBook
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


def book(path, notes=NOTES, belongs=MINE):
    return AnswerBook(path, notes, belongs)


def filled(path, *places):
    one = book(path)
    for place in places:
        one.add({place: Answer(text=f"answer {place}")})
    return one


def test_what_was_added_is_known_to_the_next_one(path):
    filled(path, 3, 1)
    assert {i: one.text for i, one in book(path).known.items()} == {3: "answer 3", 1: "answer 1"}


@pytest.mark.parametrize(
    "other",
    [
        {"belongs": MINE | {"adapter": "b"}},
        {"notes": [*NOTES[:-1], Case(text="another note")]},
    ],
)
def test_another_adapter_or_another_note_starts_a_new_book(path, other):
    filled(path, 3)
    assert book(path, **other).known == {}
    book(path, **other).add({0: Answer(text="new")})
    assert book(path, **other).known.keys() == {0} and book(path).known == {}


def test_other_code_that_asks_starts_a_new_book(path, monkeypatch):
    filled(path, 3)
    monkeypatch.setattr(answer_cache, "_code", lambda: "changed")
    assert book(path).known == {}


def test_the_wording_of_a_prompt_is_part_of_the_code(tmp_path, monkeypatch):
    before = answer_cache._code()
    (tmp_path / "compact.txt").write_text("Other words.")
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    assert answer_cache._code() != before


@pytest.mark.parametrize("tail", ['{"place": 7, "text": "half', "\0\0\0\0\n", '{"place": 7}\n'])
def test_a_torn_end_is_dropped_and_written_over(path, tail):
    filled(path, 3, 1)
    with path.open("a") as file:
        file.write(tail)
    again = book(path)
    assert again.known.keys() == {3, 1}
    again.add({7: Answer(text="whole")})
    assert {i: one.text for i, one in book(path).known.items()} == {3: "answer 3", 1: "answer 1", 7: "whole"}


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def asked():
    model = load_adapters(load_base(choose_profile("rehearsal")), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    return lambda **how: answer_all(model, tokenizer, NOTES, batch_size=3, max_new_tokens=320, **how)


def test_an_interrupted_list_ends_like_an_undisturbed_one(path, asked, monkeypatch):
    survived = 2
    undisturbed = asked()
    broken, real = book(path), AnswerBook.add
    count = iter(range(survived))

    def add(self, batch):
        if next(count, None) is None:
            raise Stop
        real(self, batch)

    monkeypatch.setattr(AnswerBook, "add", add)
    with pytest.raises(Stop):
        asked(book=broken)
    monkeypatch.setattr(AnswerBook, "add", real)
    rest = book(path)
    assert len(rest.known) == 3 * survived
    assert asked(book=rest) == undisturbed
    assert [book(path).known[i] for i in range(len(NOTES))] == undisturbed


def test_drawn_answers_are_kept_whole_or_drawn_again(path, asked):
    drawn = asked(choose=sampler(0.7, 1), book=book(path))
    assert asked(choose=sampler(0.7, 99), book=book(path)) == drawn, "a finished list is not drawn again"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]))
    assert asked(choose=sampler(0.7, 1), book=book(path)) == drawn
