"""Verdicts: case files that 01 and 03 read, one a reviewer; agreement by hand-counted numbers."""

import pytest

from irae_lib import Assessment, Case
from irae_lib.cases import read_cases, validated_cases
from irae_lib.errors import SchemaError
from irae_lib.evaluation.statistics import kappa
from irae_lib.reviewing.verdicts import (
    agreement,
    differences,
    read_verdicts,
    restore_verdict,
    save_verdict,
    verdict,
    verdict_file,
)

NOTE = Case(id="a", text="Nivolumab. ALT 640 U/L (ref 7-56).")


def said(grade="Grade 3 - Severe", urgency="urgent", systems=("Hepatic",), likelihood="Possible", **more):
    return Assessment(
        irae_detected=bool(systems),
        affected_systems=systems,
        overall_severity=grade,
        urgency=urgency,
        causality={"likelihood": likelihood},
        **more,
    )


def test_verdicts_are_cases_that_01_and_03_read(tmp_path):
    path = verdict_file(tmp_path, "anna")
    save_verdict(path, verdict(NOTE, said(evidence=("ALT 640 U/L", "not in it"))))
    for case in validated_cases()[:2]:  # sections stay sections
        save_verdict(path, verdict(case.case, case.expected))
    cases = read_cases(path)
    assert [case.case.id for case in cases] == ["a", *(case.case.id for case in validated_cases()[:2])]
    assert cases[0].expected.evidence == ("ALT 640 U/L",)
    assert cases[0].kind == "irae"
    assert cases[1].case == validated_cases()[0].case


def test_a_second_verdict_replaces_the_first_and_others_stay(tmp_path):
    path = tmp_path / "anna.jsonl"
    for name in "ab":
        save_verdict(path, verdict(Case(id=name, text=f"note {name}"), said()))
    save_verdict(path, verdict(Case(id="a", text="note a"), said(urgency="emergency")))
    kept = read_verdicts(path)
    assert list(kept) == ["a", "b"]
    assert (kept["a"].expected.urgency, kept["b"].expected.urgency) == ("emergency", "urgent")


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (said().model_copy(update={"affected_systems": ()}), "needs at least one organ system"),
        (said().model_copy(update={"irae_detected": False}), "no organ system and no grade"),
        (said(systems=()), "no organ system and no grade"),
        (said("Unknown", systems=()), "causality is Unlikely or Uncertain"),
    ],
)
def test_fields_that_contradict_each_other_are_no_verdict(one, message):
    with pytest.raises(SchemaError, match=message):
        verdict(NOTE, one)


def test_the_kind_of_a_case_stays_unless_the_verdict_contradicts_it():
    none = said("Unknown", "soon", (), "Unlikely")
    assert verdict(NOTE, none, kind="never").kind == "never"
    assert verdict(NOTE, none, kind="irae").kind == "mimic"
    assert verdict(NOTE, said(), kind="well").kind == "irae"
    assert verdict(NOTE, said(likelihood="Uncertain"), kind="undocumented").kind == "undocumented"
    assert verdict(NOTE, said("Unknown", "routine", (), "Unlikely")).kind == "well"


@pytest.mark.parametrize("name", ["", "a/b", "../x", "anna smith", "x" * 41])
def test_a_reviewers_name_that_names_no_file_is_refused(tmp_path, name):
    with pytest.raises(SchemaError, match="letters, digits"):
        verdict_file(tmp_path, name)


def test_agreement_is_counted_over_the_cases_in_common():
    a = {"1": said(), "2": said("Grade 2 - Moderate", "soon"), "3": said(urgency="soon"), "only a": said()}
    b = {"2": said("Grade 2 - Moderate", "urgent"), "1": said(), "3": said(systems=("Hepatic", "Renal"))}
    rows = {row.field: row for row in agreement(a, b)}
    assert {row.n for row in rows.values()} == {3}
    assert [rows[f].same for f in ("irae_detected", "affected_systems", "overall_severity", "urgency")] == [3, 2, 3, 1]
    assert rows["irae_detected"].kappa is None
    assert rows["overall_severity"].kappa == 1.0
    # urgency: a = urgent, soon, soon; b = urgent, urgent, urgent. Quadratic weights: observed 2, by chance 2 of 3 x 3.
    assert rows["urgency"].kappa == 0.0
    assert all(row.kappa is None and row.n == 0 for row in agreement(a, {}))


def test_kappa_by_hand():
    # 50 by 50 of the textbook: 20 yes/yes, 15 no/no, 5 yes/no, 10 no/yes: 0.70 observed, 0.50 by chance.
    a = [True] * 25 + [False] * 25
    b = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert kappa(a, b) == pytest.approx(0.4)
    assert kappa(a, a) == 1.0
    assert kappa([], []) is None
    assert kappa([1, 1], [1, 1]) is None
    assert kappa("aabb", "bbaa") == -1.0


def test_differences_are_listed_field_by_field_with_both_choices():
    a = {"1": said(), "2": said(), "only a": said()}
    b = {"1": said(), "2": said("Grade 2 - Moderate", systems=("Hepatic", "Renal"))}
    assert [tuple(one) for one in differences(a, b)] == [
        ("2", "organ", "Hepatic", "Hepatic, Renal"),
        ("2", "grade", "Grade 3 - Severe", "Grade 2 - Moderate"),
    ]
    assert differences(a, {}) == []


def test_a_verdict_is_taken_back_or_put_back(tmp_path):
    path, first, second = tmp_path / "anna.jsonl", verdict(NOTE, said()), verdict(NOTE, said(urgency="emergency"))
    save_verdict(path, second)
    restore_verdict(path, "a", first)
    assert read_verdicts(path) == {"a": first}
    restore_verdict(path, "a", None)
    assert not path.exists()
