"""The result in sentences: each number is one of the report, whichever way it points."""

import re

from labels import REPORT

from irae_lib.evaluation.report import Report
from irae_lib.reporting import figures
from irae_lib.reporting.summary import sentences
from irae_lib.reporting.tables import p_value, reports_table


def test_every_number_of_the_sentences_stands_in_the_report():
    first, second = sentences(REPORT)
    base, tuned = REPORT.results["test"]["base"].raw, REPORT.results["test"]["full"]
    assert f"On {tuned.raw.n} held-out synthetic notes the tuned rehearsal stand-in" in first
    assert f"{tuned.raw.field_accuracy:.3f} of the five fields" in first
    assert f"its base {base.field_accuracy:.3f}" in first
    assert f"{REPORT.comparisons['test'].difference:+.3f}" in first
    for stage in (tuned.raw, tuned.safety):
        for rate in (stage.triage.under, stage.triage.missed_irae, stage.triage.specificity_mimics):
            assert f"{rate.hits} of {rate.n}" in second
    assert f"from {tuned.raw.field_accuracy:.3f} to {tuned.safety.field_accuracy:.3f}" in second


def test_a_loss_is_told_as_a_loss_and_p_is_never_zero():
    body = REPORT.model_dump(mode="json")
    body["rehearsal"], body["base_model"] = False, "some/model"
    body["comparisons"]["test"] |= {
        "difference": -0.1,
        "difference_interval": {"low": -0.2, "high": -0.01},
        "p_value": 0,
    }
    first, _ = sentences(Report.model_validate(body))
    assert "the tuned model gets" in first
    assert "a difference of -0.100 (-0.20 to -0.01; cases passed, McNemar p < 0.001)" in first
    assert not re.search(r"p = 0\b", first)
    assert [p_value(p) for p in (0.0, 0.0009, 0.04211, 1.0)] == ["< 0.001", "< 0.001", "0.042", "1"]


def test_reports_stand_side_by_side():
    frame = reports_table({"a": REPORT, "b": REPORT})
    assert list(frame.index) == ["always negative", "base", "tuned (full)", "tuned (full) + safety", "rules alone"]
    assert frame.shape[1] == 4
    tuned = REPORT.results["test"]["full"].raw
    assert frame.loc["tuned (full)"].iloc[0].startswith(f"{tuned.field_accuracy:.3f} (")
    figure = figures.reports_figure({"a": REPORT, "b": REPORT})
    assert [one.get_title() for one in figure.axes] == ["a, n = 300", "b, n = 300"]
    assert f"{tuned.field_accuracy:.2f}" in {text.get_text() for text in figure.axes[0].texts}
    figures.shown(figure)
