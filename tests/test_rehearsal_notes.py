"""Synthetic cases: repeatable, labelled by the contract, quotes found, and a held-out part that is unseen."""

from collections import Counter

import pytest

from irae_lib.cases import validated_cases
from irae_lib.rehearsal_notes import check_leaks, make_cases, sentence_frames
from irae_lib.rehearsal_notes.phrases import IDEAS
from irae_lib.rehearsal_notes.scenarios import ILLNESSES
from irae_lib.schemas import LeakError, Likelihood, Severity, System, Urgency

TRAIN = make_cases(600, pool="train", seed=3, prefix="train")
TEST = make_cases(300, pool="test", seed=3, prefix="test")


def test_same_seed_same_cases_other_seed_other_cases():
    assert make_cases(50, pool="train", seed=3, prefix="train") == make_cases(50, pool="train", seed=3, prefix="train")
    assert {c.case.text for c in make_cases(50, pool="train", seed=4, prefix="train")}.isdisjoint(
        c.case.text for c in TRAIN
    )


def test_every_evidence_quote_occurs_in_its_note():
    assert all(quote in c.case.text for c in TRAIN + TEST for quote in c.expected.evidence)


def test_no_two_notes_are_the_same():
    assert len({c.case.text for c in TRAIN + TEST}) == len(TRAIN) + len(TEST)


def test_every_organ_of_the_eleven_and_every_grade_that_exists_occurs():
    organs = {system for c in validated_cases() for system in c.expected.affected_systems}
    assert {(i.system, i.grade) for i in ILLNESSES} >= {(system, grade) for system in organs for grade in (1, 2, 3, 4)}
    seen = {(c.expected.affected_systems[0], c.expected.overall_severity) for c in TEST if c.expected.irae_detected}
    assert seen == {(i.system, Severity.from_grade(i.grade)) for i in ILLNESSES}


def test_at_least_40_percent_of_the_test_are_negatives():
    assert sum(not c.expected.irae_detected for c in TEST) / len(TEST) >= 0.40


def test_labels_follow_the_contract_of_their_kind():
    for c in TRAIN + TEST:
        label, likelihood = c.expected, c.expected.causality.likelihood
        if c.kind in ("irae", "undocumented"):
            assert label.irae_detected and label.affected_systems and label.overall_severity > Severity.UNKNOWN
        else:
            assert (label.irae_detected, label.affected_systems, label.overall_severity) == (
                False,
                (),
                Severity.UNKNOWN,
            )
        allowed = {"irae": (Likelihood.HIGHLY_LIKELY, Likelihood.POSSIBLE), "undocumented": (Likelihood.UNCERTAIN,)}
        assert likelihood in allowed.get(c.kind, (Likelihood.UNLIKELY,))
        assert c.kind != "well" or label.urgency is Urgency.ROUTINE


def test_no_label_lies_below_the_generic_floors():
    for illness in ILLNESSES:
        floor = {1: Urgency.ROUTINE, 2: Urgency.SOON, 3: Urgency.URGENT, 4: Urgency.EMERGENCY}[illness.grade]
        if illness.system in (System.CARDIAC, System.NEUROLOGIC):
            floor = max(floor, Urgency.URGENT)
        assert illness.urgency >= floor, illness.term


def test_illnesses_are_dealt_evenly():
    counts = Counter(c.topic for c in TRAIN if c.kind == "irae")
    share = Counter(i.term for i in ILLNESSES)
    rates = [counts[term] / share[term] for term in share]
    assert max(rates) - min(rates) <= 2


def test_pools_share_no_phrasing():
    for name, idea in IDEAS.items():
        assert set(idea.train).isdisjoint(idea.test), name
        assert len(idea.train) >= 2 and len(idea.test) >= 2, name


def test_the_test_set_shares_no_sentence_frame_with_training_or_the_eleven():
    assert check_leaks(TRAIN + validated_cases(), TEST)["shared_frames"] == 0


@pytest.mark.parametrize("leak", ["note", "sentence"])
def test_a_leak_is_refused_and_named(leak):
    intruder = TRAIN[5]
    if leak == "sentence":
        sentence = "The patient is passing 9 watery stools daily, baseline one formed stool"
        a = TRAIN[0].model_copy(update={"case": type(intruder.case)(id="a", text=f"{sentence}. Nivolumab.")})
        b = TEST[0].model_copy(
            update={"case": type(intruder.case)(id="b", text=f"{sentence.replace('9', '11')}. Atezolizumab.")}
        )
        with pytest.raises(LeakError, match="b shares a sentence frame with a"):
            check_leaks([a], [b])
    else:
        with pytest.raises(LeakError, match=intruder.case.id):
            check_leaks(TRAIN, [*TEST, intruder])


def test_frames_mask_numbers_and_drugs():
    assert sentence_frames("Passing 4 loose stools on nivolumab.") == sentence_frames(
        "Passing 12 loose stools on Keytruda."
    )


def test_graded_laboratory_values_of_the_test_are_not_in_training():
    def alts(cases):
        return {q for c in cases for q in c.expected.evidence if q.lower().startswith("alt")}

    digits = [{"".join(ch for ch in quote if ch.isdigit()) for quote in alts(cases)} for cases in (TRAIN, TEST)]
    assert digits[0] and digits[1] and digits[0].isdisjoint(digits[1])
