"""Answers that can always be read, and that do not depend on how fast they were written or who shared their batch."""

import json
import math

import pytest
import torch
from stress_decoding import random_model, stress

from irae_lib.cases import validated_cases
from irae_lib.files import DATA
from irae_lib.model.adapters import load_adapters
from irae_lib.model.answers import parse_answer
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.generate import FreeWriter, Prefix, answer_all, common_start, decode, prompt_ids, stop_ids
from irae_lib.model.grammar import RESERVE, Writer, assessment_grammar, confidences, vocabulary
from irae_lib.prompts import messages
from irae_lib.rehearsal.tiny_gemma import VOCABULARY
from irae_lib.schemas import FIELDS, Assessment, System
from irae_lib.synthesis.make_cases import make_cases
from irae_lib.workspace.profiles import REHEARSAL_BASE, choose_profile

PROFILE = choose_profile("rehearsal")
CASES = [case.case for case in validated_cases()]
NOTES = CASES + [c.case for c in make_cases(13, pool="test", seed=5, prefix="decode", detail="short")]
STOPS = (1, 106)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(REHEARSAL_BASE)


@pytest.fixture(scope="module")
def tuned():
    return load_adapters(load_base(PROFILE), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})


@pytest.fixture(scope="module")
def words(tokenizer):
    return vocabulary(tokenizer, VOCABULARY, STOPS)


# --- the grammar ----------------------------------------------------------------------------------------


def accepts(tokenizer, words, text: str) -> bool:
    writer = Writer(words, budget=4000)
    try:
        for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
            writer.take(token)
    except ValueError:
        return False
    return writer.done


def test_every_label_of_the_project_is_in_the_grammar(tokenizer, words):
    cases = validated_cases() + make_cases(200, pool="train", seed=2, prefix="grammar")
    assert all(accepts(tokenizer, words, case.expected.to_json()) for case in cases)


@pytest.mark.parametrize(
    "fields",
    [
        {"evidence": [], "actions": [], "affected_systems": [], "reasoning": ""},
        {"evidence": ['He said "fine" \\ left', "Temp 38 °C, µg/L", "x" * 200], "affected_systems": list(System)},
        {"reasoning": "y" * 600, "affected_systems": ["Cardiac", "Musculoskeletal"]},
    ],
)
def test_what_the_schema_allows_is_allowed(tokenizer, words, fields):
    answer = validated_cases()[0].expected.model_dump() | fields
    assert accepts(tokenizer, words, Assessment.model_validate(answer).to_json())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"urgency":"', '"urgency":"very '),
        lambda text: text.replace('"irae_detected":true', '"irae_detected":"true"'),
        lambda text: text.replace('["Gastrointestinal"]', '["Gastrointestinal","Gastrointestinal"]'),
        lambda text: text.replace('["Gastrointestinal"]', '["Hepatic","Gastrointestinal"]'),
        lambda text: text.replace('{"evidence"', '{ "evidence"'),
        lambda text: text.replace('"reasoning":"', '"reasoning":"' + "z" * 601),
        lambda text: text.replace('"reasoning":"', '"reasoning":"\\ud800'),
        lambda text: text.replace('"reasoning":"', '"reasoning":"\n'),
        lambda text: text[:-1] + ',"note":"x"}',
    ],
)
def test_what_no_reader_takes_is_not(tokenizer, words, change):
    text = validated_cases()[0].expected.to_json()
    changed = change(text)
    assert accepts(tokenizer, words, text)
    assert changed != text
    assert not accepts(tokenizer, words, changed)


NOTE = 'Said "fine".\nLoose stools x6; T 38 °C, µg/L [H] \\ end of pneumonoultramicroscopic words.'


@pytest.mark.parametrize(
    "quote, found",
    [
        ('Said "fine".\nLoose stools', True),
        ("T 38 °C, µg/L [H] \\ end", True),
        ("pneumonoultramicroscopic words.", True),
        ("Loose stools x7", False),
        ("oose stools", False),  # whole words only
        ("Loose  stools", False),
        ("words. Said", False),
    ],
)
def test_a_quote_is_a_stretch_of_its_note(tokenizer, words, quote, found):
    text = validated_cases()[0].expected.model_copy(update={"evidence": (quote,)}).to_json()
    writer = Writer(words, budget=4000, note=NOTE)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not found:
        with pytest.raises(ValueError, match="is not allowed here"):
            for token in ids:
                writer.take(token)
        return
    for token in ids:
        assert writer.allowed()[token]
        writer.take(token)
    assert writer.done


def test_an_error_of_the_grammar_does_not_hold_the_note(tokenizer, words):
    writer = Writer(words, budget=4000, note=NOTE)
    with pytest.raises(ValueError) as raised:
        for token in tokenizer('{"evidence":["nowhere', add_special_tokens=False)["input_ids"]:
            writer.take(token)
    assert "stools" not in str(raised.value)


