"""Synthetic cases: repeatable, labelled by the contract, true to their bands, and a held-out part that is unseen."""

import itertools
import random
import re
import statistics
from collections import Counter
from decimal import Decimal

import pytest

from irae_lib import Case, read, review
from irae_lib.cases import validated_cases
from irae_lib.errors import LeakError, RunError, SchemaError
from irae_lib.schemas import Likelihood, Severity, System, Urgency, differing
from irae_lib.synthesis.background import BACKGROUND
from irae_lib.synthesis.checks import (
    LEAST_AGREEMENT,
    balance,
    check_balance,
    check_cases,
    check_urgency,
    check_variety,
    rule_agreement,
)
from irae_lib.synthesis.consistency import awaits_what_is_known, dated, fits_age, fits_cancer
from irae_lib.synthesis.illnesses import COMMON, CONTRASTS, IDEAS, ILLNESSES, KINDS, LAY, POOLS, Fact
from irae_lib.synthesis.lab_values import lab_text
from irae_lib.synthesis.leakage import _grams, check_leaks, frame_shares, sentence_frames, text_statistics
from irae_lib.synthesis.long_notes import choose_form
from irae_lib.synthesis.make_cases import _dealer, make_cases
from irae_lib.synthesis.minimal_pairs import make_contrasts, pairs
from irae_lib.synthesis.note_styles import _CHOICE, GRAVE, Part
from irae_lib.synthesis.splits import check_splits, make_splits
from irae_lib.training.rows import to_prompt_completion

SIZES = {"train": 1000, "calibration": 150, "test": 300, "pairs": 100}
SPLITS = {detail: make_splits(3, **SIZES, detail=detail) for detail in ("full", "short")}
TRAIN, TEST, CONTRAST = (SPLITS["full"][name] for name in ("train", "test", "contrast"))
ALL = [case for splits in SPLITS.values() for cases in splits.values() for case in cases]
ROWS = [*ILLNESSES, *(side for contrast in CONTRASTS for side in contrast.sides)]


# --- the whole set --------------------------------------------------------------------------------------


def test_same_seed_same_cases_other_seed_other_notes_with_the_same_balance():
    again, other = (make_splits(seed, **SIZES, detail="full") for seed in (3, 4))
    assert again == SPLITS["full"]
    for name, cases in other.items():
        mine = SPLITS["full"][name]
        assert not {c.case.text for c in cases} & {c.case.text for c in mine}
        assert Counter(c.kind for c in cases) == Counter(c.kind for c in mine)
        assert balance(cases) == balance(mine)


@pytest.mark.parametrize("detail", SPLITS)
def test_a_build_passes_its_checks(detail):
    facts = check_splits(SPLITS[detail], validated_cases(), detail=detail)
    assert all(split["rules_at_most_the_label"] >= LEAST_AGREEMENT[detail] for split in facts["splits"].values())
    assert facts["variety"]["commonest_frame_share"] <= 0.02
    assert all(one["shared_frames"] == 0 for one in facts["leaks"].values())


def test_no_two_notes_of_a_split_are_the_same():
    for splits in SPLITS.values():
        for cases in splits.values():
            assert len({c.case.text for c in cases}) == len(cases)


def test_at_least_40_percent_of_the_test_are_negatives_of_every_kind():
    for splits in SPLITS.values():
        kinds = Counter(c.kind for c in splits["test"])
        assert sum(not c.expected.irae_detected for c in splits["test"]) / 300 >= 0.40
        assert kinds.keys() == {"irae", "mimic", "never", "planned", "well", "resolved", "undocumented"}


def test_long_notes_are_as_long_as_real_ones():
    words = sorted(len(c.case.text.split()) for cases in SPLITS["full"].values() for c in cases)
    assert statistics.median(words) >= 180
    assert sum(n > 300 for n in words) / len(words) >= 0.25
    assert words[0] >= 40
    assert words[-1] <= 750


def test_long_notes_come_in_nine_kinds_each_in_every_pool():
    rng, everything = random.Random(1), Counter()
    for pool in POOLS:
        hands = itertools.islice(_dealer(pool, 1, KINDS[pool]), 2000)
        kinds = Counter(choose_form(rng, pool, ill, inpatient=kind == "irae").kind for kind, ill, _ in hands)
        assert len(kinds) == 9
        assert min(kinds.values()) / 2000 >= 0.04
        everything += kinds
    assert min(everything.values()) / everything.total() >= 0.05


