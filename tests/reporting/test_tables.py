"""Tables and figures: aligned, complete, and drawn from plain report data."""

import pytest
from labels import REPORT as SHIPPED

from irae_lib.cases import validated_cases
from irae_lib.errors import SchemaError
from irae_lib.evaluation.report import summarize_arm
from irae_lib.evaluation.scoring import grade_answers
from irae_lib.model.answers import Answer, parse_answer
from irae_lib.reporting.figures import accuracy_figure, grid_figure
from irae_lib.reporting.tables import case_grid, label_counts, markdown, pairs_table, results_table, shows_error, table

CASES = validated_cases()
ANSWERS = [parse_answer(case.expected.to_json()) for case in CASES[:-1]] + [Answer(text="", unscored="empty")]
GRADED = grade_answers(CASES, ANSWERS)
REPORT = SHIPPED.model_copy(
    update={"results": {"validated": dict.fromkeys(("base", "full"), summarize_arm(CASES, GRADED))}}
)


def test_a_table_is_headed_by_its_first_column_in_one_row():
    frame = table([["a", 1], ["bbb", 22]], ["x", "n"])
    assert frame.to_string().splitlines() == ["x     n", "a     1", "bbb  22"]
    assert frame.to_html().count("<tr") == 3
    assert markdown(frame) == "| x | n |\n| --- | --- |\n| a | 1 |\n| bbb | 22 |"


def test_grid_shows_right_wrong_and_unscored():
    grid = case_grid(GRADED, "raw")
    assert list(grid.loc["GI-001"]) == ["✓"] * 5 + ["5/5", "pass"]
    assert list(grid.loc["NEURO-002"]) == ["✗"] * 5 + ["0/5", "unscored"]


def test_results_carry_n_unscored_and_both_stages():
    frame = results_table(REPORT, "validated")
    assert list(frame.index) == ["base", "base + safety", "tuned (full)", "tuned (full) + safety"]
    assert frame.loc["base", ["unscored", "passed"]].tolist() == [1, "10/11"]


def test_rates_over_no_cases_and_absent_pairs_are_shown_as_such():
    none = dict.fromkeys(("base", "full"), summarize_arm([], []))
    unpaired = dict.fromkeys(("base", "full"), summarize_arm(CASES, GRADED))
    report = REPORT.model_copy(update={"results": {"test_irae": none, "contrast": unpaired}})
    assert results_table(report, "test_irae").loc["base", ["fields", "95 % CI", "passed", "irAE"]].tolist() == [
        "-",
        "-",
        "0/0",
        "-",
    ]
    assert pairs_table(report).empty


def test_label_counts_add_up():
    assert label_counts(CASES)["all"].sum() == 11


def test_figures_have_labels_for_every_system():
    figure = accuracy_figure(REPORT, "validated", "Test")
    assert "n = 11" in figure.axes[0].get_title()
    assert {"base + safety", "tuned (full) + safety"} <= {t.get_text() for t in figure.axes[0].get_legend().get_texts()}
    assert grid_figure({"only one": GRADED}, "raw", "Test").axes[0].get_title() == "only one"


def test_shows_error_prints_one_line_and_fails_when_nothing_is_raised(capsys):
    with shows_error(SchemaError):
        raise SchemaError("n17: grade 6")
    assert capsys.readouterr().out == "SchemaError: n17: grade 6\n"
    with pytest.raises(AssertionError, match="nothing was raised"), shows_error(SchemaError):
        pass