def test_systems_are_one_text_in_the_order_of_the_schema():
    label = validated_cases()[0].expected.model_dump() | {"affected_systems": ["Ocular", "Hepatic", "Cardiac"]}
    assert Assessment.model_validate(label).affected_systems == ("Hepatic", "Cardiac", "Ocular")


def test_the_grammar_follows_the_bounds_of_the_schema():
    fields = Assessment.model_json_schema()["properties"]
    grammar = assessment_grammar()
    assert f"{{0,{fields['reasoning']['maxLength']}}}" in grammar
    assert f"{{1,{fields['evidence']['items']['maxLength']}}}" in assessment_grammar(NOTE)
    assert grammar.count(f"{{0,{fields['evidence']['maxItems'] - 1}}}") == 2


def test_a_budget_in_which_no_answer_fits_is_refused(words):
    with pytest.raises(ValueError, match="budget"):
        Writer(words, budget=2 * RESERVE - 1)


@pytest.mark.slow
def test_random_weights_write_300_readable_answers_within_their_budget():
    readable, quotes = stress(300)
    assert readable == 300
    assert quotes > 100  # each of them found, or stress had stopped


# --- the same answers, however they are written ---------------------------------------------------------


@pytest.mark.slow
def test_answers_of_the_tuned_model_do_not_depend_on_speed_batch_or_grammar(tuned, tokenizer):
    def ask(**options):
        return [a.text for a in answer_all(tuned, tokenizer, NOTES[::2], **{"batch_size": 12} | options)]

    plain = ask(constrained=False, fast=False)
    said = [parse_answer(text).assessment for text in plain]
    pairs = list(zip(NOTES[::2], said, strict=True))
    readable = [one is not None and all(quote in note.text for quote in one.evidence) for note, one in pairs]
    assert sum(readable) >= 8
    for options in ({}, {"fast": False}, {"batch_size": 5}, {"batch_size": 1}):
        for one, other, was in zip(ask(**options), plain, readable, strict=True):
            assert one == other or not was
            assert parse_answer(one).assessment is not None


def test_the_loop_without_a_grammar_is_generate(tuned, tokenizer):
    texts = [tokenizer.apply_chat_template(messages(c), add_generation_prompt=True, tokenize=False) for c in CASES[:5]]
    batch = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
    out = tuned.generate(**batch, max_new_tokens=320, do_sample=False, eos_token_id=list(STOPS), pad_token_id=0)
    theirs = [[t for t in row.tolist() if t not in (0, *STOPS)] for row in out[:, batch["input_ids"].shape[1] :]]
    ours = answer_all(tuned, tokenizer, CASES[:5], constrained=False, max_new_tokens=320)
    assert [a.text for a in ours] == [tokenizer.decode(ids) for ids in theirs]


@pytest.mark.parametrize("window", [8, 24, 1024])
def test_prefix_and_padding_change_nothing_beyond_the_sliding_window(window):
    # Random weights in float64: two tokens are never equally likely by accident, and a leak of padding would show.
    model = random_model(300, seed=window, sliding_window=window).double()
    generator = torch.Generator().manual_seed(window)
    shared = torch.randint(3, 300, (30,), generator=generator).tolist()
    prompts = [
        shared + torch.randint(3, 300, (n,), generator=generator).tolist() for n in (1, 2, 7, 20, 45)
    ]  # 44 pads for the shortest: more than the prefix is long

    def alone(ids):
        out = model.generate(torch.tensor([ids]), max_new_tokens=25, do_sample=False, eos_token_id=[1], pad_token_id=0)
        return out[0, len(ids) :].tolist()

    n = len(common_start(prompts))
    assert n == 30
    for prefix in (Prefix(model, shared), Prefix(model, shared[:10]), Prefix(model, [])):
        written = decode(model, prompts, [FreeWriter([1], budget=25) for _ in prompts], prefix)
        assert [one.ids for one in written] == [alone(ids) for ids in prompts]


def test_both_gemma_classes_give_the_same_with_and_without_a_prefix(tuned, tokenizer):
    base = load_base(PROFILE)
    from transformers import Gemma3ForCausalLM

    text_only = Gemma3ForCausalLM(base.config.get_text_config()).eval()
    text_only.model.load_state_dict(base.model.language_model.state_dict())
    text_only.lm_head.load_state_dict(base.lm_head.state_dict())
    answers = {
        (name, fast): [a.text for a in answer_all(model, tokenizer, CASES[:4], fast=fast)]
        for name, model in (("multimodal", base), ("text", text_only))
        for fast in (True, False)
    }
    assert len({json.dumps(texts) for texts in answers.values()}) == 1


def written(tuned, ids, writer, prefix=(), **options):
    """One answer and the number of forward passes it took."""
    passes = []
    (one,) = decode(tuned, [ids], [writer], Prefix(tuned, prefix), passed=lambda *size: passes.append(size), **options)
    return one, len(passes)