def test_long_notes_use_both_systems_of_units_and_tables():
    text = "\n".join(c.case.text for c in TRAIN)
    assert " umol/L" in text
    assert " mg/dL" in text
    assert "\nTest | Result | Units | Reference | Flag\n" in text
    assert not re.search(r"\{\w*\}", text), "a slot was left open"


# --- labels ---------------------------------------------------------------------------------------------


def test_labels_follow_the_contract_of_their_kind():
    for c in ALL:
        label, likelihood = c.expected, c.expected.causality.likelihood
        if c.kind in ("irae", "undocumented"):
            assert label.irae_detected
            assert label.affected_systems
            assert label.overall_severity > Severity.UNKNOWN
        else:
            silent = (label.irae_detected, label.affected_systems, label.overall_severity)
            assert silent == (False, (), Severity.UNKNOWN)
        allowed = {"irae": (Likelihood.HIGHLY_LIKELY, Likelihood.POSSIBLE), "undocumented": (Likelihood.UNCERTAIN,)}
        assert likelihood in allowed.get(c.kind, (Likelihood.UNLIKELY,))
        assert c.kind not in ("well", "resolved") or label.urgency is Urgency.ROUTINE


def test_what_has_ended_is_not_held_and_a_routine_illness_has_no_grave_rival():
    assert not [c for c in ALL if "weeks since the last" in c.case.text and "Hold ICI" in c.expected.actions]
    grave = {
        line.removeprefix(GRAVE).split("(")[0]
        for name, idea in IDEAS.items()
        if name.endswith("_rival")
        for pool in POOLS
        for line in getattr(idea, pool)
        if line.startswith(GRAVE) and "(" not in line
    }
    mild = [c for c in ALL if c.kind == "mimic" and c.expected.urgency < Urgency.URGENT]
    assert grave
    assert mild
    assert not [c.case.id for c in mild if any(line in c.case.text for line in grave)]


def test_every_evidence_quote_occurs_in_its_note():
    assert all(quote in c.case.text for c in ALL for quote in c.expected.evidence)
    assert all(c.expected.evidence for c in ALL)


def test_every_organ_occurs_at_every_grade_it_has():
    assert {system for illness in ILLNESSES for system in illness.systems} == set(System)
    assert {len(illness.systems) for illness in ILLNESSES} >= {1, 2, 3}
    eleven = {(s, c.expected.overall_severity) for c in validated_cases() for s in c.expected.affected_systems}
    assert eleven <= {(s, Severity.from_grade(i.grade)) for i in ILLNESSES for s in i.systems}
    with pytest.raises(SchemaError, match="no case of: .*Ocular, Grade 4"):
        check_balance([c for c in TEST if System.OCULAR not in c.expected.affected_systems])


def test_no_label_lies_below_the_generic_floors(monkeypatch):
    check_urgency()
    low = ILLNESSES[0]._replace(grade=4, urgency=Urgency.SOON)
    monkeypatch.setattr("irae_lib.synthesis.checks.ILLNESSES", (low,))
    with pytest.raises(SchemaError, match="below emergency"):
        check_urgency()


def test_actions_hold_no_dose_and_cortisol_comes_before_thyroxine():
    actions = {action for row in ROWS for action in row.actions}
    assert not [action for action in actions if re.search(r"\d+ ?(?:mg|g|mcg|units|mL)\b", action)]
    pituitary = [row for row in ROWS if row.term in ("Hypophysitis", "Adrenal insufficiency")]
    assert pituitary
    assert all("Cortisol before thyroxine" in row.actions for row in pituitary if row.grade < 4)


@pytest.mark.parametrize("pool", POOLS)
def test_laboratory_values_stay_inside_the_band_that_makes_their_grade(pool):
    """Read back from the finished text by the reader of the safety layer, through its own unit conversion."""
    rng = random.Random(pool)
    read_back = 0
    for fact in (fact for row in ROWS for fact in (*row.key, *row.also) if fact.lab and fact.per != "baseline"):
        text = lab_text(rng, pool, fact, plain=rng.random() < 0.5)
        found = [f for f in read(Case(text=f"Pembrolizumab. {text}")) if f.name == fact.lab and f.high is not None]
        if not found:  # a multiple of ULN, or a value the reader takes for a slip
            continue
        limit = Decimal(_limit(fact)) if fact.per in ("uln", "lln") else Decimal(1)
        low, high = Decimal(str(fact.low)) * limit, Decimal(str(fact.high)) * limit
        assert low * Decimal("0.999") <= found[0].high <= high * Decimal("1.001"), (fact, text)
        read_back += 1
    assert read_back > 100


def test_multiples_of_a_baseline_are_multiples_of_the_printed_baseline():
    rng, seen = random.Random(5), 0
    for fact in (fact for row in ROWS for fact in (*row.key, *row.also) if fact.per == "baseline"):
        for pool in POOLS:
            value, base = map(Decimal, re.findall(r"\d+(?:\.\d+)?", lab_text(rng, pool, fact, plain=False))[:2])
            assert Decimal(str(fact.low)) <= value / base <= Decimal(str(fact.high))
            assert (seen := seen + 1)
    assert seen > 10


def _limit(fact: Fact) -> str:
    from irae_lib.synthesis.lab_values import _LABS

    return _LABS[fact.lab][fact.per]


# --- against the rules ----------------------------------------------------------------------------------


def test_rules_are_quiet_on_the_well_and_fire_on_mimics_without_an_attribution():
    said = rule_agreement(SPLITS["short"]["train"] + SPLITS["short"]["test"])
    assert said.raised["well"] == 0
    assert said.raised["resolved"] <= 0.03 * said.negatives["resolved"]
    assert said.raised["mimic"] > 0.5 * said.negatives["mimic"]
    assert said.exact > 0.6 * said.irae


def test_rules_are_nearly_quiet_on_long_notes_of_the_well():
    said = rule_agreement([c for c in TRAIN + TEST if c.kind in ("well", "irae")])
    assert said.raised["well"] <= 0.06 * said.negatives["well"]
    assert said.exact > 0.6 * said.irae


def test_a_label_below_the_rules_stops_the_build():
    wrong = [c.model_copy(update={"expected": _routine(c.expected)}) for c in TEST if c.kind == "irae"]
    with pytest.raises(SchemaError, match="minimum of a rule exceeds the label in"):
        check_cases(wrong)


def test_one_note_above_its_label_does_not_stop_a_small_split():
    cases = [c for c in SPLITS["short"]["test"] if c.kind == "irae" and review(c.case).corrections][:10]
    cases[0] = cases[0].model_copy(update={"expected": _routine(cases[0].expected)})
    assert len(rule_agreement(cases).above) == 1
    assert check_cases(cases)["rules_at_most_the_label"] == 0.9


def _routine(label):
    return label.model_copy(update={"urgency": Urgency.ROUTINE, "overall_severity": Severity.GRADE_1})


def test_a_lost_quote_stops_the_build():
    lost = TEST[0].model_copy(update={"expected": TEST[0].expected.model_copy(update={"evidence": ("not there",)})})
    with pytest.raises(SchemaError, match=r"test-\d+: evidence quote 1 is not in the note"):
        check_cases([lost])


def test_long_rows_fit_2048_tokens_of_two_characters_and_a_half():
    """Gemma's tokenizer makes 2.2 characters or more a token of these notes (tests/model/test_small_gemma.py)."""
    rows = [to_prompt_completion(case) for cases in SPLITS["full"].values() for case in cases]
    texts = ["".join(turn["content"] for turn in row["prompt"] + row["completion"]) for row in rows]
    assert max(map(len, texts)) / 2.5 <= 2048


# --- what cannot stand together -------------------------------------------------------------------------


def test_a_long_note_tells_one_time_only():
    """An infusion 3 days ago and steroids since 5, with the infusion held, are two clocks."""
    for pool, cases in (("train", TRAIN), ("test", TEST)):
        frames = [re.escape(text).replace(r"\{n\}", r"\d+") for text in BACKGROUND[pool].treated]
        treated = [c for c in cases if re.search("|".join(frames), c.case.text, re.I)]
        assert len(treated) > 20
        assert not [c.case.id for c in treated if dated(c.expected.evidence[0])]