def test_forced_tokens_and_prefix_spare_forward_passes(tuned, tokenizer, words):
    (ids,) = prompt_ids(tokenizer, CASES[:1])
    passes = {}
    for together in (True, False):
        one, passes[together] = written(tuned, ids, Writer(words, budget=512), ids[:50], together=together)
        assert 0.9 < one.legal_mass <= 1.0
    assert passes[True] < passes[False] <= len(one.ids)


# --- answers that may be anything -----------------------------------------------------------------------


def test_a_free_answer_that_is_cut_is_unscored_and_says_so(tuned, tokenizer):
    (answer,) = answer_all(tuned, tokenizer, CASES[:1], constrained=False, max_new_tokens=7)
    assert answer.assessment is None
    assert answer.unscored == "cut off after 7 tokens"


def test_no_cases_no_answers(tuned, tokenizer):
    assert answer_all(tuned, tokenizer, []) == []


def test_common_start_leaves_something_to_read():
    assert common_start([[1, 2, 3], [1, 2, 4, 5]]) == [1, 2]
    assert common_start([[1, 2, 3], [1, 2, 3]]) == [1, 2]
    assert common_start([[1, 2], [3, 4]]) == []
    assert common_start([[1, 2, 3]]) == []
    assert common_start([]) == []


def test_stop_ids_are_those_of_these_tests(tokenizer):
    assert tuple(stop_ids(tokenizer)) == STOPS


# --- how sure -------------------------------------------------------------------------------------------


def test_confidences_equal_one_forward_pass_over_the_finished_answer(tuned, tokenizer, words):
    for case, answer in zip(CASES[:4], answer_all(tuned, tokenizer, CASES[:4]), strict=True):
        (asked,) = prompt_ids(tokenizer, [case])
        said = tokenizer(answer.text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = tuned(input_ids=torch.tensor([asked + said])).logits[0, len(asked) - 1 :].double()
        # Replayed with nothing but the grammar: each token's share among the allowed, credited by the text it adds.
        writer, chance, so_far = Writer(words, budget=512), {}, ""
        for place, token in enumerate(said):
            allowed = torch.from_numpy(writer.allowed())
            share = logits[place].masked_fill(~allowed, -torch.inf).softmax(-1)[token].item()
            writer.take(token)
            so_far = tokenizer.decode(said[: place + 1])
            chance[len(so_far)] = share
        borders = {"affected_systems": "]", "likelihood": "}"}
        for name in FIELDS:
            key = '"causality":{"likelihood":' if name == "likelihood" else f'"{name}":'
            start = answer.text.index(key) + len(key)
            stop = answer.text.index(borders.get(name, ","), start)
            ends = sorted(chance)
            product = 1.0
            for before, end in zip([0, *ends], ends, strict=False):
                if end > start and before < stop:
                    product *= chance[end]
            assert answer.confidence[name] == pytest.approx(product, abs=2e-3)
        first = answer.text.index('"reasoning":') + len('"reasoning":')
        whole = [chance[end] for before, end in zip([0, *ends], ends, strict=False) if end > first and before < stop]
        assert answer.certainty == pytest.approx(math.prod(whole), rel=2e-2)
        assert answer.confidence.keys() == set(FIELDS)
        assert all(0 < c <= 1 for c in answer.confidence.values())


def test_short_answers_hold_the_labels_and_cost_few_passes(tuned, tokenizer, words):
    (ids,) = prompt_ids(tokenizer, CASES[:1])
    passes = {}
    for short in (True, False):
        one, passes[short] = written(tuned, ids, Writer(words, budget=512, short=short))
        answer = parse_answer(tokenizer.decode(one.ids)).assessment
        assert (answer.evidence == (), answer.reasoning == "") == (short, short)
    assert passes[False] / passes[True] >= 8


def test_the_token_that_decides_a_field_is_the_one_that_counts(tokenizer, words):
    text = validated_cases()[0].expected.to_json()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ends = [len(tokenizer.decode(ids[: i + 1])) for i in range(len(ids))]
    keys = {name: f'"{name}":' for name in FIELDS} | {"likelihood": '"likelihood":'}
    for name, key in keys.items():
        start = text.index(key) + len(key)
        stop = text.index({"affected_systems": "]", "likelihood": "}"}.get(name, ","), start)
        deciding = next(i for i, end in enumerate(ends) if end > start + 1)  # past an opening quote or bracket
        after = next(i for i, end in enumerate([0, *ends]) if end >= stop)
        sure, _ = confidences([words.decode_bytes([one]) for one in ids], [(deciding, 0.25), (after, 0.5)])
        assert sure[name] == 0.25
        assert all(value == 1.0 for other, value in sure.items() if other != name)