@pytest.mark.parametrize(
    ("text", "age", "fits"),
    [
        ("Celebrated a golden wedding in the village hall.", 63, False),
        ("Celebrated a golden wedding in the village hall.", 78, True),
        ("Bilateral knee replacements more than five years ago", 34, False),
        ("Army veteran, married 31 years", 36, False),
        ("Works half days at the council library.", 40, True),
    ],
)
def test_what_is_told_fits_the_age(text, age, fits):
    assert fits_age(text, age) is fits


def test_nobody_on_a_ventilator_is_asked_or_sent_to_a_class():
    notes = [c.case.text for c in ALL if re.search(r"ventilat|intubat|endotracheal|unarousable", c.case.text)]
    assert len(notes) > 5
    assert not [
        text
        for text in notes
        if re.search(r"exercise class|holiday|through the alert card|confirmed again with patient", text)
    ]


def test_a_test_is_not_awaited_whose_result_stands_there():
    edema = [Part("labs", "Pancreatic edema on CT")]
    assert awaits_what_is_known("Pancreas not imaged yet", edema)
    assert awaits_what_is_known("CT slot tomorrow, lipids awaited", edema)
    assert not awaits_what_is_known("lipids awaited", edema)


def test_a_drug_is_given_for_its_cancer():
    assert not fits_cancer("osimertinib alone for 6 months", "papillary renal cell carcinoma, stage IV")
    assert fits_cancer("osimertinib alone for 6 months", "lung adenocarcinoma")
    assert fits_cancer("carboplatin, cycle 3", "papillary renal cell carcinoma, stage IV")


# --- minimal pairs --------------------------------------------------------------------------------------


def test_pairs_differ_in_one_statement_and_at_least_one_label():
    for a, b in pairs(CONTRAST):
        assert differing(a.expected, b.expected), a.pair
        words = [set(re.findall(r"[\w.%]+", side.case.text)) for side in (a, b)]
        # Two notes of a dozen statements each share most of their words; what differs is one of them.
        assert len(words[0] & words[1]) >= 0.5 * min(map(len, words)), a.pair


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("ICI to another cancer drug", {"irae_detected", "affected_systems", "overall_severity", "likelihood"}),
        ("ICI given to only planned", {"irae_detected", "affected_systems", "overall_severity", "likelihood"}),
        (
            "other causes excluded to another cause found",
            {"irae_detected", "affected_systems", "overall_severity", "likelihood"},
        ),
        ("other causes excluded to pending", {"likelihood"}),
    ],
)
def test_what_must_flip_and_what_must_not(change, fields):
    found = [(a, b) for a, b in pairs(CONTRAST) if a.pair.endswith(f": {change}")]
    assert found
    for a, b in found:
        assert set(differing(a.expected, b.expected)) == fields


def test_border_pairs_flip_grade_or_urgency_and_never_causality():
    generic = ("ICI", "other causes", "current to resolved", "the patient's")
    borders = [(a, b) for a, b in pairs(CONTRAST) if not a.pair.split(": ", 1)[1].startswith(generic)]
    assert len(borders) == 50
    for a, b in borders:
        changed = differing(a.expected, b.expected)
        assert {"overall_severity", "urgency"} & set(changed), a.pair
        assert "likelihood" not in changed, a.pair


def test_every_contrast_of_the_files_can_be_written_in_every_pool():
    for pool in POOLS:
        made = make_contrasts(2 * len(CONTRASTS), pool=pool, seed=1, prefix="all")
        assert len({c.pair.split(": ", 1)[1] for c in made}) >= len({c.name for c in CONTRASTS})


# --- what is held out -----------------------------------------------------------------------------------


def _spelled_out(line: str):
    line, parts, at = line.removeprefix(GRAVE), [], 0
    for match in _CHOICE.finditer(line):
        parts += [[line[at : match.start()]], match.group(1).split("|")]
        at = match.end()
    for chosen in itertools.product(*parts, [line[at:]]):
        text = " ".join("".join(chosen).split()).replace(" ,", ",")
        yield text.format(n=5, m=3, year=1999, drug="pembrolizumab")


def test_no_wording_of_one_pool_occurs_in_another():
    frames, grams = {}, {}
    for name, idea in IDEAS.items():
        for pool in POOLS:
            for line in getattr(idea, pool):
                for text in _spelled_out(line):
                    mine = sentence_frames(text)
                    for frame in mine:
                        frames.setdefault(frame, {})[pool] = name
                    for gram in _grams(mine):
                        grams.setdefault(gram, {})[pool] = name
    for name, words in LAY.items():
        for pool, lines in words.items():
            for line in lines:
                for frame in sentence_frames(line.format(n=5, m=3)):
                    frames.setdefault(frame, {})[pool] = f"lay {name}"
    assert not {frame: where for frame, where in frames.items() if len(where) > 1}
    assert not {gram: where for gram, where in grams.items() if len(where) > 1}


def test_every_idea_has_paraphrases_in_every_pool_and_form():
    for name, idea in IDEAS.items():
        assert len(idea.train) >= 2, name
        assert len(idea.calibration) >= 2, name
        assert len(idea.test) >= 2, name
        for line in (*idea.train, *idea.calibration, *idea.test):
            line = line.removeprefix(GRAVE)
            assert line.isascii(), (name, line)
            for_short_notes = not name.endswith(("_proven", "_open"))
            assert not re.search(r"[;\n]|\.$" if for_short_notes else r"\n|\.$", line), (name, line)


@pytest.mark.parametrize("leak", ["note", "sentence", "words", "numbers"])
def test_a_leak_is_refused_and_named(leak):
    def case(case_id, text):
        return TRAIN[0].model_copy(update={"case": Case(id=case_id, text=text)})

    sentence = "The patient is passing {} watery stools daily, baseline one formed stool"
    labs = "ALT 212, AST 198, TSH 2.4, Na 141"
    mine, theirs, message = {
        "note": (TRAIN[5].case.text, TRAIN[5].case.text, "is the same note as a"),
        "sentence": (sentence.format(9), sentence.format(11), "shares a sentence frame with a"),
        "words": (
            f"Since Monday {sentence.format(9)}",
            f"{sentence.format(4)} and cramps",
            "shares 7 words in a row with a",
        ),
        "numbers": (f"Nivolumab. {labs}", f"Seen today. {labs}", "has the numbers of a"),
    }[leak]
    with pytest.raises(LeakError, match=f"b {message}"):
        check_leaks([case("a", mine)], [case("b", theirs)])


def test_frames_mask_numbers_and_drugs_and_leave_rows_aside():
    assert sentence_frames("Passing 4 loose stools on nivolumab.") == sentence_frames(
        "Passing 12 loose stools on Keytruda."
    )
    assert not sentence_frames(
        "ALT 212 U/L (ref <40)\nHome: lisinopril 10 mg, aspirin 81 mg\nContext: 60-year-old, NSCLC."
    )


def test_a_frame_in_every_note_stops_the_build():
    dull = [
        c.model_copy(update={"case": Case(id=str(i), text=f"{i} loose stools over the baseline a day")})
        for i, c in enumerate(TEST)
    ]
    assert frame_shares(dull)[0][1] == 1.0
    with pytest.raises(SchemaError, match=r"one sentence frame occurs in 100\.0% of the notes"):
        check_variety(dull)
    assert text_statistics(TRAIN)["distinct_frames"] > 2000


def test_graded_values_of_wide_ranges_are_shared_out_between_the_pools():
    fact = Fact(lab="alt", per="uln", low=5.2, high=19)
    seen = {
        pool: {re.search(r"\d{3}", lab_text(random.Random(i), pool, fact, plain=True))[0] for i in range(400)}
        for pool in POOLS
    }
    assert all(len(values) > 50 for values in seen.values())
    assert not (seen["train"] & seen["test"])
    assert not (seen["train"] & seen["calibration"] | seen["test"] & seen["calibration"])


def test_shares_add_up():
    assert all(abs(sum(share.values()) - 1) < 1e-9 for share in COMMON["shares"].values())


def test_short_cases_are_shorter_and_a_deal_is_another_order():
    length = {d: sum(len(c.case.text) for c in s["train"]) for d, s in SPLITS.items()}
    assert length["short"] < length["full"]
    one, two = (make_cases(40, pool="train", seed=1, prefix="d", deal=deal) for deal in (0, 1))
    assert [c.topic for c in one] != [c.topic for c in two]


@pytest.mark.parametrize("name", ["train", "calibration", "test", "pairs"])
def test_a_negative_number_of_cases_is_refused(name):
    numbers = {"train": 4, "calibration": 4, "test": 4, "pairs": 1} | {name: -1}
    with pytest.raises(RunError, match=f"the number of {name} cases is -1; expected 0 or more"):
        make_splits(7, **numbers, detail="short")
